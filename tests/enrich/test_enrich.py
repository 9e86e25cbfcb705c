"""Valuing events: each question once a company, all its events in one update, and never a company for another."""

from __future__ import annotations

import json
import threading
from collections import Counter
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import polars as pl
import pytest
from sqlalchemy import create_engine, text

import gapless
from gapless.app import Gapless, enriching, outside
from gapless.app.enriching import Columns
from gapless.app.parts import owner
from gapless.app.sectors import compare
from gapless.core.errors import UsageError
from gapless.core.events import COMPARED, EVENTS, VALUED
from gapless.core.job import JobState
from gapless.core.span import instant
from gapless.core.valuation import VALUES
from gapless.sandbox.fmp.world import World
from gapless.sources.fmp import Fmp
from gapless.store import payloads, series
from gapless.store.sqlite import dbapi
from gapless.testing.dart import MovedClock
from gapless.testing.fleet import eventually
from gapless.testing.fmp import NOW, fmp_settings

#: Before events were compared with their sector.
OLD = "UPDATE alembic_version SET version_num = '0010'"
COLUMNS = Columns(ticker="ticker", time="at", kind="kind", id="id")


def row(number: int, ticker: str, at: str, **more: Any) -> dict[str, Any]:
    return {"id": number, "ticker": ticker, "at": at, "kind": "earnings", **more}


ROWS = [
    row(1, "AAPL", "2024-05-02T16:30:00-04:00", note="after the close"),
    row(2, "AAPL", "2024-05-02T09:00:00-04:00"),
    row(3, "AAPL", "2023-11-24T13:30:00-05:00"),
    row(4, "MSFT", "2024-03-10"),
    row(5, "MSFT", "2019-03-10"),
    row(6, "BRK-B", "2024-01-01"),
]


def add(history: Gapless, rows: list[dict[str, Any]] | None = None) -> enriching.Added:
    return enriching.add(history, rows or ROWS, COLUMNS, origin="test")


def run(history: Gapless, *tickers: str, **more: Any) -> Any:
    running = history.run(history.create(enriching.wish(history, owner(), tickers, **more)).job.id)
    running.wait()
    return running.job


def stored(history: Gapless, ticker: str) -> list[dict[str, Any]]:
    frame = history.read(EVENTS.name, ticker, "1990", "2027", fill=False)
    return list(frame.sort("time").iter_rows(named=True))


def asked(fmp) -> Counter[tuple[str, str, str]]:
    return Counter((path, symbol, mark) for _, path, symbol, mark, _ in fmp.stats(log=True)["log"])


# The run


def test_each_question_is_asked_once_a_company(history, fmp):
    """Three events cost what one costs."""
    add(history)
    job = run(history)
    assert job.state == JobState.DONE, job.error
    questions = asked(fmp)
    assert set(questions.values()) == {1}
    assert {symbol for _, symbol, _ in questions} == {"AAPL", "MSFT", "BRK-B"}
    paths = Counter(path for path, symbol, mark in questions if symbol == "AAPL" and mark in ("", "0"))
    assert len(paths) == 7
    assert all(one["valued_at"] is not None for name in ("AAPL", "MSFT", "BRK-B") for one in stored(history, name))


def test_what_is_stored_is_what_the_provider_published(history, fmp):
    """The close before each event, by the calendar of New York: half day, summer time, weekend."""
    add(history)
    run(history)
    prices = dict(World(last=datetime(2026, 3, 20, tzinfo=UTC).date()).company("AAPL").prices)  # type: ignore[union-attr]
    half_day, before_open, after_close = stored(history, "AAPL")
    # The Friday after Thanksgiving closes at 13:00: at 13:30 that close is known.
    assert half_day["close"] == prices[datetime(2023, 11, 24, tzinfo=UTC).date()]
    assert before_open["close"] == prices[datetime(2024, 5, 1, tzinfo=UTC).date()]
    assert after_close["close"] == prices[datetime(2024, 5, 2, tzinfo=UTC).date()]
    (_, sunday) = stored(history, "MSFT")
    assert json.loads(sunday["basis"])["closed"] == "2024-03-08T21:00:00Z"
    assert sunday["certainty"] == "day"


