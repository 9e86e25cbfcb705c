"""Rules of the domain: prices, volumes, sums, and values that nobody would believe."""

from __future__ import annotations

from gapless.core.lazily import pl
from gapless.core.rules.scene import Flaw, Scene

#: Relative slack of comparisons between products of floats.
SLACK = 1e-6
#: A move counts as a spike from so many robust standard deviations on, and from this size on.
SIGMAS, LEAST = 12.0, 0.08
#: Nobody multiplies in one period: such a step is another unit, or a split.
STEP = 4.0
#: Share of cells of a bar that have to trade for the rows of its series to be called busy.
_MAD = 1.4826


def _c(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.Float64)


def low_high(scene: Scene) -> Flaw | None:
    """low <= open, close <= high."""
    if not scene.has("open", "high", "low", "close"):
        return None
    low, high = _c("low"), _c("high")
    bad = (low > pl.min_horizontal(_c("open"), _c("close"))) | (high < pl.max_horizontal(_c("open"), _c("close")))
    return Flaw(bad, pl.format("open {} high {} low {} close {}", "open", "high", "low", "close"))


def positive_price(scene: Scene) -> Flaw | None:
    """Prices are above zero."""
    names = [name for name in ("open", "high", "low", "close") if scene.has(name)]
    if not names:
        return None
    return Flaw(pl.min_horizontal(_c(name) for name in names) <= 0, pl.format("lowest price {}", _lowest(names)))


def _lowest(names: list[str]) -> pl.Expr:
    return pl.min_horizontal(_c(name) for name in names)


def negative_amount(scene: Scene) -> Flaw | None:
    """Volume and value are not below zero."""
    names = [name for name in ("volume", "value", "shares", "cap") if scene.has(name)]
    return Flaw(_lowest(names) < 0, pl.format("lowest amount {}", _lowest(names))) if names else None


def value_by_volume(scene: Scene) -> Flaw | None:
    """The value traded lies between low × volume and high × volume."""
    if not scene.has("high", "low", "volume", "value") or scene.has("index"):
        return None
    low, high = _c("low") * _c("volume"), _c("high") * _c("volume")
    # Providers round amounts to whole units of the quote currency.
    room = SLACK * high.abs() + 1
    bad = (_c("value") < low - room) | (_c("value") > high + room)
    return Flaw(bad, pl.format("value {} is not within {} and {}", "value", low, high))


def half_traded(scene: Scene) -> Flaw | None:
    """There is volume where there is value, and the other way round."""
    if not scene.has("volume", "value"):
        return None
    one_is_zero = (_c("volume") == 0) != (_c("value") == 0)
    # A trade of less than one unit of the quote currency rounds to nothing.
    is_small = pl.max_horizontal(_c("value"), _c("volume") * (_c("close") if scene.has("close") else 1.0)) < 1
    return Flaw(one_is_zero & ~is_small, pl.format("volume {} and value {}", "volume", "value"))


def spike(scene: Scene) -> Flaw | None:
    """A price that jumps, and jumps back with the next record: robust, by the median of the series' own moves."""
    if not scene.has("close"):
        return None
    move = (_c("close") / scene.before("close")).log()
    back = scene.within(move.shift(-1))
    usual = scene.within((move - move.median()).abs().median()) * _MAD
    limit = pl.max_horizontal(usual * SIGMAS, pl.lit(LEAST))
    returned = (move + back).abs() < 0.3 * pl.max_horizontal(move.abs(), back.abs())
    bad = (move.abs() > limit) & (back.abs() > limit) & (move.sign() != back.sign()) & returned
    return Flaw(bad, pl.format("close {} after {}, and back", "close", scene.before("close")))


def step(scene: Scene) -> Flaw | None:
    """A price in another unit: four times, or a quarter, from one record to the next, and it stays."""
    if not scene.has("close"):
        return None
    ratio = _c("close") / scene.before("close")
    if scene.has("shares"):
        # A split changes the number of shares the other way.
        ratio = ratio * (_c("shares") / scene.before("shares"))
    return Flaw((ratio >= STEP) | (ratio <= 1 / STEP), pl.format("close {} after {}", "close", scene.before("close")))


