"""corpCode.xml: a zip with one XML file of all companies; whatever is wrong comes as a small XML or JSON body."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime
from xml.etree import ElementTree as ET
from zipfile import BadZipFile, ZipFile

from gapless.core.errors import BadReply, SourceError, TryAgain
from gapless.core.page import Row
from gapless.core.span import Instant, instant
from gapless.sources.http import Reply
from gapless.sources.opendart.datasets import KST, year_start
from gapless.sources.opendart.statuses import failure, no_answer, outcome_of_xml

MAGIC = b"PK\x03\x04"
#: A file that unpacks to more is none of theirs (20 MB in 2026).
MOST_BYTES = 512 * 1024 * 1024
#: Where companies stand whose line tells no day.
FIRST = year_start(1980)
_CODE = re.compile(r"\d{8}")
_STOCK = re.compile(r"[0-9A-Z]{6}")


def read_companies(reply: Reply) -> list[Row]:
    """Rows in the order of their key: day of the last change, code, names, stock code."""
    if not reply.body.startswith(MAGIC):
        outcome = outcome_of_xml(reply.body)
        raise no_answer(reply) if outcome is None else failure(outcome)
    try:
        root = ET.fromstring(_unpacked(reply.body))
    except ET.ParseError as error:
        raise _cut(str(error)) from None
    rows = [_row(one) for one in root.iter("list")]
    if not rows:
        raise _cut("it lists no company")
    return sorted(rows)


def _unpacked(body: bytes) -> bytes:
    try:
        with ZipFile(io.BytesIO(body)) as pack:
            (member,) = pack.infolist()
            if member.file_size > MOST_BYTES:
                raise _cut(f"it unpacks to {member.file_size:,} bytes")
            return pack.read(member)
    except (BadZipFile, ValueError, EOFError) as error:
        raise _cut(str(error)) from None


def _row(one: ET.Element) -> Row:
    said = {child.tag: (child.text or "").strip() for child in one}
    code, stock = said.get("corp_code", ""), said.get("stock_code", "")
    if not _CODE.fullmatch(code) or "corp_name" not in said:
        raise BadReply(f"corpCode.xml has a company without corp_code or corp_name: {said}", source="dart")
    stock = stock if _STOCK.fullmatch(stock) else ""
    return (_day(said.get("modify_date", "")), code, said["corp_name"], said.get("corp_eng_name", ""), stock)


def _day(text: str) -> Instant:
    """Midnight in Seoul."""
    try:
        return instant(datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC)) - KST
    except ValueError:
        return FIRST


def _cut(why: str) -> SourceError:
    return TryAgain(f"corpCode.xml cannot be read: {why}", source="dart")