def test_every_value_has_its_dates_and_every_gap_its_reason(history, fmp):
    """All dates of values lie before the event."""
    add(history)
    run(history)
    for name in ("AAPL", "MSFT", "BRK-B"):
        for event in stored(history, name):
            basis, reasons = json.loads(event["basis"]), json.loads(event["reasons"])
            for what, at in basis.items():
                assert what.startswith("return_") or datetime.fromisoformat(at) < event["time"]
            for one in VALUES:
                if event[one.name] is None:
                    assert reasons[one.name]
                else:
                    assert one.name not in reasons
                    assert not event[one.name] or set(one.dates) <= set(basis)
            assert set(reasons) <= {one.name for one in VALUES}
            # With more than a kilobyte in all SQLite gives the event a page of its own.
            assert len(event["basis"]) + len(event["reasons"]) < 700


def test_answers_are_kept(sqlite_history, fmp):
    """A better parser can read them again without a request."""
    add(sqlite_history)
    run(sqlite_history, "AAPL")
    with sqlite_history.store.read() as tx:
        kept = payloads.of_series(tx, series.find(tx, EVENTS.name, "AAPL") or 0)
    assert {one.raw.name.partition("/")[0] for one in kept} == {
        "prices",
        "splits",
        "income",
        "balance",
        "earnings",
        "targets",
        "grades",
    }
    assert all(one.raw.body.startswith(b"[") for one in kept)


def test_a_company_that_fails_does_not_stop_the_others(history, fmp):
    """Unknown, not covered, broken: each stays listed with its reason; retry takes them alone."""
    add(history, [*ROWS, row(7, "NONE", "2024-01-01"), row(8, "BAD", "2024-01-01"), row(9, "KEPT.KS", "2024-01-02")])
    fmp.control(broken=["BAD"])
    job = run(history)
    assert job.state == JobState.INCOMPLETE
    assert job.error.startswith("3 series. ")
    for name, why in (("BAD", "trouble"), ("KEPT.KS", "does not cover prices"), ("NONE", "check the ticker")):
        assert any(told.startswith(f"{name}: ") and why in told for told in job.error[10:].split(" · ")), job.error
    assert stored(history, "AAPL")[0]["valued_at"] is not None
    assert stored(history, "BAD")[0]["valued_at"] is None
    fmp.control(broken=[], plan="ultimate", reset_stats=True)
    history.jobs.retry(job.id)
    assert history.run(job.id).wait() == JobState.INCOMPLETE
    assert {symbol for _, symbol, _ in asked(fmp)} == {"BAD", "KEPT.KS", "NONE"}
    assert stored(history, "BAD")[0]["valued_at"] is not None
    assert stored(history, "KEPT.KS")[0]["close"] is not None


def test_a_ticker_is_the_same_however_it_is_written(sqlite_history):
    """The provider's are upper-case."""
    added = add(sqlite_history, [row(1, "aapl", "2024-05-02"), row(2, "AAPL", "2024-05-03")])
    assert (added.rows, added.companies) == (2, 1)
    assert len(sqlite_history.read(EVENTS.name, "AAPL", "2024")) == 2


def test_a_file_without_rows_is_refused(tmp_path: Path):
    """It is an export that went wrong, or no table at all."""
    place = tmp_path / "events.csv"
    for body in (b"\xff\xfe\x00", b"ticker,event_date\n"):
        place.write_bytes(body)
        with pytest.raises(UsageError, match="no rows"):
            enriching.read_file(place)


