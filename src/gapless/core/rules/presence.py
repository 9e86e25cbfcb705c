"""Rules of what is there and what is not: sessions, copied stretches, days that break off."""

from __future__ import annotations

import math

from gapless.core.lazily import pl
from gapless.core.rules.finding import Finding, Severity
from gapless.core.rules.scene import Flaw, Scene
from gapless.core.span import DAY, HOUR, Span

#: A stretch of emptiness less likely than this by the density of its own neighbourhood is no quiet minute.
UNLIKELY = math.log(1e-15)
#: Rows before (or after) the stretch that tell the density.
NEIGHBOURS = 500
#: Records of a stretch that was stored twice, under two times.
COPIED = 5


def closed_session(scene: Scene) -> Flaw | None:
    """A record on a day on which the exchange was closed."""
    if scene.sessions is None:
        return None
    day = pl.col("time").dt.convert_time_zone(scene.dataset.zone).dt.date()
    return Flaw(~day.is_in(list(scene.sessions)), pl.format("{} was no day of trading", day))


def missing_session(scene: Scene) -> list[Finding]:
    """A day of trading that the ledger vouches for, and no record."""
    if scene.sessions is None:
        return []
    grid, zone = scene.dataset.grid, scene.dataset.zone
    have = set(scene.rows["time"].dt.convert_time_zone(zone).dt.date())
    found = []
    for part in scene.covered:
        inside = part.clip(scene.span)
        at = grid.ceil(inside.start) if inside else 0
        while inside and at < inside.end:
            day = pl.Series([at], dtype=pl.Datetime("us", "UTC")).dt.convert_time_zone(zone).dt.date()[0]
            if day in scene.sessions and day not in have:
                found.append(_empty("missing_session", Span(at, grid.add(at, 1)), f"{day} was a day of trading"))
            at = grid.add(at, 1)
    return found


def _empty(rule: str, span: Span, evidence: str) -> Finding:
    return Finding(rule=rule, span=span, severity=Severity.WARNING, evidence=evidence)


def truncated_day(scene: Scene) -> list[Finding]:
    """Emptiness up to midnight, or from midnight on, that the density of its neighbourhood does not explain.

    A reply that was cut, or a loop that stepped by the day, leaves such holes. Quiet minutes lie anywhere, and so do
    halts: a stretch that touches no midnight (of UTC or of the dataset's zone) is believed.
    """
    step = getattr(scene.dataset.grid, "step", None)
    if step is None or step > HOUR or scene.keys or scene.rows.height < NEIGHBOURS:
        return []
    times = scene.rows["time"].dt.epoch("us")
    here, after = times, times.shift(-1)
    holes = pl.DataFrame({"start": here + step, "end": after, "row": pl.int_range(len(times), eager=True)})
    wide = holes.filter((pl.col("end") - pl.col("start")) >= 10 * step)
    found = []
    for start, end, row in wide.iter_rows():
        span = Span(start, end)
        if not (_is_covered(scene, span) and _touches_midnight(scene, span, step) and scene.span.overlaps(span)):
            continue
        density = max(_density(times, row - NEIGHBOURS, row, step), _density(times, row + 1, row + NEIGHBOURS, step))
        cells = (end - start) // step
        if density < 1 and cells * math.log(1 - density) > UNLIKELY:
            continue
        found.append(_empty("truncated_day", span, f"{cells} empty periods where {density:.0%} have a record"))
    return found


def _density(times: pl.Series, first: int, last: int, step: int) -> float:
    first, last = max(0, first), min(len(times) - 1, last)
    if last - first < NEIGHBOURS // 5:
        return 0.0
    # Halts inside the neighbourhood are no measure: the median distance tells the usual density.
    usual = times.slice(first, last - first + 1).diff().drop_nulls()
    spread = float(usual.clip(upper_bound=10 * step).mean())  # type: ignore[arg-type]
    return min(1.0, step / spread)


def _touches_midnight(scene: Scene, span: Span, step: int) -> bool:
    edges = {0, -9 * HOUR} if scene.dataset.zone == "UTC" else {0, -9 * HOUR % DAY}
    return any((at - edge) % DAY < step for at in (span.start, span.end) for edge in edges)


def _is_covered(scene: Scene, span: Span) -> bool:
    return any(one.start <= span.start and span.end <= one.end for one in scene.covered)


def copied(scene: Scene) -> list[Finding]:
    """A stretch of records with the numbers of another stretch: a page that was stored under a second time."""
    names = [name for name in ("open", "high", "low", "close", "volume", "value") if scene.has(name)]
    if "volume" not in names or "value" not in names or scene.keys:
        return []
    traded = scene.rows.with_row_index("row").filter(pl.col("volume") > 0)
    if traded.height < 2 * COPIED:
        return []
    marked = traded.with_columns(mark=pl.struct(names).hash())
    # The marks of so many records in a row, as one.
    run = marked.with_columns(run=pl.concat_list(pl.col("mark").shift(-k) for k in range(COPIED)).hash())
    run = run.head(run.height - COPIED + 1)
    later = run.filter(pl.col("run").is_duplicated() & ~pl.col("run").is_first_distinct())
    if not later.height:
        return []
    first = later["row"].to_list()
    grid, times = scene.dataset.grid, scene.rows["time"].dt.epoch("us")
    found = []
    for begin, end in _runs(first):
        last = min(scene.rows.height - 1, end + COPIED - 1)
        span = Span(times[begin], grid.add(times[last], 1))
        if scene.span.overlaps(span):
            found.append(
                Finding(
                    rule="copied",
                    span=span,
                    severity=Severity.ERROR,
                    evidence=f"{last - begin + 1} records repeat others, number by number",
                    rows=last - begin + 1,
                )
            )
    return found


def _runs(rows: list[int]) -> list[tuple[int, int]]:
    made: list[tuple[int, int]] = []
    for row in rows:
        if made and row <= made[-1][1] + COPIED:
            made[-1] = (made[-1][0], row)
        else:
            made.append((row, row))
    return made
