"""Coverage, rows and figures over HTTP, on both databases."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

import gapless
from gapless.app import Gapless, enriching
from gapless.core.actor import Role
from gapless.core.span import HOUR, Span, instant
from gapless.sandbox.process import SandboxProcess
from gapless.server.process import Serving
from gapless.store import accounts, quarantine, series
from gapless.testing.history import MINUTES, settings_for

HOURS = [instant(datetime(2024, 1, 1, tzinfo=UTC)) + number * HOUR for number in range(25)]
WINDOW = {"from": "2024-01-01", "to": "2024-01-01"}


@pytest.fixture(params=["sqlite", "postgresql"])
def history(request: pytest.FixtureRequest, tmp_path: Path, provider: SandboxProcess) -> Iterator[Gapless]:
    """Six hours of minutes of KRW-BTC on 2024-01-01, of which the last is given up; then nothing."""
    made = replace(settings_for(tmp_path, provider.url), database_url=request.getfixturevalue(f"{request.param}_url"))
    with gapless.open(settings=made) as opened:
        opened.backfill(MINUTES, "KRW-BTC", "2024-01-01T00:00Z", "2024-01-01T05:00Z").wait()

        def spoil(tx: Any) -> None:
            its_id = series.ensure(tx, MINUTES, "KRW-BTC")
            quarantine.add(tx, its_id, Span(*HOURS[5:7]), job=1, reason="spoilt", at=HOURS[0])

        opened.store.write(spoil)
        yield opened


@pytest.fixture
def api(history: Gapless, hashed: str) -> Iterator[httpx.Client]:
    """A client of a viewer."""
    with Serving(history, "127.0.0.1", 0) as serving:
        history.store.write(lambda tx: accounts.add(tx, "viewer", Role.VIEWER, hashed, 0))
        token = history.accounts.add_token("viewer", "test", Role.VIEWER)[1]
        with httpx.Client(base_url=serving.url, headers={"Authorization": f"Bearer {token}"}, timeout=60) as made:
            yield made


def test_what_is_stored_is_drawn_listed_read_and_counted(api: httpx.Client, history: Gapless):
    """One history, seen from every side; all of them agree."""
    drawn(api)
    listed(api)
    read(api)
    counted(api)
    found_by_name(api)
    unknown(api, history)
    imported(api, history)


def imported(api: httpx.Client, history: Gapless) -> None:
    """Of events nobody knows what is missing; what is there is counted."""
    told = [{"ticker": "AAPL", "at": f"2024-05-0{day}T12:00:00Z", "kind": "earnings"} for day in (2, 3)]
    enriching.add(history, told, enriching.Columns(ticker="ticker", time="at", kind="kind"), origin="test")
    (one,) = [its for its in api.get("/api/series").json()["series"] if its["dataset"] == "events"]
    assert (one["series"], one["start"], one["rows"]) == ("AAPL", "2024-05-02T12:00:00Z", 2)
    assert "AAPL" not in api.get("/api/coverage", params=WINDOW).text
    assert "AAPL" not in api.get("/api/coverage/gaps", params=WINDOW).text


def unknown(api: httpx.Client, history: Gapless) -> None:
    """A mistyped name leaves a failed job, and no series; what is wanted and not there yet is one."""
    assert history.backfill(MINUTES, "KRW-TYPO", "2024-01-01", "2024-01-01").wait() == "failed"
    history.create(history.wish(history.dataset(MINUTES), "KRW-ETH", "2024-01-01", "2024-01-01"), hold=True)
    for path, words in (("/api/series", {}), ("/api/coverage", WINDOW)):
        seen = api.get(path, params=words).json()
        assert ([one["series"] for one in seen["series"]], seen["total"]) == (["KRW-BTC", "KRW-ETH"], 2)
    assert not any(one["series"] == "KRW-TYPO" for one in api.get("/api/coverage/gaps", params=WINDOW).json()["gaps"])


def drawn(api: httpx.Client) -> None:
    """A column an hour: five present, one given up, the rest missing."""
    seen = api.get("/api/coverage", params={**WINDOW, "width": 24}).json()
    (one,) = seen["series"]
    assert (seen["from"], seen["to"]) == ("2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z")
    assert (one["dataset"], one["series"], one["runs"]) == (MINUTES, "KRW-BTC", [[5, 1], [1, 3], [18, 0]])
    assert one["percent"] == pytest.approx(100 * 5 / 24, abs=0.001)
    assert api.get("/api/coverage", params={**WINDOW, "only": "gaps"}).json()["total"] == 1
    early = {"from": "2024-01-01T00:00Z", "to": "2024-01-01T04:00Z"}
    assert api.get("/api/coverage", params={**early, "only": "gaps"}).json()["total"] == 0
    assert api.get("/api/coverage", params={**early, "width": 10}).json()["series"][0]["runs"] == [[10, 1]]
    whole = api.get("/api/coverage").json()["series"][0]
    assert sum(count for count, _ in whole["runs"]) == 900
    assert api.get("/api/coverage", params={"from": "soon"}).json()["field"] == "from"
    assert api.get("/api/coverage", params={"width": 0}).json()["field"] == "width"


def listed(api: httpx.Client) -> None:
    """The twin in words."""
    seen = api.get("/api/coverage/gaps", params=WINDOW).json()
    assert [(one["start"], one["end"], one["cells"], one["state"], one["reason"]) for one in seen["gaps"]] == [
        ("2024-01-01T06:00:00Z", "2024-01-02T00:00:00Z", 1080, "missing", ""),
        ("2024-01-01T05:00:00Z", "2024-01-01T06:00:00Z", 60, "quarantined", "spoilt"),
    ]


def read(api: httpx.Client) -> None:
    """The same rows in four formats; the newest of them; too many are refused."""
    path = f"/api/series/{MINUTES}/KRW-BTC/rows"
    plain = api.get(path, params={"start": "2024-01-01T04:00Z", "end": "2024-01-01T07:00Z"}).json()
    assert len(plain["rows"]) <= 60
    assert plain["gaps"] == [
        ["2024-01-01T05:00:00Z", "2024-01-01T06:00:00Z"],
        ["2024-01-01T06:00:00Z", "2024-01-01T07:00:00Z"],
    ]
    frames = {}
    readers = {"csv": pl.read_csv, "parquet": pl.read_parquet, "arrow": pl.read_ipc_stream}
    for kind, reader in readers.items():
        answer = api.get(path, params={"format": kind, "start": "2024-01-01T04:00Z", "end": "2024-01-01T07:00Z"})
        assert answer.headers["content-disposition"] == f'attachment; filename="{MINUTES}-KRW-BTC.{kind}"'
        frames[kind] = reader(io.BytesIO(answer.content))
    close = plain["columns"].index("close")
    for frame in frames.values():
        assert frame.columns == plain["columns"]
        assert frame["close"].to_list() == [one[close] for one in plain["rows"]]
    last = api.get(path, params={"last": 7}).json()
    assert [one[0] for one in last["rows"]] == [one[0] for one in plain["rows"][-7:]]
    assert api.get(path, params={"as_of": "2024"}).status_code == 422
    assert api.get(path, params={"start": "2024-01-01", "end": "2023-01-01"}).status_code == 422
    assert api.get(f"/api/series/{MINUTES}/KRW-NONE/rows").status_code == 404
    assert api.get("/api/series/no.such/KRW-BTC").status_code == 404


def counted(api: httpx.Client) -> None:
    """The shape that monitors rely on, and the page for Prometheus."""
    said = api.get("/api/batch/metrics").json()
    assert {part: set(fields) for part, fields in said.items()} == {
        "system": {"activeJobs", "queuedJobs", "completedToday", "failedToday", "avgProcessingTime"},
        "performance": {"itemsPerSecond", "memoryUsage", "cpuUsage"},
        "health": {"status", "errorRate"},
    }
    assert said["system"]["completedToday"] == 1
    assert said["system"]["avgProcessingTime"] > 0
    assert re.fullmatch(r"\d+MB", said["performance"]["memoryUsage"])
    assert said["health"] == {"status": "HEALTHY", "errorRate": 0}
    text = api.get("/metrics").text
    assert 'gapless_jobs{state="done"} 1.0' in text
    assert 'gapless_budget_requests_total{budget="upbit/candle"}' in text
    assert 'route="/api/coverage",status="200"' in text
    system = api.get("/api/system").json()
    assert [one["key"] for one in system["budgets"]] == ["upbit/candle"]
    assert system["process"]["memoryBytes"] > 10_000_000


def found_by_name(api: httpx.Client) -> None:
    """Series and datasets."""
    assert api.get("/api/series", params={"q": "btc", "dataset": "upbit"}).json()["total"] == 1
    assert api.get("/api/series", params={"q": "%"}).json()["total"] == 0
    one = api.get(f"/api/series/{MINUTES}/KRW-BTC").json()
    assert (one["start"], one["end"]) == ("2024-01-01T00:00:00Z", "2024-01-01T05:00:00Z")
    assert len(one["jobs"]) == 1
    names = {its["name"]: its["isReady"] for its in api.get("/api/datasets").json()["datasets"]}
    assert names[MINUTES]
    assert not names["dart.dividends"]
