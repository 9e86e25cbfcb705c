"""Documents as files: HTML, Markdown, XLSX and PDF, each with everything it needs inside."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from html import escape

from gapless.work.report.document import Cell, Document, Section, Table, shown

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.55 system-ui, "Noto Sans KR", "Noto Sans CJK KR", "Apple SD Gothic Neo", "Malgun Gothic", sans-serif;
  color: #1f2937; max-width: 960px; margin: 2.5rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.7rem; margin: 0 0 .2rem; } .sub { color: #6b7280; margin: 0 0 2rem; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid #e5e7eb; padding-bottom: .3rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .88rem; }
th { text-align: left; color: #6b7280; font-weight: 600; } th, td { padding: .32rem .6rem; border-bottom: 1px solid #f1f3f5; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
svg, img { width: 100%; height: auto; margin: .6rem 0; } p { margin: .4rem 0; }
@media print { body { margin: 0 auto; } h2 { break-after: avoid; } tr { break-inside: avoid; } }
""".strip()  # noqa: E501


def html(made: Document) -> bytes:
    """A page that needs no network: styles and pictures are inside."""
    parts = [
        f'<!doctype html>\n<html lang="{made.language}">\n<head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(made.title)}</title>\n<style>{_STYLE}</style></head>\n<body>",
        f'<h1>{escape(made.title)}</h1>\n<p class="sub">{escape(made.subtitle)}</p>',
    ]
    for one in made.sections:
        parts.append(f"<section><h2>{escape(one.title)}</h2>")
        if one.text:
            parts.append(f"<p>{escape(one.text)}</p>")
        if one.picture:
            data = base64.b64encode(one.picture.svg).decode()
            parts.append(f'<img alt="{escape(one.title)}" src="data:image/svg+xml;base64,{data}">')
        if one.table:
            parts.append(_html_table(one.table))
        parts.append("</section>")
    return "\n".join([*parts, "</body></html>\n"]).encode()


def _is_number(table: Table, column: int) -> bool:
    return any(isinstance(row[column], int | float) for row in table.rows)


def _html_table(table: Table) -> str:
    kinds = [' class="n"' if _is_number(table, i) else "" for i in range(len(table.columns))]
    head = "".join(f"<th{kind}>{escape(name)}</th>" for name, kind in zip(table.columns, kinds, strict=True))
    rows = [
        "<tr>"
        + "".join(f"<td{kind}>{escape(shown(cell))}</td>" for cell, kind in zip(row, kinds, strict=True))
        + "</tr>"
        for row in table.rows
    ]
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def markdown(made: Document) -> bytes:
    """Markdown with its pictures as data."""
    parts = [f"# {made.title}", made.subtitle]
    for one in made.sections:
        parts.append(f"## {one.title}")
        if one.text:
            parts.append(one.text)
        if one.picture:
            data = base64.b64encode(one.picture.png).decode()
            parts.append(f"![{one.title}](data:image/png;base64,{data})")
        if one.table:
            parts.append(_markdown_table(one.table))
    return ("\n\n".join(parts) + "\n").encode()


def _markdown_table(table: Table) -> str:
    def line(cells: list[str]) -> str:
        told = " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells)
        return f"| {told} |"

    rule = ["---:" if _is_number(table, i) else "---" for i in range(len(table.columns))]
    return "\n".join([line(table.columns), line(rule), *(line([shown(cell) for cell in row]) for row in table.rows)])


def xlsx(made: Document) -> bytes:
    """A workbook: a sheet for each section, numbers as numbers."""
    import xlsxwriter

    target = io.BytesIO()
    # What a provider or a user calls a thing is text, never a formula or an address.
    words = {"strings_to_formulas": False, "strings_to_urls": False, "in_memory": True}
    with xlsxwriter.Workbook(target, words) as book:
        bold = book.add_format({"bold": True, "bottom": 1})
        large = book.add_format({"bold": True, "font_size": 14})
        for number, one in enumerate(made.sections, 1):
            sheet = book.add_worksheet(_sheet_name(number, one.title))
            sheet.write_string(0, 0, made.title, large)
            sheet.write_string(1, 0, made.subtitle)
            row = 3
            if one.text:
                sheet.write_string(row, 0, one.text)
                row += 2
            if one.table:
                _write_table(sheet, one.table, row, bold)
                row += len(one.table.rows) + 2
            if one.picture:
                picture = {"image_data": io.BytesIO(one.picture.png), "x_scale": 0.5, "y_scale": 0.5}
                sheet.insert_image(row, 0, "chart.png", picture)
    return target.getvalue()


