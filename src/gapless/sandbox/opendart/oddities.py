"""Odd tables: what filers write in place of the fixed template.

Each oddity changes what is shown, not what is true; those of LASTING change that, too, in `dividends`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy

import msgspec

from gapless.sandbox.opendart.dividends import Share

DIVIDEND = "주당 현금배당금(원)"
FACE = "주당액면가액(원)"
COMMON, PREFERRED = "보통주", "우선주"
#: These have to do with what is paid or earned, so they hold for all years of a company.
LASTING = {"decimal", "two_amounts", "loss_minus", "loss_brackets", "loss_triangle"}
#: These are only for companies without a preferred share.
ALONE = {"twin_empty", "empty_preferred"}


class Line(msgspec.Struct):
    """A line of the table: label, share kind as it is shown, and this year, the one before, the one before that."""

    label: str
    values: list[str]
    kind: str | None = None
    #: What the line is truly about.
    share: Share | None = None

    @property
    def is_dividend(self) -> bool:
        """Whether it tells the cash dividend per share, however it is spelt by then."""
        return self.label.startswith("주당") and "현금배당" in self.label


class Table(msgspec.Struct):
    """A dividend table on its way out."""

    lines: list[Line]
    #: stlm_dt.
    end: str | None
    #: What all shares get together, in won, for each column.
    totals: list[int]

    @property
    def dividends(self) -> list[Line]:
        """The lines that tell the cash dividend per share."""
        return [line for line in self.lines if line.is_dividend]


Change = Callable[[Table], None]


def _kinds(named: Mapping[str, str | None], *, everywhere: bool = False) -> Change:
    """Other words for share kinds; `everywhere` also where the template has none."""

    def change(table: Table) -> None:
        for line in table.lines:
            if line.kind is not None or everywhere:
                line.kind = named.get(line.kind or "", line.kind)

    return change


def _label(before: str, after: str) -> Change:
    """Another spelling of a part of the labels."""

    def change(table: Table) -> None:
        for line in table.lines:
            line.label = line.label.replace(before, after)

    return change


def _values(shown: Callable[[str], str], *, only: str = "") -> Change:
    """Another spelling of all values, or of those in lines with this in their label."""

    def change(table: Table) -> None:
        for line in table.lines:
            if only in line.label:
                line.values = [shown(value) for value in line.values]

    return change


def _end(shown: Callable[[str], str | None]) -> Change:
    def change(table: Table) -> None:
        table.end = shown(table.end or "")

    return change


def _twin(table: Table) -> None:
    table.lines = [copy(line) for line in table.lines for _ in range(1 + line.is_dividend)]


def _empty_twin(table: Table) -> None:
    for line in table.lines:
        line.kind = None
    common = next(line for line in table.dividends if line.share == "common")
    others = [line for line in table.lines if not line.is_dividend]
    at = others.index(next(line for line in others if line.label == "주당 주식배당(주)"))
    table.lines = [*others[:at], common, Line(common.label, ["-"] * 3), *others[at:]]


def _empty_preferred(table: Table) -> None:
    added = []
    for line in table.lines:
        added.append(line)
        if line.share == "common":
            added.append(Line(line.label, ["-"] * 3, PREFERRED))
    table.lines = added


def _two_amounts(table: Table) -> None:
    names: dict[Share | None, str] = {"common": f"{COMMON}(소액주주)", "large": f"{COMMON}(대주주)"}
    for line in table.lines:
        line.kind = names.get(line.share, line.kind)


def _total_won(table: Table) -> None:
    for line in table.dividends:
        line.values = [f"{total:,}" if total else "-" for total in table.totals]


def _on_numbers(change: Callable[[str], str]) -> Callable[[str], str]:
    return lambda text: text if text == "-" else change(text)


def _sign(form: str) -> Callable[[str], str]:
    return lambda text: form.format(text[1:]) if text.startswith("-") and text != "-" else text


#: By their names: what each of them does to a table.
ODDITIES: dict[str, Change] = {
    # The share kind.
    "kind_missing": _kinds({COMMON: None, PREFERRED: None}),
    "kind_dash": _kinds({COMMON: "-", PREFERRED: "-", "": "-"}, everywhere=True),
    "kind_dash_elsewhere": _kinds({"": "-"}, everywhere=True),
    "kind_misspelt_dong": _kinds({COMMON: "보동주"}),
    "kind_misspelt_tung": _kinds({COMMON: "보퉁주"}),
    "kind_spaced": _kinds({COMMON: "보 통 주", PREFERRED: "우 선 주"}),
    "kind_padded": _kinds({COMMON: " 보통주 ", PREFERRED: " 우선주 "}),
    "kind_noted": _kinds({COMMON: "보통주(주1)", PREFERRED: "우선주(주2)"}),
    "kind_voting": _kinds({COMMON: "의결권 있는 주식", PREFERRED: "의결권 없는 주식"}),
    "kind_class": _kinds({PREFERRED: "종류주식"}),
    # The label.
    "label_tight": _label("주당 현금배당금", "주당현금배당금"),
    "label_wide": _label("주당 현금배당금(원)", "주당  현금배당금 (원)"),
    "label_noted": _label(DIVIDEND, f"{DIVIDEND}(주1)"),
    "label_separate": _label("(연결)", "(별도)"),
    "label_bare": _label("(연결)현금배당성향", "현금배당성향"),
    "label_face": _label(FACE, "주당 액면가액 (원)"),
    # Whole lines.
    "twin": _twin,
    "twin_empty": _empty_twin,
    "empty_preferred": _empty_preferred,
    "two_amounts": _two_amounts,
    # Values.
    "total_won": _total_won,
    "negative": _values(_on_numbers("-{}".format), only="현금배당금(원)"),
    "decimal": lambda table: None,  # noqa: ARG005 - what is paid has a half won
    "no_commas": _values(lambda text: text.replace(",", "")),
    "suffix": _values(_on_numbers("{}원".format), only="(원)"),
    "suffix_percent": _values(_on_numbers("{}%".format), only="(%)"),
    "value_spaced": _values(lambda text: f" {text.replace(',', ', ')} "),
    "value_noted": _values(_on_numbers("{}(주1)".format), only=DIVIDEND),
    "empty_value": _values(lambda text: "" if text == "-" else text),
    "zero": _values(lambda text: "0" if text == "-" else text),
    "loss_minus": lambda table: None,  # noqa: ARG005 - the template's own way
    "loss_brackets": _values(_sign("({})")),
    "loss_triangle": _values(_sign("△{}")),
    # The end of the period.
    "end_missing": _end(lambda end: None),  # noqa: ARG005
    "end_empty": _end(lambda end: ""),  # noqa: ARG005
    "end_dotted": _end(lambda end: end.replace("-", ".")),
    "end_compact": _end(lambda end: end.replace("-", "")),
    "end_year_before": _end(lambda end: f"{int(end[:4]) - 1}{end[4:]}"),
}
