"""Commands that ask what is true: gaps, coverage, verify, sources, datasets."""

from __future__ import annotations

from typing import Annotated

import typer

from gapless.cli.common import (
    AsJson,
    Database,
    Dataset,
    Days,
    From,
    Report,
    Series,
    SeriesMany,
    To,
    dump,
    history,
    out,
    table,
)
from gapless.core.errors import Exit, UsageError
from gapless.core.span import iso
from gapless.sources import SOURCES


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(gaps)
    app.command()(coverage)
    app.command()(verify)
    app.command()(sources)
    app.command()(datasets)


def gaps(
    dataset: Dataset,
    series: Series,
    start: From = None,
    end: To = None,
    days: Days = None,
    only: Annotated[str, typer.Option("--only", help="One word: missing, empty, unavailable or quarantined.")] = "",
    report: Report = "",
    json: AsJson = False,
    database: Database = None,
) -> None:
    """Show every stretch without rows, and which of the words it goes by."""
    words = ("missing", "empty", "unavailable", "quarantined")
    if only and only not in words:
        raise UsageError(f"only: {only!r} is unknown", field="only", hint=f"give one of: {', '.join(words)}")
    with history(database) as app:
        parts = app.stretches(app.dataset(dataset), series, start, end, days, report)
    parts = [one for one in parts if not only or one.word == only]
    if json:
        dump(
            [
                {
                    "word": one.word.value,
                    "start": iso(one.span.start),
                    "end": iso(one.span.end),
                    "cells": one.cells,
                    "note": one.note,
                }
                for one in parts
            ]
        )
        return
    rows = [(one.word.value, iso(one.span.start), iso(one.span.end), f"{one.cells:,}", one.note) for one in parts]
    if rows:
        table(["", "start", "end", "periods", "note"], rows, right=["periods"])
    sums = [f"{sum(o.cells for o in parts if o.word == word):,} {word}" for word in (words if not only else [only])]
    out.print(", ".join(sums), highlight=False)


def coverage(
    dataset: Dataset,
    series: SeriesMany = None,
    json: AsJson = False,
    database: Database = None,
) -> None:
    """Show what the source has answered for, with the rows in it."""
    with history(database) as app:
        found = app.dataset(dataset)
        names = app.catalogue.series(found, series) if series else app.series(found)
        listed = [(name, row) for name in names for row in app.coverage(dataset, name).iter_rows()]
    if json:
        dump(
            [
                {
                    "series": name,
                    "start": iso_of(a),
                    "end": iso_of(b),
                    "cells": cells,
                    "rows": rows,
                    "present": present,
                    "empty": cells - present,
                }
                for name, (a, b, cells, rows, present) in listed
            ]
        )
        return
    if not listed:
        out.print("nothing is covered yet", highlight=False)
        return
    table(
        ["series", "start", "end", "periods", "present", "empty"],
        [(n, iso_of(a), iso_of(b), f"{c:,}", f"{r:,}", f"{c - r:,}") for n, (a, b, c, _, r) in listed],
        right=["periods", "present", "empty"],
    )


def iso_of(at: object) -> str:
    """A datetime of a frame as ISO text."""
    return str(at).replace(" ", "T").replace("+00:00", "Z")


def verify(
    dataset: Dataset,
    series: SeriesMany = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Take back what does not agree; the next fill fetches it.")
    ] = False,
    json: AsJson = False,
    database: Database = None,
) -> None:
    """Compare the ledger with the rows: holes made by hand are found. Exit code 1 when they do not agree."""
    with history(database) as app:
        found = app.verify(dataset, series or None, repair=repair)
    if json:
        dump(
            {
                "series": found.series,
                "rows": found.rows,
                "rowsOutsideCoverage": found.outside,
                "repaired": repair,
                "findings": [
                    {
                        "series": one.series,
                        "start": iso(one.span.start),
                        "end": iso(one.span.end),
                        "expected": one.expected,
                        "found": one.found,
                    }
                    for one in found.findings
                ],
            }
        )
    else:
        for one in found.findings:
            out.print(f"{one.series} {one.span}: {one.what}", highlight=False, markup=False)
        if found.outside:
            out.print(f"{found.outside:,} rows lie outside coverage; nobody vouches for them", highlight=False)
        verdict = "ledger and rows agree" if not found.findings else f"{len(found.findings)} stretches do not agree"
        out.print(f"{found.rows:,} rows of {found.series} series: {verdict}", highlight=False)
        if found.findings:
            done = (
                "taken back: the next `gapless fill` fetches them"
                if repair
                else "`--repair` takes them back for the next fill"
            )
            out.print(done, highlight=False)
    if found.findings and not repair:
        raise typer.Exit(int(Exit.FAILED))


def sources(
    source: Annotated[str | None, typer.Argument(help="Ask this source which series it has.")] = None,
    json: AsJson = False,
    database: Database = None,
) -> None:
    """List the sources; with a name, ask it for its series."""
    with history(database) as app:
        if source is None:
            listed = [
                {"source": name, "baseUrl": one.base_url, "datasets": len(one.datasets)}
                for name, one in app.catalogue.sources.items()
                if one.base_url
            ]
            if json:
                dump(listed)
            else:
                table(
                    ["source", "address", "datasets"],
                    [tuple(one.values()) for one in listed],
                    right=["datasets"],
                )
            return
        if source not in SOURCES:
            raise UsageError(f"source: there is no {source}", field="source", hint=f"there are: {', '.join(SOURCES)}")
        found = app.catalogue.sources[source].catalogue()
    if json:
        dump([{"series": one, "name": name} for one, name in found])
    else:
        table(["series", "name"], found)


def datasets(
    dataset: Annotated[str | None, typer.Argument(help="Show the columns of this one.")] = None,
    json: AsJson = False,
    database: Database = None,
) -> None:
    """List the datasets; with a name, its columns."""
    with history(database) as app:
        every = app.catalogue.datasets.values() if dataset is None else [app.dataset(dataset)]
    if json:
        dump(
            [
                {
                    "dataset": one.name,
                    "source": one.source,
                    "axis": one.axis.value,
                    "conflict": one.conflict.value,
                    "table": one.table,
                    "example": one.example,
                    "columns": [
                        {"name": c.name, "type": c.type.value, "nullable": c.nullable, "doc": c.doc}
                        for c in one.columns
                    ],
                }
                for one in every
            ]
        )
    elif dataset is None:
        table(
            ["dataset", "axis", "series look like", "table"],
            [(o.name, o.axis.value, o.example, o.table) for o in every],
        )
    else:
        (one,) = every
        rows = [("time", "time", "start of the record, UTC")] + [(c.name, c.type.value, c.doc) for c in one.columns]
        table(["column", "type", ""], rows)
