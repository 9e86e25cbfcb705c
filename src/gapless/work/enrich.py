"""Value the events of a company: each question to the provider once, then all events at once, in one bulk update.

A segment is one company. Answers stay in memory until the last one is there; then values, raw answers and the proof
that the company was gone over are one transaction. So a crash repeats the questions of the companies under way and
nothing else. What the key's plan does not cover leaves its values empty with that reason; a company whose prices it
does not cover, or which is unknown, is held and stays listed, and the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache
from operator import itemgetter
from threading import Lock
from typing import Any

import msgspec

from gapless.core.clock import Clock
from gapless.core.dataset import Dataset
from gapless.core.errors import NotCovered, UnknownSeries
from gapless.core.events import FLOATS, INTS, VALUED
from gapless.core.lazily import pl
from gapless.core.pacing import Limit
from gapless.core.page import Page, Raw, Shape
from gapless.core.paging import Window
from gapless.core.segment import Lease
from gapless.core.span import HOUR, SECOND, Instant, Span, iso, moment
from gapless.core.valuation import VALUES, value
from gapless.sources.fmp import Fmp
from gapless.sources.fmp.records import ENDPOINTS, Endpoint
from gapless.store import events, payloads, valued
from gapless.store.database import Tx
from gapless.store.store import Store
from gapless.store.valued import Event
from gapless.work.answers import inputs_of
from gapless.work.base import Also, Asked, Left, nothing_else
from gapless.work.sessions import exchange_of
from gapless.work.stretches import Effect, Stretches

#: Companies at once, whatever the slots.
MOST_AT_ONCE = 10
#: Version of what reads the answers.
PARSER = 1
#: Prices before the first event: the own median looks back five years.
LOOK_BACK = timedelta(days=1900)
#: One company is one stretch, whatever its length.
UNDIVIDED = 10**12
#: Answers of a company that had to wait are believed for so long.
FRESH = HOUR

#: Writes values elsewhere, by the key of each event; done before our own commit, so it must not mind being repeated.
WriteBack = Callable[[Mapping[str, Any], Sequence[Mapping[str, Any]]], None]


class Params(msgspec.Struct, rename="camel"):
    """The parameters of such a job."""

    valuation: bool = True
    overwrite: bool = False
    #: Where results are written back to; see `app/enriching.py`.
    write_back: dict[str, Any] | None = None


@dataclass(slots=True)
class _Answers:
    """What is known of a company so far."""

    begun: Instant
    since: date
    events: list[Event]
    told: dict[str, list[Any]] = field(default_factory=dict)
    bodies: list[tuple[str, bytes]] = field(default_factory=list)
    lacking: dict[str, str] = field(default_factory=dict)
    #: The question that comes next, and where its page begins.
    place: int = 0
    after: str = ""
    requests: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Partial(Page):
    """An answer that is not the last one: nothing is stored yet."""


class Enrich:
    """The chore of valuing events."""

    def __init__(
        self,
        store: Store,
        fmp: Fmp,
        clock: Clock,
        limit: Callable[[], Limit],
        write_back: WriteBack | None = None,
        endpoints: Sequence[Endpoint] = ENDPOINTS,
    ) -> None:
        self.store = store
        self.fmp = fmp
        self.clock = clock
        self.endpoints = endpoints
        self.write_back = write_back
        self._limit = limit
        #: By segment, with the epoch under which they were got.
        self._waiting: dict[int, tuple[int, _Answers]] = {}
        self._lock = Lock()

    def check(self) -> None:
        """The provider wants a key."""
        self.fmp.check()

    def shape(self, dataset: Dataset, series: str) -> Shape:  # noqa: ARG002  all companies alike
        """One stretch a company."""
        return Shape(rows=UNDIVIDED, jumps_back=False)

    def limit(self, dataset: Dataset) -> Limit:  # noqa: ARG002  one budget
        """The provider's budget."""
        return self._limit()

    def work(self, lease: Lease, dataset: Dataset) -> Valuing:
        """The work on one company."""
        return Valuing(self, lease, dataset)

    def begin(self, tx: Tx, lease: Lease) -> _Answers:
        """The events to value, and the answers so far: of this process, if the company had to wait, else none."""
        now = self.clock.now()
        with self._lock:
            epoch, known = self._waiting.get(lease.segment.id, (0, None))
        # Whoever had the company in between may still be asking.
        if known is not None and epoch == lease.epoch - 1 and now - known.begun < FRESH:
            return known
        params = msgspec.json.decode(lease.segment.params, type=Params)
        listed = valued.of_company(tx, lease.segment.series, now, all_of_them=params.overwrite)
        oldest = moment(listed[0].time).date() if listed else moment(now).date()
        return _Answers(begun=now, since=oldest - LOOK_BACK, events=listed)

    def put_aside(self, lease: Lease, answers: _Answers) -> None:
        """Keep answers for when the company goes on; those of a later lease stay."""
        with self._lock:
            if self._waiting.get(lease.segment.id, (0, None))[0] <= lease.epoch:
                self._waiting[lease.segment.id] = lease.epoch, answers

    def forget(self, lease: Lease) -> None:
        """The company is done."""
        with self._lock:
            self._waiting.pop(lease.segment.id, None)


