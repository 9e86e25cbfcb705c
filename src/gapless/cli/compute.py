"""`gapless compute`: derived series."""

from __future__ import annotations

from typing import Annotated

import typer

from gapless.app import chained
from gapless.app.chained import terms
from gapless.app.compute import compute_wish, fill_inputs
from gapless.cli.collect import EXITS, Detach, Here, Hold, MaxRetries, MaxRuntime, started
from gapless.cli.common import AsJson, Database, Days, From, To, dump, err, history, out
from gapless.core.errors import Exit, UsageError
from gapless.core.job import JobState
from gapless.core.span import iso
from gapless.store import jobs, quarantine
from gapless.work.compute import Strategy

#: Nobody refuses a computation.
_EXITS = {**EXITS, JobState.FAILED: Exit.FAILED}


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(compute)


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
