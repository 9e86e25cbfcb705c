"""A dividend table, read as a whole: one statement for each share kind and column. A pure function of its lines.

| the table | is read as |
|---|---|
| lines that say the same twice | one line |
| a line without any number, beside others of its label with one | no share at all: such lines fill up templates |
| no line of a label names a share | the first with a number is the common one, the next `unnamed-2` (`kind_missing`) |
| one line without a name beside named ones | `unnamed` (flag `kind_missing`), unless it says what a named one says |
| the same share twice with different numbers | kept out of the number, flag `differs` |
| a dividend per share as large as the total, or above ten million won without one | kept out, flag `total_for_dps` |
| a dividend below zero | kept out, flag `negative` |
| a text that is no number | kept out, flag `unread` |
| every dividend line of a column shows none | 0: the report says that nothing is paid |
| some show none, others a number | none is told of those: null |
| a column without a single number | nothing is told of that year: no statement (but for the report's own year) |
| a period end that is no date, or of another year | kept out, flag `period_end` |

What is kept out stands in `note`, as it was written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

import msgspec

from gapless.sources.opendart.words import (
    CLASS,
    COMMON,
    PREFERRED,
    UNNAMED,
    Unread,
    read_kind,
    read_label,
    read_number,
    squeezed,
)

COLUMNS = 3
DPS = "dps"
#: Facts of a share, and of the company as a whole, by the stem of their label.
OF_SHARES = {
    "주당현금배당금": DPS,
    "현금배당수익률": "cash_yield",
    "주당주식배당": "stock_dps",
    "주식배당수익률": "stock_yield",
}
OF_COMPANY = {
    "주당액면가액": "face_value",
    "주당순이익": "eps",
    "당기순이익": "net_income",
    "현금배당금총액": "total_cash",
    "주식배당금총액": "total_stock",
    "현금배당성향": "payout",
}
#: A dividend per share from which on a total in its place is looked for, and one that no share has ever paid, in won.
SUSPICIOUS, IMPOSSIBLE = Decimal(1_000_000), Decimal(10_000_000)
_MILLION = Decimal(1_000_000)


class Line(msgspec.Struct, frozen=True):
    """A line of the reply; values in the order of the columns: this year, the one before, the one before that."""

    rcept_no: str
    corp_code: str
    se: str
    stock_knd: str | None = None
    thstrm: str | None = None
    frmtrm: str | None = None
    lwfr: str | None = None
    stlm_dt: str | None = None

    @property
    def values(self) -> tuple[str | None, str | None, str | None]:
        """What it shows in each column."""
        return self.thstrm, self.frmtrm, self.lwfr


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What a report tells of one share in one fiscal year."""

    #: 0 is the report's own year, 1 and 2 the years before.
    column: int
    kind: str
    facts: dict[str, Decimal | None]
    period_end: date | None
    flags: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(slots=True)
class _Cell:
    """What lines say of one fact in one column, before it is decided."""

    numbers: set[Decimal] = field(default_factory=set)
    #: As they were written: the numbers, and what is no number.
    shown: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    def add(self, text: str | None) -> None:
        try:
            number = read_number(text)
        except Unread:
            self.unread.append(" ".join((text or "").split()))
            return
        if number is not None:
            self.numbers.add(number)
            self.shown.append(" ".join((text or "").split()))

    @property
    def is_blank(self) -> bool:
        return not (self.numbers or self.unread)

    @property
    def text(self) -> str:
        """Everything that was written, in an order that does not depend on the lines'."""
        return " / ".join(sorted({*self.shown, *self.unread}))

    def decide(self) -> tuple[Decimal | None, str]:
        """The number, or the flag that says why there is none."""
        if self.unread and not self.numbers:
            return None, "unread"
        if len(self.numbers) > 1:
            return None, "differs"
        return next(iter(self.numbers), None), ""


