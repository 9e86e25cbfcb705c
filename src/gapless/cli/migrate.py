"""Commands that change how stored things are kept: each is a job over stored rows, and asks no provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from gapless.app import Gapless, migrations
from gapless.cli import imports
from gapless.cli.collect import EXITS, Slots, foreground, run_here_or_there
from gapless.cli.common import AsJson, Database, Dataset, Report, SeriesMany, dump, history, out, series_of
from gapless.core.words import counted_word

app = typer.Typer(help="Change how stored things are kept, without a request.", no_args_is_help=True)


def register(to: typer.Typer) -> None:
    """Add this group."""
    imports.register(app)
    to.add_typer(app, name="migrate")


@app.command()
def reparse(
    dataset: Dataset,
    series: SeriesMany = None,
    report: Report = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    slots: Slots = None,
    here: Annotated[bool, typer.Option("--here", help="PostgreSQL: run it in this process.")] = False,
    json: AsJson = False,
    database: Database = None,
) -> None:
    """Read stored answers again that an older parser has read. The same command again goes on where it was."""
    with history(database, slots) as opened:
        found = opened.dataset(dataset)
        kept = migrations.kept(opened, found, series_of(series, None) if series else [], report)
        outdated = sum(one.outdated for one in kept)
        many = sum(one.outdated > 0 for one in kept)
        if not outdated:
            return _say(json, {"answers": 0}, f"nothing to read again: parser {found.parser} has read every answer")
        if dry_run:
            changed = migrations.rehearse(opened, found, kept)
            told = {"answers": changed.answers, "rows": changed.rows, "gone": changed.gone, "series": many}
            return _say(json, told, f"of {many:,} series: {changed}")
        made = opened.create(migrations.reparse_wish(found, kept), name="reparse")
        state = foreground(opened, lambda: run_here_or_there(opened, made.job.id, here=here))
        _report(opened, made.job.id, json, outdated)
    raise typer.Exit(int(EXITS[state]))


def _report(opened: Gapless, job_id: int, json: bool, outdated: int) -> None:
    job = opened.jobs.get(job_id)
    found = opened.dataset(job.dataset)
    left = sum(one.outdated for one in migrations.kept(opened, found, []))
    text = (
        f"job {job.id} is {job.state}: {counted_word(max(0, outdated - left), 'answer')} read again,"
        f" {counted_word(job.rows, 'row')} changed; `gapless jobs logs {job.id}` names the series"
    )
    _say(json, {"id": job.id, "state": job.state, "answers": max(0, outdated - left), "rows": job.rows}, text)


def _say(json: bool, told: Mapping[str, object], text: str) -> None:
    if json:
        dump(told)
    else:
        out.print(text, highlight=False)
