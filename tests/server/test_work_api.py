"""Jobs over stored things: made over HTTP as they are on the command line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import gapless
from gapless.app import Gapless, enriching
from gapless.sandbox.process import SandboxProcess
from gapless.testing.history import settings_for


@pytest.fixture
def history(tmp_path: Path, provider: SandboxProcess) -> Iterator[Gapless]:
    """An empty history that has a key for the source of values."""
    made = replace(settings_for(tmp_path, provider.url), api_keys={"fmp": "k" * 32})
    with gapless.open(settings=made) as opened:
        yield opened


def test_events_are_valued_by_a_job(client, history):
    """By both names of the route; one job of the same wish; writing to tables is for admins."""
    api = client("operator")
    assert api.post("/backfillEventsTable", json={}).json()["field"] == "events"
    told = [{"ticker": "AAPL", "event_date": "2024-05-02"}, {"ticker": "MSFT", "event_date": "2024-05-03"}]
    enriching.add(history, told, enriching.Columns(zone="America/New_York"), origin="a test")

    made = api.post("/api/batch/event-valuation", json={"tickers": "AAPL, MSFT", "name": "values", "autoStart": False})
    assert made.status_code == 202, made.text
    job = made.json()
    assert (job["kind"], job["state"], job["seriesCount"], job["owner"]) == ("enrich", "paused", 2, "operator")
    assert api.post("/backfillEventsTable", json={}).json()["id"] == job["id"]
    back = {"table": "events", "columns": {"per": "value_per"}}
    assert api.post("/api/batch/event-valuation", json={"writeBack": back}).status_code == 403
    assert api.get(f"/api/batch/jobs/{job['id']}").json()["kind"] == "enrich"


def test_answers_that_are_all_read_need_no_migration(client):
    """409 says that nothing is to do, 422 that the dataset keeps no answers."""
    api = client("operator")
    assert api.post("/api/batch/data-migration", json={"dataset": "dart.dividends"}).status_code == 409
    answer = api.post("/api/batch/data-migration", json={"dataset": "upbit.candles.1m"})
    assert (answer.status_code, answer.json()["field"]) == (422, "dataset")
