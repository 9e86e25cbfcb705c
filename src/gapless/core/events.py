"""The dataset of events: imported, never fetched; what a company was worth at each of them is added by enriching."""

from __future__ import annotations

from datetime import timedelta

from gapless.core.dataset import Axis, Column, Dataset, Type
from gapless.core.grid import EVENTS as SECONDS
from gapless.core.span import DAY

#: Number columns of a valuation, and what they are.
FLOATS = {
    "close": "last close before the event, as it was paid",
    "return_1": "of the next session, split-adjusted; an outcome, not a value",
    "return_5": "of five sessions",
    "return_20": "of twenty sessions",
    "return_60": "of sixty sessions",
    "market_cap": "close × diluted shares of the last statement",
    "per": "market value / net income of four quarters",
    "pbr": "market value / equity",
    "psr": "market value / revenue of four quarters",
    "ev_ebitda": "(market value + debt − cash) / EBITDA of four quarters",
    "roe": "net income of four quarters / equity",
    "revenue_growth": "four quarters against the four before",
    "income_growth": "four quarters against the four before",
    "per_to_median": "distance to the own median of five years",
    "target_high": "price targets of 180 days, the newest of each firm, in shares of the close",
    "target_low": "",
    "target_mean": "",
    "target_median": "",
    "surprise": "of the last earnings: (actual − estimate) / |estimate|",
}
INTS = {
    "target_count": "firms with a target",
    "strong_buy": "firms whose newest grade of 365 days is this",
    "buy": "",
    "hold": "",
    "sell": "",
    "strong_sell": "",
    "grade_balance": "upgrades less downgrades of 90 days",
}
_TEXT = {
    "basis": "JSON: the dates of all inputs; those of the values (not of returns) lie before the event",
    "reasons": "JSON: for each value that is missing why",
}
#: Columns that enriching writes, in their order in the table.
VALUED = ("valued_at", *FLOATS, *INTS, *_TEXT)
#: Columns that comparing with the sector writes. They come last: tables of older versions have them there.
COMPARED = ("per_to_sector", "sector_basis")
KEY = ("kind", "id")
#: So long after an event its sixty sessions are over at every exchange: what was valued before is valued once more.
RIPE = 100 * DAY

EVENTS = Dataset(
    name="events",
    source="",
    grid=SECONDS,
    axis=Axis.EVENT,
    columns=(
        Column(name="kind", type=Type.TEXT, doc="earnings, consensus, … as it was imported"),
        Column(name="id", type=Type.TEXT, doc="the key of the imported table, or one made of its fields"),
        Column(name="origin", type=Type.TEXT, doc="where it was imported from"),
        Column(name="certainty", type=Type.TEXT, doc="of `time`: exact, or day (then the day's beginning)"),
        Column(name="facts", type=Type.TEXT, doc="its own further fields, JSON"),
        Column(name="valued_at", type=Type.TIME, nullable=True, doc="null while it has not been valued"),
        *[Column(name=name, type=Type.FLOAT, nullable=True, doc=doc) for name, doc in FLOATS.items()],
        *[Column(name=name, type=Type.INT, nullable=True, doc=doc) for name, doc in INTS.items()],
        *[Column(name=name, type=Type.TEXT, nullable=True, doc=doc) for name, doc in _TEXT.items()],
        Column(
            name="per_to_sector",
            type=Type.FLOAT,
            nullable=True,
            doc="distance to the median of the sector, `gapless enrich sectors`",
        ),
        Column(
            name="sector_basis", type=Type.TEXT, nullable=True, doc="JSON: of which moments and how many, or why not"
        ),
    ),
    key=KEY,
    example="AAPL",
    pattern=r"[A-Za-z0-9^][A-Za-z0-9.^_-]{0,19}",
    settle=timedelta(0),
    period=timedelta(days=1),
)
