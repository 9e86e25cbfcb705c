"""Files of reports, on both databases: one row for each, by its job and its name."""

from __future__ import annotations

from dataclasses import replace

from gapless.store import reports
from gapless.store.reports import ReportFile
from gapless.testing.factories import MORNING, read, write

FILE = ReportFile(
    job=1,
    name="a-KRW-BTC.en.md",
    dataset="a",
    series="KRW-BTC",
    media_type="text/markdown; charset=utf-8",
    bytes=12,
    sha256="0" * 64,
    at=MORNING,
)


def test_a_file_that_is_made_again_takes_the_place_of_the_one_before(store) -> None:
    """And is nobody else's: another job has a file of the same name."""
    other = replace(FILE, job=2)
    again = replace(FILE, bytes=13, sha256="1" * 64)
    for one in (FILE, other, again):
        write(store, reports.add, one)
    assert read(store, reports.of_job, 1) == [again]
    assert read(store, reports.get, 2, FILE.name) == other
    assert read(store, reports.get, 3, FILE.name) is None
