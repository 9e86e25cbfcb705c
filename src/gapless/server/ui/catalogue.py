"""What the pages have to know of the datasets that there are."""

from __future__ import annotations

from typing import Any

from gapless.app import Gapless
from gapless.core.dataset import Axis, Dataset
from gapless.core.errors import UsageError

#: What most people want of a source: chosen first.
FIRST = ("upbit.candles.1m", "dart.dividends")


def datasets_json(history: Gapless) -> list[dict[str, Any]]:
    """Every dataset, also those that are imported and cannot be filled."""
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
        "key": list(one.key),
        "columns": [{"name": column.name, "type": column.type.value} for column in one.columns],
        "hint": _hint(history, one),
        "first": one.name in FIRST,
    }


def _hint(history: Gapless, one: Dataset) -> str:
    """What has to be set before the source can be asked; empty where nothing is missing."""
    try:
        history.catalogue.source(one).check()
    except UsageError as error:
        return str(error)
    return ""
