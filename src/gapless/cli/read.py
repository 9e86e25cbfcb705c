"""`gapless read`: rows as CSV, JSON, Parquet or a table, complete or with an error."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from gapless.cli.common import Database, Dataset, Days, From, Report, Series, To, err, history, out
from gapless.core.errors import UsageError
from gapless.core.lazily import pl
from gapless.core.words import counted_word
from gapless.engine.truth import Stretch, Word


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(read)


def read(
    dataset: Dataset,
    series: Series,
    start: From = None,
    end: To = None,
    days: Days = None,
    format_: Annotated[str, typer.Option("--format", help="csv, json, parquet, or table.")] = "",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="File to write.")] = None,
    no_fill: Annotated[bool, typer.Option("--no-fill", help="Never touch the network.")] = False,
    as_of: Annotated[str | None, typer.Option("--as-of", help="As it was known on that day.")] = None,
    recheck: Annotated[int, typer.Option("--recheck", help="Ask the last K periods again.")] = 0,
    report: Report = "",
    database: Database = None,
) -> None:
    """Print stored rows, fetching what is missing first."""
    kind = _format(format_, output)
    _check_output(output)
    with history(database) as app:
        frame = app.read(
            dataset,
            series,
            start,
            end,
            days=days,
            fill=not no_fill,
            as_of=as_of,
            report=report,
            recheck=recheck,
            progress=err.is_terminal,
        )
        found = app.dataset(dataset)
        way = "fill" if found.source in app.catalogue.sources else "compute" if found.is_computed else ""
        _warn(app.stretches(found, series, start, end, days, report), way)
    _write(frame, kind, output)


def _warn(parts: list[Stretch], way: str) -> None:
    """Say on standard error what the rows do not cover: a hole must not pass as quiet minutes.

    `way` is the command that brings what is missing; of what is imported nobody knows what that is.
    """
    for word, hint in (
        (Word.MISSING, f"`gapless {way}` brings them"),
        (Word.QUARANTINED, "--mode missing+failed asks again"),
    ):
        lost = sum(one.cells for one in parts if one.word is word)
        if lost and (way or word is not Word.MISSING):
            err.print(f"{counted_word(lost, 'period')} {word.value}: {hint}", highlight=False)


_FORMATS = ("csv", "json", "parquet", "table")


def _format(said: str, output: Path | None) -> str:
    if said and said not in _FORMATS:
        raise UsageError(f"format: {said!r} is unknown", field="format", hint=f"give one of: {', '.join(_FORMATS)}")
    if said:
        return said
    suffix = output.suffix.lstrip(".") if output else ""
    if suffix in _FORMATS:
        return suffix
    return "csv" if output or not sys.stdout.isatty() else "table"


def _check_output(output: Path | None) -> None:
    """Refuse a file that cannot be written before anything is fetched."""
    if output is None:
        return
    folder = output.parent
    if output.is_dir() or not folder.is_dir() or not os.access(output if output.exists() else folder, os.W_OK):
        raise UsageError(
            f"output: {output} cannot be written",
            field="output",
            hint="name a file in a folder you may write",
        )


def _write(frame: pl.DataFrame, kind: str, output: Path | None) -> None:
    if kind == "table":
        with pl.Config(tbl_width_chars=400, tbl_cols=-1, fmt_float="full", tbl_hide_column_data_types=True):
            out.print(str(frame), markup=False, highlight=False)
        return
    target: Any = sys.stdout.buffer
    part = None
    if output is not None:
        part = output.with_name(f".{output.name}.part")
        target = part
    try:
        if kind == "csv":
            frame.write_csv(target, datetime_format="%Y-%m-%dT%H:%M:%S%.fZ")
        elif kind == "json":
            frame.with_columns(pl.col(pl.Datetime).dt.strftime("%Y-%m-%dT%H:%M:%S%.fZ")).write_json(target)
            if part is None:
                target.write(b"\n")
        else:
            frame.write_parquet(target)
        if part is not None and output is not None:
            part.replace(output)
    except OSError as error:
        if output is None:
            # Whoever reads our output has gone; polars tells it as a plain error.
            raise BrokenPipeError from None
        raise UsageError(
            f"output: {output} cannot be written ({error.strerror})", field="output", hint="name another file"
        ) from None
    finally:
        if part is not None:
            part.unlink(missing_ok=True)
