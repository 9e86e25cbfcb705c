"""Commands that fetch: plan, fill, follow."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any, Literal

import typer

from gapless.app import Gapless, Running
from gapless.app.running import patiently
from gapless.app.sets import series_from as series_from_set
from gapless.app.wishes import bounds_of
from gapless.bars import bar, duration
from gapless.cli.common import (
    AsJson,
    Database,
    Dataset,
    Days,
    From,
    Report,
    SeriesMany,
    To,
    dump,
    err,
    history,
    out,
    series_of,
    table,
    when,
)
from gapless.core.errors import Exit, NotAllowed
from gapless.core.job import Direction, Job, JobState, Mode, Queue, priority_of
from gapless.core.plan import Plan
from gapless.core.span import Span, iso
from gapless.engine.jobs import Made
from gapless.engine.progress import Progress

ModeOption = Annotated[Mode, typer.Option("--mode", help="What to ask for.")]
DirectionOption = Annotated[Direction, typer.Option("--direction", help="From both ends, or one.")]
Recheck = Annotated[int, typer.Option("--recheck", help="Ask the last K periods again.")]
SeriesFile = Annotated[
    typer.FileText | None,
    typer.Option("--series-file", help="Series in a file: lines, commas or spaces; - for input."),
]
QueueOption = Annotated[
    Literal["backfill", "daily"],
    typer.Option("--queue", help="daily: slots of its own, and its requests go before those of backfills."),
]
SeriesFrom = Annotated[
    str | None,
    typer.Option("--series-from", help="A set: dart.companies, dart.companies:KOSPI, or any dataset's series."),
]
PointInTime = Annotated[
    bool, typer.Option("--point-in-time", help="Every year by its own report: what --as-of needs. One call a year.")
]
Slots = Annotated[int | None, typer.Option("--slots", help="Worker slots of this process.")]
Hold = Annotated[bool, typer.Option("--hold", help="Make the job paused.")]
Detach = Annotated[bool, typer.Option("--detach", help="Leave the work to a worker in the background.")]
MaxRetries = Annotated[int | None, typer.Option("--max-retries", help="Attempts after the first one.")]
MaxRuntime = Annotated[
    str | None, typer.Option("--max-runtime", help="The job fails when it has run for so long: 90s, 30m, 2h.")
]
Here = Annotated[bool, typer.Option("--here", help="PostgreSQL: run it in this process.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(plan)
    app.command()(fill)
    app.command()(follow)


def plan(
    dataset: Dataset,
    series: SeriesMany = None,
    start: From = None,
    end: To = None,
    days: Days = None,
    mode: ModeOption = Mode.MISSING,
    direction: DirectionOption = Direction.BOTH,
    recheck: Recheck = 0,
    report: Report = "",
    point_in_time: PointInTime = False,
    series_file: SeriesFile = None,
    series_from: SeriesFrom = None,
    json: AsJson = False,
    database: Database = None,
) -> None:
    """Show what a fill would do: exact spans, requests, time. Asks nobody."""
    with history(database) as app:
        made = app.plan(
            dataset,
            _series(app, dataset, series, series_file, series_from),
            start,
            end,
            days=days,
            mode=mode,
            direction=direction,
            recheck=recheck,
            report=report,
            point_in_time=point_in_time,
        )
    if json:
        dump(plan_json(made))
        return
    rows = [
        (
            one.series,
            f"{one.lacking:,}",
            f"{one.total:,}",
            len(one.missing),
            _requests(one.least, one.requests, one.most),
        )
        for one in made.series
    ]
    table(["series", "missing", "of", "spans", "requests"], rows, right=["missing", "of", "spans", "requests"])
    for one in made.series:
        for part in one.missing[:10]:
            out.print(f"  {one.series} missing {part}", highlight=False)
        if len(one.missing) > 10:
            out.print(f"  {one.series} … and {len(one.missing) - 10} more spans", highlight=False)
        for part in one.unavailable:
            out.print(f"  {one.series} unavailable {part}: the source has forgotten it", highlight=False)
        for part in one.quarantined:
            out.print(f"  {one.series} quarantined {part}: --mode missing+failed asks again", highlight=False)
    least, most = sum(one.least for one in made.series), sum(one.most for one in made.series)
    out.print(f"{_requests(least, made.requests, most)} requests, about {duration(made.seconds)}", highlight=False)
    if made.days > 1:
        out.print(f"{made.days} days at {made.daily:,} a day", highlight=False)


def _requests(least: int, expected: int, most: int) -> str:
    return f"{expected:,}" if least == most else f"{least:,}–{most:,}"


def plan_json(made: Plan) -> dict[str, Any]:
    """A plan as JSON."""
    return {
        "dataset": made.dataset,
        "mode": made.mode.value,
        "requests": made.requests,
        "missing": made.missing,
        "seconds": round(made.seconds, 3),
        "days": made.days,
        "series": [
            {
                "series": one.series,
                "wanted": _pair(one.wanted) if one.wanted else None,
                "missing": [_pair(part) for part in one.missing],
                "missingCells": one.lacking,
                "totalCells": one.total,
                "requests": one.requests,
                "requestsLeast": one.least,
                "requestsMost": one.most,
                "unavailable": [_pair(part) for part in one.unavailable],
                "quarantined": [_pair(part) for part in one.quarantined],
                "segments": [
                    {
                        "start": iso(s.start),
                        "end": iso(s.end),
                        "direction": s.direction.value,
                        "side": s.side.value,
                    }
                    for s in one.segments
                ],
            }
            for one in made.series
        ],
    }


def _pair(one: Span) -> dict[str, str]:
    return {"start": iso(one.start), "end": iso(one.end)}


def fill(
    dataset: Dataset,
    series: SeriesMany = None,
    start: From = None,
    end: To = None,
    days: Days = None,
    mode: ModeOption = Mode.MISSING,
    direction: DirectionOption = Direction.BOTH,
    recheck: Recheck = 0,
    report: Report = "",
    point_in_time: PointInTime = False,
    priority_: Annotated[str, typer.Option("--priority", help="high, normal or low.")] = "normal",
    queue: QueueOption = "backfill",
    name: Annotated[str, typer.Option("--name", help="A name for the job.")] = "",
    rate: Annotated[
        float | None, typer.Option("--rate", help="At most so many requests a second for this job.")
    ] = None,
    series_file: SeriesFile = None,
    series_from: SeriesFrom = None,
    max_retries: MaxRetries = None,
    max_runtime: MaxRuntime = None,
    slots: Slots = None,
    hold: Hold = False,
    detach: Detach = False,
    here: Here = False,
    json: AsJson = False,
    database: Database = None,
) -> None:
    """Fetch exactly what is missing, from both ends. The same command again goes on where it was."""
    with history(database, slots) as app:
        found = app.dataset(dataset)
        names = _series(app, dataset, series, series_file, series_from)
        how: dict[str, Any] = {"mode": mode, "direction": direction, "report": report, "point_in_time": point_in_time}
        wish = app.wish(found, names, start, end, days=days, recheck=recheck, **how)
        made = app.create(
            wish,
            queue=Queue(queue),
            priority=priority_of(priority_),
            name=name,
            rate=rate,
            bounds=bounds_of(max_retries, max_runtime),
            hold=hold,
            progress=err.is_terminal,
        )
        state = started(app, made, hold=hold, detach=detach, here=here, json=json)
        if state is None:
            return
        if made.adopted and state is JobState.DONE and end is None:
            # The adopted job's end was pinned when it was made: what has passed since is a wish of its own.
            again = app.wish(found, names, start, end, days=days, **how)
            late = app.create(again, queue=Queue(queue))
            made = late
            state = foreground(app, lambda: run_here_or_there(app, late.job.id, here=here))
        said(app, app.jobs.get(made.job.id), json, "")
    raise typer.Exit(int(EXITS[state]))


def started(
    app: Gapless, made: Made, *, hold: bool, detach: bool, here: bool, json: bool, alone: bool = False
) -> JobState | None:
    """Run a job as the options say and follow it to its end; None where it is left to others, which is said.

    `alone`: where no worker serves its queue it does not wait for one, but runs here.
    """
    job = made.job
    if made.adopted:
        err.print(f"going on with job {job.id} ({job.state})", highlight=False)
    if hold:
        said(app, job, json, f"job {job.id} is paused; start it with `gapless jobs start {job.id}`")
        return None
    if detach:
        if job.state == JobState.PAUSED:
            app.jobs.resume(job.id)
        if not app.serving(job.id):
            detach_worker(app)
        said(app, job, json, f"job {job.id} runs in the background: `gapless jobs show {job.id}`")
        return None
    here = here or (alone and not app.serving(job.id))
    return foreground(app, lambda: run_here_or_there(app, job.id, here=here))


def _series(
    app: Gapless, dataset: str, named: list[str] | None, file: typer.FileText | None, stored: str | None
) -> list[str]:
    """Series from arguments, a file and a set."""
    listed = series_of(named, file)
    return listed + series_from_set(app, app.dataset(dataset), stored, progress=err.is_terminal) if stored else listed


def run_here_or_there(app: Gapless, job_id: int, *, here: bool) -> Running:
    """Run a job here, or on PostgreSQL leave it to the workers and say so where there are none."""
    if here or not app.is_shared:
        return app.run(job_id)
    job = app.jobs.get(job_id)
    if job.state == JobState.PAUSED:
        app.jobs.resume(job_id)
    if not job.is_final and not app.serving(job_id):
        err.print(
            f"no worker serves queue {job.queue}; the job waits for `gapless worker --queue {job.queue}`;"
            " --here runs it in this process",
            highlight=False,
        )
    return app.watch(job_id)


#: The exit code of a job's end; a job fails where the source refuses or does not answer.
EXITS = {
    JobState.DONE: Exit.DONE,
    JobState.INCOMPLETE: Exit.INCOMPLETE,
    JobState.FAILED: Exit.REFUSED,
    JobState.CANCELLED: Exit.FAILED,
    JobState.PAUSED: Exit.INTERRUPTED,
}


def said(app: Gapless, job: Job, json: bool, text: str) -> None:
    """Tell of a job, as JSON or in words."""
    from gapless.cli.jobs import job_json

    if json:
        dump(job_json(app, job.id))
    elif text:
        out.print(text, highlight=False)


def foreground(app: Gapless, begin: Callable[[], Running], *, way_on: str = "") -> JobState:
    """Begin a job and follow it to its end with a bar; Ctrl-C pauses it and says how to resume, a second one leaves.

    `way_on`: the command that goes on with it, where it is another one.
    """
    asked = threading.Event()

    def interrupt(*_: object) -> None:
        # Only a flag: a handler that wrote to the database could meet its own half-done write.
        if asked.is_set():
            os._exit(int(Exit.INTERRUPTED))
        asked.set()

    def tick(made: Progress) -> None:
        draw(made)
        if asked.is_set() and not made.job.is_final and made.job.state != JobState.PAUSED:
            with suppress(NotAllowed):
                app.jobs.pause(running.id)

    # From before it begins: a job whose bar is not drawn yet can be paused, too.
    before = {one: signal.signal(one, interrupt) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        running = patiently(app.clock, begin)
        with bar(running.id, err) as draw:
            state = running.wait(tick=tick)
            patiently(app.clock, lambda: draw(running.progress()))
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
    job = patiently(app.clock, lambda: running.job)
    if state is JobState.PAUSED:
        way_on = way_on or f"gapless jobs resume {job.id} --here"
        err.print(f"job {job.id} is paused, nothing is lost; go on with `{way_on}`", highlight=False)
    for following in app.chains.tick():
        err.print(
            f"job {following.id} follows on queue {following.queue}: `gapless jobs show {following.id}`",
            highlight=False,
        )
    if state not in (JobState.DONE, JobState.PAUSED):
        ways = f"`gapless jobs retry {job.id} --here` takes exactly what is left"
        why = job.error and f": {job.error}"
        err.print(f"job {job.id} is {job.state}{why}; {ways}", style="red", highlight=False, markup=False)
    return state


def detach_worker(app: Gapless) -> None:
    """Start a worker of its own that ends when nothing is left to do."""
    command = [sys.executable, "-m", "gapless.cli", "worker", "--until-idle"]
    subprocess.Popen(
        [*command, "--slots", str(max(1, app.settings.slots))],
        # In the environment, where other users of the machine do not see its password.
        env={**os.environ, "GAPLESS_DATABASE_URL": app.settings.database_url},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def follow(
    dataset: Dataset,
    series: SeriesMany = None,
    series_file: SeriesFile = None,
    series_from: SeriesFrom = None,
    slots: Slots = None,
    database: Database = None,
) -> None:
    """Catch up, then keep series complete period after period. Ctrl-C ends it; nothing is lost."""
    stop = threading.Event()

    def end(*_: object) -> None:
        stop.set()

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    with history(database, slots) as app:
        job = app.follow(dataset, _series(app, dataset, series, series_file, series_from), say, stop)
        err.print(
            f"stopped following at {when(app.clock.now())}; the same command goes on (job {job.id})",
            highlight=False,
        )


def say(text: str) -> None:
    """One line on standard output, at once."""
    # Flushed: a log collector must see it when it happens.
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
