"""Plans, and jobs made of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header
from pydantic import BaseModel, Field
from starlette.responses import Response

from gapless.app import Gapless
from gapless.app.chained import Terms, made, terms
from gapless.core.dataset import Dataset
from gapless.core.errors import NotFound, UsageError
from gapless.core.grid import cells
from gapless.core.job import JobState, Wish
from gapless.core.plan import Plan
from gapless.core.span import Span, iso
from gapless.server.access import Caller, Viewer
from gapless.server.api.documented import problems
from gapless.server.context import Context, Server
from gapless.server.plans import difference
from gapless.server.problems import Problem
from gapless.server.shapes import Names, Shape, Text, Word, answer
from gapless.store import demands
from gapless.store import jobs as stored

router = APIRouter(tags=["jobs"], responses=problems())

#: Cells of one wish, over all its series; seconds after which a full queue may be tried again.
CELLS, AGAIN = 20_000_000_000, 30
#: Ranges of a series that a plan lists.
RANGES = 1000


@contextmanager
def span_words() -> Iterator[None]:
    """The command line's words for the two ends of a span are not those of JSON."""
    try:
        yield
    except UsageError as error:
        name = {"from": "start", "to": "end"}.get(error.field, error.field)
        text = error.message.replace(f"{error.field}:", f"{name}:", 1)
        raise UsageError(text, field=name, hint=error.hint) from None


def fill_wish(
    history: Gapless, dataset: Dataset, series: list[str], start: str | None, end: str | None, **how: Any
) -> Wish:
    """A wish to fetch, of a size that can be planned; raises `UsageError` that names the field."""
    with span_words():
        wish = history.wish(dataset, series, start, end, **how)
    if cells(dataset.grid, [wish.span]) * len(wish.series) > CELLS:
        raise Problem(422, "start: the span is too long for so many series", field="start", hint="ask for less")
    return wish


class Begun(Shape):
    """What every job may be told."""

    name: Text = ""
    priority: Literal["high", "normal", "low"] = "normal"
    #: False makes the job paused.
    auto_start: bool = True
    #: Attempts after the first one, instead of `GAPLESS_MAX_RETRIES`.
    max_retries: Annotated[int, Field(ge=0, le=100)] | None = None
    #: Such as "2h": a job that has run for so long fails, pauses left out.
    max_runtime: Annotated[str, Field(max_length=20, pattern=r"^[0-9]+(\.[0-9]+)?[smhd]$")] | None = None


def terms_of(body: Begun) -> Terms:
    """How its job is to be done; raises `UsageError`."""
    return terms(
        name=body.name,
        priority=body.priority,
        rate=getattr(body, "rate", None),
        queue=getattr(body, "queue", None),
        max_retries=body.max_retries,
        max_runtime=body.max_runtime,
        hold=not body.auto_start,
    )


class Asked(Shape):
    """What is wanted: series of a dataset, and a span. A bare date, month or year names the whole period."""

    dataset: Word
    series: Names = Field(default_factory=list)
    #: Instead of series: all that are stored of this dataset.
    series_set: Word = ""
    start: Word | None = None
    end: Word | None = None
    start_date: Word | None = None
    end_date: Word | None = None
    days: Annotated[float, Field(gt=0, le=40_000, allow_inf_nan=False)] | None = None
    mode: Literal["missing", "missing+failed", "all"] = "missing"
    force_refresh: bool = False
    direction: Literal["both", "backward", "forward"] = "both"
    recheck: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    report: Word = ""

    def wish(self, history: Gapless) -> Wish:
        """As the engine takes it; raises `UsageError` that names the field."""
        for one, other, name in ((self.start, self.start_date, "startDate"), (self.end, self.end_date, "endDate")):
            if one is not None and other is not None:
                raise Problem(422, f"{name}: is given twice", field=name, hint="give one of the two names")
        dataset = history.dataset(self.dataset)
        return fill_wish(
            history,
            dataset,
            self._names(history, dataset),
            self.start if self.start is not None else self.start_date,
            self.end if self.end is not None else self.end_date,
            days=self.days,
            mode="all" if self.force_refresh else self.mode,
            direction=self.direction,
            recheck=self.recheck,
            report=self.report,
        )

    def _names(self, history: Gapless, dataset: Dataset) -> list[str]:
        if not self.series_set:
            return self.series
        if self.series:
            raise Problem(422, "seriesSet: is given beside series", field="seriesSet", hint="give one of them")
        found = history.series(history.dataset(self.series_set))
        bare = dataset.variants and self.series_set != dataset.name
        return list(dict.fromkeys(one.partition("/")[0] for one in found)) if bare else found


