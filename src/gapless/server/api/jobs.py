"""Jobs: list, show, make, steer."""

from __future__ import annotations

import base64
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from gapless.app.shown import units_json
from gapless.core.errors import GaplessError
from gapless.core.job import Job, JobState, Priority
from gapless.core.redact import redacted
from gapless.core.span import SECOND, iso
from gapless.engine.reasons import reasons
from gapless.server.access import Caller, History, Operator, Viewer, check_control, may_control
from gapless.server.api.documented import problems
from gapless.server.context import Context, Server
from gapless.server.live import event_json
from gapless.server.problems import Problem
from gapless.server.shapes import PAGE, Number, Shape, Text, Word, answer, commas, page_of, words
from gapless.store import events, joblist, quarantine, segments
from gapless.store import jobs as stored
from gapless.store.database import Tx
from gapless.store.joblist import Filter

router = APIRouter(prefix="/api/batch/jobs", tags=["jobs"], responses=problems())

Verb = Literal["start", "pause", "resume", "cancel", "retry"]
SORTS = {
    "created": "id",
    "id": "id",
    "name": "name",
    "series": "name",
    "dataset": "dataset",
    "state": "state",
    "priority": "priority",
    "owner": "owner",
    "rows": "rows",
    "started": "startedAt",
    "ended": "endedAt",
    "percent": "percent",
    "fail": "fail",
    "eta": "eta",
}
#: Running jobs that are sorted by the time they have left.
RUNNING = 200
#: Jobs that one bulk order moves, and moves in one transaction.
BULK, BATCH = 10_000, 200


class Which(Shape):
    """A filter, as the list takes it."""

    q: Text = ""
    state: Text = ""
    source: Word = ""
    dataset: Word = ""
    series: Word = ""
    owner: Word = ""
    kind: Word = ""
    queue: Word = ""
    #: No newer ones: so that pages do not shift while jobs come in.
    up_to: Annotated[int, Field(ge=0, le=2**53)] = 0

    def filter(self) -> Filter:
        """As the store takes it; raises `Problem` for a state that there is not."""
        states = commas(self.state)
        for one in states:
            if one not in list(JobState):
                raise Problem(
                    422, f"state: {one!r} is unknown", field="state", hint=f"give some of: {', '.join(JobState)}"
                )
        return Filter(
            states=states,
            dataset=self.dataset or self.source,
            series=self.series,
            owner=self.owner,
            kind=self.kind,
            queue=self.queue,
            up_to=self.up_to,
            words=tuple(one.removeprefix("#") for one in words(self.q) if one != "#"),
        )


class Listing(Which):
    """A page of the list: by `cursor` of the page before, or by `offset`."""

    sort: Word = "-created"
    limit: Annotated[int, Field(ge=1, le=PAGE)] = 60
    offset: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    cursor: Text = ""


class Change(Shape):
    """What of a job can be changed while it runs; a rate of 0 lifts its limit."""

    priority: Literal["high", "normal", "low"] | None = None
    rate: Annotated[float, Field(ge=0, le=1_000_000)] | None = None


class Bulk(Shape):
    """An order to many jobs: by their numbers, or all that a filter finds."""

    verb: Verb
    ids: Annotated[list[Annotated[int, Field(ge=1, le=2**53)]], Field(max_length=BULK)] | None = None
    filter: Which | None = None


@router.get("", summary="List jobs")
def list_jobs(server: Server, caller: Viewer, asked: Annotated[Listing, Query()]) -> Response:  # noqa: ARG001
    """Filtered, searched (`q`: words, all of them), sorted (`-created`), a page at a time; `counts` by state."""
    which = asked.filter()
    sort, descending = _sort(asked.sort)
    after = _cursor(asked.cursor, sort)
    everywhere = Filter(**{**_fields(which), "states": ()})
    # Read first: what is told while the list is read is not in the list for sure.
    rev = server.live.rev
    with server.history.store.read() as tx:
        found = joblist.page(
            tx,
            which,
            most=asked.limit + 1,
            sort=sort,
            descending=descending,
            after=after,
            skipped=asked.offset,
            counted=tuple(sorted(one.name for one in server.history.catalogue.datasets.values() if one.has_units)),
            etas=_etas(server, tx) if sort == "eta" else None,
        )
        counts = joblist.by_state(tx, everywhere)
        listed, is_more = page_of(found, asked.limit)
        rows = server.board.page([job for job, _ in listed])
    total = sum(number for state, number in counts.items() if not which.states or state in which.states)
    return answer(
        {
            "jobs": rows,
            "total": total,
            "offset": asked.offset,
            "counts": counts,
            "cursor": _cursor_text(sort, listed[-1]) if is_more else None,
            "boot": server.live.boot,
            "rev": rev,
        }
    )