def _sheet_name(number: int, title: str) -> str:
    bare = "".join(" " if one in r"[]:*?/\'" else one for one in title)
    return f"{number} {bare}"[:31].strip()


def _write_table(sheet: object, table: Table, row: int, bold: object) -> None:
    write: Callable[..., object] = sheet.write  # type: ignore[attr-defined]
    for column, name in enumerate(table.columns):
        write(row, column, name, bold)
        longest = max([len(name), *(len(shown(cells[column])) for cells in table.rows)])
        sheet.set_column(column, column, min(60, longest + 2))  # type: ignore[attr-defined]
    for i, cells in enumerate(table.rows, row + 1):
        for column, cell in enumerate(cells):
            if cell is not None:
                write(i, column, cell)


def pdf(made: Document) -> bytes:
    """A4 pages. Korean comes from the fonts that every viewer has for it: nothing has to be installed here."""
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer

    font = "HYGothic-Medium"
    pdfmetrics.registerFont(UnicodeCIDFont(font))
    styles = {
        "title": ParagraphStyle("title", fontName=font, fontSize=17, leading=22),
        "sub": ParagraphStyle("sub", fontName=font, fontSize=8.5, leading=12, textColor="#6b7280"),
        "head": ParagraphStyle("head", fontName=font, fontSize=12, leading=16, spaceBefore=14, spaceAfter=4),
        "text": ParagraphStyle("text", fontName=font, fontSize=9, leading=13),
        "cell": ParagraphStyle("cell", fontName=font, fontSize=7, leading=9),
        "number": ParagraphStyle("number", fontName=font, fontSize=7, leading=9, alignment=2),
    }
    target = io.BytesIO()
    paper = SimpleDocTemplate(
        target, pagesize=A4, title=made.title, leftMargin=42, rightMargin=42, topMargin=42, bottomMargin=42
    )
    story: list[object] = [
        Paragraph(escape(made.title), styles["title"]),
        Paragraph(escape(made.subtitle), styles["sub"]),
        Spacer(1, 6),
    ]
    for one in made.sections:
        story += _story(one, styles, paper.width)
    paper.build(story, onFirstPage=_page_number, onLaterPages=_page_number)
    return target.getvalue()


def _page_number(canvas: object, paper: object) -> None:
    canvas.setFont("Helvetica", 7)  # type: ignore[attr-defined]
    canvas.drawRightString(paper.pagesize[0] - 42, 24, str(paper.page))  # type: ignore[attr-defined]


def _story(one: Section, styles: dict[str, object], width: float) -> list[object]:
    from reportlab.lib import colors
    from reportlab.platypus import Image, Paragraph, TableStyle
    from reportlab.platypus import Table as Grid

    story: list[object] = [Paragraph(escape(one.title), styles["head"])]
    if one.text:
        story.append(Paragraph(escape(one.text), styles["text"]))
    if one.picture:
        image = Image(io.BytesIO(one.picture.png))
        image.drawHeight *= width / image.drawWidth
        image.drawWidth = width
        story.append(image)
    if one.table:
        kinds = ["number" if _is_number(one.table, i) else "cell" for i in range(len(one.table.columns))]

        def line(cells: list[Cell], table: Table = one.table) -> list[object]:
            return [Paragraph(escape(shown(cell)), styles[kind]) for cell, kind in zip(cells, kinds, strict=True)] or [
                table.columns
            ]

        grid = Grid([line(list(one.table.columns)), *(line(row) for row in one.table.rows)], repeatRows=1)
        grid.setStyle(
            TableStyle(
                [
                    ("LINEBELOW", (0, 0), (-1, 0), 0.6, colors.HexColor("#9ca3af")),
                    ("LINEBELOW", (0, 1), (-1, -1), 0.25, colors.HexColor("#e5e7eb")),
                    ("VALIGN", (0, 0), (-1, -1), "TOP"),
                    ("TOPPADDING", (0, 0), (-1, -1), 1.5),
                    ("BOTTOMPADDING", (0, 0), (-1, -1), 1.5),
                ]
            )
        )
        story.append(grid)
    return story


FORMATS: dict[str, Callable[[Document], bytes]] = {"html": html, "md": markdown, "xlsx": xlsx, "pdf": pdf}
#: What a browser is told of a file.
MEDIA = {
    "html": "text/html; charset=utf-8",
    "md": "text/markdown; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pdf": "application/pdf",
}
#: The kind of picture that a format holds.
PICTURE = {"html": "svg", "md": "png", "xlsx": "png", "pdf": "png"}
