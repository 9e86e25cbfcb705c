"""Two datasets that tell of the same instrument: what both say of a day has to agree.

Neither is believed more than the other, so a disagreement is a warning: somebody should look which of them is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping

from gapless.core.dataset import Dataset
from gapless.core.lazily import pl
from gapless.core.rules import Finding, Scene, Severity, gathered
from gapless.core.span import Span
from gapless.store import coverage, rows
from gapless.store import series as ledger
from gapless.store.database import Tx

#: Datasets of days by the name of the series, or where a day has many records by their key: the other one's series.
PEERS: Mapping[str, tuple[str, ...]] = {
    "upbit.candles.1d": ("user.prices",),
    "krx.stocks": ("user.prices",),
    "krx.etfs": ("user.prices",),
    "user.prices": ("upbit.candles.1d",),
}
#: Relative slack: prices are rounded by whoever prints them, amounts counted a little differently.
_SLACK = {
    "open": 1e-3,
    "high": 1e-3,
    "low": 1e-3,
    "close": 1e-3,
    "volume": 1e-2,
    "value": 1e-2,
}


def disagreements(tx: Tx, datasets: Mapping[str, Dataset], scene: Scene, name: str) -> list[Finding]:
    """What the peers of a dataset say otherwise of the days of a stretch."""
    found: list[Finding] = []
    for peer in (datasets[one] for one in PEERS.get(scene.dataset.name, ())):
        for instrument, mine in _instruments(scene, name, set(ledger.names(tx, peer.name))):
            found += _of_peer(tx, scene, peer, instrument, mine)
    return gathered(found)


def _instruments(scene: Scene, name: str, known: set[str]) -> list[tuple[str, pl.DataFrame]]:
    """Rows of the stretch by instrument, of those that the peer knows."""
    inside = scene.rows.filter(
        pl.col("time").dt.epoch("us").is_between(scene.span.start, scene.span.end, closed="left")
    )
    if not scene.keys:
        return [(name, inside)] if name in known else []
    told = inside.filter(pl.col(scene.keys[0]).is_in(sorted(known))).partition_by(scene.keys[0], as_dict=True)
    return [(str(key[0]), part) for key, part in sorted(told.items(), key=str)]


def _of_peer(tx: Tx, scene: Scene, peer: Dataset, instrument: str, mine: pl.DataFrame) -> list[Finding]:
    its = ledger.find(tx, peer.name, instrument)
    if its is None or mine.is_empty():
        return []
    times = mine["time"].dt.epoch("us")
    # A day more at both ends: a day of Seoul begins on the day before.
    around = Span(peer.grid.add(peer.grid.floor(times[0]), -1), peer.grid.add(peer.grid.floor(times[-1]), 2))
    theirs = rows.frame(tx, peer, its, around)
    told = coverage.spans(tx, its, around)
    shared = [one for one in _SLACK if one in mine.columns and one in theirs.columns]
    days = _dated(mine, scene.dataset, shared).join(
        _dated(theirs, peer, shared), on="day", how="full", coalesce=True, suffix="_"
    )
    days = days.filter(pl.col("day").is_between(*_days(scene.dataset, times[0], times[-1]))).sort("day")
    differs = pl.any_horizontal(
        ((pl.col(one) - pl.col(f"{one}_")).abs() > _SLACK[one] * pl.max_horizontal(pl.col(one), pl.col(f"{one}_")))
        for one in shared
    )
    answered = pl.col("there_").is_not_null() | _covered(peer, told)
    known = pl.col("there").is_not_null() | _covered(scene.dataset, scene.covered)
    alone = (pl.col("there").is_null() ^ pl.col("there_").is_null()) & answered & known
    wrong = days.filter(differs.fill_null(value=False) | alone)
    return [_finding(scene, peer, instrument, row, shared) for row in wrong.iter_rows(named=True)]


def _dated(frame: pl.DataFrame, dataset: Dataset, shared: list[str]) -> pl.DataFrame:
    """Rows by their day, as their own market calls it."""
    day = pl.col("time").dt.convert_time_zone(dataset.zone).dt.date().alias("day")
    return frame.select(day, *(pl.col(one).cast(pl.Float64) for one in shared), there=pl.lit(value=True))


def _days(dataset: Dataset, first: int, last: int) -> tuple[pl.Expr, pl.Expr]:
    ends = pl.Series([first, last], dtype=pl.Datetime("us", "UTC")).dt.convert_time_zone(dataset.zone).dt.date()
    return pl.lit(ends[0]), pl.lit(ends[1])


def _start(dataset: Dataset) -> pl.Expr:
    """Where a day begins for a dataset, in microseconds."""
    return pl.col("day").cast(pl.Datetime("us")).dt.replace_time_zone(dataset.zone).dt.epoch("us")


def _covered(dataset: Dataset, spans: list[Span]) -> pl.Expr:
    start, found = _start(dataset), pl.lit(value=False)
    for one in spans:
        found = found | start.is_between(one.start, one.end, closed="left")
    return found


def _finding(scene: Scene, peer: Dataset, instrument: str, row: dict[str, object], shared: list[str]) -> Finding:
    (at,) = pl.DataFrame({"day": [row["day"]]}).select(_start(scene.dataset)).to_series()
    whose = f"{peer.name} {instrument}"
    if row["there_"] is None:
        said = f"{whose} has no record of {row['day']}"
    elif row["there"] is None:
        said = f"only {whose} has a record of {row['day']}"
    else:
        said = "; ".join(f"{one} {row[one]} against {row[f'{one}_']} of {whose}" for one in shared if _apart(row, one))
    cell = Span(at, scene.dataset.grid.add(scene.dataset.grid.floor(at), 1))
    return Finding(rule="cross_source", span=cell, severity=Severity.WARNING, evidence=said)


def _apart(row: dict[str, object], one: str) -> bool:
    mine, theirs = row[one], row[f"{one}_"]
    if not isinstance(mine, float) or not isinstance(theirs, float):
        return False
    return abs(mine - theirs) > _SLACK[one] * max(mine, theirs)
