"""`gapless jobs`: list, show, steer, clone, logs, certificate, forecast-score."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from gapless.app import Gapless
from gapless.app.shown import chain_json, honesty_json, told_json, units_json
from gapless.bars import Rate, duration, line
from gapless.cli.collect import EXITS, detach_worker, foreground
from gapless.cli.common import AsJson, Database, dump, err, history, out, table, when
from gapless.cli.workflow import steps_said
from gapless.core.errors import Exit, UsageError
from gapless.core.job import Job, JobState, Kind, Priority, priority_of
from gapless.core.span import SECOND, iso
from gapless.engine.forecasts import Told
from gapless.engine.jobs import check_rate
from gapless.engine.reasons import reasons
from gapless.engine.truth import differences
from gapless.store import events, jobs, segments
from gapless.store.chains import Chain

app = typer.Typer(help="See and steer jobs.", no_args_is_help=False, invoke_without_command=True)


def register(to: typer.Typer) -> None:
    """Add this group."""
    to.add_typer(app, name="jobs")


JobId = Annotated[int, typer.Argument(metavar="JOB", help="The job's number.", show_default=False)]
Here = Annotated[bool, typer.Option("--here", help="Run it in this process.")]
Detach = Annotated[bool, typer.Option("--detach", help="Start a worker in the background.")]


@app.callback()
def default(ctx: typer.Context, json: AsJson = False, database: Database = None) -> None:
    """See and steer jobs; without a verb, list them."""
    if ctx.invoked_subcommand is None:
        list_jobs(json=json, database=database)


def job_json(app_: Gapless, job_id: int) -> dict[str, Any]:
    """A job as JSON."""
    made = app_.progress(job_id)
    job = made.job
    return {
        "id": job.id,
        "name": job.name,
        "kind": job.kind,
        "dataset": job.dataset,
        "state": job.state,
        "error": job.error,
        "mode": job.mode,
        "direction": job.direction,
        "priority": Priority(job.priority).name.lower(),
        "queue": job.queue,
        "owner": job.owner,
        "maxRetries": job.max_retries,
        "maxRuntime": None if job.max_runtime is None else job.max_runtime / SECOND,
        "start": iso(job.start),
        "end": None if job.kind == Kind.FOLLOW else iso(job.end),
        # A standing job has no end to be measured against.
        "percent": None if job.kind == Kind.FOLLOW else round(made.percent, 3),
        "processed": made.processed,
        "total": made.total,
        "cached": made.cached,
        "failed": made.failed,
        "rows": made.rows,
        "requests": made.requests,
        "requestsLeft": made.requests_left,
        "segments": made.segments,
        "trouble": made.trouble,
        "createdAt": when(job.created_at),
        "startedAt": when(job.started_at) if job.started_at else None,
        "endedAt": when(job.ended_at) if job.ended_at else None,
    }


@app.command("list")
def list_jobs(
    state: Annotated[str, typer.Option("--state", help="Only this state.")] = "",
    most: Annotated[int, typer.Option("--most", min=1, help="So many at most.")] = 20,
    json: AsJson = False,
    database: Database = None,
) -> None:
    """List the newest jobs."""
    if state and state not in list(JobState):
        raise UsageError(f"state: {state!r} is unknown", field="state", hint=f"give one of: {', '.join(JobState)}")
    with history(database) as opened:
        with opened.store.read() as tx:
            found = [one for one in jobs.recent(tx, 100_000 if state else most) if not state or one.state == state]
        listed = [job_json(opened, one.id) for one in found[:most]]
    if json:
        dump(listed)
        return
    rows = [
        (
            o["id"],
            o["state"],
            "standing" if o["percent"] is None else f"{o['percent']:.1f} %",
            o["dataset"],
            o["name"],
            f"{o['rows']:,}",
            o["createdAt"],
            o["error"][:80],
        )
        for o in listed
    ]
    table(["job", "state", "done", "dataset", "name", "rows", "made", ""], rows, right=["job", "done", "rows"])


@app.command()
def show(job: JobId, json: AsJson = False, database: Database = None) -> None:
    """Show one job with its segments."""
    with history(database) as opened:
        made = opened.progress(job)
        with opened.store.read() as tx:
            details = segments.of_job(tx, job)
        if json:
            listed = [
                {
                    "id": d.segment.id,
                    "series": d.segment.name,
                    "state": d.segment.state,
                    "side": d.segment.side,
                    "direction": d.segment.direction,
                    "start": iso(d.segment.start),
                    "end": iso(d.segment.end),
                    "cursor": iso(d.segment.cursor),
                    "rows": d.rows,
                    "requests": d.requests,
                    "worker": d.worker,
                    "error": d.error,
                }
                for d in details
            ]
            more = {
                "units": units_json(opened.units(job)),
                "forecast": told_json(opened.forecasts.told(job)),
                "chains": [chain_json(one) for one in opened.chains.every(job)],
                "segmentList": listed,
            }
            dump({**job_json(opened, job), **more})
            return
        counted, told, links = opened.units(job), opened.forecasts.told(job), opened.chains.every(job)
    out.print(line(made, Rate()))
    one = made.job
    out.print(
        f"{one.dataset}, {one.series_count} series, {_span(one)}, mode {one.mode},"
        f" made {when(one.created_at)} by {one.owner}",
        highlight=False,
    )
    if counted:
        out.print(
            f"{counted.processed:,} of {counted.total:,}: {counted.ok:,} ok, {counted.cached:,} cached,"
            f" {counted.skip:,} without a record, {counted.fail:,} failed",
            highlight=False,
        )
    if one.error:
        out.print(one.error, style="red", highlight=False, markup=False)
    if told:
        out.print(_told(told), highlight=False)
    for link in links:
        out.print(_link(link, job), highlight=False, markup=False)
    rows = [
        (
            d.segment.id,
            d.segment.name,
            d.segment.side,
            d.segment.direction,
            d.segment.state,
            when(d.segment.cursor),
            f"{d.rows:,}",
            d.requests,
            d.error[:60],
        )
        for d in details[-50:]
    ]
    table(
        ["segment", "series", "side", "direction", "state", "cursor", "rows", "requests", ""],
        rows,
        right=["rows", "requests"],
    )


def _told(one: Told) -> str:
    """A forecast in words."""
    waits = f", of which it waits {duration(one.idle)}" if one.idle >= 1 else ""
    after = " once it goes on" if one.is_paused else ""
    return f"about {duration(one.p50)} left, 9 of 10 such jobs within {duration(one.p90)}{waits}{after}"


def _link(one: Chain, job: int) -> str:
    """A link of a chain in words, seen from a job."""
    if one.next_job == job:
        return f"follows job {one.job}"
    then = f"job {one.next_job}" if one.next_job else steps_said(one.steps)
    return f"then {then} ({one.state}{': ' + one.error if one.error else ''})"


def _span(job: Job) -> str:
    """A job's span; a standing one has no end."""
    return f"from {iso(job.start)} on" if job.kind == Kind.FOLLOW else str(job.span)