class Dry(Asked):
    """A plan: nothing is asked of anybody."""

    rate: Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)] | None = None


class Fill(Dry, Begun):
    """A job that fetches what is missing."""

    kind: Literal["collect", "fill"] = "collect"
    #: `daily` has slots of its own, and its requests go before those of backfills.
    queue: Literal["backfill", "daily"] = "backfill"
    #: The plan that was shown; if the ledger has changed since, 409 tells the difference and the id of a new plan.
    plan_id: Word = ""


@router.post("/api/plan", summary="What a fill would do")
def plan(server: Server, caller: Viewer, body: Dry) -> Response:  # noqa: ARG001
    """Exact spans, requests and time; `planId` may be sent back when it is started."""
    wish = body.wish(server.history)
    return answer(_plan_json(server, body, wish, _planned(server.history, wish)))


Key = Annotated[str, Header(max_length=200, pattern=r"^[\x20-\x7e]*$")]


def once(
    server: Context, caller: Caller, history: Gapless, body: BaseModel, key: str, act: Callable[[], int]
) -> Response:
    """The job that `act` makes; the same request with the same key is answered with the job that it made."""
    if not key:
        return answer(server.board.row(stored_job(history, act())), 202)
    digest = hashlib.sha256(body.model_dump_json().encode()).hexdigest()
    now = history.clock.now()
    known = history.store.write(lambda tx: demands.claim(tx, caller.name, key, digest, now), isolated=True)
    if known is not None:
        return _again(server, history, known, digest)
    try:
        made = act()
    except BaseException:
        history.store.write(lambda tx: demands.forget(tx, caller.name, key))
        raise
    history.store.write(lambda tx: demands.settle(tx, caller.name, key, made))
    return answer(server.board.row(stored_job(history, made)), 202)


def stored_job(history: Gapless, job_id: int) -> Any:
    """The job as it stands."""
    return history.jobs.get(job_id)


def _again(server: Context, history: Gapless, known: demands.Demand, digest: str) -> Response:
    """The answer to a request that was seen before."""
    if known.digest != digest:
        raise Problem(422, "Idempotency-Key: was used for another request", field="Idempotency-Key")
    if not known.job:
        raise Problem(409, "the same request is being done just now", hint="try again in a moment")
    try:
        job = history.jobs.get(known.job)
    except NotFound:
        raise Problem(409, f"job {known.job} that this request made is gone", hint="use another key") from None
    return answer(server.board.row(job), 202, {"Idempotency-Replayed": "true"})


def make_fill(
    server: Context, history: Gapless, body: Begun, plan_id: str, wish_of: Callable[[Gapless], Wish], *, level: str = ""
) -> int:
    """A job that fetches what is missing; raises `Problem`, `UsageError`."""
    check_room(history)
    wish = wish_of(history)
    if plan_id:
        _check_plan(server, history, plan_id, wish)
    job = made(history, wish, terms_of(body), level=level).job.id
    server.live.nudge()
    return job


def check_room(history: Gapless) -> None:
    """Raise `Problem` 429 where too many jobs wait."""
    with history.store.read() as tx:
        waiting = stored.states(tx).get(JobState.PENDING.value, 0)
    if waiting >= history.settings.queued_jobs:
        raise Problem(
            429,
            f"{waiting:,} jobs wait already",
            hint="wait until some have begun, or set GAPLESS_QUEUED_JOBS",
            headers={"Retry-After": str(AGAIN)},
        )


