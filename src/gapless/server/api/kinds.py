"""Jobs that are no fills: what is computed, validated, valued, read again. Each route is short for a `kind` of job."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import Discriminator, Field, Tag
from starlette.responses import Response

from gapless.app import Gapless, enriching, migrations
from gapless.app.chained import made
from gapless.app.compute import compute_wish
from gapless.app.report import Manner, check_stored, report_wish
from gapless.core.actor import Role
from gapless.core.job import Wish
from gapless.core.rules import Level
from gapless.server.access import Caller, History, Operator
from gapless.server.api.create import Begun, Fill, Key, check_room, fill_wish, make_fill, once, span_words, terms_of
from gapless.server.api.documented import problems
from gapless.server.context import Context, Server
from gapless.server.problems import Problem
from gapless.server.shapes import Names, Shape, Word
from gapless.work import derive

router = APIRouter(tags=["jobs"], responses=problems())

Real = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=100_000)]
#: How thoroughly; in any case, as `COMPREHENSIVE`.
Thorough = Annotated[str, Field(max_length=20, pattern="(?i)^(basic|standard|comprehensive)$")]


class DateRange(Shape):
    """Two ends of a span."""

    start_date: Word | None = None
    end_date: Word | None = None


class Spanned(Begun):
    """What may have a span: `start` and `end`, `startDate` and `endDate`, alone or in `dateRange`, or `days`."""

    start: Word | None = None
    end: Word | None = None
    start_date: Word | None = None
    end_date: Word | None = None
    date_range: DateRange | None = None
    days: Annotated[float, Field(gt=0, le=40_000, allow_inf_nan=False)] | None = None

    def ends(self) -> tuple[str | None, str | None]:
        """Both ends as they were said."""
        inner = self.date_range or DateRange()
        said = [(self.start, self.start_date, inner.start_date), (self.end, self.end_date, inner.end_date)]
        found: list[str | None] = []
        for name, words in zip(("startDate", "endDate"), said, strict=True):
            given = [one for one in words if one is not None]
            if len(given) > 1:
                raise Problem(422, f"{name}: is given twice", field=name, hint="give it once")
            found.append(given[0] if given else None)
        return found[0], found[1]


class Computed(Spanned):
    """A derived series, by default the index of fear and greed of a market."""

    kind: Literal["compute"] = "compute"
    dataset: Word = derive.FEAR_GREED
    series: Word = ""
    market: Word = ""
    weights: Annotated[dict[Word, Real], Field(max_length=50)] | None = None
    window: Count | None = None
    least: Count | None = None
    enough: Annotated[float, Field(gt=0, le=1)] | None = None
    universe: Names = Field(default_factory=list)
    chunk_size: Count | None = None
    strategy: Annotated[str, Field(pattern="(?i)^(chunked|stream|parallel)$")] = "chunked"
    overwrite_existing: bool = False
    #: A validation of the same span follows.
    validation_level: Thorough | None = None

    @property
    def named(self) -> str:
        """The derived series."""
        return self.series

    def wish(self, history: Gapless) -> Wish:
        """As the engine takes it."""
        start, end = self.ends()
        strategy = self.strategy.lower()
        params: dict[str, Any] = {
            "market": self.market or None,
            "weights": self.weights,
            "window": self.window,
            "least": self.least,
            "enough": self.enough,
            "universe": self.universe or None,
            "chunk": self.chunk_size,
            "strategy": None if strategy == "chunked" else strategy,
        }
        with span_words():
            return compute_wish(
                history, self.dataset, self.named, start, end, self.days, params, overwrite=self.overwrite_existing
            )


class Validated(Spanned):
    """A look for what is wrong with stored rows; without series all that are stored, without a span all of it."""

    kind: Literal["validate"] = "validate"
    dataset: Word
    series: Names = Field(default_factory=list)
    #: Periods that are looked at in one transaction.
    chunk_size: Count | None = None
    level: Thorough | None = None
    validation_level: Thorough | None = None

    def wish(self, history: Gapless) -> Wish:
        """As the engine takes it."""
        start, end = self.ends()
        level = self.level or self.validation_level or Level.STANDARD
        with span_words():
            return history.validation_wish(
                self.dataset,
                self.series or None,
                start,
                end,
                days=self.days,
                level=level.lower(),
                chunk=self.chunk_size,
            )


class WriteBack(Shape):
    """Where values are written to in the database of `GAPLESS_EVENTS_URL`: value → column."""

    table: Annotated[Word, Field(min_length=1)]
    key: Annotated[Word, Field(min_length=1)] = "id"
    columns: Annotated[dict[Word, Word], Field(min_length=1, max_length=100)]


class Valued(Begun):
    """Values of events; without tickers all that have none."""

    kind: Literal["enrich"] = "enrich"
    tickers: Names = Field(default_factory=list)
    overwrite: bool = False
    #: Takes the role admin.
    write_back: WriteBack | None = None

    def wish(self, history: Gapless) -> Wish:
        """As the engine takes it."""
        where = None if self.write_back is None else self.write_back.model_dump()
        return enriching.wish(history, history.actor.name, self.tickers, overwrite=self.overwrite, write_back=where)


class Migrated(Begun):
    """Stored answers read again that an older parser has read; without series all of them."""

    kind: Literal["migrate"] = "migrate"
    verb: Literal["reparse"] = "reparse"
    dataset: Word
    series: Names = Field(default_factory=list)
    report: Word = ""

    def wish(self, history: Gapless) -> Wish:
        """As the engine takes it."""
        found = history.dataset(self.dataset)
        kept = migrations.kept(history, found, self.series, self.report)
        if not any(one.outdated for one in kept):
            raise Problem(409, f"parser {found.parser} has read every answer of {found.name}", hint="nothing to do")
        return replace(migrations.reparse_wish(found, kept), owner=history.actor.name)


class About(Shape):
    """Series of a dataset; without series all that are stored."""

    dataset: Annotated[Word, Field(min_length=1)]
    series: Names = Field(default_factory=list)


#: One of a list, each once.
Format = Literal["html", "md", "xlsx", "pdf"]
Tongue = Literal["en", "ko"]
Cut = Literal["day", "month", "year", "all"]


class Reported(Spanned):
    """Reports on series of a dataset, and of others (`items`), over a span or several `periods`: files of one job."""

    kind: Literal["report"] = "report"
    dataset: Word = ""
    series: Names = Field(default_factory=list)
    items: Annotated[list[About], Field(max_length=100)] = Field(default_factory=list)
    #: Such as "2023" and "2024-01..2024-06": a report for each.
    periods: Annotated[list[Word], Field(max_length=400)] = Field(default_factory=list)
    #: A report for each day, month or year of the span.
    each: Cut = "all"
    #: Rows of its tables.
    per: Cut = "month"
    formats: Annotated[tuple[Format, ...], Field(min_length=1, max_length=4)] = ("html",)
    languages: Annotated[tuple[Tongue, ...], Field(min_length=1, max_length=2)] = ("en",)

    def wish(self, history: Gapless) -> Wish:
        """As the engine takes it."""
        if not self.dataset and self.series:
            raise Problem(422, "dataset: is not given", field="dataset", hint="name the dataset of the series")
        start, end = self.ends()
        told = [*([(self.dataset, self.series)] if self.dataset else []), *((i.dataset, i.series) for i in self.items)]
        manner = Manner(per=self.per, each=self.each, formats=self.formats, languages=self.languages)
        with span_words():
            wish = report_wish(history, told, start, end, days=self.days, periods=self.periods, manner=manner)
            check_stored(history, wish)
        return wish


class Backfilled(Computed):
    """A span to fill: of a derived series (without `dataset` the index of fear and greed), or of a source's."""

    kind: Literal["compute", "collect", "fill"] = "compute"  # type: ignore[assignment]
    series: Names | Word = ""  # type: ignore[assignment]
    mode: Literal["missing", "missing+failed", "all"] = "missing"
    direction: Literal["both", "backward", "forward"] = "both"
    recheck: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    report: Word = ""
    rate: Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)] | None = None
    plan_id: Word = ""

    @property
    def is_computed(self) -> bool:
        """Whether the rows are made here."""
        return self.dataset in derive.DATASETS

    @property
    def named(self) -> str:
        """The derived series."""
        return self.series if isinstance(self.series, str) else ",".join(self.series)

    def wish(self, history: Gapless) -> Wish:
        """As the engine takes it."""
        if self.is_computed:
            return super().wish(history)
        start, end = self.ends()
        names = [self.series] if isinstance(self.series, str) else self.series
        return fill_wish(
            history,
            history.dataset(self.dataset),
            [one for one in names if one],
            start,
            end,
            days=self.days,
            mode="all" if self.overwrite_existing else self.mode,
            direction=self.direction,
            recheck=self.recheck,
            report=self.report,
        )


