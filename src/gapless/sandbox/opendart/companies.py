"""A simulated company, and all that is special about what it files.

Chosen, because the notes are silent: a preferred share has no line in corpCode.xml; a company has its stock code from
its listing on and keeps it when it is delisted, until another company is given the same code.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from gapless.sandbox.opendart.dates import NEVER

Class = Literal["Y", "K", "N", "E"]
Pays = Literal["never", "annual", "interim", "quarterly", "sometimes"]


class Correction(msgspec.Struct, frozen=True):
    """A report filed anew under a receipt of its own."""

    year: int
    report: str
    #: After the original was filed.
    days: int
    #: What becomes of the dividend, in percent of the original; 100 corrects something else.
    percent: int


class Split(msgspec.Struct, frozen=True):
    """One share becomes `ratio` in a fiscal year."""

    year: int
    ratio: int
    #: Whether later reports tell earlier years in new shares.
    restated: bool


class Late(msgspec.Struct, frozen=True):
    """A report filed so many days after it was due."""

    year: int
    report: str
    days: int


class Odd(msgspec.Struct, frozen=True):
    """An oddity (`oddities.ODDITIES`) of all reports of some fiscal years."""

    name: str
    first: int
    last: int


class Company(msgspec.Struct, frozen=True, kw_only=True, cache_hash=True):
    """One company; days are numbers such as 20240331."""

    #: Its place in the world.
    index: int
    #: corp_code.
    code: str
    name: str
    english: str
    #: Code of the common share; empty if it is never listed.
    stock: str = ""
    #: Code of the preferred share; empty if there is none.
    preferred: str = ""
    #: Class while listed; unlisted companies are E.
    market: Class = "E"
    #: Month in which its fiscal year ends.
    closes: int = 12
    #: From then on it is in corpCode.xml.
    registered: int = 19_950_103
    listed: int = NEVER
    delisted: int = NEVER
    #: From then on somebody else has its stock code.
    heir: int = NEVER
    #: First day of its name, and the name before.
    renamed: tuple[int, str] = (0, "")
    #: Whether it files periodic reports without being listed.
    files: bool = False
    #: Those which are no firm file reports, but no dividend table.
    sort: Literal["firm", "spac", "foreign"] = "firm"
    pays: Pays = "never"
    #: Face value in won, today.
    face: int = 500
    split: Split | None = None
    late: tuple[Late, ...] = ()
    corrected: tuple[Correction, ...] = ()
    #: Fiscal year, and in percent what later reports tell of it without any correction.
    drifts: tuple[tuple[int, int], ...] = ()
    oddities: tuple[Odd, ...] = ()
    #: Fiscal year and dividend of the common share in won, where it is not drawn.
    known: tuple[tuple[int, int], ...] = ()

    def class_on(self, day: int) -> str:
        """corp_cls."""
        return self.market if self.listed <= day < self.delisted else "E"

    def name_on(self, day: int) -> str:
        """corp_name."""
        return self.renamed[1] if day < self.renamed[0] else self.name

    def stock_on(self, day: int) -> str:
        """stock_code, or nothing."""
        return self.stock if self.listed <= day < self.heir else ""

    def reports_on(self, day: int) -> bool:
        """Whether it files periodic reports."""
        return self.listed <= day < self.delisted or (self.files and self.registered <= day < self.delisted)

    def odd(self, year: int) -> frozenset[str]:
        """Names of the oddities of its reports of a fiscal year."""
        return frozenset(one.name for one in self.oddities if one.first <= year <= one.last)


class World:
    """All companies under one seed; compared by identity."""

    def __init__(self, seed: int, companies: list[Company]) -> None:
        self.seed = seed
        self.companies = companies
        self.by_code = {company.code: company for company in companies}
