"""Facts as a document: headings, tables and pictures, before any format."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from gapless.core.span import iso
from gapless.work.report.charts import Picture, completeness_chart, components_chart, path_chart
from gapless.work.report.facts import Facts, Period
from gapless.work.report.words import Language, word

Cell = str | float | int | None


@dataclass(frozen=True, slots=True)
class Table:
    """A table; numbers stay numbers."""

    columns: list[str]
    rows: list[list[Cell]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading and what stands below it."""

    title: str
    text: str = ""
    table: Table | None = None
    picture: Picture | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One report."""

    title: str
    subtitle: str
    language: Language
    sections: list[Section] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """The charts of a report: drawn once, as they are the same in every language."""

    completeness: Picture | None
    path: Picture | None
    components: Picture | None


def pictures(facts: Facts, kinds: Collection[str]) -> Pictures:
    """Draw what there is to be drawn, as `svg`, as `png`, or both."""
    has_path = facts.path.height > 0
    return Pictures(
        completeness=completeness_chart(facts.periods, kinds) if len(facts.periods) > 1 else None,
        path=path_chart(facts.path, kinds, is_index=bool(facts.components)) if has_path else None,
        components=components_chart(facts.path, facts.components, kinds) if facts.components and has_path else None,
    )


def document(facts: Facts, language: Language, drawn: Pictures) -> Document:
    """The report of a series in a language."""
    says = _Says(language)
    made = f"{says('made')} {facts.made_at}"
    sections = [_completeness(facts, says, drawn), _path(facts, says, drawn)]
    if drawn.components:
        sections.append(Section(title=says("components"), picture=drawn.components))
    sections += [_statistics(facts, says), _gaps(facts, says), _findings(facts, says)]
    return Document(
        title=f"{facts.series} · {facts.dataset}",
        subtitle=f"{says('report')} {facts.first_day} – {facts.last_day} ({facts.zone}) · {made}",
        language=language,
        sections=sections,
    )


@dataclass(frozen=True, slots=True)
class _Says:
    language: Language

    def __call__(self, key: str) -> str:
        return word(key, self.language)


def _completeness(facts: Facts, says: _Says, drawn: Pictures) -> Section:
    words = ["present", "empty", "missing", "quarantined", "unavailable"]
    told = [one for one in words if one in ("present", "empty", "missing") or facts.whole.cells.get(one)]
    columns = [says("period"), *(says(one) for one in told), f"{says('completeness')} %"]

    def row(one: Period, label: str) -> list[Cell]:
        share = None if one.completeness is None else round(one.completeness, 2)
        return [label, *(one.cells.get(name, 0) for name in told), share]

    rows = [row(one, one.label) for one in facts.periods]
    if len(facts.periods) > 1:
        rows.append(row(facts.whole, says("whole")))
    share = facts.whole.completeness
    text = "" if share is None else f"{share:.2f} % {says('of periods answered')}."
    return Section(title=says("completeness"), text=text, table=Table(columns, rows), picture=drawn.completeness)


def _path(facts: Facts, says: _Says, drawn: Pictures) -> Section:
    title = f"{says('path')}: {facts.drawn}"
    if not facts.path.height:
        return Section(title=title, text=says("many rows" if facts.whole.cells.get("present") else "no rows"))
    names = ["first", "low", "mean", "high", "last"]
    has_volume = any(one.volume is not None for one in facts.periods)
    rows: list[list[Cell]] = [
        [one.label, *(getattr(one, name) for name in names), *([one.volume] if has_volume else [])]
        for one in facts.periods
    ]
    columns = [says("period"), *(says(name) for name in names), *([says("volume")] if has_volume else [])]
    return Section(title=title, table=Table(columns, rows), picture=drawn.path)


def _statistics(facts: Facts, says: _Says) -> Section:
    columns = [says(one) for one in ("column", "count", "mean", "deviation", "least", "greatest")]
    return Section(title=says("statistics"), table=Table(columns, [list(one) for one in facts.statistics]))


def _gaps(facts: Facts, says: _Says) -> Section:
    if not facts.gaps:
        return Section(title=says("gaps"), text=says("no gaps"))
    columns = [says(one) for one in ("word", "start", "end", "cells", "note")]
    rows: list[list[Cell]] = [
        [says(word_), iso(span.start), iso(span.end), cells, note] for word_, span, cells, note in facts.gaps
    ]
    left = facts.gap_count - len(facts.gaps)
    return Section(title=says("gaps"), table=Table(columns, rows), text=f"{left:,} {says('and more')}" if left else "")


def _findings(facts: Facts, says: _Says) -> Section:
    if not facts.findings:
        return Section(title=says("findings"), text=says("no findings" if facts.is_validated else "not validated"))
    columns = [says(one) for one in ("rule", "severity", "start", "end", "evidence")]
    rows: list[list[Cell]] = [
        [one.rule, says(one.severity.value), iso(one.span.start), iso(one.span.end), one.evidence]
        for one in facts.findings
    ]
    return Section(title=says("findings"), table=Table(columns, rows))


def shown(cell: Cell) -> str:
    """A cell for people: thousands apart, no more digits than tell something."""
    if cell is None:
        return "–"
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int) or (cell.is_integer() and abs(cell) >= 1000):
        return f"{int(cell):,}"
    size = abs(cell)
    return f"{cell:,.0f}" if size >= 1e6 else f"{cell:,.2f}" if size >= 1 else f"{cell:.4g}"