@dataclass(slots=True)
class _Row:
    """The cells of all lines about one fact, of one share or of the company."""

    cells: tuple[_Cell, _Cell, _Cell] = field(default_factory=lambda: (_Cell(), _Cell(), _Cell()))
    flags: set[str] = field(default_factory=set)

    def add(self, line: Line) -> None:
        for cell, text in zip(self.cells, line.values, strict=True):
            cell.add(text)


@dataclass(slots=True)
class _Reading:
    """One statement in the making."""

    facts: dict[str, Decimal | None] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    def take(self, fact: str, cell: _Cell) -> Decimal | None:
        """Note a fact, or why it is kept out."""
        number, flag = cell.decide()
        if flag:
            self.set_aside(fact, flag, cell.text)
        self.facts[fact] = number
        return number

    def set_aside(self, fact: str, flag: str, text: str) -> None:
        self.facts[fact] = None
        self.flags.add(flag)
        self.notes.append(f"{fact}: {text}")


def read_table(lines: Sequence[Line], year: int, columns: int) -> list[Statement]:
    """The statements of a table about fiscal year `year`, from its first `columns` columns."""
    company, shares = _of_company(lines), _of_shares(lines)
    # Shares are those of the dividend lines; other lines fill up templates.
    kinds = sorted(shares.get(DPS) or {kind for found in shares.values() for kind in found}) or [COMMON]
    told = [column for column in range(columns) if column == 0 or _is_told([*company.values(), *_rows(shares)], column)]
    end, end_text = _period_end(lines, year)
    made = []
    for column in told:
        for kind in kinds:
            reading = _read(company, shares, kind, column)
            if end_text:
                reading.flags.add("period_end")
                reading.notes.append(f"period_end: {end_text}")
            made.append(
                Statement(
                    column=column,
                    kind=kind,
                    facts=reading.facts,
                    period_end=_years_before(end, column),
                    flags=tuple(sorted(reading.flags)),
                    notes=tuple(reading.notes),
                )
            )
    return made


def is_spoilt(lines: Sequence[Line]) -> bool:
    """Whether a column holds nothing but texts that are no numbers: the reply is broken, not the filer."""
    for column in range(COLUMNS):
        cell = _Cell()
        for line in lines:
            cell.add(line.values[column])
        if len(cell.unread) >= 3 and not cell.numbers:
            return True
    return False


def _rows(shares: dict[str, dict[str, _Row]]) -> Iterable[_Row]:
    return (row for found in shares.values() for row in found.values())


def _is_told(rows: Iterable[_Row], column: int) -> bool:
    return any(not row.cells[column].is_blank for row in rows)


def _fact(stem: str, facts: dict[str, str]) -> str | None:
    """The fact that a label's bare words begin with: what follows them is the filer's own."""
    return next((fact for start, fact in facts.items() if stem.startswith(start)), None)


def _of_company(lines: Sequence[Line]) -> dict[str, _Row]:
    """Facts of the company; of the group where both are told."""
    whole: dict[tuple[str, bool], _Row] = {}
    for line in lines:
        label = read_label(line.se)
        fact = _fact(label.stem, OF_COMPANY)
        if fact is not None:
            whole.setdefault((fact, label.is_separate), _Row()).add(line)
    found: dict[str, _Row] = {}
    if ("net_income", True) in whole:
        found["own_net_income"] = whole.pop(("net_income", True))
    for (fact, is_separate), row in whole.items():
        if not is_separate or (fact, False) not in whole:
            found[fact] = row
    return found


def _of_shares(lines: Sequence[Line]) -> dict[str, dict[str, _Row]]:
    """Facts of shares: by fact, then by share kind."""
    kinds = {line.stock_knd: read_kind(line.stock_knd) for line in lines}
    stand_in = CLASS if any(kind.name == PREFERRED for kind in kinds.values()) else PREFERRED
    found: dict[str, dict[str, _Row]] = {}
    for fact, its in _lines_of_shares(lines).items():
        named = found[fact] = {}
        for line in its:
            kind = kinds[line.stock_knd]
            if kind.name != UNNAMED:
                row = named.setdefault(stand_in if kind.name == CLASS else kind.name, _Row())
                row.add(line)
                row.flags |= {kind.flag} - {""}
        unnamed = [line for line in its if kinds[line.stock_knd].name == UNNAMED]
        said = {_values(line) for line in its if line not in unnamed}
        _name(named, [line for line in unnamed if _values(line) not in said])
    return found


