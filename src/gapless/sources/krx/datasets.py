"""The datasets of KRX: which service tells them, and how its records become rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from gapless.core.dataset import Axis, Column, Dataset, Type
from gapless.core.grid import Weekdays
from gapless.core.page import Row
from gapless.core.span import DAY, HOUR, Instant, instant

ZONE = "Asia/Seoul"
#: Korea has had no summer time since 1988.
KST = 9 * HOUR
DAYS = Weekdays(KST)
#: The first day of trading that the Open API serves.
FIRST = instant(datetime(2010, 1, 4, tzinfo=UTC)) - KST
#: A day is told on the next weekday at 08:00 in Seoul; two hours of grace.
TOLD = timedelta(hours=10)


class Stock(msgspec.Struct):
    """A share on one day; numbers are text."""

    BAS_DD: str
    ISU_CD: str
    ISU_NM: str
    TDD_CLSPRC: str
    TDD_OPNPRC: str
    TDD_HGPRC: str
    TDD_LWPRC: str
    ACC_TRDVOL: str
    ACC_TRDVAL: str
    MKTCAP: str
    LIST_SHRS: str


class Etf(Stock):
    """A fund on one day."""

    NAV: str


class Index(msgspec.Struct):
    """An index on one day."""

    BAS_DD: str
    IDX_NM: str
    CLSPRC_IDX: str
    OPNPRC_IDX: str
    HGPRC_IDX: str
    LWPRC_IDX: str
    ACC_TRDVOL: str
    ACC_TRDVAL: str


def number(text: str) -> float | None:
    """`1,234.5`, and None for a dash or nothing; raises `ValueError` for other words."""
    bare = text.replace(",", "").strip()
    return None if bare in ("", "-") else float(bare)


def whole(text: str) -> int:
    """`1,234`; nothing is none traded. Raises `ValueError`."""
    value = number(text)
    if value is None:
        return 0
    if not value.is_integer():
        raise ValueError(f"{text!r} is not a whole number")
    return int(value)


def _prices(opened: str, high: str, low: str, close: str) -> tuple[float | None, float | None, float | None, float]:
    """Open, high, low, close; a share that did not trade has zeros for the first three: they are none."""
    last = number(close)
    if last is None:
        raise ValueError("there is no closing price")
    three = tuple(number(text) or None for text in (opened, high, low))
    return (*three, last)  # type: ignore[return-value]


def _stock(time: Instant, one: Stock) -> Row:
    prices = _prices(one.TDD_OPNPRC, one.TDD_HGPRC, one.TDD_LWPRC, one.TDD_CLSPRC)
    traded = whole(one.ACC_TRDVOL), whole(one.ACC_TRDVAL)
    return (time, one.ISU_CD, one.ISU_NM, *prices, *traded, whole(one.MKTCAP), whole(one.LIST_SHRS))


def _etf(time: Instant, one: Etf) -> Row:
    return (*_stock(time, one), number(one.NAV))


def _index(time: Instant, one: Index) -> Row:
    prices = _prices(one.OPNPRC_IDX, one.HGPRC_IDX, one.LWPRC_IDX, one.CLSPRC_IDX)
    return (time, one.IDX_NM.strip(), *prices, whole(one.ACC_TRDVOL), whole(one.ACC_TRDVAL))


_PRICES = (
    Column(name="open", type=Type.FLOAT, nullable=True, doc="none where nothing was traded"),
    Column(name="high", type=Type.FLOAT, nullable=True, doc="none where nothing was traded"),
    Column(name="low", type=Type.FLOAT, nullable=True, doc="none where nothing was traded"),
    Column(name="close", type=Type.FLOAT, doc="last price, or that of the day before; not adjusted for splits"),
    Column(name="volume", type=Type.INT, doc="shares traded"),
    Column(name="value", type=Type.INT, doc="won traded"),
)
_SHARE = (
    Column(name="code", type=Type.TEXT, doc="short code, such as 005930"),
    Column(name="name", type=Type.TEXT, doc="as of that day"),
    *_PRICES,
    Column(name="cap", type=Type.INT, doc="market capitalisation, won"),
    Column(name="shares", type=Type.INT, doc="shares listed"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service of the Open API."""

    dataset: Dataset
    #: Path by series.
    paths: Mapping[str, str]
    kind: type[Any]
    row: Callable[[Instant, Any], Row]
    #: Field that names a record within its day.
    key: str


def _dataset(name: str, columns: tuple[Column, ...], key: str, paths: Mapping[str, str]) -> Dataset:
    return Dataset(
        name=name,
        source="krx",
        grid=DAYS,
        axis=Axis.DAY,
        columns=columns,
        key=(key,),
        settle=TOLD,
        earliest=FIRST,
        zone=ZONE,
        calendar="XKRX",
        example=next(iter(paths)),
        pattern="|".join(paths),
        # Only for answers that tell nothing yet; see `source`.
        parser=1,
        period=timedelta(microseconds=DAY),
    )


def services() -> dict[str, Service]:
    """Every service by the name of its dataset."""
    markets = {"KOSPI": "/svc/apis/sto/stk_bydd_trd", "KOSDAQ": "/svc/apis/sto/ksq_bydd_trd"}
    indices = {"KOSPI": "/svc/apis/idx/kospi_dd_trd"}
    funds = {"ETF": "/svc/apis/etp/etf_bydd_trd"}
    named = (Column(name="index", type=Type.TEXT, doc="its Korean name, such as 코스피"), *_PRICES)
    nav = Column(name="nav", type=Type.FLOAT, nullable=True, doc="net asset value per share, won")
    made = [
        Service(
            dataset=_dataset("krx.stocks", _SHARE, "code", markets),
            paths=markets,
            kind=Stock,
            row=_stock,
            key="ISU_CD",
        ),
        Service(
            dataset=_dataset("krx.indices", named, "index", indices),
            paths=indices,
            kind=Index,
            row=_index,
            key="IDX_NM",
        ),
        Service(
            dataset=_dataset("krx.etfs", (*_SHARE, nav), "code", funds),
            paths=funds,
            kind=Etf,
            row=_etf,
            key="ISU_CD",
        ),
    ]
    return {one.dataset.name: one for one in made}
