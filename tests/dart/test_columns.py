"""A new column of a dataset that keeps its answers is filled from them: nobody is asked."""

from __future__ import annotations

from gapless.app import Gapless, columns
from gapless.core.job import JobState
from gapless.core.span import DAWN, DOOM, Span
from gapless.sandbox.process import SandboxProcess
from gapless.store import rows, series
from gapless.testing.dart import DIVIDENDS


def test_a_new_column_is_read_out_of_stored_answers(history: Gapless, dart: SandboxProcess) -> None:
    assert history.backfill(DIVIDENDS, ["005930", "308880"], "2015", "2023").wait(timeout=60) is JobState.DONE
    right = content(history)
    dart.control(reset_stats=True)
    history.store.write(lambda tx: tx.cursor.execute("ALTER TABLE data_dart_dividends DROP COLUMN flags"))

    change = columns.look(history, DIVIDENDS)
    columns.check(history, change, leave_empty=False)
    told = columns.words(history, change, drop=False, leave_empty=False)
    assert told == ["data_dart_dividends gets flags", f"{change.answers} stored answers would be read again for it"]
    assert change.answers > 5
    columns.alter(history, change, drop=False, leave_empty=False)
    job = columns.begin(history, change.dataset)
    assert job is not None
    assert history.run(job).wait(timeout=60) is JobState.DONE

    assert content(history) == right
    assert columns.begin(history, change.dataset) is None
    assert not history.verify(DIVIDENDS).findings
    assert dart.stats()["requests"] == 0


def content(history: Gapless) -> list[tuple[int, str]]:
    """What is stored, to the last digit."""
    dataset = history.dataset(DIVIDENDS)
    with history.store.read() as tx:
        ids = [series.find(tx, DIVIDENDS, name) for name in history.series(dataset)]
        return [rows.content(tx, dataset, one, Span(DAWN, DOOM)) for one in ids if one is not None]