def test_what_the_plan_does_not_cover_is_empty_with_that_reason(sqlite_history, fmp):
    """The other values are there."""
    add(sqlite_history)
    fmp.control(uncovered=["grades"])
    assert run(sqlite_history, "AAPL").state == JobState.DONE
    event = stored(sqlite_history, "AAPL")[-1]
    assert event["close"] is not None
    assert event["buy"] is None
    assert "plan does not cover" in json.loads(event["reasons"])["buy"]


def test_what_has_values_is_left_alone_unless_told_otherwise(sqlite_history, fmp):
    """`overwrite` asks again; without it a second run costs nothing."""
    add(sqlite_history)
    run(sqlite_history)
    with pytest.raises(UsageError, match="events"):
        enriching.wish(sqlite_history, owner())
    add(sqlite_history, [row(10, "MSFT", "2025-05-05")])
    fmp.control(reset_stats=True)
    assert run(sqlite_history).state == JobState.DONE
    assert {symbol for _, symbol, _ in asked(fmp)} == {"MSFT"}
    assert run(sqlite_history, "AAPL", overwrite=True).state == JobState.DONE


def test_a_job_that_was_left_goes_on_where_it_was(sqlite_url, fmp):
    """Companies that are done are not asked for again; the one under way begins anew, elsewhere."""
    settings = fmp_settings(sqlite_url, fmp)
    with gapless.open(settings=settings, clock=MovedClock(NOW)) as first:
        add(first)
        job = first.create(enriching.wish(first, owner())).job
        first.step(job.id, 11)
    done = {symbol for (_, symbol, _), count in asked(fmp).items() if count}
    fmp.control(reset_stats=True)
    with gapless.open(settings=settings, clock=MovedClock(NOW)) as second:
        assert second.run(job.id).wait() == JobState.DONE
        assert all(one["valued_at"] for name in ("AAPL", "MSFT", "BRK-B") for one in stored(second, name))
    again = {symbol for _, symbol, _ in asked(fmp)}
    assert len(done & again) <= 1
    assert set(asked(fmp).values()) == {1}


def test_a_company_that_had_to_wait_keeps_its_answers(sqlite_history, fmp):
    """A budget that is spent in the middle costs no question twice in the same process."""
    add(sqlite_history)
    job = sqlite_history.create(enriching.wish(sqlite_history, owner(), ["AAPL"])).job
    assert sqlite_history.step(job.id, 4) == 4
    assert len(asked(fmp)) == 4
    assert sqlite_history.run(job.id).wait() == JobState.DONE
    assert set(asked(fmp).values()) == {1}


def test_two_who_ask_for_one_company_share_no_answers(sqlite_history, fmp):
    """Cancelled and retried while a question was out: its late answer must not count as one of the new questions."""
    history, out, late = sqlite_history, threading.Event(), threading.Event()
    add(history)
    source = history.catalogue.sources[Fmp.name]
    ask = source.ask

    def held(endpoint: Any, *more: Any) -> Any:
        part = ask(endpoint, *more)
        if endpoint.name == "income" and not out.is_set():
            out.set()
            assert late.wait(30)
        return part

    source.ask = held
    job = history.create(enriching.wish(history, owner(), ["AAPL"])).job
    running = history.run(job.id)
    assert out.wait(30)
    history.jobs.cancel(job.id)
    history.jobs.retry(job.id)
    eventually(lambda: max(asked(fmp).values()) == 2 and len(asked(fmp)) > 3, "it is asked anew")
    late.set()
    assert running.wait() == JobState.DONE
    assert all(one["pbr"] is not None for one in stored(history, "AAPL"))


def test_a_ticker_without_events_is_named(sqlite_history):
    """A slip of the pen must not look like a company that is done."""
    add(sqlite_history)
    for more in ({}, {"overwrite": True}):
        with pytest.raises(UsageError, match="TYPO has no events"):
            enriching.wish(sqlite_history, owner(), ["AAPL", "TYPO"], **more)


