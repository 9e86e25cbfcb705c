"""Reports as people ask for them: facts gathered from one view of the store, files written whole or not at all."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from gapless.core.dataset import Dataset, Type
from gapless.core.errors import UsageError
from gapless.core.index.components import COMPONENTS
from gapless.core.lazily import pl
from gapless.core.rules import Finding
from gapless.core.span import SECOND, Instant, Span, iso, moment
from gapless.engine import truth
from gapless.engine.truth import Stretch, Word
from gapless.store import findings, rows
from gapless.store import series as ledger
from gapless.store.database import Tx
from gapless.work.derive import FEAR_GREED
from gapless.work.report.document import document
from gapless.work.report.facts import Facts, Period
from gapless.work.report.formats import FORMATS
from gapless.work.report.words import Language

if TYPE_CHECKING:
    from gapless.app.history import Gapless, When

PERIODS = ("day", "month", "year", "all")
#: Gaps and findings that a report lists.
LISTED = 40
#: Periods of a report at most.
MOST = 400


def reports(
    history: Gapless,
    dataset: str,
    series: Sequence[str],
    start: When | None,
    end: When | None,
    *,
    days: float | None,
    per: str,
    formats: Sequence[str],
    language: Language,
    folder: Path,
) -> list[Path]:
    """A file for each series and format; returns them. Raises `UsageError` before anything is written."""
    found = history.dataset(dataset)
    for one in formats:
        if one not in FORMATS:
            raise UsageError(f"format: {one!r} is unknown", field="format", hint=f"give {', '.join(FORMATS)}")
    if per not in PERIODS:
        raise UsageError(f"per: {per!r} is unknown", field="per", hint=f"give {', '.join(PERIODS)}")
    _check_folder(folder)
    names = history.catalogue.series(found, list(series) or history.series(found))
    span, _ = history.span(found, start, end, days, names)
    gathered = [facts(history, found, name, span, per) for name in names]
    if not any(one.whole.cells["present"] for one in gathered):
        raise UsageError(
            f"from: nothing is stored of {found.name} in {span}", field="from", hint="`gapless fill` fetches it"
        )
    return [_write(folder, one, document(one, language), kind) for one in gathered for kind in formats]


def _check_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"output: {folder} cannot be made ({error.strerror})", field="output", hint="name another folder"
        ) from None
    if not os.access(folder, os.W_OK):
        raise UsageError(f"output: {folder} cannot be written", field="output", hint="name another folder")


def _write(folder: Path, its: Facts, made: object, kind: str) -> Path:
    name = re.sub(r"[^\w.-]+", "_", f"{its.dataset}-{its.series}-{its.first_day}-{its.last_day}")
    path = folder / f"{name}.{made.language}.{kind}"  # type: ignore[attr-defined]
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(FORMATS[kind](made))  # type: ignore[arg-type]
        part.replace(path)
    except OSError as error:
        raise UsageError(
            f"output: {path} cannot be written ({error.strerror})", field="output", hint="name another folder"
        ) from None
    finally:
        part.unlink(missing_ok=True)
    return path


def facts(history: Gapless, dataset: Dataset, name: str, span: Span, per: str) -> Facts:
    """Everything about one series in a span, from one view of the store."""
    now = history.clock.now()
    with history.store.read() as tx:
        stretches = truth.gaps(tx, dataset, name, span, now)
        its = ledger.find(tx, dataset.name, name)
        frame = rows.empty(dataset) if its is None else rows.frame(tx, dataset, its, span)
        told, is_validated = ([], False) if its is None else _found(tx, its, span)
    zone = ZoneInfo(dataset.zone)
    parts = _parts(dataset, span, per, zone)
    drawn = next((one for one in ("score", "close", "value", "dps") if one in frame.columns), "")
    listed = sorted(stretches, key=lambda one: (one.word is Word.EMPTY, -one.cells))[:LISTED]
    path = _path(frame, drawn, dataset)
    components = [
        one for one in COMPONENTS if dataset.name == FEAR_GREED and frame.height and frame[one].is_not_null().any()
    ]
    if components:
        path = path.with_columns(frame.select(components))
    return Facts(
        dataset=dataset.name,
        series=name,
        span=span,
        zone=dataset.zone,
        first_day=_day(span.start, zone),
        last_day=_day(span.end - 1, zone),
        made_at=iso(now - now % SECOND),
        periods=[_period(label, part, stretches, path, frame, dataset) for label, part in parts],
        whole=_period("", span, stretches, path, frame, dataset),
        statistics=_statistics(frame, dataset),
        gaps=[(one.word.value, one.span, one.cells, one.note) for one in listed],
        gap_count=len(stretches),
        findings=told[:LISTED],
        is_validated=is_validated,
        path=path,
        drawn=drawn,
        components=components,
    )


def _found(tx: Tx, series: int, span: Span) -> tuple[list[Finding], bool]:
    return findings.newest(tx, series, span)


def _day(at: Instant, zone: ZoneInfo) -> str:
    return moment(at).astimezone(zone).date().isoformat()


def _path(frame: pl.DataFrame, drawn: str, dataset: Dataset) -> pl.DataFrame:
    """What is drawn; nothing where a time has many rows."""
    if not drawn or dataset.key:
        return pl.DataFrame({"time": frame["time"].head(0), "value": pl.Series([], dtype=pl.Float64)})
    return frame.select("time", value=pl.col(drawn).cast(pl.Float64))


def _parts(dataset: Dataset, span: Span, per: str, zone: ZoneInfo) -> list[tuple[str, Span]]:
    """The calendar periods of a span, in its dataset's zone, on its grid."""
    if per == "all":
        return [(f"{_day(span.start, zone)} – {_day(span.end - 1, zone)}", span)]
    made: list[tuple[str, Span]] = []
    at = span.start
    while at < span.end:
        local = moment(at).astimezone(zone)
        label, following = _next(local, per)
        end = min(span.end, dataset.grid.ceil(round(following.timestamp()) * SECOND))
        if end > at:
            made.append((label, Span(at, end)))
        at = max(end, at + 1)
        if len(made) > MOST:
            raise UsageError(f"per: more than {MOST} periods", field="per", hint="take a shorter span, or longer ones")
    return made


