"""Jobs: an owner's wish, its states and the moves between them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from gapless.core.errors import NotAllowed, UsageError
from gapless.core.span import DAY, HOUR, SECOND, Instant, Span


class JobState(StrEnum):
    """See `MOVES` for the ways between them."""

    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Mode(StrEnum):
    """What of the wanted span is asked for."""

    MISSING = "missing"
    MISSING_AND_FAILED = "missing+failed"
    ALL = "all"


class Direction(StrEnum):
    """Where a segment's cursor moves; `both` is a wish for two segments that converge."""

    BOTH = "both"
    BACKWARD = "backward"
    FORWARD = "forward"


class Queue(StrEnum):
    """Queues have slots of their own."""

    LIVE = "live"
    DAILY = "daily"
    BACKFILL = "backfill"
    COMPUTE = "compute"


class Priority(IntEnum):
    """Claimed in this order, strictly, until ageing lifts a job."""

    HIGH = 0
    NORMAL = 1
    LOW = 2


def priority_of(said: Priority | str) -> Priority:
    """A class by its name, in any case; raises `UsageError`."""
    if isinstance(said, Priority):
        return said
    try:
        return Priority[str(said).upper()]
    except KeyError:
        raise UsageError(f"priority: {said!r} is unknown", field="priority", hint="give high, normal or low") from None


class Kind(StrEnum):
    """What a job does; one file each in `work`."""

    #: Fetch what a source has.
    COLLECT = "collect"
    #: Keep series complete up to the frontier, for ever.
    FOLLOW = "follow"
    #: Make the rows of a derived dataset out of stored ones.
    COMPUTE = "compute"
    #: The others are chores: they go over what is stored.
    ENRICH = "enrich"
    VALIDATE = "validate"
    REPORT = "report"
    MIGRATE = "migrate"

    @property
    def is_chore(self) -> bool:
        """Whether the ledger of such work is the proof of its own job, not the coverage."""
        return self not in (Kind.COLLECT, Kind.FOLLOW, Kind.COMPUTE)

    @property
    def queue(self) -> Queue:
        """Where its segments wait, if the job says nothing else."""
        if self is Kind.FOLLOW:
            return Queue.LIVE
        return Queue.BACKFILL if self in (Kind.COLLECT, Kind.ENRICH) else Queue.COMPUTE


#: A parameter of fetching.
POINT_IN_TIME = "pointInTime"
_ACTIVE = frozenset({JobState.PENDING, JobState.RUNNING})
_PAUSED = frozenset({JobState.PAUSED})

#: verb -> from which states -> to which state. The only table of moves; SQL uses it in its WHERE.
MOVES: dict[str, tuple[frozenset[JobState], JobState]] = {
    "claim": (frozenset({JobState.PENDING}), JobState.RUNNING),
    "pause": (_ACTIVE, JobState.PAUSED),
    "resume": (_PAUSED, JobState.PENDING),
    "cancel": (_ACTIVE | _PAUSED, JobState.CANCELLED),
    "retry": (frozenset({JobState.INCOMPLETE, JobState.FAILED, JobState.CANCELLED}), JobState.PENDING),
    "done": (_ACTIVE, JobState.DONE),
    "incomplete": (_ACTIVE, JobState.INCOMPLETE),
    "failed": (_ACTIVE, JobState.FAILED),
}
#: States that no worker leaves by itself.
FINAL = frozenset(JobState) - _ACTIVE - _PAUSED
#: Waiting this long lifts a job by one class, so LOW never starves: NORMAL overtakes a HIGH one six hours younger.
AGEING = 6 * HOUR


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What an owner wants: the identity of a job while it is unfinished."""

    owner: str
    kind: Kind
    dataset: str
    series: tuple[str, ...]
    #: The wanted span on the grid, its end pinned at the frontier of creation.
    span: Span
    mode: Mode = Mode.MISSING
    direction: Direction = Direction.BOTH
    #: Periods at the end that are asked again although covered.
    recheck: int = 0
    #: The span as it was said ("days=30"): two sayings of the same wish are one job although the clock moved on.
    said: str = ""
    #: What else a kind of work wants to know, as JSON.
    params: str = "{}"

    @property
    def is_point_in_time(self) -> bool:
        """Whether a period counts as covered only by a statement of its own."""
        return is_point_in_time(self.params)

    @property
    def key(self) -> str:
        """A digest that is equal for identical wishes."""
        span = self.said or f"{self.span.start}..{self.span.end}"
        parts = [self.owner, self.kind, self.dataset, *sorted(self.series), span, self.mode, self.direction]
        more = [] if self.params == "{}" else [self.params]
        return hashlib.sha256("\x1f".join([*parts, str(self.recheck), *more]).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What an owner allows a job; no part of the wish, as a rate and a priority are not."""

    #: Attempts after the first one; None: as the settings of whoever runs it say.
    max_retries: int | None = None
    #: Microseconds for which it may run, pauses left out; None: as long as it takes.
    max_runtime: int | None = None

    def check(self) -> None:
        """Raise `UsageError` for what cannot be."""
        if self.max_retries is not None and not 0 <= self.max_retries <= 100:
            raise UsageError(
                f"max_retries: {self.max_retries} is no number of attempts", field="max_retries", hint="give 0 to 100"
            )
        if self.max_runtime is not None and not SECOND <= self.max_runtime <= 366 * DAY:
            raise UsageError("max_runtime: is not a time to run for", field="max_runtime", hint="give 1s to 366d")