# Sectors


def test_events_are_compared_with_their_sector(history, fmp):
    """With the others' ratios at earlier events; a new valuation makes a comparison void."""
    tickers = ["AAPL", "MSFT", "NVDA", "ORCL", "IBM", "INTC", "AMD", "CSCO"]
    rows = [
        row(place, ticker, f"2024-0{1 + place // 4}-{10 + place}T12:00:00-05:00", sector="technology")
        for place, ticker in enumerate(tickers)
    ]
    add(history, [*rows, row(99, "XOM", "2024-03-01T12:00:00-05:00")])
    with pytest.raises(UsageError, match="fact"):
        compare(history)
    assert run(history).state == JobState.DONE
    told = compare(history)
    assert (told.events, told.sectors) == (9, 1)
    (alone,) = stored(history, "XOM")
    assert alone["per_to_sector"] is None
    assert "no sector" in json.loads(alone["sector_basis"])["reason"]
    every = sorted((stored(history, ticker)[0] for ticker in tickers), key=lambda one: one["time"])
    seen = 0
    for place, event in enumerate(every):
        before = [one["per"] for one in every[:place] if one["per"] is not None]
        basis = json.loads(event["sector_basis"])
        if event["per"] is None or len(before) < 5:
            assert event["per_to_sector"] is None
            assert basis["reason"]
        else:
            seen += 1
            assert event["per_to_sector"] == pytest.approx(event["per"] / median(before) - 1)
            assert datetime.fromisoformat(basis["to"]) < event["time"]
    assert 0 < seen == told.compared
    assert compare(history) == told
    run(history, "CSCO", overwrite=True)
    assert stored(history, "CSCO")[0]["sector_basis"] is None


def test_a_table_of_an_older_version_gets_the_columns(database_url, fmp):
    """Its events keep what they have."""
    settings = fmp_settings(database_url, fmp)
    with gapless.open(settings=settings, clock=MovedClock(NOW)) as before:
        add(before)
        for old in (*[f"ALTER TABLE {EVENTS.table} DROP COLUMN {name}" for name in COMPARED], OLD):
            before.store.write(lambda tx, said=old: tx.cursor.execute(said))
    with gapless.open(settings=settings, clock=MovedClock(NOW)) as after:
        assert [one["per_to_sector"] for one in stored(after, "AAPL")] == [None] * 3


# Import


def test_files_and_tables_are_imported_alike(sqlite_history, tmp_path: Path):
    """CSV, Parquet, a table and a query of somebody's own database."""
    frame = pl.DataFrame({key: [str(one.get(key, "")) for one in ROWS] for key in ("id", "ticker", "at", "kind")})
    frame.write_csv(tmp_path / "events.csv")
    frame.write_parquet(tmp_path / "events.parquet")
    url = outside_table(tmp_path)
    told = [
        enriching.read_file(tmp_path / "events.csv"),
        enriching.read_file(tmp_path / "events.parquet"),
        list(outside.rows(url, table="mine")),
        list(outside.rows(url, query="SELECT * FROM mine WHERE id > 0")),
    ]
    first, *others = [enriching.add(sqlite_history, rows, COLUMNS, origin="same") for rows in told]
    assert (first.rows, first.companies, first.stored) == (6, 3, 6)
    assert all(one.rows == 6 for one in others)
    assert len(stored(sqlite_history, "AAPL")) == 3


