"""`gapless compute`: derived series; `gapless compare`: how far two agree."""

from __future__ import annotations

import signal
import threading
from typing import Annotated, Any

import typer

from gapless.app import chained, stream
from gapless.app.chained import terms
from gapless.app.compute import compute_wish, fill_inputs
from gapless.cli.collect import EXITS, Detach, Here, Hold, MaxRetries, MaxRuntime, say, started
from gapless.cli.common import AsJson, Database, Days, From, To, dump, err, history, out, table
from gapless.core.errors import Exit, UsageError
from gapless.core.job import JobState
from gapless.core.span import iso
from gapless.core.words import counted_word
from gapless.store import jobs, quarantine
from gapless.work.compute import Strategy

#: Nobody refuses a computation.
_EXITS = {**EXITS, JobState.FAILED: Exit.FAILED}


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(compute)
    app.command()(compare)


def compute(
    dataset: Annotated[str, typer.Argument(help="index.fear_greed, index.moving_average or index.rsi.")],
    series: Annotated[
        list[str] | None, typer.Argument(help="Such as upbit.candles.1d:KRW-BTC/20; an index takes --market.")
    ] = None,
    market: Annotated[str | None, typer.Option("--market", help="KOSPI, CRYPTO or US.")] = None,
    start: From = None,
    end: To = None,
    days: Days = None,
    weights: Annotated[
        str | None, typer.Option("--weights", help="momentum=60,safe_haven=40: parts of 100, or of 1.")
    ] = None,
    window: Annotated[int | None, typer.Option("--window", help="Days that a component is compared with.")] = None,
    least: Annotated[int | None, typer.Option("--least", help="So many of them must have a value.")] = None,
    enough: Annotated[float | None, typer.Option("--enough", help="Part of all weight that must have data.")] = None,
    universe: Annotated[str | None, typer.Option("--universe", help="CRYPTO: KRW-BTC,KRW-ETH,…")] = None,
    strategy: Annotated[
        Strategy, typer.Option("--strategy", help="chunked, stream (a day at a time) or parallel (processes).")
    ] = Strategy.CHUNKED,
    chunk: Annotated[int | None, typer.Option("--chunk", help="Days of one transaction.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Compute days again that are there.")] = False,
    no_fill: Annotated[bool, typer.Option("--no-fill", help="Do not fetch what the inputs miss.")] = False,
    priority_: Annotated[str, typer.Option("--priority", help="high, normal or low.")] = "normal",
    name: Annotated[str, typer.Option("--name", help="A name for the job.")] = "",
    max_retries: MaxRetries = None,
    max_runtime: MaxRuntime = None,
    hold: Hold = False,
    detach: Detach = False,
    here: Here = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on: compute each day as soon as its inputs are covered.")
    ] = False,
    until_idle: Annotated[
        bool, typer.Option("--until-idle", help="--follow: end when nothing is ready and no fill of an input runs.")
    ] = False,
    json: AsJson = False,
    database: Database = None,
) -> None:
    """Compute derived series; what their inputs miss is fetched first. The same command again goes on where it was."""
    params = {
        "market": market,
        "weights": None if weights is None else weights_of(weights),
        "window": window,
        "least": least,
        "enough": enough,
        "universe": universe.split(",") if universe else None,
        "chunk": chunk,
        "strategy": None if strategy is Strategy.CHUNKED else strategy.value,
    }
    if follow or until_idle:
        stream.check(strategy, end, overwrite=overwrite, hold=hold, detach=detach)
        how = {"dataset": dataset, "series": series, "start": start, "days": days, "params": params}
        _stream(database, how | {"fill": not no_fill}, until_idle=until_idle)
        return
    its = terms(name=name, priority=priority_, max_retries=max_retries, max_runtime=max_runtime, hold=hold)
    with history(database) as app:
        wish = compute_wish(app, dataset, series or "", start, end, days, params, overwrite=overwrite)
        if detach and not no_fill:
            made = chained.made(app, wish, its)
        else:
            if not (no_fill or hold):
                fill_inputs(app, wish, progress=err.is_terminal and not json)
            made = app.create(wish, priority=its.priority, name=its.name, bounds=its.bounds, hold=its.hold)
        state = started(app, made, hold=hold, detach=detach, here=here, json=json, alone=True)
        if state is None:
            return
        job = app.jobs.get(made.job.id)
        with app.store.read() as tx:
            names = [one for _, one in jobs.series_of(tx, job.id)]
            lost = quarantine.of_job(tx, job.id)
    if json:
        given_up = [{"start": iso(one.start), "end": iso(one.end), "reason": one.reason} for _, one in lost]
        dump({"job": job.id, "state": state.value, "series": names, "rows": job.rows, "givenUp": given_up})
    else:
        out.print(f"job {job.id} is {state}: {job.rows:,} days of {', '.join(names)}", highlight=False)
        for _, one in lost[:20]:
            out.print(f"not computed {one.span}: {one.reason}", highlight=False, markup=False)
    raise typer.Exit(int(_EXITS[state]))


def _stream(database: str | None, how: dict[str, Any], *, until_idle: bool) -> None:
    """Compute live, a line a round; Ctrl-C ends it, and nothing is lost."""
    stop = threading.Event()

    def end(*_: object) -> None:
        # Only a flag: a handler that wrote to the database could meet its own half-done write.
        stop.set()

    before = {one: signal.signal(one, end) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        with history(database) as app:
            total = stream.Stream(history=app, say=say, **how).run(stop, until_idle=until_idle)
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
    err.print(f"{counted_word(total, 'day')} computed; the same command goes on", highlight=False)
    if stop.is_set():
        raise typer.Exit(int(Exit.INTERRUPTED))


def compare(
    mine: Annotated[str, typer.Argument(metavar="DATASET:SERIES", help="Such as index.fear_greed:KOSPI.")],
    theirs: Annotated[str, typer.Argument(metavar="DATASET:SERIES", help="Such as user.fear_greed:CNN.")],
    start: From = None,
    end: To = None,
    days: Days = None,
    json: AsJson = False,
    database: Database = None,
) -> None:
    """Show how far two daily series agree: versions of an index, or a published one and ours. Without a span: all."""
    with history(database) as app:
        found = app.compare(mine, theirs, start, end, days=days)
    if json:
        dump(
            {
                "mine": found.mine,
                "theirs": found.theirs,
                "days": found.days,
                "first": found.first,
                "last": found.last,
                "correlation": found.correlation,
                "meanAbsoluteDifference": found.difference,
                "sameBand": found.same_band,
            }
        )
        return
    correlation = "-" if found.correlation is None else f"{found.correlation:.3f}"
    band = "-" if found.same_band is None else f"{found.same_band:.1%}"
    table(
        ["series", "against", "from", "to", "days", "correlation", "mean |difference|", "same band"],
        [(mine, theirs, found.first, found.last, f"{found.days:,}", correlation, f"{found.difference:.3f}", band)],
        right=["days", "correlation", "mean |difference|", "same band"],
    )


def weights_of(text: str) -> dict[str, float]:
    """`momentum=60,safe_haven=40`; raises `UsageError`."""
    made: dict[str, float] = {}
    for part in text.split(","):
        name, is_there, number = part.partition("=")
        try:
            made[name.strip()] = float(number)
        except ValueError:
            is_there = ""
        if not is_there:
            raise UsageError(
                f"weights: {part!r} is not understood", field="weights", hint="write momentum=60,safe_haven=40"
            )
    return made