def _next(local: datetime, per: str) -> tuple[str, datetime]:
    from datetime import timedelta

    day = local.replace(hour=0, minute=0, second=0, microsecond=0)
    if per == "day":
        return f"{day:%Y-%m-%d}", day + timedelta(days=1)
    if per == "month":
        return f"{day:%Y-%m}", day.replace(year=day.year + day.month // 12, month=day.month % 12 + 1, day=1)
    return f"{day:%Y}", day.replace(year=day.year + 1, month=1, day=1)


def _period(
    label: str, part: Span, stretches: list[Stretch], path: pl.DataFrame, frame: pl.DataFrame, dataset: Dataset
) -> Period:
    grid = dataset.grid
    counted = {word.value: 0 for word in Word}
    for one in stretches:
        inside = one.span.clip(part)
        if inside:
            counted[one.word.value] += grid.count(inside.start, inside.end)
    counted["present"] = grid.count(part.start, part.end) - sum(counted.values())
    at = path["time"].dt.epoch("us")
    values = path.filter((at >= part.start) & (at < part.end))["value"].drop_nulls()
    if not len(values):
        return Period(label=label, cells=counted)
    volume = None
    # An index calls a component so, which is no amount.
    if {"close", "volume"} <= set(frame.columns) and not dataset.key:
        times = frame["time"].dt.epoch("us")
        volume = float(frame.filter((times >= part.start) & (times < part.end))["volume"].sum())
    least, most, mean = (float(one) for one in (values.min(), values.max(), values.mean()))  # type: ignore[arg-type]
    return Period(
        label=label,
        cells=counted,
        first=float(values[0]),
        last=float(values[-1]),
        low=least,
        high=most,
        mean=mean,
        volume=volume,
    )


def _statistics(frame: pl.DataFrame, dataset: Dataset) -> list[tuple[str, int, float, float, float, float]]:
    kinds = {one.name: one.type for one in dataset.columns}
    names = [
        name for name, kind in kinds.items() if kind in (Type.FLOAT, Type.INT, Type.DECIMAL) and name not in _PLUMBING
    ]
    made = []
    for name in names:
        values = frame[name].cast(pl.Float64).drop_nulls().drop_nans()
        if len(values):
            numbers = [float(one or 0) for one in (values.mean(), values.std(), values.min(), values.max())]  # type: ignore[arg-type]
            made.append((name, len(values), numbers[0], numbers[1], numbers[2], numbers[3]))
    return made


_PLUMBING = ("job", "version", "rank")