def _kind(value: Any) -> Any:
    """Which shape a request has: that of its `kind`."""
    told = value.get("kind", "collect") if isinstance(value, dict) else getattr(value, "kind", "collect")
    return "collect" if told == "fill" else told


Wanted = Annotated[
    Annotated[Fill, Tag("collect")]
    | Annotated[Computed, Tag("compute")]
    | Annotated[Validated, Tag("validate")]
    | Annotated[Valued, Tag("enrich")]
    | Annotated[Reported, Tag("report")]
    | Annotated[Migrated, Tag("migrate")],
    Discriminator(_kind),
]


@router.post("/api/batch/jobs", status_code=202, summary="Make a job", responses=problems(409, 429, 502))
def make(server: Server, caller: Operator, history: History, body: Wanted, idempotency_key: Key = "") -> Response:
    """Make a job of any kind, or take up the unfinished one of the same wish.

    With `Idempotency-Key` the same request may be sent again: it is answered with the job that it made.
    """
    if isinstance(body, Valued):
        _check_admin(caller, body)
    return once(server, caller, history, body, idempotency_key, lambda: _made(server, history, body))


@router.post(
    "/api/batch/historical-backfill", status_code=202, summary="Fill a span", responses=problems(409, 429, 502)
)
def backfill(
    server: Server, caller: Operator, history: History, body: Backfilled, idempotency_key: Key = ""
) -> Response:
    """Without `dataset` the index of fear and greed is computed; `validationLevel` lets a validation follow."""

    return once(server, caller, history, body, idempotency_key, lambda: _made(server, history, body))


