"""Published indices of fear and greed, as files that a user has saved: read strictly, for comparison with our own.

Neither is fetched by us: CNN's address is undocumented and refuses programs, so it is left to the user. The shapes are
from the project's notes on both; a missing or odd field is an error that names it.

- CNN (`graphdata`): `x` is milliseconds of UTC. The day that the file was made on still changes, and its last point may
  lie within it: that day is left out. Points without a value are left out. `y` of the blocks of the seven indicators
  is what they measure, not a score: they are the inputs of the US index.
- alternative.me (`fng/?limit=0`): numbers are text, `timestamp` is seconds at midnight UTC. Its terms want the source
  to be named wherever the data is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec

from gapless.core.errors import UsageError
from gapless.core.index.preset import BANDS
from gapless.core.lazily import pl

INDEX, INPUTS = "user.fear_greed", "user.daily"
#: Our series by CNN's name of an indicator.
INDICATORS = {
    "market_momentum_sp500": "US.close",
    "market_volatility_vix": "US.vix",
    "stock_price_strength": "US.strength",
    "stock_price_breadth": "US.breadth",
    "put_call_options": "US.put_call",
    "safe_haven_demand": "US.safe_haven",
    "junk_bond_demand": "US.junk_bond",
}


class _Point(msgspec.Struct):
    x: float
    y: float | None
    rating: str


class _Block(msgspec.Struct):
    data: list[_Point]


class _Now(msgspec.Struct):
    timestamp: datetime


class _Cnn(msgspec.Struct):
    fear_and_greed: _Now
    fear_and_greed_historical: _Block
    market_momentum_sp500: _Block
    market_volatility_vix: _Block
    stock_price_strength: _Block
    stock_price_breadth: _Block
    put_call_options: _Block
    safe_haven_demand: _Block
    junk_bond_demand: _Block


class _Day(msgspec.Struct):
    value: str
    value_classification: str
    timestamp: str


class _Metadata(msgspec.Struct):
    error: str | None


class _Alternative(msgspec.Struct):
    data: list[_Day]
    metadata: _Metadata


def _wrong(path: str, why: str, hint: str) -> UsageError:
    return UsageError(f"file: {path}: {why}", field="file", hint=hint)


def _cnn_index(path: str, body: bytes) -> list[dict[str, Any]]:
    told = _decoded(path, body, _Cnn)
    return [
        {"series": "CNN", "time": day, "score": point.y, "band": _band(path, point.rating)}
        for day, point in _days(told, told.fear_and_greed_historical)
    ]


def _cnn_inputs(path: str, body: bytes) -> list[dict[str, Any]]:
    told = _decoded(path, body, _Cnn)
    return [
        {"series": series, "time": day, "value": point.y}
        for name, series in INDICATORS.items()
        for day, point in _days(told, getattr(told, name))
    ]


def _days(told: _Cnn, block: _Block) -> list[tuple[date, _Point]]:
    """Points that have a value, of days before the one on which the file was made."""
    made = told.fear_and_greed.timestamp.astimezone(UTC).date()
    dated = [(datetime.fromtimestamp(point.x / 1000, UTC).date(), point) for point in block.data]
    return [(day, point) for day, point in dated if point.y is not None and day < made]


def _alternative(path: str, body: bytes) -> list[dict[str, Any]]:
    told = _decoded(path, body, _Alternative)
    if told.metadata.error is not None:
        raise _wrong(path, f"it holds an error: {told.metadata.error}", "fetch it again")
    made = []
    for number, one in enumerate(told.data, 1):
        if not one.timestamp.isascii() or not one.timestamp.isdigit():
            raise _wrong(path, f"timestamp {one.timestamp!r} of record {number} is no seconds", "leave date_format out")
        if not one.value.isascii() or not one.value.isdigit() or int(one.value) > 100:
            raise _wrong(path, f"value {one.value!r} of record {number} is not 0 to 100", "fetch it again")
        day = datetime.fromtimestamp(int(one.timestamp), UTC)
        band = _band(path, one.value_classification)
        made.append({"series": "alternative.me", "time": day, "score": float(one.value), "band": band})
    return made


def _band(path: str, text: str) -> str:
    if text.lower() not in BANDS:
        raise _wrong(path, f"rating {text!r} is no band", f"there are: {', '.join(BANDS)}")
    return text.lower()


def _decoded(path: str, body: bytes, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as error:
        raise _wrong(path, f"is not what --format says ({error})", "give the JSON as it was published") from None


#: What can be read out of a format, by the dataset that takes it.
FORMATS: Mapping[str, Mapping[str, Callable[[str, bytes], list[dict[str, Any]]]]] = {
    "cnn": {INDEX: _cnn_index, INPUTS: _cnn_inputs},
    "alternative.me": {INDEX: _alternative},
}


def read(format_: str, dataset: str, source: str) -> pl.DataFrame:
    """The records of a saved file for a dataset, as a table with our columns; raises `UsageError`."""
    if format_ not in FORMATS:
        listed = " or ".join(FORMATS)
        raise UsageError(f"format: {format_!r} is unknown", field="format", hint=f"give {listed}")
    if dataset not in FORMATS[format_]:
        listed = " or ".join(FORMATS[format_])
        raise UsageError(f"dataset: {dataset} takes nothing of {format_}", field="dataset", hint=f"give {listed}")
    try:
        body = Path(source).read_bytes()
    except OSError as error:
        raise _wrong(source, f"cannot be read ({error.strerror})", "check the path") from None
    found = FORMATS[format_][dataset](source, body)
    if not found:
        raise _wrong(source, "has no day that is over", "save it again later")
    return pl.DataFrame(found, infer_schema_length=None)
