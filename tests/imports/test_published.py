"""Published indices: files as their makers write them become rows, and how far they agree with ours is told."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

import gapless
from gapless.app import Gapless
from gapless.app.agreement import Agreement
from gapless.app.imports import Order, import_table
from gapless.cli import tree
from gapless.core.errors import UsageError
from gapless.core.job import JobState
from gapless.sandbox.process import SandboxProcess
from gapless.sandbox.published import alternative_me, cnn
from gapless.settings import Settings
from gapless.testing.dart import MovedClock

INDEX, INPUTS = "user.fear_greed", "user.daily"
NOW = "2024-06-14T03:00:00Z"
DOCUMENT = Path(__file__).parents[2] / "docs" / "fear-greed.md"
DAY_MS = 86_400_000
#: 10 September 2026, a Thursday.
THURSDAY = 1_789_000_000_000 // DAY_MS * DAY_MS


@pytest.fixture
def history(sqlite_made_url: str) -> Iterator[Gapless]:
    """An empty history; imports on both databases have their own tests."""
    with gapless.open(settings=Settings(database_url=sqlite_made_url), clock=MovedClock(NOW)) as opened:
        yield opened


def graph() -> dict[str, Any]:
    """CNN's JSON with two days that are over, and one that is not."""

    def block(*values: float | None, rating: str = "fear") -> dict[str, Any]:
        days = [THURSDAY + n * DAY_MS for n in (-2, -1, 0)]
        points = [{"x": float(x), "y": y, "rating": rating} for x, y in zip(days, values, strict=True)]
        return {"timestamp": 0.0, "score": 1.0, "data": [*points, {**points[-1], "x": THURSDAY + 61_200_000.0}]}

    return {
        "fear_and_greed": {"score": 33.25, "rating": "fear", "timestamp": "2026-09-10T17:00:00+00:00"},
        "fear_and_greed_historical": block(38.2, 35.5, 33.25),
        "market_momentum_sp500": block(7580.0, 7590.5, 7591.7),
        "market_momentum_sp125": block(7300.0, 7310.0, 7329.8),
        "stock_price_strength": block(-1.5, None, -1.894),
        "stock_price_breadth": block(840.0, 841.0, 843.18),
        "put_call_options": block(0.7, 0.71, 0.7409),
        "market_volatility_vix": block(17.0, 17.5, 17.84),
        "market_volatility_vix_50": block(16.0, 16.1, 16.15),
        "safe_haven_demand": block(-0.2, -0.21, -0.2426),
        "junk_bond_demand": block(1.2, 1.21, 1.2204),
    }


def fng(**changes: Any) -> dict[str, Any]:
    """alternative.me's JSON, newest first."""
    days = [
        {"value": "47", "value_classification": "Neutral", "timestamp": "1777248000", "time_until_update": "100"},
        {"value": "9", "value_classification": "Extreme Fear", "timestamp": "1777161600"},
    ]
    return {"name": "Fear and Greed Index", "data": days, "metadata": {"error": None}, **changes}


def order(path: Path, body: Any, kind: str, dataset: str = INDEX, **more: Any) -> Order:
    path.write_bytes(body if isinstance(body, bytes) else json.dumps(body).encode())
    return Order(dataset=dataset, source=str(path), columns={}, format=kind, **more)


def stored(history: Gapless, dataset: str, series: str) -> list[tuple[object, ...]]:
    frame = history.read(dataset, series, "2010-01-01", "2026-12-31", fill=False)
    return frame.with_columns(pl.col("time").dt.date()).rows()


@pytest.fixture
def late(sqlite_made_url: str) -> Iterator[Gapless]:
    """An empty history in the time of the notes' samples."""
    clock = MovedClock("2026-11-21T00:00:00Z")
    with gapless.open(settings=Settings(database_url=sqlite_made_url), clock=clock) as opened:
        yield opened


def test_cnn_tells_its_index_and_the_inputs_of_ours(late: Gapless, tmp_path: Path) -> None:
    """Days that are over, each once; what has no value is no row; the helper series count for nothing."""
    made = import_table(late, order(tmp_path / "cnn.json", graph(), "cnn"))
    assert (made.rows, made.series, made.duplicates, made.covered) == (2, 1, 0, 0)
    assert stored(late, INDEX, "CNN") == [(date(2026, 9, 8), 38.2, "fear"), (date(2026, 9, 9), 35.5, "fear")]

    made = import_table(late, order(tmp_path / "cnn.json", graph(), "cnn", INPUTS))
    assert (made.rows, made.series) == (13, 7)
    assert stored(late, INPUTS, "US.close") == [(date(2026, 9, 8), 7580.0), (date(2026, 9, 9), 7590.5)]
    assert stored(late, INPUTS, "US.strength") == [(date(2026, 9, 8), -1.5)]


