"""Every rule that looks at rows, by level; and how their findings are put together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gapless.core.lazily import pl
from gapless.core.rules import basic, presence, prices
from gapless.core.rules.finding import Finding, Level, Severity, gathered
from gapless.core.rules.scene import Flaw, Scene
from gapless.core.span import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule that marks rows."""

    name: str
    level: Level
    severity: Severity
    find: Callable[[Scene], Flaw | None]


def _rule(find: Callable[[Scene], Flaw | None], level: Level, severity: Severity = Severity.ERROR) -> Rule:
    return Rule(name=find.__name__, level=level, severity=severity, find=find)


_MARKING = [
    *(_rule(one, Level.BASIC) for one in (basic.off_grid, basic.future, basic.not_finite, basic.null)),
    *(_rule(one, Level.BASIC) for one in (basic.blank_key, basic.disorder)),
    *(
        _rule(one, Level.STANDARD)
        for one in (
            prices.low_high,
            prices.positive_price,
            prices.negative_amount,
            prices.value_by_volume,
            prices.half_traded,
            prices.late_tick,
            prices.previous_close,
            prices.change_sum,
            prices.cap_sum,
            prices.year_sum,
            prices.repeated,
            presence.closed_session,
        )
    ),
    *(_rule(one, Level.STANDARD, Severity.WARNING) for one in (prices.spike, prices.step, prices.wick, prices.frozen)),
]
#: Rules that look at what is not there, or at many rows together.
_TELLING: list[tuple[Level, Callable[[Scene], list[Finding]]]] = [
    (Level.STANDARD, presence.missing_session),
    (Level.STANDARD, presence.truncated_day),
    (Level.STANDARD, presence.copied),
]
RULES = [*(one.name for one in _MARKING), *(find.__name__ for _, find in _TELLING)]


def check(scene: Scene, level: Level) -> list[Finding]:
    """Everything that the rules of a level find in a stretch, by span."""
    levels = level.includes
    found: list[Finding] = []
    if scene.rows.height:
        found += _marked(scene, [one for one in _MARKING if one.level in levels])
    for its_level, find in _TELLING:
        if its_level in levels:
            found += find(scene)
    return sorted(found, key=lambda one: (one.span, one.rule))


def _marked(scene: Scene, rules: list[Rule]) -> list[Finding]:
    flaws = [(rule, flaw) for rule in rules if (flaw := rule.find(scene)) is not None]
    masks = scene.rows.select(flaw.mask.alias(rule.name) for rule, flaw in flaws)
    inside = scene.rows["time"].dt.epoch("us").is_between(scene.span.start, scene.span.end, closed="left")
    found: list[Finding] = []
    for rule, flaw in flaws:
        hit = masks[rule.name].fill_null(value=False) & inside
        if hit.any():
            found += _told(scene, rule, hit, flaw)
    return found


def _told(scene: Scene, rule: Rule, hit: pl.Series, flaw: Flaw) -> list[Finding]:
    """Rows in a row become one finding, with the words of the first."""
    keys = scene.keys
    words = scene.rows.select("time", *keys, evidence=flaw.evidence).with_row_index("row").filter(hit)
    # Where several records share a time, neighbours are rows of one key.
    order = words.sort(*keys, "row", maintain_order=True) if keys else words
    fresh = (pl.col("row").diff() != 1).fill_null(value=True) if not keys else pl.lit(value=True)
    grouped = (
        order.with_columns(run=fresh.cast(pl.Int64).cum_sum() if not keys else pl.int_range(pl.len()))
        .group_by("run", maintain_order=True)
        .agg(
            pl.col("time").first().dt.epoch("us").alias("start"),
            pl.col("time").last().dt.epoch("us").alias("last"),
            pl.col("evidence").first(),
            pl.concat_str(*keys).first().alias("key") if keys else pl.lit("").alias("key"),
            rows=pl.len(),
        )
    )
    grid = scene.dataset.grid
    told = [
        Finding(
            rule=rule.name,
            span=Span(start, max(start + 1, grid.add(last, 1))),
            severity=rule.severity,
            evidence=f"{key}: {evidence}" if key else str(evidence),
            rows=rows,
        )
        for start, last, evidence, key, rows in grouped.select("start", "last", "evidence", "key", "rows").iter_rows()
    ]
    return gathered(told)