class Valuing:
    """One company, for as long as one slot holds it."""

    def __init__(self, chore: Enrich, lease: Lease, dataset: Dataset) -> None:
        self._chore = chore
        self._lease = lease
        self._answers: _Answers | None = None
        self._stretches = Stretches(
            store=chore.store,
            dataset=dataset,
            shape=chore.shape(dataset, lease.segment.name),
            lease=lease,
            go=lambda _, __: self._effect(),
        )

    @property
    def dataset(self) -> Dataset:
        """The dataset of events."""
        return self._stretches.dataset

    @property
    def shape(self) -> Shape:
        """One stretch."""
        return self._stretches.shape

    def look(self, tx: Tx, lease: Lease, now: Instant, suspects: Sequence[Span] = ()) -> Left:
        """Whether the company was gone over; if not, its events."""
        left = self._stretches.look(tx, lease, now, suspects)
        if left.spans and self._answers is None:
            self._answers = self._chore.begin(tx, lease)
        return left

    def ask(self, left: Left, series: str, window: Window, now: Instant) -> Asked | None:
        """The next question."""
        return self._stretches.ask(left, series, window, now)

    def fetch(self, asked: Asked) -> Page:
        """Ask the next question; after the last one, compute."""
        answers = self._answers
        assert answers is not None
        if answers.events and answers.place < len(self._chore.endpoints):
            self._chore.put_aside(self._lease, answers)
            self._ask_next(answers)
            if answers.place < len(self._chore.endpoints):
                return Partial(rows=[], proven=asked.ask.span)
        return self._stretches.fetch(asked)

    def keep(
        self, asked: Asked, page: Page, lease: Lease, now: Instant, *, requests: int, also: Also = nothing_else
    ) -> Left:
        """After the last answer commit everything; before it, nothing."""
        answers = self._answers
        assert answers is not None
        answers.requests += requests
        if isinstance(page, Partial):
            return Left(spans=[asked.ask.span], is_backward=asked.is_backward, given_up=[])
        left = self._stretches.keep(asked, page, lease, now, requests=answers.requests, also=also)
        self._chore.forget(lease)
        return left

    def cut(self, page: Page, asked: Asked) -> Page:
        """The page itself."""
        return self._stretches.cut(page, asked)

    def window(self, window: Window, asked: Asked, page: Page) -> Window:
        """Always the same."""
        return self._stretches.window(window, asked, page)

    def remaining(self, tx: Tx, lease: Lease, now: Instant) -> list[Span]:
        """All or nothing."""
        return self._stretches.remaining(tx, lease, now)

    def _ask_next(self, answers: _Answers) -> None:
        endpoint, symbol = self._chore.endpoints[answers.place], self._lease.segment.name
        try:
            part = self._chore.fmp.ask(endpoint, symbol, answers.since, answers.after)
        except NotCovered as error:
            if endpoint.name == "prices":
                raise
            answers.lacking[endpoint.name] = error.message
            answers.place, answers.after = answers.place + 1, ""
            return
        if endpoint.name == "prices" and not part.records and not answers.after:
            raise UnknownSeries(f"fmp has no prices of {symbol}", source="fmp", hint="check the ticker")
        answers.told.setdefault(endpoint.name, []).extend(part.records)
        answers.bodies.append((f"{endpoint.name}{f'/{answers.after}' if answers.after else ''}", part.body))
        if part.after:
            answers.after = part.after
        else:
            answers.place, answers.after = answers.place + 1, ""

    def _effect(self) -> Effect:
        """Compute all values; what comes back writes them."""
        answers, segment, now = self._answers, self._lease.segment, self._chore.clock.now()
        assert answers is not None
        params = msgspec.json.decode(segment.params, type=Params)
        results = valued_rows(answers.events, self._values(answers), now)
        if params.write_back and self._chore.write_back and results:
            self._chore.write_back(params.write_back, [named(one) for one in results])
        raws = [Raw(name=name, version="", body=body) for name, body in answers.bodies]
        kept = [payloads.packed(segment.series, raw, segment.span, PARSER, now) for raw in raws]
        note = f"{segment.name}: {len(results)} events valued, {answers.requests + 1} requests"

        def effect(tx: Tx) -> int:
            payloads.keep_all(tx, kept)
            events.add(tx, now, "events.valued", note, job=segment.job, segment=segment.id)
            return valued.write(tx, segment.series, results)

        return effect

    def _values(self, answers: _Answers) -> pl.DataFrame | None:
        if not answers.events:
            return None
        name = self._lease.segment.name
        exchange = exchange_of(name)
        inputs = inputs_of(answers.told, exchange, answers.lacking, name)
        times = [one.time for one in answers.events]
        asked = pl.DataFrame({"event": range(len(times)), "at": times}).with_columns(
            pl.col("at").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
        )
        return value(asked, inputs).sort("event")


