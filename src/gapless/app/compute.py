"""Derived series as people ask for them: a wish from parameters, its inputs filled first, and the way back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from gapless.core.clock import Clock
from gapless.core.dataset import Axis, Dataset
from gapless.core.errors import NotAllowed, UsageError
from gapless.core.job import FINAL, JobState, Kind, Mode, Wish
from gapless.core.period import parse
from gapless.core.span import Instant, Span, moment, span
from gapless.engine.catalogue import Catalogue
from gapless.sources.base import Source
from gapless.store import events, jobs, pages, quarantine, rows
from gapless.store import series as ledger
from gapless.store.database import Tx
from gapless.store.store import Store
from gapless.work import derive
from gapless.work.compute import Computing, Derived, Strategy, missing_of, reach_of, there
from gapless.work.imported import Imported
from gapless.work.processes import Processes

if TYPE_CHECKING:
    from gapless.app.history import Gapless
    from gapless.app.orders import When


def our_own(chunk: int = 100) -> dict[str, Source]:
    """What stands where a source stands for rows that are computed or imported."""
    return {Derived.name: Derived(chunk), Imported.name: Imported()}


def computing(store: Store, catalogue: Catalogue, clock: Clock, pool: Processes) -> Computing:
    """The kind of work."""
    source = catalogue.sources[Derived.name]
    assert isinstance(source, Derived)
    return Computing(store=store, clock=clock, source=source, datasets=catalogue.datasets, pool=pool)


def compute_wish(
    history: Gapless,
    dataset: str,
    series: str | Sequence[str],
    start: When | None,
    end: When | None,
    days: float | None,
    params: Mapping[str, Any],
    *,
    overwrite: bool,
) -> Wish:
    """A checked wish; days that were given up for incomplete inputs are wanted again. Of an index only one series."""
    wish, _ = checked_wish(history, dataset, series, start, end, days, params, overwrite=overwrite)
    forgive(history, wish)
    return wish


def checked_wish(
    history: Gapless,
    dataset: str,
    series: str | Sequence[str],
    start: When | None,
    end: When | None,
    days: float | None,
    params: Mapping[str, Any],
    *,
    overwrite: bool = False,
) -> tuple[Wish, list[derive.Formula]]:
    """A wish up to where all needed inputs are final, and how each of its series is made; raises `UsageError`."""
    found = history.dataset(dataset)
    if found.source != Derived.name:
        listed = ", ".join(derive.DATASETS)
        raise UsageError(f"dataset: {dataset} is not computed", field="dataset", hint=f"give one of: {listed}")
    known = {key: value for key, value in params.items() if value is not None}
    _check_strategy(known)
    names = [series] if isinstance(series, str) else list(series)
    if dataset == derive.FEAR_GREED:
        known["market"] = _market(names, known)
        names = [derive.series_of(known)]
        known["market"] = names[0].partition("/")[0]
    made = [derive.formula(dataset, name, known) for name in names]
    for one in made:
        _check_inputs(history, one)
    mode = Mode.ALL if overwrite else Mode.MISSING
    wish = history.wish(found, names, start, end, days=days, mode=mode, kind=Kind.COMPUTE, params=known)
    return _clipped(history, wish, made), made


def _market(names: Sequence[str], params: Mapping[str, Any]) -> str:
    if len(names) > 1:
        raise UsageError("series: an index is computed for one market", field="series", hint="give one")
    market = params.get("market") or "".join(names)
    if not market:
        raise UsageError("market: none is given", field="market", hint="give KOSPI, CRYPTO or US")
    return str(market)


def _check_inputs(history: Gapless, made: derive.Formula) -> None:
    for one in made.inputs:
        # Also makes their tables.
        its = history.dataset(one.dataset)
        history.catalogue.series(its, [one.series])
        if its.axis is not Axis.DAY:
            raise UsageError(
                f"series: {one.dataset} is not told by the day",
                field="series",
                hint="as in upbit.candles.1d:KRW-BTC/20",
            )
        if one.where is not None and one.where[0] not in its.key:
            raise UsageError(
                f"series: {one.dataset} has no {one.where[0]}", field="series", hint=f"as in {its.example}"
            )


def _check_strategy(params: Mapping[str, Any]) -> None:
    strategy = params.get("strategy")
    if strategy is not None and strategy not in [one.value for one in Strategy]:
        listed = ", ".join(one.value for one in Strategy)
        raise UsageError(f"strategy: {strategy!r} is unknown", field="strategy", hint=f"give one of: {listed}")
    chunk = params.get("chunk", 1)
    if not (isinstance(chunk, int) and 1 <= chunk <= 100_000):
        raise UsageError(f"chunk: {chunk!r} is no number of days", field="chunk", hint="give 1 to 100000")


def _clipped(history: Gapless, wish: Wish, made: Sequence[derive.Formula]) -> Wish:
    """The wish without days on which an input is not final yet."""
    from dataclasses import replace

    now = history.clock.now()
    ends = [
        history.catalogue.dataset(one.dataset).frontier(now, one.series) + one.east
        for its in made
        for one in its.inputs
        if one.is_needed
    ]
    dataset = history.catalogue.dataset(wish.dataset)
    kept = span(wish.span.start, min(wish.span.end, dataset.grid.floor(min(ends))))
    if kept is None:
        raise UsageError("from: the inputs of this span are not final yet", field="from", hint="give an earlier one")
    return replace(wish, span=kept)


def forgive(history: Gapless, wish: Wish) -> None:
    """Let days that were given up be tried again: whether their inputs are there is seen at once."""

    def release(tx: Tx) -> None:
        for name in wish.series:
            its = ledger.find(tx, wish.dataset, name)
            if its is not None:
                quarantine.release(tx, its, wish.span)

    history.store.write(release)


@dataclass(frozen=True, slots=True)
class Lacking:
    """A span of an input in which something is missing."""

    dataset: str
    series: str
    start: datetime
    end: datetime


def lacking_inputs(history: Gapless, wish: Wish) -> list[Lacking]:
    """What the inputs of a wish miss that a source may have."""
    params = _params(wish)
    found: dict[tuple[str, str], Span] = {}
    for name in wish.series:
        made = derive.formula(wish.dataset, name, params)
        for one in made.inputs:
            wanted = _lacks(history, made, one, wish.span)
            if wanted is not None:
                # Two components may look at one series.
                before = found.get((one.dataset, one.series), wanted)
                wanted = Span(min(before.start, wanted.start), max(before.end, wanted.end))
                found[one.dataset, one.series] = wanted
    return [Lacking(*key, moment(one.start), moment(one.end)) for key, one in found.items()]


def _lacks(history: Gapless, made: derive.Formula, one: derive.Input, wanted: Span) -> Span | None:
    """The span of an input that is needed, if something is missing in it that a source may have."""
    dataset = history.dataset(one.dataset)
    if not history.catalogue.source(dataset).base_url:
        return None
    reach, now = reach_of(made, wanted), history.clock.now()
    days = span(reach.start, min(reach.end, dataset.frontier(now, one.series) + one.east))
    if days is None:
        return None
    with history.store.read() as tx:
        lacks = missing_of(tx, history.catalogue.datasets, one, days, now)
    return there(one, days) if lacks else None


def fill_inputs(history: Gapless, wish: Wish, *, progress: bool = False) -> list[int]:
    """Fetch what the inputs of a wish miss, and wait for it; returns the jobs that did. What fails stays missing."""
    did: list[int] = []
    for one in lacking_inputs(history, wish):
        handle = history.backfill(one.dataset, one.series, one.start, one.end, name=f"inputs of {wish.series[0]}")
        handle.wait(progress=progress)
        did.append(handle.id)
    return did


def _params(wish: Wish) -> dict[str, Any]:
    import json

    told: dict[str, Any] = json.loads(wish.params)
    return told


@dataclass(frozen=True, slots=True)
class Undone:
    """What was taken away."""

    job: int
    rows: int
    spans: list[Span]


def undo(history: Gapless, job_id: int, after: str | None) -> Undone:
    """Take the rows of a compute job away, with their ledger; rows of other jobs stay. Raises `NotAllowed`."""
    job = history.jobs.get(job_id)
    if job.kind != Kind.COMPUTE:
        raise NotAllowed(f"job {job.id} is a {job.kind} job", hint="only compute jobs are undone")
    if JobState(job.state) not in FINAL:
        raise NotAllowed(f"job {job.id} is {job.state}", hint=f"`gapless jobs cancel {job.id}` first")
    dataset = history.dataset(job.dataset)
    start = job.start if after is None else max(job.start, parse(after, field="after", zone=dataset.zone).start)
    wanted = span(dataset.grid.ceil(start), job.end)
    if wanted is None:
        return Undone(job.id, 0, [])

    def write(tx: Tx) -> Undone:
        total, taken = 0, []
        for its, _ in jobs.series_of(tx, job.id):
            for part in _mine(tx, dataset, its, wanted, job.id):
                pages.withdraw(tx, dataset, its, part)
                total += rows.delete(tx, dataset, its, part)
                taken.append(part)
        events.add(tx, history.clock.now(), "job.undone", f"{total:,} rows from {moment(wanted.start)}", job=job.id)
        return Undone(job.id, total, taken)

    return history.store.write(write, isolated=True)


def _mine(tx: Tx, dataset: Dataset, series: int, wanted: Span, job: int) -> list[Span]:
    """Stretches whose rows are all of one job, with the days without a row around them."""
    frame = rows.frame(tx, dataset, series, wanted, columns=["time", "job"])
    found: list[Span] = []
    begin: Instant | None = None
    before = wanted.start
    for at, its in zip(frame["time"].dt.epoch("us").to_list(), frame["job"].to_list(), strict=True):
        if its == job and begin is None:
            begin = before
        elif its != job:
            if begin is not None:
                found.append(Span(begin, at))
            begin, before = None, dataset.grid.add(at, 1)
    return found if begin is None else [*found, Span(begin, wanted.end)]