@router.get("/{job_id}", summary="One job", responses=problems(404))
def show(server: Server, caller: Viewer, job_id: Number) -> Response:
    """One job with its bar, units, reasons, errors and quarantined spans."""
    job = server.history.jobs.get(job_id)
    made = server.board.look(job, fresh=job.state == JobState.RUNNING and server.board.last_look(job_id) is None)
    if not made.segments:
        made = server.board.look(job, fresh=True)
    counted = server.board.units(job)
    with server.history.store.read() as tx:
        why = reasons(tx, job, server.history.clock.now())
        trouble = events.trouble(tx, job_id, 50)
        spoiled = [
            {"series": name, "start": iso(one.span.start), "end": iso(one.span.end), "reason": redacted(one.reason)}
            for its_id, name in stored.series_of(tx, job_id)[:500]
            for one in quarantine.of_series(tx, its_id, job.span)
        ]
    return answer(
        {
            **server.board.row(job),
            "bar": [round(one, 4) for one in made.bar],
            "segments": made.segments,
            "units": units_json(counted),
            "reasons": [redacted(one) for one in why],
            "errors": [
                {"event": name, "message": redacted(text), "count": count, "lastAt": iso(at - at % SECOND)}
                for name, text, count, at in trouble
            ],
            "quarantine": spoiled[:100],
            "mayControl": may_control(caller, job),
        }
    )


@router.get("/{job_id}/segments", summary="Its segments", responses=problems(404))
def list_segments(
    server: Server,
    caller: Viewer,  # noqa: ARG001
    job_id: Number,
    limit: Annotated[int, Query(ge=1, le=5000)] = 500,
    offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
) -> Response:
    """Those that run first, then those that wait, then the others, the newest first."""
    server.history.jobs.get(job_id)
    with server.history.store.read() as tx:
        details = segments.page_of_job(tx, job_id, limit, offset)
        counted, _, _ = segments.counts(tx, job_id)
    return answer({"segments": [_segment_json(one) for one in details], "total": sum(counted.values())})


@router.get("/{job_id}/logs", summary="What happened to it", responses=problems(404))
@router.get("/{job_id}/events", summary="What happened to it", responses=problems(404))
def list_events(
    server: Server,
    caller: Viewer,  # noqa: ARG001
    job_id: Number,
    after: Annotated[int, Query(ge=0, le=2**53)] = 0,
    before: Annotated[int, Query(ge=0, le=2**53)] = 0,
    level: Annotated[str, Query(pattern="^(|info|warning|error)$")] = "",
    limit: Annotated[int, Query(ge=1, le=2000)] = 500,
    tail: Annotated[int, Query(ge=0, le=2000)] = 0,
) -> Response:
    """Lines with an id above `after`, oldest first; `tail=500` gives the last ones, `before` those before them."""
    server.history.jobs.get(job_id)
    with server.history.store.read() as tx:
        if tail or before:
            found = events.tail(tx, job_id, tail or limit, below=before or 2**62)
        else:
            found = events.of_job(tx, job_id, after=after, most=limit)
    lines = [event_json(one) for one in found if _is_loud(one.level, level)]
    return answer({"lines": lines, "cursor": found[-1].id if found else after})


@router.get("/{job_id}/certificate", summary="What it vouches for", responses=problems(404))
def certificate(server: Server, caller: Viewer, job_id: Number) -> Response:  # noqa: ARG001
    """Ranges, row counts, content hash, empty and quarantined spans; `gapless jobs certificate --check` compares."""
    headers = {"Content-Disposition": f'attachment; filename="job-{job_id}.certificate.json"'}
    return answer(server.history.certificate(job_id), headers=headers)


@router.post("/bulk", summary="Steer many jobs")
def bulk(server: Server, caller: Operator, history: History, body: Bulk) -> Response:
    """Do one verb to many jobs; those that do not allow it, or belong to others, are named with the reason."""
    if (body.ids is None) == (body.filter is None):
        raise Problem(422, "ids: give either ids or a filter", field="ids")
    if body.filter is not None:
        with history.store.read() as tx:
            numbers = joblist.ids(tx, body.filter.filter(), BULK)
    else:
        numbers = sorted(set(body.ids or []))
    refused: list[dict[str, Any]] = []
    mine = [one for one in numbers if _is_mine(history.store, caller, one, refused)]
    moved = history.jobs.each(mine, body.verb, lambda one, error: refused.append(_refused(one, error)))
    server.live.nudge()
    return answer({"done": moved, "refused": refused[:1000], "refusedTotal": len(refused)})


