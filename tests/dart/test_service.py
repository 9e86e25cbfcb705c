"""What OpenDART may answer: each status means what to do next, the quota is waited for, the key is told to nobody."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gapless.app import Gapless
from gapless.core.errors import SourceError, UsageError
from gapless.core.job import JobState
from gapless.core.span import iso
from gapless.sandbox.opendart.keys import KEY
from gapless.sandbox.process import SandboxProcess
from gapless.settings import Settings, load
from gapless.store import budgets, events
from gapless.testing.dart import DIVIDENDS, MovedClock, calls, dart_settings, open_dart
from gapless.testing.history import run, until

STOCKS = ["005930", "308880", "300010", "300070"]


@pytest.mark.parametrize(
    ("status", "advice"),
    [("010", "GAPLESS_DART_API_KEY"), ("011", "suspension"), ("012", "address"), ("901", "consent")],
)
def test_a_refused_key_holds_the_job_and_says_what_to_do(
    sqlite_url: str, dart: SandboxProcess, wall: MovedClock, status: str, advice: str
) -> None:
    """Asking on would not help, and may close the key for good."""
    with (
        open_dart(sqlite_url, dart.url, wall, api_keys={"dart": status.rjust(40, "0")}) as history,
        pytest.raises(SourceError, match=advice),
    ):
        history.read(DIVIDENDS, "005930", "2018", "2020")

    assert dart.stats()["requests"] == 1


def test_a_refused_key_in_the_middle_holds_the_job_and_a_retry_goes_on(history: Gapless, dart: SandboxProcess) -> None:
    history.read(DIVIDENDS, "005930", "2018", "2020")
    dart.control(faults=[{"kind": "code", "code": "011"}])
    running = history.backfill(DIVIDENDS, STOCKS, "2015", "2023")
    assert running.wait(timeout=60) is JobState.FAILED
    assert "suspension" in running.job.error

    dart.control(faults=[])
    history.jobs.retry(running.id)
    assert history.run(running.id).wait(timeout=60) is JobState.DONE


def test_without_a_key_nothing_is_sent(sqlite_url: str, dart: SandboxProcess, wall: MovedClock) -> None:
    with open_dart(sqlite_url, dart.url, wall, api_keys={}) as history:
        with pytest.raises(UsageError, match="GAPLESS_DART_API_KEY"):
            history.read(DIVIDENDS, "005930", "2018", "2020")
        with pytest.raises(UsageError, match="GAPLESS_DART_API_KEY"):
            history.backfill(DIVIDENDS, "005930", "2018", "2020")
        with history.store.read() as tx:
            assert events.of_job(tx, 1) == []
        assert history.read(DIVIDENDS, "005930", "2018", "2020", fill=False).is_empty()

    assert dart.stats()["requests"] == 0


@pytest.mark.parametrize("key", ["abc", "5a" * 19 + "5!", "5a" * 21])
def test_a_malformed_key_is_refused_without_being_repeated(key: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="GAPLESS_DART_API_KEY") as refused:
        load({"GAPLESS_DART_API_KEY": key}, tmp_path)
    assert key not in str(refused.value)


@pytest.mark.parametrize(
    "fault",
    [{"kind": "code", "code": "900"}, {"kind": "html"}, {"kind": "truncate"}, {"kind": "status", "status": 503}],
)
def test_passing_trouble_is_asked_again(history: Gapless, dart: SandboxProcess, fault: dict[str, object]) -> None:
    """An undefined error, a page in place of an answer, a body that breaks off."""
    history.read(DIVIDENDS, "005930", "2018", "2020")
    dart.control(faults=[{**fault, "times": 2}])

    assert history.read(DIVIDENDS, "308880", "2018", "2020").height
    assert calls(dart) == 1 + 3


@pytest.mark.parametrize("kind", ["missing_field", "malformed_row"])
def test_a_spoilt_table_is_no_table(history: Gapless, dart: SandboxProcess, kind: str) -> None:
    history.read(DIVIDENDS, "005930", "2018", "2020")
    dart.control(faults=[{"kind": kind, "times": 1}])

    assert history.read(DIVIDENDS, "308880", "2018", "2020")["dps"].null_count() == 0


def test_a_spent_quota_is_waited_for_until_midnight_in_seoul(
    database_url: str, dart: SandboxProcess, wall: MovedClock
) -> None:
    """The provider does not tell a minute from a day: a minute is tried first, then the day is believed."""
    with open_dart(database_url, dart.url, wall, slots=1) as history:
        history.read(DIVIDENDS, "005930", "2018", "2020")
        dart.control(quota=3)
        running = history.backfill(DIVIDENDS, STOCKS, "2012", "2023")
        until(lambda: int(dart.stats()["refused_020"]) == 1)
        until(lambda: "2024-06-14T03:01" <= _blocked_until(history) < "2024-06-14T03:02")

        wall.move("2024-06-14T03:03:00Z")
        dart.control(now="2024-06-14T03:03:00Z")
        until(lambda: int(dart.stats()["refused_020"]) == 2)
        until(lambda: _blocked_until(history) == "2024-06-14T15:00:00Z")

        dart.control(now="2024-06-14T15:00:30Z", quota=0)
        wall.move("2024-06-14T15:00:30Z")
        assert running.wait(timeout=60) is JobState.DONE
        assert dart.stats()["refused_020"] == 2


def _blocked_until(history: Gapless) -> str:
    with history.store.read() as tx:
        budget = budgets.load(tx, "dart/api")
    assert budget is not None
    return iso(budget.blocked_until)


def test_at_its_own_limit_a_job_waits_without_being_refused(
    database_url: str, dart: SandboxProcess, wall: MovedClock
) -> None:
    """The limit is counted in the database: another process, or the next start, goes on counting."""
    dart.control(quota=6)
    with open_dart(database_url, dart.url, wall, dailies={"dart": 6}) as history:
        plan = history.plan(DIVIDENDS, STOCKS, "2015", "2023")
        assert (plan.requests, plan.days) == (12, 2)
        running = history.backfill(DIVIDENDS, STOCKS, "2015", "2023")
        until(lambda: calls(dart) == 5)
        running.leave()
    with open_dart(database_url, dart.url, wall, dailies={"dart": 6}) as history:
        again = history.backfill(DIVIDENDS, STOCKS, "2015", "2023")
        assert again.adopted
        for day in ("2024-06-14T15:00:30Z", "2024-06-15T15:00:30Z"):
            dart.control(now=day)
            wall.move(day)
            until(lambda: again.job.is_final or _used(history) == 6)
        assert again.wait(timeout=60) is JobState.DONE

    assert calls(dart) == 12
    assert dart.stats()["refused_020"] == 0


def _used(history: Gapless) -> int:
    with history.store.read() as tx:
        budget = budgets.load(tx, "dart/api")
    return 0 if budget is None or budget.day != (history.clock.now() // 10**6 + 32_400) // 86_400 else budget.used


def test_maintenance_is_waited_for_long(history: Gapless, dart: SandboxProcess, wall: MovedClock) -> None:
    history.read(DIVIDENDS, "005930", "2018", "2020")
    dart.control(maintenance=[{"from": "2024-06-14T00:00:00Z", "to": "2024-06-14T04:00:00Z"}])
    running = history.backfill(DIVIDENDS, "308880", "2018", "2020")
    until(lambda: _blocked_until(history) >= "2024-06-14T03:10")
    sent = dart.stats()["requests"]

    dart.control(now="2024-06-14T04:00:30Z")
    wall.move("2024-06-14T04:00:30Z")
    assert running.wait(timeout=60) is JobState.DONE
    assert dart.stats()["requests"] == sent + 1


def test_unknown_stocks_are_named_and_the_good_ones_run(history: Gapless, dart: SandboxProcess) -> None:
    """A wrong code in a list of two thousand must not cost the others, nor a request."""
    running = history.backfill(DIVIDENDS, ["999999", "005930", "12345"], "2018", "2023")

    assert running.wait(timeout=60) is JobState.INCOMPLETE
    assert "999999" in running.job.error
    assert "12345" in running.job.error
    assert calls(dart) == 2
    assert _used(history) == dart.stats()["requests"] == 3, "nothing was reserved for what cannot be asked"
    counted = history.units(running.id)
    assert counted is not None
    assert (counted.total, counted.ok, counted.fail, counted.processed) == (18, 6, 12, 18)


def test_after_many_failures_in_a_row_everybody_slows_down_and_the_job_goes_on(
    database_url: str, dart: SandboxProcess, wall: MovedClock
) -> None:
    """A list of two thousand stocks must not be burnt against a source that fails; nor may it wait for ever."""
    with open_dart(database_url, dart.url, wall, slots=1) as history:
        history.read(DIVIDENDS, "005930", "2018", "2020")
        dart.control(faults=[{"kind": "code", "code": "900", "path": "/api/alotMatter.json", "times": 14}])
        running = history.backfill(DIVIDENDS, STOCKS, "2015", "2023")
        until(lambda: running.job.is_final, 60)

        slowed = [one for one in _events(history, running.id) if one.name == "source.slowed"]
        assert len(slowed) == 14 - 9, "from the tenth on, and no longer after the first success"
        assert slowed[0].message.startswith("10 failures in a row")
        if running.job.state is not JobState.DONE:
            history.jobs.retry(running.id)
            assert history.run(running.id).wait(timeout=60) is JobState.DONE


def _events(history: Gapless, job: int) -> list[events.Event]:
    with history.store.read() as tx:
        return events.of_job(tx, job)


def test_the_key_is_told_to_nobody(sqlite_url: str, dart: SandboxProcess, tmp_path: Path) -> None:
    """Not on the terminal, not in logs, events or errors, not in the database."""
    file = tmp_path / "history.db"
    env = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": ":".join(__import__("sys").path),
        "GAPLESS_DATABASE_URL": f"sqlite:///{file}",
        "GAPLESS_DART_BASE_URL": dart.url,
        "GAPLESS_DART_API_KEY": KEY,
        "GAPLESS_RETRY_DELAY": "10ms",
    }
    dart.control(now=None)
    said = [run("-v", "read", DIVIDENDS, "005930", "--from", "2018", "--to", "2020", env=env)]
    assert said[0].returncode == 0, said[0].stderr
    dart.control(faults=[{"kind": "html"}])
    said.append(run("-v", "fill", DIVIDENDS, "308880", "--from", "2018", "--to", "2020", env=env))
    dart.control(down=True, faults=[])
    said.append(run("-v", "fill", DIVIDENDS, "300000", "--from", "2018", "--to", "2020", env=env))
    said += [run(*words.split(), env=env) for words in ("jobs list --json", "jobs logs 2", "sources", "doctor")]

    assert not any(KEY in one.stdout + one.stderr for one in said)
    assert not any(KEY.encode() in one.read_bytes() for one in tmp_path.glob("history.db*") if one.is_file())
    assert KEY not in repr(Settings(api_keys={"dart": KEY}))


def test_json_of_a_prefetch_counts_units(dart: SandboxProcess, tmp_path: Path, wall: MovedClock) -> None:
    """Scripts and pages read it."""
    file = tmp_path / "tickers.txt"
    file.write_text("005930, 308880\n999999\n")
    settings = dart_settings(f"sqlite:///{tmp_path / 'history.db'}", dart.url)
    env = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": ":".join(__import__("sys").path),
        "GAPLESS_DATABASE_URL": settings.database_url,
        "GAPLESS_DART_BASE_URL": dart.url,
        "GAPLESS_DART_API_KEY": KEY,
        "GAPLESS_DART_RATE": "0",
    }
    dart.control(now=None)
    words = ["fill", DIVIDENDS, "--series-file", str(file), "--from", "2015", "--to", "2020"]
    done = run(*words, "--report", "11011", "--name", "KR large caps", "--json", env=env)
    assert done.returncode == 3, done.stderr
    made = json.loads(done.stdout)
    shown = json.loads(run("jobs", "show", str(made["id"]), "--json", env=env).stdout)

    assert shown["name"] == "KR large caps"
    units = shown["units"]
    assert units["processed"] == units["ok"] + units["cached"] + units["skip"] + units["fail"] == units["total"] == 18
    assert (units["ok"], units["cached"], units["skip"], units["fail"]) == (12, 0, 0, 6)
    assert "999999" in units["error"]