#: As long and as often as it takes.
UNBOUND = Bounds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A row of the job table; times are microseconds UTC."""

    id: int
    wish: str
    owner: str
    kind: str
    dataset: str
    #: How many series it covers; the names are in `job_series`.
    series_count: int
    name: str
    start: Instant
    end: Instant
    mode: str
    direction: str
    recheck: int
    queue: str
    priority: int
    #: Place in the order of claiming: creation time plus six hours a class.
    turn: int
    state: str
    #: Last error, or why it ended so.
    error: str
    #: Requests per second the owner allows this job, if fewer than the budget.
    rate: float | None
    #: Cells of the wanted span, and how many of them were covered when the job was made.
    total: int
    cached: int
    #: Cells of the cached ones that had a record, where units are counted (see `engine/units.py`).
    found: int
    #: Cells missing when segments were last planned: a round that proved nothing new ends the job.
    lacking: int
    rows: int
    requests: int
    created_at: Instant
    started_at: Instant | None
    ended_at: Instant | None
    #: The wish's own parameters, as JSON.
    params: str = "{}"
    #: See `Bounds`; microseconds.
    max_retries: int | None = None
    max_runtime: int | None = None
    #: Microseconds that it has run since it was made or retried, pauses left out, up to `running_since`.
    ran: int = 0
    running_since: Instant | None = None

    @property
    def bounds(self) -> Bounds:
        """What its owner allows it."""
        return Bounds(max_retries=self.max_retries, max_runtime=self.max_runtime)

    def has_run(self, now: Instant) -> int:
        """Microseconds that it has run so far."""
        return self.ran + (0 if self.running_since is None else max(0, now - self.running_since))

    @property
    def span(self) -> Span:
        """The pinned span."""
        return Span(self.start, self.end)

    @property
    def is_final(self) -> bool:
        """Whether only an owner can move it on."""
        return self.state in FINAL


def is_point_in_time(params: str) -> bool:
    """Whether parameters say that a period counts as covered only by a statement of its own."""
    return f'"{POINT_IN_TIME}":true' in params


def turn(created_at: Instant, priority: Priority) -> int:
    """Where a job stands in the order of claiming; smaller goes first."""
    return created_at + int(priority) * AGEING


def check_move(state: str, verb: str, job: int) -> None:
    """Raise `NotAllowed` with the way on, unless `verb` may be done in `state`."""
    allowed, _ = MOVES[verb]
    if JobState(state) in allowed:
        return
    ways = sorted(v for v, (states, _) in MOVES.items() if state in states and v in OWNER_VERBS)
    hint = f"it can be: {', '.join(ways)}" if ways else "fill the same span again with a new job"
    raise NotAllowed(f"job {job} is {state} and cannot {verb}", hint=hint)


#: Verbs of people; the others are moves of the engine.
OWNER_VERBS = frozenset({"pause", "resume", "cancel", "retry"})