@router.post(
    "/{job_id}/clone", status_code=202, summary="Make another job of the same wish", responses=problems(404, 409)
)
def clone(server: Server, caller: Operator, history: History, job_id: Number) -> Response:  # noqa: ARG001
    """A new job over the same span; an unfinished one of the same wish is taken up instead."""
    made = history.jobs.clone(job_id).job
    server.live.nudge()
    return answer(server.board.row(made), 202)


@router.post("/{job_id}/{verb}", summary="Steer a job", responses=problems(404, 409))
def order(server: Server, caller: Operator, history: History, job_id: Number, verb: Verb) -> Response:
    """`start` resumes a paused job and retries one that ended without being done; the others are what they say."""
    check_control(caller, history.jobs.get(job_id))
    moved: Job = getattr(history.jobs, verb)(job_id)
    server.live.nudge()
    return answer(server.board.row(moved))


@router.patch("/{job_id}", summary="Change priority or rate", responses=problems(404))
def change(server: Server, caller: Operator, history: History, job_id: Number, body: Change) -> Response:
    """Takes effect between two requests of the job."""
    job = history.jobs.get(job_id)
    check_control(caller, job)
    if body.priority is None and body.rate is None:
        raise Problem(422, "priority: nothing to change", field="priority", hint="give priority or rate")
    if body.priority is not None:
        job = history.jobs.set_priority(job_id, Priority[body.priority.upper()])
    if body.rate is not None:
        job = history.jobs.set_rate(job_id, body.rate or None)
    server.live.nudge()
    return answer(server.board.row(job))


def _etas(server: Context, tx: Tx) -> dict[int, int]:
    """Milliseconds left of the jobs that run: there is a limit on how many do."""
    running = joblist.page(tx, Filter(states=(JobState.RUNNING,)), most=RUNNING)
    told = {one.id: server.board.eta(one, server.board.look(one)) for one, _ in running}
    return {one: round(left * 1000) for one, left in told.items() if left is not None}


def _segment_json(one: segments.Detail) -> dict[str, Any]:
    its = one.segment
    return {
        "id": its.id,
        "series": its.name,
        "state": its.state,
        "side": its.side,
        "direction": its.direction,
        "start": iso(its.start),
        "end": iso(its.end),
        "cursor": iso(its.cursor),
        "rows": one.rows,
        "requests": one.requests,
        "attempts": its.attempts,
        "worker": one.worker,
        "retryAt": iso(one.retry_at) if one.retry_at else None,
        "error": redacted(one.error),
    }


def _is_loud(level: str, least: str) -> bool:
    order = ["info", "warning", "error"]
    return not least or (level in order and order.index(level) >= order.index(least))


def _is_mine(store: Any, caller: Caller, job_id: int, refused: list[dict[str, Any]]) -> bool:
    with store.read() as tx:
        job = stored.get(tx, job_id)
    if job is None:
        refused.append({"id": job_id, "detail": f"there is no job {job_id}"})
    elif not may_control(caller, job):
        refused.append({"id": job_id, "detail": f"it belongs to {job.owner}"})
    else:
        return True
    return False


def _refused(job_id: int, error: GaplessError) -> dict[str, Any]:
    return {"id": job_id, "detail": redacted(str(error))}


def _sort(text: str) -> tuple[str, bool]:
    name = text.removeprefix("-")
    if name not in SORTS:
        raise Problem(422, f"sort: {name!r} is unknown", field="sort", hint=f"give one of: {', '.join(SORTS)}")
    return SORTS[name], text.startswith("-")


def _fields(one: Filter) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__dataclass_fields__}


def _cursor_text(sort: str, last: tuple[Job, Any]) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode([sort, last[1], last[0].id])).decode()


def _cursor(text: str, sort: str) -> tuple[Any, int] | None:
    """The place that a cursor names; raises `Problem` for one of another order."""
    if not text:
        return None
    try:
        said = msgspec.json.decode(base64.urlsafe_b64decode(text.encode()), type=tuple[str, str | int, int])
    except (ValueError, msgspec.MsgspecError):
        said = ("", 0, 0)
    is_text = sort in ("name", "dataset", "state", "owner")
    if said[0] != sort or isinstance(said[1], str) != is_text or not _fits(said):
        raise Problem(422, "cursor: is not of this list", field="cursor", hint="begin without one")
    return said[1], said[2]


def _fits(said: tuple[str, str | int, int]) -> bool:
    """Whether a database can hold the values."""
    numbers = [one for one in said[1:] if isinstance(one, int)]
    texts = [one for one in said if isinstance(one, str)]
    return all(abs(one) < 2**62 for one in numbers) and not any("\0" in one for one in texts)
