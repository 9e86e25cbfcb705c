"""Reports: one file that tells the truth, in four formats and two languages."""

from __future__ import annotations

import zipfile
from pathlib import Path

import polars as pl
import pytest

from gapless.app import Gapless
from gapless.app.report import Manner, facts
from gapless.core.errors import UsageError
from gapless.core.job import JobState
from gapless.work.report.words import Language

INDEX = "index.fear_greed"
SPAN = ("2012-06-01", "2013-05-31")


def write(
    history: Gapless,
    folder: Path,
    *formats: str,
    dataset: str = INDEX,
    language: Language = Language.EN,
    per: str = "month",
    start: str = SPAN[0],
    end: str = SPAN[1],
) -> list[Path]:
    """The files of a job, in the order of their formats."""
    manner = Manner(per=per, formats=formats, languages=(language.value,))
    running = history.report(dataset, ["KOSPI"], start, end, manner=manner, folder=folder)
    assert running.wait(timeout=240) is JobState.DONE
    made = {path.suffix: path for _, path in history.report_files(running.id)}
    return [made[f".{kind}"] for kind in formats]


def test_all_formats_are_written_whole_and_need_nothing_else(history: Gapless, tmp_path: Path) -> None:
    made = write(history, tmp_path, "html", "md", "xlsx", "pdf")
    assert [one.suffix for one in made] == [".html", ".md", ".xlsx", ".pdf"]
    page = made[0].read_text()
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    assert "<script" not in page
    assert page.count("data:image/svg+xml") == 3
    assert "| 2012-06 |" in made[1].read_text()
    with zipfile.ZipFile(made[2]) as book:
        assert sum(name.startswith("xl/worksheets/sheet") for name in book.namelist()) == 6
        assert any(name.endswith(".png") for name in book.namelist())
    assert made[3].read_bytes().startswith(b"%PDF-")
    assert not list(tmp_path.glob(".*"))


def test_the_numbers_are_those_of_the_rows(history: Gapless) -> None:
    dataset = history.dataset(INDEX)
    span, _ = history.span(dataset, *SPAN)
    told = facts(history.store, dataset, "KOSPI", span, "month", history.clock.now())
    frame = history.read(INDEX, "KOSPI", *SPAN, fill=False)
    assert [one.label for one in told.periods][:2] == ["2012-06", "2012-07"]
    assert sum(one.cells["present"] for one in told.periods) == frame.height == told.whole.cells["present"]
    assert sum(sum(one.cells.values()) for one in told.periods) == 365
    assert told.whole.completeness == 100.0
    june = frame.filter(pl.col("time").dt.month() == 6, pl.col("time").dt.year() == 2012)["score"]
    assert told.periods[0].mean == pytest.approx(june.mean())
    assert (told.periods[0].first, told.periods[0].last) == (june[0], june[-1])
    assert set(told.components) == {"momentum", "strength", "breadth", "volatility", "safe_haven"}


def test_what_is_missing_and_what_was_found_is_told(history: Gapless, tmp_path: Path) -> None:
    page = write(history, tmp_path, "md", dataset="krx.indices", start="2013-05-01", end="2013-06-12")[0].read_text()
    assert "missing" in page
    assert "Nobody has validated" in page
    history.validate("krx.indices", "KOSPI", "2013-05-01", "2013-05-31")
    page = write(history, tmp_path, "md", dataset="krx.indices", start="2013-05-01", end="2013-05-31")[0].read_text()
    assert "A validation found nothing" in page


def test_korean_is_korean(history: Gapless, tmp_path: Path) -> None:
    page = write(history, tmp_path, "html", language=Language.KO)[0].read_text()
    for words in ("보고서", "완전성", "구성 요소", '<html lang="ko">'):
        assert words in page


def test_wrong_words_are_named_and_nothing_is_left_behind(history: Gapless, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="format: 'doc'"):
        write(history, tmp_path / "a", "html", "doc")
    with pytest.raises(UsageError, match="per: 'week'"):
        write(history, tmp_path / "a", "html", per="week")
    with pytest.raises(UsageError, match="nothing is stored"):
        write(history, tmp_path / "a", "html", start="2011-01-01", end="2011-01-31")
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"output: .* cannot be made"):
        write(history, tmp_path / "file" / "under", "html")
    assert not (tmp_path / "a").exists() or not list((tmp_path / "a").iterdir())