@app.command()
def why(job: JobId, json: AsJson = False, database: Database = None) -> None:
    """Say why a job is not going on."""
    with history(database) as opened:
        reasons = reasons_of(opened, opened.jobs.get(job))
    if json:
        dump({"job": job, "reasons": reasons})
    else:
        for reason in reasons:
            out.print(reason, highlight=False, markup=False)


def reasons_of(opened: Gapless, job: Job) -> list[str]:
    """Why a job waits, from the same predicates that claim."""
    with opened.store.read() as tx:
        return reasons(tx, job, opened.clock.now())


def _run(opened: Gapless, job: Job, *, here: bool, detach: bool) -> None:
    """Run a job here, in the background, or say that nobody does."""
    if here:
        state = foreground(opened, lambda: opened.run(job.id))
        raise typer.Exit(int(EXITS[state]))
    if detach:
        if not opened.serving(job.id):
            detach_worker(opened)
        out.print(f"job {job.id} runs in the background", highlight=False)
        return
    out.print(f"job {job.id} is {job.state}", highlight=False)
    if job.is_final:
        return
    if not opened.serving(job.id):
        err.print(
            f"no worker serves queue {job.queue}: add --here, --detach, or start `gapless worker`",
            highlight=False,
        )


@app.command()
def start(job: JobId, here: Here = False, detach: Detach = False, database: Database = None) -> None:
    """Resume a paused job, or retry one that ended without being done."""
    with history(database) as opened:
        _run(opened, opened.jobs.start(job), here=here, detach=detach)


@app.command()
def pause(job: JobId, database: Database = None) -> None:
    """Forbid the next request of a job."""
    with history(database) as opened:
        out.print(f"job {job} is {opened.jobs.pause(job).state}", highlight=False)


@app.command()
def resume(job: JobId, here: Here = False, detach: Detach = False, database: Database = None) -> None:
    """Let a paused job go on; with --here also one that nobody works on."""
    with history(database) as opened:
        found = opened.jobs.get(job)
        if not (here or detach) or found.state not in (JobState.PENDING, JobState.RUNNING):
            found = opened.jobs.resume(job)
        _run(opened, found, here=here, detach=detach)


@app.command()
def cancel(job: JobId, database: Database = None) -> None:
    """End a job; what is stored stays."""
    with history(database) as opened:
        out.print(f"job {job} is {opened.jobs.cancel(job).state}", highlight=False)


