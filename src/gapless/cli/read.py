"""`gapless read`: rows as CSV, JSON, Parquet or a table, complete or with an error."""

from __future__ import annotations

import errno
import os
import sys
from io import BytesIO
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
    output = None if output == Path("-") else output
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
        # Of what is imported nobody knows what is missing.
        if not found.is_imported:
            parts = app.stretches(found, series, start, end, days, report)
            _warn(parts, "compute" if found.is_computed else "fill")
    _write(frame, kind, output)


def _warn(parts: list[Stretch], way: str) -> None:
    """Say on standard error what the rows do not cover: a hole must not pass as quiet minutes.

    `way` is the command that brings what is missing.
    """
    for word, hint in (
        (Word.MISSING, f"`gapless {way}` brings them"),
        (Word.QUARANTINED, "--mode missing+failed asks again"),
    ):
        lost = sum(one.cells for one in parts if one.word is word)
        if lost:
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
    if suffix not in ("", "txt"):
        known = ", ".join(f".{one}" for one in _FORMATS[:3])
        raise UsageError(f"output: .{suffix} is no format of ours", field="output", hint=f"{known}, or give --format")
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
        return None
    if output is None:
        if kind == "parquet" and sys.stdout.isatty():
            raise UsageError("format: parquet is not for a terminal", field="format", hint="give -o FILE")
        return _print(frame, kind)
    # What a link points to is written; a device or a pipe takes it as it comes, and must not be replaced by a file.
    output = output.resolve()
    is_stream = output.exists() and not output.is_file()
    part = output if is_stream else output.with_name(f".{output.name}.part")
    try:
        with part.open("wb") as target:
            _write_as(frame, kind, target)
        if not is_stream:
            part.replace(output)
    except OSError as error:
        raise UsageError(
            f"output: {output} cannot be written ({error.strerror or error})", field="output", hint="name another file"
        ) from None
    finally:
        if not is_stream:
            part.unlink(missing_ok=True)


def _print(frame: pl.DataFrame, kind: str) -> None:
    try:
        _write_as(frame, kind, sys.stdout.buffer)
    except OSError as error:
        # Polars tells trouble without its number.
        if "broken pipe" in str(error).lower():
            raise BrokenPipeError from None
        raise OSError(errno.ENOSPC, error.strerror or str(error)) from None


def _write_as(frame: pl.DataFrame, kind: str, target: Any) -> None:
    """Write a frame in a format; raises `OSError`."""
    if kind == "csv":
        frame.write_csv(target, datetime_format="%Y-%m-%dT%H:%M:%S%.fZ")
    elif kind == "json":
        frame.with_columns(pl.col(pl.Datetime).dt.strftime("%Y-%m-%dT%H:%M:%S%.fZ")).write_json(target)
        target.write(b"\n")
    else:
        # Into memory first, compressed as it is: of a full disk polars tells only that the file is odd.
        made = BytesIO()
        frame.write_parquet(made)
        left = made.getbuffer()
        while left:
            # Unbuffered output takes what fits.
            left = left[target.write(left) :]
    target.flush()