def test_alternative_me_is_read_from_its_texts(late: Gapless, tmp_path: Path) -> None:
    made = import_table(late, order(tmp_path / "fng.json", fng(), "alternative.me", vouch="rows"))
    assert (made.rows, made.covered) == (2, 2)
    assert stored(late, INDEX, "alternative.me") == [
        (date(2026, 4, 26), 9.0, "extreme fear"),
        (date(2026, 4, 27), 47.0, "neutral"),
    ]


def spoilt(change: str) -> bytes:
    old, new = change.split(" -> ")
    text = json.dumps(fng())
    assert old in text
    return text.replace(old, new, 1).encode()


@pytest.mark.parametrize(
    ("kind", "dataset", "body", "said"),
    [
        ("cnn", INDEX, {**graph(), "fear_and_greed_historical": {}}, "missing required field `data`"),
        ("cnn", INPUTS, {k: v for k, v in graph().items() if k != "junk_bond_demand"}, "junk_bond_demand"),
        ("cnn", INDEX, b"I am a teapot", "is not what --format says"),
        ("cnn", INDEX, json.dumps(graph()).replace('"fear"', '"angst"').encode(), "rating 'angst' is no band"),
        ("alternative.me", INDEX, spoilt('"47" -> 47'), "Expected `str`, got `int`"),
        ("alternative.me", INDEX, spoilt('"47" -> "470"'), "value '470' of record 1 is not 0 to 100"),
        ("alternative.me", INDEX, spoilt('"1777161600" -> "04-26-2026"'), "leave date_format out"),
        ("alternative.me", INDEX, spoilt('"1777161600" -> "1777161601"'), "no record of user.fear_greed starts at"),
        ("alternative.me", INDEX, fng(metadata={"error": "busy"}), "it holds an error: busy"),
        ("alternative.me", INDEX, fng(data=[]), "has no day that is over"),
        ("alternative.me", INPUTS, fng(), "user.daily takes nothing of alternative.me"),
        ("fng", INDEX, fng(), "format: 'fng' is unknown"),
    ],
)
def test_what_is_not_as_it_was_published_is_named_and_nothing_is_stored(
    late: Gapless, tmp_path: Path, kind: str, dataset: str, body: Any, said: str
) -> None:
    with pytest.raises(UsageError) as raised:
        import_table(late, order(tmp_path / "file.json", body, kind, dataset))
    assert said in str(raised.value)
    assert not late.series(late.dataset(dataset))


def test_a_format_tells_its_own_columns(late: Gapless, tmp_path: Path) -> None:
    made = order(tmp_path / "cnn.json", graph(), "cnn")
    with pytest.raises(UsageError, match="leave --map and --table out"):
        import_table(late, Order(dataset=INDEX, source=made.source, columns={"time": "x"}, format="cnn"))
    with pytest.raises(UsageError, match="cannot be read"):
        import_table(late, Order(dataset=INDEX, source="nowhere.json", columns={}, format="cnn"))


# -- agreement


def published(history: Gapless, path: Path, name: str, scores: dict[date, float]) -> None:
    """Store days of a published index."""
    frame = pl.DataFrame({"time": list(scores), "score": list(scores.values())})
    frame.write_parquet(path)
    import_table(history, Order(dataset=INDEX, source=str(path), series=name, columns={}))