@app.command()
def retry(job: JobId, here: Here = False, detach: Detach = False, database: Database = None) -> None:
    """Take exactly what a failed, incomplete or cancelled job still misses."""
    with history(database) as opened:
        _run(opened, opened.jobs.retry(job), here=here, detach=detach)


@app.command("set")
def set_(
    job: JobId,
    priority_: Annotated[str, typer.Option("--priority", help="high, normal or low.")] = "",
    rate: Annotated[
        float | None, typer.Option("--rate", help="Requests a second; 0 lifts the job's own limit.")
    ] = None,
    database: Database = None,
) -> None:
    """Change a job's priority or rate while it runs."""
    if not priority_ and rate is None:
        raise UsageError("priority: nothing to change", field="priority", hint="give --priority or --rate")
    check_rate(rate or None)
    its = priority_of(priority_) if priority_ else None
    with history(database) as opened:
        changed = opened.jobs.get(job)
        if its is not None:
            changed = opened.jobs.set_priority(job, its)
        if rate is not None:
            changed = opened.jobs.set_rate(job, rate or None)
    pace = f", at most {changed.rate:g} requests a second" if changed.rate else ""
    out.print(f"job {job} has priority {Priority(changed.priority).name.lower()}{pace}", highlight=False)


@app.command()
def clone(job: JobId, here: Here = False, detach: Detach = False, database: Database = None) -> None:
    """Make a new job of the same wish over the same span."""
    with history(database) as opened:
        _run(opened, opened.jobs.clone(job).job, here=here, detach=detach)


@app.command()
def step(
    job: JobId,
    limit: Annotated[int, typer.Option("--limit", help="Requests to make at most.")] = 10,
    database: Database = None,
) -> None:
    """Do a few requests of a job in this process and return."""
    if limit < 1:
        raise UsageError("limit: must be positive", field="limit", hint="give the number of requests")
    with history(database) as opened:
        done = opened.step(job, limit)
        out.print(f"{done} requests; job {job} is {opened.jobs.get(job).state}", highlight=False)


@app.command()
def logs(
    job: JobId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job has ended.")] = False,
    json: AsJson = False,
    database: Database = None,
) -> None:
    """Print what happened to a job."""
    with history(database) as opened:
        after = 0
        while True:
            state = opened.jobs.get(job)
            with opened.store.read() as tx:
                found = events.of_job(tx, job, after=after)
            for one in found:
                after = one.id
                _log_line(one, json=json)
            if not found and (not follow or state.is_final):
                return
            if not found:
                time.sleep(0.5)


def _log_line(one: events.Event, *, json: bool) -> None:
    if json:
        record = {
            "at": iso(one.at),
            "level": one.level,
            "event": one.name,
            "segment": one.segment,
            "message": one.message,
        }
        out.print(msgspec.json.encode(record).decode(), markup=False, highlight=False)
    else:
        out.print(f"{iso(one.at)} {one.level:<7} {one.name:<18} {one.message}", markup=False, highlight=False)


@app.command("forecast-score")
def forecast_score(
    days: Annotated[float, typer.Option("--days", help="Forecasts of so many days.")] = 30,
    json: AsJson = False,
    database: Database = None,
) -> None:
    """Show how honest forecasts were: half of the jobs should end within P50, nine of ten within P90."""
    with history(database) as opened:
        judged = opened.forecasts.honesty(days)
    if json:
        dump({name: honesty_json(one) for name, one in judged.items()})
        return
    table(
        ["forecasts of", "jobs", "forecasts", "within P50", "within P90", "actual / P50"],
        [
            (
                name,
                f"{one.jobs:,}",
                f"{one.forecasts:,}",
                f"{one.within_p50:.0%}",
                f"{one.within_p90:.0%}",
                f"{one.bias:.2f}",
            )
            for name, one in judged.items()
        ],
        right=["jobs", "forecasts", "within P50", "within P90", "actual / P50"],
    )


@app.command()
def certificate(
    job: JobId,
    check: Annotated[Path | None, typer.Option("--check", help="Compare with a certificate printed before.")] = None,
    database: Database = None,
) -> None:
    """Print what a job vouches for, as JSON; with --check tell what has changed since."""
    with history(database) as opened:
        made = opened.certificate(job)
    if check is None:
        dump(made)
        return
    try:
        old = msgspec.json.decode(check.read_bytes())
        whose, found = old["job"], differences(old, made)
    except (OSError, msgspec.MsgspecError, KeyError, TypeError) as error:
        raise UsageError(f"check: {check} is no certificate ({error})", field="check", hint="print one first") from None
    if whose != job:
        raise UsageError(f"check: {check} is of job {whose}", field="check", hint=f"compare it with job {whose}")
    for one in found:
        out.print(one, highlight=False, markup=False)
    if found:
        raise typer.Exit(int(Exit.FAILED))
    out.print("the certificate still holds", highlight=False)


@app.command()
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