def test_an_import_keeps_values(sqlite_history, fmp):
    """The same file again changes nothing; a changed fact is taken over beside the values."""
    add(sqlite_history)
    run(sqlite_history, "AAPL")
    assert add(sqlite_history).stored == 0
    assert add(sqlite_history, [row(1, "AAPL", "2024-05-02T16:30:00-04:00", note="changed")]).stored == 1
    event = stored(sqlite_history, "AAPL")[-1]
    assert event["close"] is not None
    assert json.loads(event["facts"]) == {"note": "changed"}


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (row(7, "no such ticker!", "2024-01-01"), "ticker: row 7"),
        (row(7, "AAPL", "yesterday"), "time: row 7"),
        (row(7, "AAPL", "2024-01-01T10:00:00"), "--zone"),
        (row(7, "AAPL", "0001-01-01"), "time: row 7 .* 1800"),
        (row(7, "AAPL", "9999-12-31T23:59:00-05:00"), "time: row 7 .* 2200"),
        ({"id": 7, "ticker": "AAPL", "kind": "x"}, "time: there is no column"),
    ],
)
def test_a_bad_row_is_named_and_nothing_is_imported(sqlite_history, bad, field):
    """All or nothing."""
    with pytest.raises(UsageError, match=field):
        add(sqlite_history, [*ROWS, bad])
    assert sqlite_history.series(EVENTS) == []


def test_an_id_stands_for_one_event(history, fmp):
    """A corrected time or ticker moves the event, and takes nobody else's place; its values are computed anew."""
    add(history, [row(1, "AAPL", "2024-09-02T10:00:00Z"), row(2, "AAPL", "2024-05-02"), row(3, "MSFT", "2024-05-02")])
    run(history)
    add(history, [row(1, "AAPL", "2024-05-02T20:30:00Z"), row(3, "AAPL", "2024-05-02")])
    assert [(one["id"], one["valued_at"] is None) for one in stored(history, "AAPL")] == [
        ("2", False),
        ("3", True),
        ("1", True),
    ]
    assert stored(history, "MSFT") == []
    for bad in ([row(5, "AAPL", "2024-01-02"), row(5, "MSFT", "2024-01-02")], [row(6, "AAPL", "2024-01-02", id="")]):
        with pytest.raises(UsageError, match="id: "):
            add(history, bad)


def test_somebody_elses_database_that_is_away_is_no_trouble_of_ours(sqlite_url, fmp, tmp_path: Path):
    """Values that cannot be written back now: the company is tried again and ends with that reason, others are done."""
    mine = tmp_path / "mine.db"
    with closing(dbapi.connect(str(mine))) as connection:
        connection.execute("CREATE TABLE ev (eid INTEGER PRIMARY KEY, per REAL)")
        connection.commit()
    settings = replace(
        fmp_settings(sqlite_url, fmp),
        events_url=f"sqlite:///{mine}",
        max_retries=1,
        retry_delay=timedelta(milliseconds=10),
    )
    with gapless.open(settings=settings, clock=MovedClock(NOW)) as opened:
        add(opened)
        where = {"table": "ev", "key": "eid", "columns": {"per": "per"}}
        made = opened.create(enriching.wish(opened, owner(), ["AAPL"], write_back=where)).job
    away = replace(settings, events_url="postgresql://u:secret@127.0.0.1:1/x")
    with gapless.open(settings=away, clock=MovedClock(NOW)) as opened:
        running = opened.run(made.id)
        assert running.wait() == JobState.FAILED
        assert "GAPLESS_EVENTS_URL" in running.job.error
        assert "secret" not in running.job.error
        assert run(opened, "MSFT").state == JobState.DONE


def test_ids_that_cannot_be_keys_hold_the_job(sqlite_url, fmp, tmp_path: Path):
    """Who forgot --id is told so, once, and not by every company."""
    mine = tmp_path / "mine.db"
    with closing(dbapi.connect(str(mine))) as connection:
        connection.execute("CREATE TABLE ev (eid INTEGER PRIMARY KEY, per REAL)")
        connection.commit()
    settings = replace(fmp_settings(sqlite_url, fmp), events_url=f"sqlite:///{mine}")
    with gapless.open(settings=settings, clock=MovedClock(NOW)) as opened:
        enriching.add(opened, ROWS, Columns(ticker="ticker", time="at", kind="kind"), origin="test")
        ended = run(opened, write_back={"table": "ev", "key": "eid", "columns": {"per": "per"}})
        assert ended.state == JobState.FAILED
        assert "import again with --id" in ended.error


