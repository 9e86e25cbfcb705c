"""Prefetch dividends of many stocks from somebody else's program: an admin page, a cron job.

from gapless import prefetch

job = prefetch.create_job(["005930", "000660"], 2015, 2025, name="KR large caps")
while not prefetch.run_job_step(job, 20)["isFinal"]:
    ...

Every function takes the open history as `history`; without it the default one is opened and closed around the call.
A cancel is seen between two requests. Units are (stock, year) pairs: processed = ok + cached + skip + fail.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from gapless.app import Gapless, open, sets
from gapless.app.dividends import DATASET
from gapless.core.errors import UsageError
from gapless.core.job import Job, Kind, Mode
from gapless.core.span import iso
from gapless.store import jobs


@contextmanager
def _opened(history: Gapless | None) -> Iterator[Gapless]:
    if history is not None:
        yield history
        return
    with open() as made:
        yield made


def create_job(
    stocks: str | Sequence[str],
    start_year: int,
    end_year: int,
    reprt_code: str = "11011",
    *,
    name: str = "",
    force_refresh: bool = False,
    recheck: int = 0,
    point_in_time: bool = False,
    series_from: str = "",
    history: Gapless | None = None,
) -> int:
    """Make a job and return its number; stocks as a list, or in a text with lines, commas or spaces.

    `series_from` adds a set such as `dart.companies:KOSPI`; `point_in_time` gets every year by its own report.

    An unfinished job of the same wish is taken up instead. `force_refresh` asks for everything again.
    """
    listed = stocks.replace(",", " ").split() if isinstance(stocks, str) else list(stocks)
    with _opened(history) as app:
        dataset = app.dataset(DATASET)
        wish = app.wish(
            dataset,
            listed + (sets.series_from(app, dataset, series_from) if series_from else []),
            f"{start_year:04}",
            f"{end_year:04}",
            mode=Mode.ALL if force_refresh else Mode.MISSING,
            recheck=recheck,
            report=reprt_code,
            point_in_time=point_in_time,
        )
        return app.create(wish, name=name).job.id


def load_job(job_id: int, *, history: Gapless | None = None) -> dict[str, Any]:
    """A job with its counts, the stock and year that are being fetched, and the last error."""
    with _opened(history) as app:
        return _shown(app, app.jobs.get(job_id))


def request_cancel(job_id: int, *, history: Gapless | None = None) -> dict[str, Any]:
    """End a job before its next request; what is stored stays."""
    with _opened(history) as app:
        return _shown(app, app.jobs.cancel(job_id))


def pause_job(job_id: int, *, history: Gapless | None = None) -> dict[str, Any]:
    """Forbid the next request until the job is resumed."""
    with _opened(history) as app:
        return _shown(app, app.jobs.pause(job_id))


def resume_job(job_id: int, *, history: Gapless | None = None) -> dict[str, Any]:
    """Let a paused, cancelled, failed or incomplete job go on with exactly what it still misses."""
    with _opened(history) as app:
        return _shown(app, app.jobs.start(job_id))


def run_job_step(job_id: int, step_limit: int = 10, *, history: Gapless | None = None) -> dict[str, Any]:
    """Make at most so many requests of a job in the calling thread; the job as it stands then."""
    if step_limit < 1:
        raise UsageError("step_limit: must be positive", field="step_limit", hint="give the number of requests")
    with _opened(history) as app:
        if not app.jobs.get(job_id).is_final:
            app.step(job_id, step_limit)
        return _shown(app, app.jobs.get(job_id))


def start_over(job_id: int, *, history: Gapless | None = None) -> int:
    """A new job of the same wish; the old one stays in the list."""
    with _opened(history) as app:
        return app.jobs.clone(job_id).job.id


def recent_jobs(most: int = 20, *, history: Gapless | None = None) -> list[dict[str, Any]]:
    """The newest prefetches, newest first."""
    with _opened(history) as app:
        with app.store.read() as tx:
            found = [one for one in jobs.recent(tx, 1_000) if one.dataset == DATASET and one.kind == Kind.COLLECT]
        return [_shown(app, one) for one in found[:most]]


def _shown(app: Gapless, job: Job) -> dict[str, Any]:
    counted = app.units(job.id)
    assert counted is not None
    return {
        "id": job.id,
        "name": job.name,
        "state": job.state,
        "isFinal": job.is_final,
        "total": counted.total,
        "processed": counted.processed,
        "ok": counted.ok,
        "cached": counted.cached,
        "skip": counted.skip,
        "fail": counted.fail,
        "stock": counted.series,
        "year": None if counted.period is None else int(iso(counted.period + 86_400_000_000)[:4]),
        "error": counted.error,
    }
