"""Rules of form: grid, future, numbers, keys, order."""

from __future__ import annotations

from gapless.core.grid import Steps
from gapless.core.lazily import pl
from gapless.core.rules.scene import Flaw, Scene


def off_grid(scene: Scene) -> Flaw | None:
    """A record that starts where none can."""
    grid = scene.dataset.grid
    times = scene.rows["time"].dt.epoch("us")
    if isinstance(grid, Steps):
        mask = (times - grid.origin) % grid.step != 0
    else:
        starts = {one: grid.floor(one) != one for one in times.unique().to_list()}
        mask = times.replace_strict(starts, return_dtype=pl.Boolean) if starts else times.is_null()
    return Flaw(mask, pl.lit("no record of this dataset starts then"))


def future(scene: Scene) -> Flaw | None:
    """A record that cannot be final yet."""
    return Flaw(pl.col("time").dt.epoch("us") >= scene.frontier, pl.lit("lies past the frontier: it may still change"))


def not_finite(scene: Scene) -> Flaw | None:
    """A number that is none: NaN or infinite."""
    floats = [name for name, kind in scene.rows.schema.items() if kind == pl.Float64]
    if not floats:
        return None
    bad = [pl.col(name).is_finite().not_().fill_null(value=False) for name in floats]
    named = pl.concat_str(
        [pl.when(one).then(pl.lit(f"{name} ")).otherwise(pl.lit("")) for one, name in zip(bad, floats, strict=True)]
    )
    return Flaw(pl.any_horizontal(bad), pl.format("{}is no finite number", named))


def null(scene: Scene) -> Flaw | None:
    """A field without a value that has to have one."""
    required = [one.name for one in scene.dataset.columns if not one.nullable and one.name in scene.rows.columns]
    if not required:
        return None
    empty = [pl.col(name).is_null() for name in required]
    named = pl.concat_str(
        [pl.when(one).then(pl.lit(f"{name} ")).otherwise(pl.lit("")) for one, name in zip(empty, required, strict=True)]
    )
    return Flaw(pl.any_horizontal(empty), pl.format("{}is missing", named))


def blank_key(scene: Scene) -> Flaw | None:
    """A key that is blank or has spaces around it: two records of one thing under two names."""
    texts = [name for name in scene.keys if scene.rows.schema[name] == pl.String]
    if not texts:
        return None
    bad = [(pl.col(name) != pl.col(name).str.strip_chars()) | (pl.col(name) == "") for name in texts]
    return Flaw(pl.any_horizontal(bad), pl.format("key {!r}".replace("{!r}", "'{}'"), pl.col(texts[0])))


def disorder(scene: Scene) -> Flaw | None:
    """The same key twice, or a record before its predecessor: only where rows come from elsewhere than a data table."""
    keys = ["time", *scene.keys]
    twice = pl.struct(keys).is_duplicated() & ~pl.struct(keys).is_first_distinct()
    return Flaw(twice | (scene.before("time") > pl.col("time")), pl.lit("comes twice, or out of order"))
