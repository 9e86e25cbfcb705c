"""corpCode.xml, document.xml and company.json.

Chosen, because the notes are silent: a blank stock_code is a space in every other line and empty in the rest; the
text of a document is made up, but the one of a dividend decision tells amount, record date and payment date; of a
company's profile there are only the fields that a client of filings and dividends needs.
"""

from __future__ import annotations

import io
from datetime import timedelta
from functools import lru_cache
from xml.sax.saxutils import escape
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import msgspec

from gapless.sandbox.opendart.companies import Company, World
from gapless.sandbox.opendart.dates import NEVER, REPORTS, period_end
from gapless.sandbox.opendart.dividends import payments
from gapless.sandbox.opendart.filings import DECISION, Filing, by_receipt
from gapless.sandbox.opendart.statuses import MESSAGES, Refused
from gapless.sandbox.opendart.table import rows, shows_table


class Entry(msgspec.Struct, frozen=True):
    """A line of corpCode.xml."""

    corp_code: str
    corp_name: str
    corp_eng_name: str
    stock_code: str
    modify_date: str


def directory(world: World, day: int) -> list[Entry]:
    """The companies that corpCode.xml tells on a day."""
    return [
        Entry(
            corp_code=one.code,
            corp_name=one.name_on(day),
            corp_eng_name=one.english,
            stock_code=one.stock_on(day),
            modify_date=str(_modified(one, day)),
        )
        for one in world.companies
        if one.registered <= day
    ]


@lru_cache(maxsize=4)
def corp_code_zip(world: World, day: int) -> bytes:
    """The reply to corpCode.xml."""
    parts = ['<?xml version="1.0" encoding="UTF-8"?>\n<result>\n']
    for i, entry in enumerate(directory(world, day)):
        fields = msgspec.structs.asdict(entry)
        fields["stock_code"] = entry.stock_code or " " * (i % 2)
        parts.append("    <list>\n")
        parts += [f"        <{name}>{escape(text)}</{name}>\n" for name, text in fields.items()]
        parts.append("    </list>\n")
    return _zipped("CORPCODE.xml", "".join([*parts, "</result>\n"]))


def document_zip(world: World, receipt: int, latest: int) -> bytes:
    """The reply to document.xml, or `Refused`."""
    filing = by_receipt(world, receipt) if receipt <= latest else None
    if filing is None:
        raise Refused("014")
    lines = [f"<DOCUMENT><DOCUMENT-NAME>{filing.name}</DOCUMENT-NAME>", f"<BODY><P>{filing.company.name}</P>"]
    lines += [f"<TR><TD>{label}</TD><TD>{text}</TD></TR>" for label, text in _content(world, filing)]
    return _zipped(f"{receipt}.xml", "\n".join([*lines, "</BODY></DOCUMENT>\n"]))


def profile(world: World, code: str, day: int) -> bytes:
    """The reply to company.json, or `Refused`."""
    one = world.by_code.get(code)
    if one is None or one.registered > day:
        raise Refused("013")
    return msgspec.json.encode(
        {
            "status": "000",
            "message": MESSAGES["000"],
            "corp_code": one.code,
            "corp_name": one.name_on(day),
            "corp_name_eng": one.english,
            "stock_name": one.name_on(day) if one.stock_on(day) else "",
            "stock_code": one.stock_on(day),
            "corp_cls": one.class_on(day),
            "est_dt": str(one.registered),
            "acc_mt": f"{one.closes:02d}",
        }
    )


def _content(world: World, filing: Filing) -> list[tuple[str, str]]:
    if filing.title == DECISION:
        company, year = filing.company, filing.year
        end = period_end(company.closes, year, filing.report)
        won = payments(world.seed, company)[year].quarters[REPORTS.index(filing.report)]
        paid = end + timedelta(days=110)
        return [("1주당 배당금(원)", f"{won:,}"), ("배당기준일", f"{end}"), ("배당금지급 예정일자", f"{paid}")]
    if filing.periodic and shows_table(filing):
        return [(f"{row['se']} {row.get('stock_knd', '')}", row["thstrm"]) for row in rows(world.seed, filing)]
    return []


def _modified(one: Company, day: int) -> int:
    events = (one.registered, one.listed, one.delisted, one.heir, one.renamed[0])
    return max(event for event in events if event <= day and event != NEVER)


def _zipped(name: str, text: str) -> bytes:
    """The same bytes for the same text: no time of making."""
    file = io.BytesIO()
    with ZipFile(file, "w") as pack:
        pack.writestr(ZipInfo(name), text.encode(), ZIP_DEFLATED)
    return file.getvalue()