def test_times_without_offset_are_of_the_zone_that_is_said(sqlite_history):
    """Never of the machine's."""
    columns = Columns(ticker="ticker", time="at", zone="Asia/Seoul")
    enriching.add(sqlite_history, [row(1, "AAPL", "2024-01-01T10:00:00")], columns, origin="t")
    assert instant(stored(sqlite_history, "AAPL")[0]["time"]) == instant(datetime(2024, 1, 1, 1, tzinfo=UTC))


# Write-back


def outside_table(folder: Path) -> str:
    """Somebody's own table, with columns for two values."""
    url = f"sqlite:///{folder / 'mine.db'}"
    engine = create_engine(url, module=dbapi)
    with engine.begin() as db:
        db.execute(
            text("CREATE TABLE mine (id INTEGER PRIMARY KEY, ticker TEXT, at TEXT, kind TEXT, v REAL, why TEXT)")
        )
        for one in ROWS:
            db.execute(text("INSERT INTO mine VALUES (:id, :ticker, :at, :kind, NULL, NULL)"), one)
    engine.dispose()
    return url


def test_results_are_written_back_by_key(sqlite_url, fmp, tmp_path: Path):
    """Into the columns that were named, and nothing else; twice changes nothing more."""
    url = outside_table(tmp_path)
    where = {"table": "mine", "key": "id", "columns": {"close": "v", "reasons": "why"}}
    with gapless.open(settings=fmp_settings(sqlite_url, fmp, events_url=url), clock=MovedClock(NOW)) as history:
        enriching.add(history, outside.rows(url, table="mine"), COLUMNS, origin="mine")
        assert run(history, write_back=where).state == JobState.DONE
        first = {one["id"]: (one["v"], one["why"]) for one in outside.rows(url, table="mine")}
        assert run(history, overwrite=True, write_back=where).state == JobState.DONE
        again = {one["id"]: (one["v"], one["why"]) for one in outside.rows(url, table="mine")}
        here = {int(one["id"]): one["close"] for name in ("AAPL", "MSFT", "BRK-B") for one in stored(history, name)}
    assert first == again
    assert {key: close for key, (close, _) in first.items()} == here


def test_a_column_of_json_gets_what_a_text_says(sqlite_url, fmp, tmp_path: Path):
    """Not a text in quotes, of which no query finds anything."""
    url = outside_table(tmp_path)
    with closing(dbapi.connect(str(tmp_path / "mine.db"))) as connection:
        connection.execute("ALTER TABLE mine ADD COLUMN reasons JSON")
        connection.commit()
    where = {"table": "mine", "key": "id", "columns": {"reasons": "reasons"}}
    with gapless.open(settings=fmp_settings(sqlite_url, fmp, events_url=url), clock=MovedClock(NOW)) as history:
        enriching.add(history, outside.rows(url, table="mine"), COLUMNS, origin="mine")
        assert run(history, write_back=where).state == JobState.DONE
    query = "SELECT count(*) AS found FROM mine WHERE json_type(reasons) = 'object'"
    assert [one["found"] for one in outside.rows(url, query=query)] == [len(ROWS)]


def test_a_query_that_reads_nothing_is_refused(tmp_path: Path):
    """And changes nothing."""
    url = outside_table(tmp_path)
    with pytest.raises(UsageError, match="has no rows"):
        list(outside.rows(url, query="DELETE FROM mine"))
    assert len(list(outside.rows(url, table="mine"))) == len(ROWS)


@pytest.mark.parametrize("text", ["2024-05-02", "20240502"])
def test_a_date_is_a_date_however_it_is_written(sqlite_history, text: str):
    """Of the exchange's zone, not a time without an offset."""
    enriching.add(sqlite_history, [row(1, "AAPL", text)], COLUMNS, origin="t")
    assert instant(stored(sqlite_history, "AAPL")[0]["time"]) == instant(datetime(2024, 5, 2, 4, tzinfo=UTC))


