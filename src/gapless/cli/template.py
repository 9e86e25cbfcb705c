"""`gapless template`: add, list, show, remove, run."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gapless.app.shown import template_json
from gapless.cli.collect import DirectionOption, MaxRetries, MaxRuntime, ModeOption, Recheck, SeriesFile
from gapless.cli.common import AsJson, Database, Days, From, Report, To, dump, history, out, series_of, table, when
from gapless.cli.workflow import Name, made_said, params_of, short
from gapless.core.job import Direction, Mode

app = typer.Typer(help="Save the settings of a fill under a name.", invoke_without_command=True)


def register(to: typer.Typer) -> None:
    """Add this group."""
    to.add_typer(app, name="template")


@app.callback()
def default(ctx: typer.Context, json: AsJson = False, database: Database = None) -> None:
    """Save the settings of a fill under a name; without a verb, list them."""
    if ctx.invoked_subcommand is None:
        list_templates(json=json, database=database)


@app.command()
def add(
    name: Name,
    dataset: Annotated[str, typer.Argument(help="Dataset; a step of a chain may leave it out.")] = "",
    series: Annotated[list[str] | None, typer.Argument(metavar="SERIES", help="Series; one or more.")] = None,
    start: From = None,
    end: To = None,
    days: Days = None,
    mode: ModeOption = Mode.MISSING,
    direction: DirectionOption = Direction.BOTH,
    recheck: Recheck = 0,
    report: Report = "",
    priority: Annotated[str, typer.Option("--priority", help="high, normal or low.")] = "normal",
    rate: Annotated[
        float | None, typer.Option("--rate", help="At most so many requests a second for its jobs.")
    ] = None,
    max_retries: MaxRetries = None,
    max_runtime: MaxRuntime = None,
    series_file: SeriesFile = None,
    kind: Annotated[str, typer.Option("--kind", help="What its jobs do.")] = "collect",
    param: Annotated[
        list[str] | None, typer.Option("--param", help="NAME=VALUE for this kind; may be repeated.")
    ] = None,
    then: Annotated[list[str] | None, typer.Option("--then", help="Template that follows; may be repeated.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Change the one that has the name.")] = False,
    database: Database = None,
) -> None:
    """Save the settings of a fill. Relative spans (`--days 7`) count from each run."""
    settings: dict[str, Any] = {
        "dataset": dataset,
        "series": series_of(series, series_file),
        "start": start,
        "end": end,
        "days": days,
        "mode": mode.value,
        "direction": direction.value,
        "recheck": recheck,
        "report": report,
        "priority": priority,
        "rate": rate,
        "max_retries": max_retries,
        "max_runtime": max_runtime,
        "params": params_of(param),
    }
    usual = {"mode": "missing", "direction": "both", "priority": "normal"}
    said = {key: value for key, value in settings.items() if value and value != usual.get(key)}
    if rate is not None:
        said["rate"] = rate
    if days is not None:
        said["days"] = days
    if max_retries is not None:
        said["max_retries"] = max_retries
    with history(database) as opened:
        made = opened.templates.save(name, kind, said, then=tuple(then or ()), replace=replace)
    out.print(f"template {made.name}: {short(made.settings)}", highlight=False, markup=False)


@app.command("list")
def list_templates(json: AsJson = False, database: Database = None) -> None:
    """List templates."""
    with history(database) as opened:
        found = opened.templates.every()
    if json:
        dump([template_json(one) for one in found])
        return
    table(
        ["template", "kind", "settings", "then", "changed"],
        [(one.name, one.kind, short(one.settings), " → ".join(one.then), when(one.changed_at)) for one in found],
    )


@app.command()
def show(name: Name, database: Database = None) -> None:
    """Print a template as JSON."""
    with history(database) as opened:
        dump(template_json(opened.templates.get(name)))


@app.command()
def remove(name: Name, database: Database = None) -> None:
    """Forget a template; its jobs stay."""
    with history(database) as opened:
        opened.templates.remove(name)
    out.print(f"template {name} is removed", highlight=False, markup=False)


@app.command()
def run(name: Name, database: Database = None) -> None:
    """Make the job of a template now."""
    with history(database) as opened:
        made_said(opened, opened.templates.run(name))