def _lines_of_shares(lines: Sequence[Line]) -> dict[str, list[Line]]:
    """By fact, without twins, and without lines that only fill up a template."""
    found: dict[str, dict[tuple[str, tuple[str, ...]], Line]] = {}
    for line in lines:
        fact = _fact(read_label(line.se).stem, OF_SHARES)
        if fact is not None:
            found.setdefault(fact, {}).setdefault((squeezed(line.stock_knd), _values(line)), line)
    kept = {}
    for fact, its in found.items():
        speaking = [line for line in its.values() if not _is_blank(line)]
        common = [line for line in its.values() if _is_blank(line) and read_kind(line.stock_knd).name == COMMON]
        kept[fact] = [*speaking, *common] if speaking else list(its.values())
    return kept


def _name(named: dict[str, _Row], lines: list[Line]) -> None:
    """Give lines without a share kind the name that the rules at the head of this page say."""
    for place, line in enumerate(lines, 1):
        if named and place == 1 and not any("kind_missing" in row.flags for row in named.values()):
            name = "unnamed"
        else:
            name = COMMON if not named else f"unnamed-{place}"
        row = named.setdefault(name, _Row())
        row.add(line)
        row.flags.add("kind_missing")


def _values(line: Line) -> tuple[str, ...]:
    return tuple(squeezed(text) for text in line.values)


def _is_blank(line: Line) -> bool:
    row = _Row()
    row.add(line)
    return all(cell.is_blank for cell in row.cells)


def _read(company: dict[str, _Row], shares: dict[str, dict[str, _Row]], kind: str, column: int) -> _Reading:
    reading = _Reading()
    for fact, row in company.items():
        reading.take(fact, row.cells[column])
    for fact, found in shares.items():
        if kind in found:
            reading.take(fact, found[kind].cells[column])
            reading.flags |= found[kind].flags
    told = shares.get(DPS, {})
    if kind in told and all(row.cells[column].is_blank for row in told.values()):
        reading.facts[DPS] = Decimal(0)
    _check_dividend(reading, told[kind].cells[column].text if kind in told else "")
    return reading


def _check_dividend(reading: _Reading, shown: str) -> None:
    """Keep out of the number what cannot be a dividend per share."""
    paid, total = reading.facts.get(DPS), reading.facts.get("total_cash")
    if paid is None:
        return
    if paid < 0:
        reading.set_aside(DPS, "negative", shown)
    elif paid >= (IMPOSSIBLE if total is None else max(SUSPICIOUS, (total - 1) * _MILLION)):
        # The total is in whole millions: it may be one less than what is told in won.
        reading.set_aside(DPS, "total_for_dps", shown)


def _period_end(lines: Sequence[Line], year: int) -> tuple[date | None, str]:
    """The last day of the period; the text that is kept out when it is none, or of another year.

    A fiscal year is named after the calendar year in which it begins, so it may end in the next one.
    """
    shown = sorted({squeezed(line.stlm_dt) for line in lines} - {""})
    if not shown:
        return None, ""
    digits = re.sub(r"[.\-/]", "", shown[0])
    try:
        end = date.fromisoformat(digits) if len(shown) == 1 and digits.isdigit() else None
    except ValueError:
        end = None
    return (end, "") if end and end.year in (year, year + 1) else (None, " / ".join(shown))


def _years_before(end: date | None, years: int) -> date | None:
    """The same day some years earlier; the last of February stays the last."""
    if end is None or not years:
        return end
    leap = (end.year - years) % 4 == 0 and ((end.year - years) % 100 != 0 or (end.year - years) % 400 == 0)
    day = (29 if leap else 28) if end.month == 2 and end.day >= 28 else end.day
    return date(end.year - years, end.month, day)
