"""Collect a segment: what to ask next, ask it, and store what the reply proves.

Nothing is remembered between pages but the size of the next window: what is left is read from the ledger each time, in
the transaction that claims the segment or commits its page, so the cursor jumps over whatever others have fetched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter

from gapless.core.dataset import Dataset
from gapless.core.errors import LeaseLost
from gapless.core.job import Direction, Mode
from gapless.core.page import Ask, Page, Shape
from gapless.core.paging import Window, fit, goes_on, is_thin_page, next_ask, open_part, relax, widen
from gapless.core.plan import THIN, Facts, missing
from gapless.core.segment import Lease, Segment, Side
from gapless.core.span import Instant, Span, intersect, subtract, union
from gapless.sources.base import Source
from gapless.store import coverage, events, pages, payloads, quarantine, rows, segments, series
from gapless.store.database import Tx
from gapless.store.segments import Held
from gapless.store.store import Store
from gapless.work.base import Also, Asked, Left, nothing_else

_time_of = itemgetter(0)


def same(dataset: Dataset, series: str) -> str:  # noqa: ARG001  the form of a directory
    """The source calls a series what we call it."""
    return series


@dataclass(frozen=True, slots=True, kw_only=True)
class Collect:
    """Collecting one dataset from its source."""

    store: Store
    source: Source
    dataset: Dataset
    series: str
    #: The source's own word for a series; raises `UnknownSeries`.
    alias: Callable[[Dataset, str], str] = same
    #: Whether only periods with a statement of their own count as covered.
    own: bool = False
    #: Where what its job wants ends, if this segment reaches it.
    until: Instant | None = None

    @property
    def shape(self) -> Shape:
        """How the source pages; one period a request, where each is to have a statement of its own."""
        shape = self.source.shape(self.dataset, self.series)
        return replace(shape, rows=1) if self.own else shape

    def look(self, tx: Tx, lease: Lease, now: Instant, suspects: Sequence[Span] = ()) -> Left:
        """What a segment still misses; raises `LeaseLost`.

        `suspects` are cells that spoilt their reply and wait to be given up.
        """
        held = segments.look(tx, lease)
        if held is None:
            raise LeaseLost(f"segment {lease.segment.id} is in other hands")
        return self.left(tx, lease.segment, held, now, suspects)

    def ask(self, left: Left, series: str, window: Window, now: Instant) -> Asked | None:
        """The next request of a segment, or None when nothing is missing that may be asked for.

        Raises `UnknownSeries` where the source has no word for the series.
        """
        spans = open_part(left.spans, left.given_up, left.is_backward)
        if not spans:
            return None
        span, limit = next_ask(self.dataset.grid, spans, window, left.is_backward)
        walk = window.walk if goes_on(window.walk, spans, left.is_backward) else None
        ask = Ask(
            series=series,
            span=span if walk is None else walk.left,
            limit=limit,
            alias=self.alias(self.dataset, self.series),
            is_backward=left.is_backward,
            walk=walk,
        )
        return Asked(ask=ask, now=now, is_backward=left.is_backward)

    def left(self, tx: Tx, segment: Segment, held: Held, now: Instant, suspects: Sequence[Span] = ()) -> Left:
        """What a segment still misses, as far as one look goes."""
        bounds, is_backward = held.span, held.is_backward
        given_up = self._given_up(tx, segment, held) if held.has_quarantine else []
        given_up += suspects
        mode = Mode(segment.mode)
        since = held.since
        if mode is Mode.ALL and (held.since_at or 0) < segment.wished_at:
            since = None
        while True:
            known, seen_to = coverage.near(
                tx,
                held.series,
                bounds,
                backward=is_backward,
                job=held.job if mode is Mode.ALL else None,
            )
            if self.own:
                known = intersect(known, payloads.own(tx, self.dataset, self.series, held.series))
            looked_at = bounds
            if seen_to is not None:
                looked_at = Span(seen_to, bounds.end) if is_backward else Span(bounds.start, seen_to)
            facts = Facts(
                coverage=known,
                proof=known if mode is Mode.ALL else self._proof(tx, segment, bounds),
                quarantine=given_up,
                since=since,
                unavailable=self.dataset.unavailable(now, self.series),
            )
            recheck_from = segment.recheck_from if segment.recheck_from < bounds.end else None
            spans = missing(looked_at, facts, mode, recheck_from)
            if spans or seen_to is None:
                sounds = self._may_sound(segment, held, spans) and not self._is_dense(tx, held.series)
                return Left(spans=spans, is_backward=is_backward or sounds, given_up=given_up)
            bounds = Span(bounds.start, seen_to) if is_backward else Span(seen_to, bounds.end)

    def remaining(self, tx: Tx, lease: Lease, now: Instant) -> list[Span]:
        """What a running segment still misses, as far as one look goes: enough to decide where to cut it.

        Nothing while its first page may be under way from the other end.
        """
        held = segments.look(tx, lease)
        if held is None:
            return []
        spans = self.left(tx, lease.segment, held, now).spans
        return [] if self._may_sound(lease.segment, held, spans) else spans

    def _may_sound(self, segment: Segment, held: Held, spans: list[Span]) -> bool:
        """Whether nothing of a segment is in that may begin with the page at its newer end."""
        is_whole = len(spans) == 1 and spans[0].end == held.end and held.cursor == held.start
        return is_whole and not held.is_backward and self._may_turn(segment)

    def _is_dense(self, tx: Tx, series_id: int) -> bool:
        """Whether the newest page of a series is known to be dense: a part that was cut off need not sound again."""
        shape, grid = self.shape, self.dataset.grid
        newest = rows.newest(tx, self.dataset, series_id, shape.rows)
        return newest is not None and newest[0] >= max(shape.rows, THIN * grid.count(newest[1], grid.add(newest[2], 1)))

    def _proof(self, tx: Tx, segment: Segment, bounds: Span) -> list[Span]:
        if segment.recheck_from >= bounds.end:
            return []
        return coverage.spans(tx, segment.series, bounds, job=segment.job)

    def _given_up(self, tx: Tx, segment: Segment, held: Held) -> list[Span]:
        """Quarantined spans that this job may not ask: all in mode missing, else only those it gave up itself."""
        every = quarantine.of_series(tx, held.series, held.span)
        mine = Mode(segment.mode) is not Mode.MISSING
        return union(one.span for one in every if not mine or one.job == segment.job)

    def fetch(self, asked: Asked) -> Page:
        """Send the request; what the reply proves is cut at the frontier as it was when it left."""
        ask = asked.ask
        if self.dataset.revisions is not None and not self.own:
            ask = replace(ask, is_last=self._is_last(ask.span.end, asked.now))
        return self.cut(self.source.fetch(self.dataset, ask, asked.now), asked)

    def _is_last(self, end: Instant, now: Instant) -> bool:
        """Whether a later record that may tell of this one, too, could be had and is not."""
        if end != self.until or end >= self.dataset.frontier(now, self.series):
            return False
        with self.store.read() as tx:
            its = series.find(tx, self.dataset.name, self.series)
            return its is not None and not coverage.spans(tx, its, Span(end, self.dataset.grid.add(end, 1)))

    def cut(self, page: Page, asked: Asked) -> Page:
        """A page without what may still change: the frontier is the earlier of our clock's and the source's."""
        now = asked.now if page.source_time is None else min(asked.now, page.source_time)
        return page.before(self.dataset.frontier(now, self.series))

    def keep(
        self, asked: Asked, page: Page, lease: Lease, now: Instant, *, requests: int, also: Also = nothing_else
    ) -> Left:
        """Commit a page under its lease; raises `LeaseLost`. Returns what the segment misses after it."""
        segment = lease.segment
        proves = segment.mode == Mode.ALL or segment.recheck_from < segment.end

        def write(tx: Tx) -> Left:
            left_out = self._left_out(tx, page, lease, segment.job if proves else None)
            _, held = pages.commit(
                tx,
                self.dataset,
                page,
                lease,
                asked.now,
                prove=proves,
                direction=self._turn(asked, page, segment),
                requests=requests,
            )
            if left_out:
                told = f"{segment.name} {page.proven}: {left_out} of {left_out + len(page.rows)} left out"
                events.add(tx, now, "rows.left_out", told, job=segment.job, segment=segment.id)
            left = self.left(tx, segment, held, now)
            also(tx, left)
            return left

        return self.store.write(write)

    def _left_out(self, tx: Tx, page: Page, lease: Lease, job: int | None) -> int:
        """Records that the series leaves out, in what this page is the first to prove: lanes that meet may overlap."""
        held = segments.fence(tx, lease) if page.left_out and page.proven else None
        if held is None or page.proven is None:
            return 0
        fresh = subtract([page.proven], coverage.spans(tx, held.series, page.proven, job=job))
        return sum(any(at in one for one in fresh) for at in page.left_out)

    def window(self, window: Window, asked: Asked, page: Page) -> Window:
        """The window after a good page."""
        if self.shape.cap is not None:
            return fit(window, self.shape, asked.ask.limit, len(page.rows) + len(page.left_out))
        if asked.is_backward or not self.shape.jumps_back:
            # Of a page that proves nothing a narrow window learns nothing: it has not got past what is spoilt.
            known = window if page.proven is None else relax(window, self.shape)
            return known if known.walk is page.walk else replace(known, walk=page.walk)
        times = list(map(_time_of, page.rows))
        return widen(window, self.dataset.grid, self.shape, asked.ask.span, asked.ask.limit, times)

    def _turn(self, asked: Asked, page: Page, segment: Segment) -> str | None:
        """A historical half that meets emptiness turns round: backward, the source's count jumps over it."""
        if not self._may_turn(segment):
            return None
        times = list(map(_time_of, page.rows))
        return Direction.BACKWARD.value if is_thin_page(asked.ask.span, self.dataset.grid, times) else None

    def _may_turn(self, segment: Segment) -> bool:
        """Whether a segment began forward, and may go backward.

        Its first page is that of its newer end, which tells how dense the series is and counts whole either way: at the
        older end of a thin series most of a page would lie before what is wanted.
        """
        return not segment.is_backward and segment.may_turn and segment.side == Side.HISTORY and self.shape.jumps_back


def is_unanswered(asked: Asked, page: Page) -> bool:
    """Whether a page settles nothing of what was asked: it lies past the frontier of the source's clock."""
    if page.nothing_before is not None and page.nothing_before > asked.ask.span.start:
        return False
    if page.walk is not None:
        return False
    return page.proven is None or subtract([asked.ask.span], [page.proven]) == [asked.ask.span]