def valued_rows(listed: Sequence[Event], told: pl.DataFrame | None, now: Instant) -> list[tuple[Any, ...]]:
    """Rows for the bulk update: the columns of `VALUED`, then time, kind and id.

    Without a query: for the few rows of a company those of polars cost more than they save.
    """
    if told is None:
        return []
    places = {name: place for place, name in enumerate(told.columns)}
    numbers, why, dates = (itemgetter(*[places[name] for name in names]) for names in (_NUMBERS, _WHY, _DATES))
    return [
        (now, *numbers(row), _basis(tuple(map(_stamp, dates(row)))), _reasons(why(row)), one.time, one.kind, one.id)
        for one, row in zip(listed, told.rows(), strict=True)
    ]


def named(row: tuple[Any, ...]) -> dict[str, Any]:
    """A row of the bulk update by its names; times as datetimes."""
    told = dict(zip((*VALUED, "time", "kind", "id"), row, strict=True))
    return told | {"valued_at": moment(told["valued_at"]), "time": moment(told["time"])}


#: The values in the order of their columns, why they are missing, and the dates of their inputs.
_NUMBERS = [*FLOATS, *INTS]
_WHY = [f"{one.name}_reason" for one in VALUES]
_DATES = sorted({name for one in VALUES for name in one.dates})


@lru_cache(maxsize=100_000)
def _stamp(at: Instant | None) -> str | None:
    """A moment as it stands in JSON, to the second."""
    return None if at is None else iso(at // SECOND * SECOND)


def _basis(stamps: tuple[str | None, ...]) -> str:
    """As JSON the dates of the inputs that there are."""
    return _form(tuple([one is not None for one in stamps])) % tuple([one for one in stamps if one is not None])


@lru_cache(maxsize=10_000)
def _form(there: tuple[bool, ...]) -> str:
    """The form of such JSON: most events of a company have the same one, encoding each takes ten times as long."""
    pairs = [f'"{name}":"%s"' for name, is_there in zip(_DATES, there, strict=True) if is_there]
    return f"{{{','.join(pairs)}}}"


@lru_cache(maxsize=10_000)
def _reasons(told: tuple[str | None, ...]) -> str:
    """As JSON why each of the others is missing."""
    missing = {one.name: why for one, why in zip(VALUES, told, strict=True) if why is not None}
    return msgspec.json.encode(missing).decode()