@router.post(
    "/api/batch/index-recalculation", status_code=202, summary="Compute again", responses=problems(409, 429, 502)
)
def recalculate(
    server: Server, caller: Operator, history: History, body: Computed, idempotency_key: Key = ""
) -> Response:
    """Compute days of a derived series again, with other weights if some are given."""
    again = body.model_copy(update={"overwrite_existing": True})
    return once(server, caller, history, body, idempotency_key, lambda: _made(server, history, again))


@router.post("/api/batch/data-validation", status_code=202, summary="Validate", responses=problems(409, 429, 502))
def validate(
    server: Server, caller: Operator, history: History, body: Validated, idempotency_key: Key = ""
) -> Response:
    """Look for what is wrong with stored rows."""
    return once(server, caller, history, body, idempotency_key, lambda: _made(server, history, body))


@router.post("/api/batch/bulk-report", status_code=202, summary="Write reports", responses=problems(409, 429))
def report(server: Server, caller: Operator, history: History, body: Reported, idempotency_key: Key = "") -> Response:
    """Write reports on many series and periods at once; `GET /api/jobs/{id}/files` lists what is there so far."""
    return once(server, caller, history, body, idempotency_key, lambda: _made(server, history, body))


@router.post("/api/batch/data-migration", status_code=202, summary="Read answers again", responses=problems(409, 429))
def migrate(server: Server, caller: Operator, history: History, body: Migrated, idempotency_key: Key = "") -> Response:
    """Read stored answers again that an older parser has read."""
    return once(server, caller, history, body, idempotency_key, lambda: _made(server, history, body))


@router.post("/api/batch/event-valuation", status_code=202, summary="Value events", responses=problems(409, 429, 502))
@router.post("/backfillEventsTable", status_code=202, summary="Value events", responses=problems(409, 429, 502))
def value(server: Server, caller: Operator, history: History, body: Valued, idempotency_key: Key = "") -> Response:
    """Value the events that have no values: every question once a company, all its events in one update."""
    _check_admin(caller, body)
    return once(server, caller, history, body, idempotency_key, lambda: _made(server, history, body))


def _check_admin(caller: Caller, body: Valued) -> None:
    """Other people's tables are not every operator's to write to."""
    if body.write_back is not None and caller.role is not Role.ADMIN:
        raise Problem(403, f"writing back takes the role admin; {caller.name} is {caller.role.value}")


def _made(server: Context, history: Gapless, body: Wanted | Backfilled) -> int:
    """The job of a request, or the first of its chain; raises `Problem`, `UsageError`."""
    if isinstance(body, Fill):
        return make_fill(server, history, body, body.plan_id, body.wish)
    if isinstance(body, Backfilled) and not body.is_computed:
        return make_fill(server, history, body, body.plan_id, body.wish, level=body.validation_level or "")
    check_room(history)
    level = body.validation_level if isinstance(body, Computed) else ""
    job = made(history, body.wish(history), terms_of(body), level=level or "").job.id
    server.live.nudge()
    return job
