"""A prefetch in somebody else's program: step by step, cancelled, resumed, counted by units."""

from __future__ import annotations

import random
from dataclasses import replace

from gapless import prefetch
from gapless.app import Gapless
from gapless.core.job import Mode
from gapless.core.span import Span
from gapless.sandbox.opendart.listings import PLANTED
from gapless.sandbox.process import SandboxProcess
from gapless.sources.opendart.datasets import year_start
from gapless.store import coverage, quarantine, series
from gapless.store.database import Tx
from gapless.testing.dart import DIVIDENDS, MovedClock, calls, open_dart

#: The last one never files a dividend table.
STOCKS = f"005930, 308880\n300010 {PLANTED['spac'].stock}"


def adds_up(shown: dict[str, object]) -> bool:
    parts = [shown[name] for name in ("ok", "cached", "skip", "fail")]
    return shown["processed"] == sum(int(str(one)) for one in parts)


def test_steps_cancel_and_resume(database_url: str, dart: SandboxProcess, wall: MovedClock) -> None:
    """Cancel is seen between two requests; after a restart exactly the rest is fetched."""
    with open_dart(database_url, dart.url, wall) as history:
        job = prefetch.create_job(STOCKS, 2015, 2023, name="mine", history=history)
        shown = prefetch.run_job_step(job, 2, history=history)
        assert (shown["processed"], shown["total"], calls(dart)) == (6, 36, 2)
        assert adds_up(shown)
        assert prefetch.request_cancel(job, history=history)["state"] == "cancelled"
        assert prefetch.run_job_step(job, 5, history=history)["processed"] == 6
        assert calls(dart) == 2
    with open_dart(database_url, dart.url, wall) as history:
        prefetch.resume_job(job, history=history)
        while not (shown := prefetch.run_job_step(job, 3, history=history))["isFinal"]:
            assert adds_up(shown)

        assert shown["state"] == "done"
        assert (shown["processed"], shown["ok"], shown["skip"], shown["fail"]) == (36, 27, 9, 0)
        sent = calls(dart)
        again = prefetch.start_over(job, history=history)
        assert prefetch.load_job(again, history=history)["cached"] == 36
        assert [one["id"] for one in prefetch.recent_jobs(2, history=history)] == [again, job]
        fresh = prefetch.create_job("005930", 2021, 2023, force_refresh=True, history=history)
        shown = prefetch.run_job_step(fresh, 5, history=history)
        assert (shown["state"], shown["ok"], shown["cached"]) == ("done", 3, 0)
        assert calls(dart) == sent + 1


def test_cached_years_are_passed_over(history: Gapless, dart: SandboxProcess) -> None:
    prefetch.run_job_step(prefetch.create_job(STOCKS, 2018, 2020, history=history), 50, history=history)
    before = calls(dart)
    # One stock has no report for 2020: the next year's was asked for, and has told its own year, too.
    lacking = history.plan(DIVIDENDS, STOCKS.replace(",", " ").split(), "2018", "2023").missing
    assert lacking == 24 - 12 - 1
    job = prefetch.create_job(STOCKS, 2018, 2023, history=history)
    while not (shown := prefetch.run_job_step(job, 50, history=history))["isFinal"]:
        pass

    assert (shown["total"], shown["cached"], shown["processed"]) == (24, 13, 24)
    assert calls(dart) == before + 5


def test_many_that_are_covered_are_passed_over_together_and_nobody_else(history: Gapless) -> None:
    """One look at all of them must tell exactly what a look at each does: covered, in part, given up, or unknown."""
    dataset, chance = history.dataset(DIVIDENDS), random.Random(7)
    names = [f"{i:06}/{report}" for i in range(40) for report in ("11011", "11013")]

    def make(tx: Tx) -> None:
        for name in names:
            if chance.random() < 0.2:
                continue
            its = series.ensure(tx, dataset.name, name)
            for _ in range(chance.choice((0, 1, 1, 2))):
                first = chance.choice((2013, 2015, 2016, 2018))
                coverage.extend(tx, its, Span(year_start(first), year_start(chance.choice((2020, 2023, 2024)))))
            if chance.random() < 0.2:
                lost = Span(year_start(2019), year_start(2021))
                quarantine.add(tx, its, lost, job=9, reason="its record spoils the reply", at=1)

    history.store.write(make)
    now = history.clock.now()
    for mode in Mode:
        wish = replace(history.wish(dataset, names, "2016", "2022", mode=mode), series=tuple(names))
        with history.store.read() as tx:
            whole = coverage.whole(tx, dataset.name, wish.span)
            planner = history.jobs.planner
            together = planner.every(tx, dataset, wish, now, None)
            assert together == [planner.series(tx, dataset, name, wish, now, None) for name in names]
        assert 10 < len(whole) < len(names) - 10
        assert [one.series for one in together] == names