def test_what_cannot_be_written_back_is_refused_at_once(sqlite_url, fmp, tmp_path: Path):
    """Before any question is asked; the address is not repeated."""
    url = outside_table(tmp_path)
    with gapless.open(settings=fmp_settings(sqlite_url, fmp, events_url=url), clock=MovedClock(NOW)) as history:
        add(history)
        for where, said in [
            ({"table": "mine", "key": "id", "columns": {"close": "nowhere"}}, "no column 'nowhere'"),
            ({"table": "mine", "key": "id", "columns": {"closing": "v"}}, "no value 'closing'"),
            ({"table": "yours", "key": "id", "columns": {"close": "v"}}, "no yours"),
        ]:
            with pytest.raises(UsageError, match=said):
                enriching.wish(history, owner(), write_back=where)
    assert fmp.stats()["requests"] == 0


def test_all_values_have_a_column():
    """Otherwise the update would fail on the first company."""
    assert {one.name for one in VALUES} | {"valued_at", "basis", "reasons"} == set(VALUED)


def test_what_has_not_happened_is_not_valued_and_outcomes_are_waited_for(database_url, fmp):
    """Earnings calendars hold days to come; and a return over sixty sessions takes three months."""
    clock = MovedClock(NOW)
    with gapless.open(settings=fmp_settings(database_url, fmp), clock=clock) as history:
        rows = [
            row(1, "AAPL", "2025-09-01T12:00:00Z"),
            row(2, "AAPL", "2026-03-10T12:00:00Z"),
            row(3, "AAPL", "2026-03-23T12:00:00Z"),
            row(4, "MSFT", "2026-03-23T12:00:00Z"),
        ]
        add(history, rows)
        job = run(history, overwrite=True)
        assert (job.state, job.series_count) == (JobState.DONE, 1)
        (vouched,) = history.certificate(job.id)["series"]
        assert (vouched["rows"], len(vouched["ranges"]), vouched["emptyCells"]) == (2, 1, 0)
        old, fresh, coming = stored(history, "AAPL")
        assert (old["return_60"] is None, fresh["return_60"] is None) == (False, True)
        assert (fresh["valued_at"] is None, coming["valued_at"] is None) == (False, True)
        with pytest.raises(UsageError, match="none that have happened"):
            run(history, "MSFT")
        with pytest.raises(UsageError, match="none that have happened"):
            run(history)

        clock.move("2026-03-24T03:00:00Z")
        assert run(history).series_count == 2
        assert [one["valued_at"] == fresh["valued_at"] for one in stored(history, "AAPL")] == [True, True, False]
        clock.move("2026-06-19T03:00:00Z")
        assert run(history).state == JobState.DONE
        again = {one["id"]: one["valued_at"] for one in stored(history, "AAPL")}
        assert again["2"] > fresh["valued_at"]
        with pytest.raises(UsageError, match="none that have happened"):
            run(history)


def test_events_are_read_as_they_are_and_nobody_says_what_is_missing(sqlite_history):
    """Nothing can be fetched of them; a day to come has rows, too."""
    add(sqlite_history, [row(1, "AAPL", "2024-05-02"), row(2, "AAPL", "2099-05-02")])
    for which in ({"start": "2024"}, {"start": "2024", "end": "2100"}):
        assert len(sqlite_history.read(EVENTS.name, "AAPL", **which)) == 2
    assert len(sqlite_history.read(EVENTS.name, "AAPL", "2099", "2099")) == 1
    for ask in (sqlite_history.gaps, sqlite_history.coverage):
        with pytest.raises(UsageError, match="nobody knows"):
            ask(EVENTS.name, "AAPL")
