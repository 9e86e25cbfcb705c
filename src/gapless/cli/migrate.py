"""Commands that change how stored things are kept: each is a job over stored rows, and asks no provider."""

from __future__ import annotations

from collections.abc import Mapping
from json import loads as decode
from typing import Annotated

import typer

from gapless.app import Gapless, bringing, columns, migrations, renaming
from gapless.cli import imports
from gapless.cli.collect import EXITS, Slots, foreground, run_here_or_there
from gapless.cli.common import (
    AsJson,
    Database,
    Dataset,
    Days,
    From,
    Report,
    SeriesMany,
    To,
    dump,
    err,
    history,
    out,
    series_of,
    table,
)
from gapless.core.errors import Exit
from gapless.core.job import JobState
from gapless.core.span import iso
from gapless.core.words import counted_word
from gapless.work.refetch import REFETCH

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


@app.command()
def rename(
    dataset: Dataset,
    old: Annotated[str, typer.Argument(help="The series as it is called now.", show_default=False)],
    new: Annotated[str, typer.Argument(help="What it is to be called.", show_default=False)],
    merge: Annotated[
        bool, typer.Option("--merge", help="Where both have rows: put them together, if that loses nothing.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    slots: Slots = None,
    here: Annotated[bool, typer.Option("--here", help="PostgreSQL: run it in this process.")] = False,
    json: AsJson = False,
    database: Database = None,
) -> None:
    """Give a series another name, such as that of a ticker that changed. The same the other way round takes it back."""
    with history(database, slots) as opened:
        found = opened.dataset(dataset)
        seen = renaming.look(opened, found, old, new, merge=merge)
        what = f"{counted_word(seen.rows, 'row')} and {counted_word(seen.spans, 'covered span')} of {seen.old}"
        told = {"old": seen.old, "new": seen.new, "rows": seen.rows, "spans": seen.spans, "merge": seen.is_merge}
        for name in seen.templates:
            err.print(f"template {name} still says {seen.old}", highlight=False, markup=False)
        if dry_run:
            how = "would join those" if seen.is_merge else "would be those"
            return _say(json, told, f"{what} {how} of {seen.new}")
        if not seen.is_merge or seen.span is None:
            done = renaming.rename(opened, found, old, new)
            back = f"`gapless migrate rename {dataset} {done.new} {done.old}` takes it back"
            return _say(json, told, f"{what} are those of {done.new} now; {back}")
        made = opened.create(renaming.merge_wish(opened, seen), name="rename")
        state = foreground(opened, lambda: run_here_or_there(opened, made.job.id, here=here))
        job = opened.jobs.get(made.job.id)
        left = renaming.is_left(opened, found, seen.old)
        text = f"job {job.id} is {job.state}: {counted_word(job.rows, 'row')} of {seen.old} joined those of {seen.new}"
        _say(json, {**told, "id": job.id, "state": job.state, "moved": job.rows, "left": left}, text)
        if left and state is JobState.DONE:
            err.print(f"something is left under {seen.old}: `gapless jobs logs {job.id}` says what", highlight=False)
            state = JobState.INCOMPLETE
    raise typer.Exit(int(EXITS[state]))


@app.command()
def copy(
    dataset: Dataset,
    series: SeriesMany = None,
    source: Annotated[
        str, typer.Option("--source", help="The other history: a file, or postgresql://USER@HOST/NAME, no password.")
    ] = "",
    start: From = None,
    end: To = None,
    days: Days = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would come.")] = False,
    slots: Slots = None,
    here: Annotated[bool, typer.Option("--here", help="PostgreSQL: run it in this process.")] = False,
    json: AsJson = False,
    database: Database = None,
) -> None:
    """Copy series of another history into this one: rows, what is covered, stored answers. What is here stays."""
    with history(database, slots) as opened:
        found = bringing.look(opened, source, opened.dataset(dataset), series_of(series, None), start, end, days)
        if dry_run:
            return _compared(json, bringing.compare(opened, found), {})
        made = opened.create(bringing.copy_wish(opened, found), name="copy")
        state = foreground(opened, lambda: run_here_or_there(opened, made.job.id, here=here))
        told = bringing.compare(opened, found)
        job = opened.jobs.get(made.job.id)
        _compared(json, told, {"id": job.id, "state": job.state, "stored": job.rows})
    if state is JobState.DONE and any(one.new or one.differs for one in told):
        raise typer.Exit(int(Exit.INCOMPLETE))
    raise typer.Exit(int(EXITS[state]))


def _compared(json: bool, told: list[bringing.Difference], more: Mapping[str, object]) -> None:
    """Series in both histories; after a copy everything that is covered there is covered here, and the same."""
    if json:
        listed = [
            {
                "series": one.series,
                "rows": one.rows,
                "onlyThere": one.new,
                "inBoth": one.both,
                "differs": [{"start": iso(part.start), "end": iso(part.end)} for part in one.differs],
            }
            for one in told
        ]
        dump({**more, "series": listed})
        return
    table(
        ["series", "rows there", "periods only there", "in both", "the same"],
        [
            (one.series, f"{one.rows:,}", f"{one.new:,}", f"{one.both:,}", "no" if one.differs else "yes")
            for one in told
        ],
        right=["rows there", "periods only there", "in both"],
    )
    for one in told:
        for part in one.differs[:10]:
            out.print(f"{one.series} {part}: tells something else here, and stays", highlight=False)
    if more:
        stored = f"{more['stored']:,} rows stored; counts and hashes of all that both cover were compared"
        out.print(f"job {more['id']} is {more['state']}: {stored}", highlight=False)


@app.command("columns")
def columns_(
    dataset: Dataset,
    drop: Annotated[bool, typer.Option("--drop", help="Take columns away that are no longer declared.")] = False,
    leave_empty: Annotated[
        bool, typer.Option("--leave-empty", help="Do not fill new columns in the rows that are there.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    slots: Slots = None,
    here: Annotated[bool, typer.Option("--here", help="PostgreSQL: run it in this process.")] = False,
    json: AsJson = False,
    database: Database = None,
) -> None:
    """Bring the table of a dataset to what this version declares, and fill new columns. The same command goes on."""
    with history(database, slots) as opened:
        change = columns.look(opened, dataset)
        columns.check(opened, change, leave_empty=leave_empty)
        told = columns.words(opened, change, drop=drop, leave_empty=leave_empty)
        said = {"add": [one.name for one in change.lacking], "surplus": list(change.surplus), "rows": change.rows}
        if dry_run or not told:
            return _say(json, said, "; ".join(told) or f"{change.dataset.table} is as {dataset} declares it")
        columns.alter(opened, change, drop=drop, leave_empty=leave_empty)
        made = columns.begin(opened, change.dataset)
        if made is None:
            return _say(json, said, f"{change.dataset.table} is as {dataset} declares it now")
        state = foreground(opened, lambda: run_here_or_there(opened, made, here=here))
        columns.begin(opened, change.dataset)
        job = opened.jobs.get(made)
        text = f"job {job.id} is {job.state}: {_filled(opened, job.id, dataset)}"
        _say(json, {**said, "id": job.id, "state": job.state, "changed": job.rows}, text)
    raise typer.Exit(int(EXITS[state]))


def _filled(opened: Gapless, job_id: int, dataset: str) -> str:
    job = opened.jobs.get(job_id)
    if decode(job.params)["verb"] != REFETCH:
        return f"{counted_word(job.rows, 'row')} read again from stored answers"
    return f"{counted_word(job.rows, 'period')} are missing again: `gapless fill {dataset} …` fetches them"


def _say(json: bool, told: Mapping[str, object], text: str) -> None:
    if json:
        dump(told)
    else:
        out.print(text, highlight=False)