def _check_plan(server: Context, history: Gapless, plan_id: str, wish: Wish) -> None:
    """Raise `Problem` 409 where the ledger is not what the shown plan said."""
    shown = server.plans.get(plan_id)
    if shown is None or shown.dataset != wish.dataset:
        raise Problem(409, "this plan is not known any more", field="planId", hint="plan again")
    now = _planned(history, wish)
    changed = difference(shown, now)
    if changed:
        more = {"planId": server.plans.keep(now), "difference": changed}
        raise Problem(
            409,
            "what is missing has changed since this plan was made",
            field="planId",
            hint="look at the difference, and send the new planId",
            more=more,
        )


def _planned(history: Gapless, wish: Wish) -> Plan:
    with history.store.read() as tx:
        return history.planned(tx, wish)


def _plan_json(server: Context, body: Dry, wish: Wish, made: Plan) -> dict[str, Any]:
    dataset = server.history.dataset(wish.dataset)
    grid = dataset.grid
    limit = server.history.catalogue.limit(dataset)
    wanted = sum(one.total for one in made.series)
    unavailable = sum(cells(grid, one.unavailable) for one in made.series)
    quarantined = sum(cells(grid, one.quarantined) for one in made.series)
    rate = min((one for one in (body.rate, limit.rate) if one), default=None)
    seconds = made.seconds if rate is None else max(made.seconds, max(0, made.requests - 1) / rate)
    return {
        "planId": server.plans.keep(made),
        "dataset": made.dataset,
        "mode": made.mode.value,
        "start": iso(wish.span.start),
        "end": iso(wish.span.end),
        "requests": made.requests,
        "least": sum(one.least for one in made.series),
        "most": sum(one.most for one in made.series),
        "seconds": round(seconds, 3),
        "days": made.days,
        "daily": made.daily,
        "rate": rate,
        "wanted": wanted,
        "missing": made.missing,
        "stored": max(0, wanted - made.missing - quarantined),
        "unavailable": unavailable,
        "quarantined": quarantined,
        "command": _command(body, wish),
        "warnings": _warnings(made, unavailable, quarantined),
        "series": [
            {
                "series": one.series,
                "missing": [_pair(part) for part in one.missing[:RANGES]],
                "ranges": len(one.missing),
                "missingCells": one.lacking,
                "totalCells": one.total,
                "requests": one.requests,
            }
            for one in made.series[:RANGES]
        ],
        "seriesCount": len(made.series),
    }


def _pair(one: Span) -> list[str]:
    return [iso(one.start), iso(one.end)]


def _warnings(made: Plan, unavailable: int, quarantined: int) -> list[str]:
    found = []
    if unavailable:
        found.append(f"{unavailable:,} periods are unavailable: the source has forgotten them, or never had them")
    if quarantined:
        found.append(f"{quarantined:,} periods were given up before; mode missing+failed asks again")
    if made.days > 1:
        found.append(f"the daily quota of {made.daily:,} requests spreads this over {made.days} days")
    return found


def _command(body: Dry, wish: Wish) -> str:
    """The same wish for a shell."""
    words = ["gapless", "fill", wish.dataset, *wish.series[:20], *(["…"] if len(wish.series) > 20 else [])]
    start, end = body.start or body.start_date, body.end or body.end_date
    words += ["--from", start] if start else []
    words += ["--to", end] if end else []
    words += ["--days", f"{body.days:g}"] if body.days else []
    words += ["--mode", wish.mode.value] if wish.mode != "missing" else []
    words += ["--direction", wish.direction.value] if wish.direction != "both" else []
    words += ["--recheck", str(wish.recheck)] if wish.recheck else []
    words += ["--rate", f"{body.rate:g}"] if body.rate else []
    return " ".join(words)
