"""What the pages have to know of the datasets that there are."""

from __future__ import annotations

from typing import Any

from gapless.app import Gapless
from gapless.core.dataset import Axis, Dataset
from gapless.sources import KEYS

#: What most people want of a source: chosen first.
FIRST = ("upbit.candles.1m", "dart.dividends")


def datasets_json(history: Gapless) -> list[dict[str, Any]]:
    """Every dataset that can be filled."""
    return [dataset_json(history, one) for one in history.catalogue.datasets.values()]


def dataset_json(history: Gapless, one: Dataset) -> dict[str, Any]:
    """A dataset as forms and charts need it; `period` in seconds."""
    return {
        "name": one.name,
        "source": one.source,
        "axis": one.axis.value,
        "period": one.period.total_seconds(),
        "zone": one.zone,
        "example": one.example,
        "hasUnits": one.axis is Axis.FISCAL_YEAR,
        "variants": [{"code": code, "doc": variant.doc} for code, variant in one.variants.items()],
        "columns": [{"name": column.name, "type": column.type.value} for column in one.columns],
        "ready": one.source not in KEYS or bool(history.settings.api_keys.get(one.source)),
        "first": one.name in FIRST,
    }