def test_agreement_is_what_a_few_lines_say(history: Gapless, tmp_path: Path) -> None:
    """Only days that both have count; where no band is told, the score tells it."""
    days = [date(2024, 1, 1) + timedelta(days=n) for n in range(6)]
    mine, theirs = [10.0, 30.0, 50.0, 60.0, 90.0], [20.0, 24.0, 58.0, 70.0, 80.0]
    published(history, tmp_path / "a.parquet", "A", dict(zip(days, mine, strict=False)))
    published(history, tmp_path / "b.parquet", "B", dict(zip(days, [*theirs, 1.0], strict=True)))

    found = history.compare(f"{INDEX}:A", f"{INDEX}:B")

    expected = pl.DataFrame({"a": mine, "b": theirs}).select(pl.corr("a", "b")).item()
    assert found == Agreement(
        mine=f"{INDEX}:A",
        theirs=f"{INDEX}:B",
        days=5,
        first=days[0],
        last=days[4],
        correlation=pytest.approx(expected),
        difference=pytest.approx((10 + 6 + 8 + 10 + 10) / 5),
        same_band=pytest.approx(3 / 5),
    )
    assert history.compare(f"{INDEX}:A", f"{INDEX}:B", "2024-01-04", "2024-01-05").correlation is None
    itself = history.compare(f"{INDEX}:A", f"{INDEX}:A")
    assert (itself.correlation, itself.difference, itself.same_band) == (pytest.approx(1.0), 0.0, 1.0)


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        ((f"{INDEX}:A", f"{INDEX}:B"), "no day has both"),
        ((f"{INDEX}:A", f"{INDEX}:C"), "nothing of user.fear_greed:C is stored"),
        ((f"{INDEX}:A", "CNN"), "'CNN' names no series"),
        ((f"{INDEX}:A", "user.feargreed:CNN"), "did you mean user.fear_greed"),
        ((f"{INDEX}:A", "krx.stocks:KOSPI"), "has no one value a day"),
    ],
)
def test_what_cannot_be_compared_is_named(history: Gapless, tmp_path: Path, pair: tuple[str, str], said: str) -> None:
    published(history, tmp_path / "a.parquet", "A", {date(2024, 1, 1): 1.0})
    published(history, tmp_path / "b.parquet", "B", {date(2024, 1, 2): 1.0})
    with pytest.raises(UsageError, match=said):
        history.compare(*pair)


def documented(name: str) -> tuple[int, float, float, float]:
    """Days, correlation, mean difference and share of the same band that the document states for a series."""
    row = re.search(
        rf"^\| `{re.escape(name)}` \| [^|]* \| ([\d,]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) % \|",
        DOCUMENT.read_text(),
        re.MULTILINE,
    )
    assert row is not None, f"{name} is not in {DOCUMENT.name}"
    return int(row[1].replace(",", "")), float(row[2]), float(row[3]), float(row[4]) / 100


def assert_documented(found: Agreement) -> None:
    days, correlation, difference, same_band = documented(found.mine)
    assert found.days == days
    assert found.correlation == pytest.approx(correlation, abs=0.01)
    assert found.difference == pytest.approx(difference, abs=0.1)
    assert found.same_band == pytest.approx(same_band, abs=0.01)


def test_the_us_index_of_cnn_s_inputs_agrees_as_documented(history: Gapless, tmp_path: Path) -> None:
    """From one file: its index, and the inputs that ours is computed from."""
    body = cnn(date(2019, 1, 1), date(2024, 6, 13))
    import_table(history, order(tmp_path / "cnn.json", body, "cnn"))
    import_table(history, order(tmp_path / "cnn.json", body, "cnn", INPUTS, vouch="2017-01-01..2024-06-12"))
    running = history.compute("index.fear_greed", "", "2021-01-01", "2024-06-12", params={"market": "US"})
    assert running.wait() is JobState.DONE
    assert_documented(history.compare("index.fear_greed:US", f"{INDEX}:CNN"))


def test_the_crypto_index_agrees_with_a_published_one_as_documented(sqlite_made_url: str, tmp_path: Path) -> None:
    """Six years of three simulated markets, and the command that tells it."""
    with SandboxProcess("upbit", rate=0, now=NOW) as upbit:
        settings = Settings(database_url=sqlite_made_url, base_urls={"upbit": upbit.url}, rates={"upbit": None})
        with gapless.open(settings=settings, clock=MovedClock(NOW)) as history:
            params = {"market": "CRYPTO"}
            running = history.compute("index.fear_greed", "", "2020-01-01", "2024-06-12", params=params)
            assert running.wait() is JobState.DONE
            frame = history.read("upbit.candles.1d", "KRW-BTC", "2018-01-01", "2024-06-12", fill=False)
            days = {at.date(): (close, value) for at, close, value in frame.select("time", "close", "value").rows()}
            import_table(history, order(tmp_path / "fng.json", alternative_me(days), "alternative.me"))
            found = history.compare("index.fear_greed:CRYPTO", f"{INDEX}:alternative.me")
            assert_documented(found)
    done = CliRunner().invoke(tree(), ["compare", found.mine, found.theirs, "--json", "--database", sqlite_made_url])
    told = json.loads(done.stdout)
    assert (told["days"], told["correlation"]) == (found.days, pytest.approx(found.correlation))
    assert datetime.fromisoformat(told["first"]).replace(tzinfo=UTC).date() == found.first
