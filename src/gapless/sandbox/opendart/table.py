"""The dividend table of a periodic report, as alotMatter.json shows it.

An annual report tells three fiscal years; the others this year so far and two whole years before. An earlier year is
told as it was held when the report was filed: corrections of its own report until then are in it, later ones are not.
It may differ without any correction (`Company.drifts`), and after a split it may be told in new shares or in old
ones.
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache

import msgspec

from gapless.sandbox.opendart.dates import ANNUAL, SERVED_FROM, period_end
from gapless.sandbox.opendart.dividends import Figures, Share, figures
from gapless.sandbox.opendart.filings import Filing, versions
from gapless.sandbox.opendart.oddities import COMMON, DIVIDEND, FACE, ODDITIES, PREFERRED, Line, Table
from gapless.sandbox.opendart.statuses import MESSAGES

KINDS: dict[Share, str] = {"common": COMMON, "preferred": PREFERRED, "large": COMMON}


def shows_table(filing: Filing) -> bool:
    """Whether alotMatter.json knows it."""
    return filing.year >= SERVED_FROM and filing.company.sort == "firm"


@lru_cache(maxsize=8_192)
def body(seed: int, filing: Filing) -> bytes:
    """The reply. It is put together as text, because nothing in it needs escaping."""
    company, day, shown = filing.company, filing.day, table(seed, filing)
    head = (
        f'{{"rcept_no":"{filing.receipt}","corp_cls":"{company.class_on(day)}",'
        f'"corp_code":"{company.code}","corp_name":"{company.name_on(day)}","se":"'
    )
    tail = "}" if shown.end is None else f',"stlm_dt":"{shown.end}"}}'
    lines = []
    for line in shown.lines:
        kind = "" if line.kind is None else f'"stock_knd":"{line.kind}",'
        this, before, oldest = line.values
        lines.append(f'{head}{line.label}",{kind}"thstrm":"{this}","frmtrm":"{before}","lwfr":"{oldest}"{tail}')
    return f'{{"status":"000","message":"{MESSAGES["000"]}","list":[{",".join(lines)}]}}'.encode()


def rows(seed: int, filing: Filing) -> list[dict[str, str]]:
    """The lines of the reply with all their fields; oddities included."""
    found: list[dict[str, str]] = msgspec.json.decode(body(seed, filing))["list"]
    return found


def table(seed: int, filing: Filing) -> Table:
    """The table by the fixed template, then what the company's oddities make of it."""
    columns = [column(seed, filing, back) for back in range(3)]
    shown = Table(
        lines=_lines(columns),
        end=period_end(filing.company.closes, filing.year, filing.report).isoformat(),
        totals=[one.total * 1_000_000 for one in columns],
    )
    for name in sorted(filing.company.odd(filing.year)):
        ODDITIES[name](shown)
    return shown


def column(seed: int, filing: Filing, back: int) -> Figures:
    """What a report means to say of its own fiscal year, or of the year `back` years before."""
    company, split, year = filing.company, filing.company.split, filing.year - back
    before_split = split is not None and year < split.year
    if not back:
        return figures(seed, company, year, filing.report, filing.percent, old=before_split)
    own = versions(seed, company, year, ANNUAL) if company.corrected else ()
    held = [one.percent for one in own if one.receipt <= filing.receipt]
    percent = (held[-1] if held else 100) * dict(company.drifts).get(year, 100) // 100
    restated = split is not None and split.restated and filing.year >= split.year
    return figures(seed, company, year, ANNUAL, percent, old=before_split and not restated)


def _lines(columns: list[Figures]) -> list[Line]:
    """All lines of the template, in its order."""
    whole = [
        (FACE, [_won(one.face) for one in columns]),
        ("(연결)당기순이익(백만원)", [_won(one.income) for one in columns]),
        ("(별도)당기순이익(백만원)", [_won(one.own_income) for one in columns]),
        ("(연결)주당순이익(원)", [_won(one.earned) for one in columns]),
        ("현금배당금총액(백만원)", [_won(one.total) for one in columns]),
        ("주식배당금총액(백만원)", ["-"] * 3),
        ("(연결)현금배당성향(%)", [_rate(one.payout) for one in columns]),
    ]
    shares: dict[Share, None] = dict.fromkeys(share for one in columns for share in one.dividends)
    nothing = Decimal(0)
    each = [
        ("현금배당수익률(%)", {share: [_rate(one.yields.get(share)) for one in columns] for share in shares}),
        ("주식배당수익률(%)", {share: ["-"] * 3 for share in shares}),
        (DIVIDEND, {share: [_won(one.dividends.get(share, nothing)) for one in columns] for share in shares}),
        ("주당 주식배당(주)", {share: ["-"] * 3 for share in shares}),
    ]
    lines = [Line(label, values) for label, values in whole]
    return lines + [
        Line(label, values, KINDS[share], share) for label, by_share in each for share, values in by_share.items()
    ]


def _won(amount: int | Decimal) -> str:
    return f"{amount:,}" if amount else "-"


def _rate(percent: Decimal | None) -> str:
    return f"{percent:.2f}" if percent else "-"
