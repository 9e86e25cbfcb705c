"""`gapless validate`: what is wrong with stored rows, and how to mend it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gapless.app import Validated
from gapless.app.shown import finding_json
from gapless.app.wishes import bounds_of
from gapless.cli.collect import EXITS, Detach, Here, Hold, MaxRetries, MaxRuntime, started
from gapless.cli.common import AsJson, Database, Dataset, Days, From, SeriesMany, To, dump, err, history, out, table
from gapless.core.errors import Exit, UsageError
from gapless.core.job import JobState
from gapless.core.rules import Level
from gapless.core.words import counted_word

#: Findings that are printed; JSON has them all.
SHOWN = 50


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(validate)


def validate(
    dataset: Dataset,
    series: SeriesMany = None,
    start: From = None,
    end: To = None,
    days: Days = None,
    level: Annotated[Level, typer.Option("--level", help="How closely: basic, standard or comprehensive.")] = (
        Level.STANDARD
    ),
    chunk: Annotated[int | None, typer.Option("--chunk", help="Periods looked at in one transaction.")] = None,
    name: Annotated[str, typer.Option("--name", help="A name for the job.")] = "",
    max_retries: MaxRetries = None,
    max_runtime: MaxRuntime = None,
    hold: Hold = False,
    detach: Detach = False,
    here: Here = False,
    repair: Annotated[bool, typer.Option("--repair", help="Take back what cannot be true and fetch it again.")] = False,
    json: AsJson = False,
    database: Database = None,
) -> None:
    """Look for what is wrong with stored rows. Exit code 1 when something cannot be true."""
    if repair and detach:
        raise UsageError("repair: needs what the validation finds", field="repair", hint="leave --detach out")
    with history(database) as app:
        wish = app.validation_wish(dataset, series or None, start, end, days=days, level=level, chunk=chunk)
        made = app.create(wish, name=name, bounds=bounds_of(max_retries, max_runtime), hold=hold)
        state = started(app, made, hold=hold, detach=detach, here=here, json=json, alone=True)
        if state is None:
            return
        if state is not JobState.DONE:
            raise typer.Exit(int(EXITS[state]))
        found = app.validated(made.job.id)
        mended = None
        if repair and found.findings:
            running = app.repair(found.job)
            wait = err.is_terminal and not json
            mended = JobState.DONE if running is None else running.wait(progress=wait)
    if json:
        dump(validated_json(found) | {"repaired": mended})
    else:
        _print(found)
        if mended is not None:
            out.print(f"taken back and fetched again: {mended}", highlight=False)
        elif found.has_errors:
            out.print("`--repair` takes back what cannot be true and fetches it again", highlight=False)
    if found.has_errors and mended is not JobState.DONE:
        raise typer.Exit(int(Exit.FAILED))


def validated_json(found: Validated) -> dict[str, Any]:
    """A validation as JSON."""
    return {
        "job": found.job,
        "dataset": found.dataset,
        "series": [
            {
                "series": one.series,
                "rows": one.rows,
                "score": one.score,
                "findings": [finding_json(each) for each in one.findings],
            }
            for one in found.series
        ],
    }


def _print(found: Validated) -> None:
    table(
        ["series", "rows", "score", "errors", "warnings"],
        [
            (one.series, f"{one.rows:,}", f"{one.score:.2f}", one.errors, len(one.findings) - one.errors)
            for one in found.series
        ],
        right=["rows", "score", "errors", "warnings"],
    )
    for name, one in found.findings[:SHOWN]:
        out.print(f"{name} {one.span} {one.severity.value} {one.rule}: {one.evidence}", highlight=False, markup=False)
    if len(found.findings) > SHOWN:
        out.print(f"… and {counted_word(len(found.findings) - SHOWN, 'finding')} more (--json)", highlight=False)
