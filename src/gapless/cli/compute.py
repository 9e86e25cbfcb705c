"""`gapless compute`: derived series; `gapless jobs undo`: take them away again."""

from __future__ import annotations

from typing import Annotated

import typer

from gapless.cli.common import AsJson, Database, Days, From, To, dump, err, history, out, priority
from gapless.cli.jobs import JobId
from gapless.core.errors import Exit, UsageError
from gapless.core.job import JobState
from gapless.core.span import iso
from gapless.store import jobs, quarantine
from gapless.work.compute import Strategy

_EXITS = {JobState.FAILED: Exit.FAILED, JobState.INCOMPLETE: Exit.INCOMPLETE, JobState.CANCELLED: Exit.FAILED}


def register(app: typer.Typer, of_jobs: typer.Typer) -> None:
    """Add these commands."""
    app.command()(compute)
    of_jobs.command()(undo)


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
    hold: Annotated[bool, typer.Option("--hold", help="Make the job paused.")] = False,
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
    with history(database) as app:
        running = app.compute(
            dataset,
            series or "",
            start,
            end,
            days=days,
            params=params,
            overwrite=overwrite,
            fill=not no_fill,
            hold=hold,
            priority=priority(priority_),
            progress=err.is_terminal and not json,
        )
        state = JobState.PAUSED if hold else running.wait(progress=err.is_terminal and not json)
        job = running.job
        with app.store.read() as tx:
            its = [name for _, name in jobs.series_of(tx, job.id)]
            lost = quarantine.of_job(tx, job.id)
    if json:
        given_up = [{"start": iso(one.start), "end": iso(one.end), "reason": one.reason} for _, one in lost]
        dump({"job": job.id, "state": state.value, "series": its, "rows": job.rows, "givenUp": given_up})
    else:
        out.print(f"job {job.id} is {state}: {job.rows:,} days of {', '.join(its)}", highlight=False)
        for _, one in lost[:20]:
            out.print(f"not computed {one.span}: {one.reason}", highlight=False, markup=False)
    if state in _EXITS:
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


def undo(
    job: JobId,
    after: Annotated[str | None, typer.Option("--after", help="Only days from this one on.")] = None,
    json: AsJson = False,
    database: Database = None,
) -> None:
    """Take the rows of a compute job away again, with their ledger."""
    with history(database) as app:
        done = app.undo(job, after)
    if json:
        spans = [{"start": iso(one.start), "end": iso(one.end)} for one in done.spans]
        dump({"job": done.job, "rows": done.rows, "spans": spans})
        return
    out.print(f"{done.rows:,} rows of job {done.job} are taken away; their days are missing again", highlight=False)