def wick(scene: Scene) -> Flaw | None:
    """A high or low far from all that was opened and closed at: ten times the price of its own record."""
    if not scene.has("open", "high", "low", "close"):
        return None
    bad = (_c("high") >= 10 * pl.max_horizontal(_c("open"), _c("close"))) | (
        _c("low") <= pl.min_horizontal(_c("open"), _c("close")) / 10
    )
    return Flaw(bad, pl.format("high {} low {} close {}", "high", "low", "close"))


def repeated(scene: Scene) -> Flaw | None:
    """A traded record with the same numbers as the one before it: a copy under another time."""
    names = [name for name in ("open", "high", "low", "close", "volume", "value") if scene.has(name)]
    if not {"close", "volume", "value"} <= set(names):
        return None
    same = [pl.col(name) == scene.before(name) for name in names]
    # Round lots at one price repeat by themselves; a volume with many digits does not.
    is_odd = (_c("volume") > 0) & (_c("high") > _c("low")) if scene.has("high", "low") else _c("volume") > 0
    return Flaw(pl.all_horizontal(same) & is_odd, pl.format("the same numbers as the record before ({})", "close"))


def frozen(scene: Scene, rows: int = 60) -> Flaw | None:
    """So many records in a row with the same close, while volume is traded and has many values: a stuck price."""
    if not scene.has("close", "volume"):
        return None
    moved = (pl.col("close") != scene.before("close")).fill_null(value=True)
    run = moved.cum_sum()
    length = pl.len().over([run, *scene.keys]) if scene.keys else pl.len().over(run)
    usual = scene.within(moved.mean())
    busy = scene.within((_c("volume") > 0).mean()) > 0.5
    return Flaw((length >= rows) & (usual > 0.5) & busy, pl.format("close stays at {} for {} records", "close", length))


def late_tick(scene: Scene) -> Flaw | None:
    """The last trade belongs to its record."""
    if not scene.has("last_tick_at") or scene.rows.schema["last_tick_at"] != pl.Datetime("us", "UTC"):
        return None
    tick = pl.col("last_tick_at")
    # The provider stamps a trade when it has stored it: up to a minute past the end was seen.
    end = pl.col("time") + scene.dataset.period + pl.duration(minutes=2)
    if scene.dataset.axis in ("month", "fiscal year"):
        end = end + pl.duration(days=5)
    return Flaw((tick < pl.col("time")) | (tick > end), pl.format("last trade at {}", tick))


def previous_close(scene: Scene) -> Flaw | None:
    """What a record says of the close before it is what stands there."""
    if not scene.has("prev_close", "close"):
        return None
    told, before = _c("prev_close"), scene.before("close").cast(pl.Float64)
    is_next = (pl.col("time") - scene.before("time")) == scene.dataset.period
    bad = is_next & ((told - before).abs() > SLACK * before.abs())
    return Flaw(bad, pl.format("prev_close {} after a close of {}", told, before))


def change_sum(scene: Scene) -> Flaw | None:
    """change = close - prev_close, change_rate = change / prev_close."""
    if not scene.has("close", "prev_close", "change", "change_rate"):
        return None
    close, before, change, rate = (_c(name) for name in ("close", "prev_close", "change", "change_rate"))
    room = SLACK * pl.max_horizontal(close.abs(), before.abs()) + 1e-9
    bad = ((change - (close - before)).abs() > room) | ((rate - change / before).abs() > 1e-6)
    return Flaw(bad, pl.format("change {} rate {} from {} to {}", change, rate, before, close))


def cap_sum(scene: Scene) -> Flaw | None:
    """Capitalisation = close × shares listed."""
    if not scene.has("cap", "close", "shares"):
        return None
    made = _c("close") * _c("shares")
    return Flaw((_c("cap") - made).abs() > SLACK * made.abs() + 1, pl.format("cap {}, close × shares {}", "cap", made))


def year_sum(scene: Scene) -> Flaw | None:
    """A fiscal year is named as the day that begins it, or as the year before (one that ends in spring)."""
    if not scene.has("fiscal_year") or scene.rows.schema["fiscal_year"] != pl.Int64:
        return None
    year = pl.col("time").dt.convert_time_zone(scene.dataset.zone).dt.year().cast(pl.Int64)
    return Flaw((year - pl.col("fiscal_year")).abs() > 1, pl.format("fiscal_year {}", "fiscal_year"))
