"""`gapless schedule`: add, list, remove, enable, disable, run-now."""

from __future__ import annotations

from typing import Annotated

import typer

from gapless.app.shown import schedule_json
from gapless.cli.common import AsJson, Database, dump, history, out, table, when
from gapless.cli.workflow import Name, made_said

app = typer.Typer(help="Run templates by the clock.", invoke_without_command=True)


def register(to: typer.Typer) -> None:
    """Add this group."""
    to.add_typer(app, name="schedule")


@app.callback()
def default(ctx: typer.Context, json: AsJson = False, database: Database = None) -> None:
    """Run templates by the clock; without a verb, list what runs."""
    if ctx.invoked_subcommand is None:
        list_schedules(json=json, database=database)


@app.command()
def add(
    name: Name,
    template: Annotated[str, typer.Argument(metavar="TEMPLATE", help="What it runs.", show_default=False)],
    cron: Annotated[
        str, typer.Argument(metavar="CRON", help="Five fields, as in '0 9 * * MON-FRI'.", show_default=False)
    ],
    zone: Annotated[str, typer.Option("--zone", help="Whose clock; default: the zone of the dataset.")] = "",
    database: Database = None,
) -> None:
    """Run a template by the clock. `gapless worker` and `gapless serve` make the runs."""
    with history(database) as opened:
        zone = zone or opened.zone_of(opened.templates.get(template))
        made = opened.schedules.add(name, template, cron, zone)
    out.print(f"schedule {made.name} runs next at {when(made.next_at)}", highlight=False, markup=False)


@app.command("list")
def list_schedules(json: AsJson = False, database: Database = None) -> None:
    """List schedules, with what became of their runs."""
    with history(database) as opened:
        listed = [schedule_json(opened, one) for one in opened.schedules.every()]
    if json:
        dump(listed)
        return
    table(
        ["schedule", "template", "cron", "zone", "next", "last", "job", "runs", "missed", "refused", ""],
        [
            (
                one["name"],
                one["template"],
                one["cron"],
                one["zone"],
                one["nextAt"] if one["enabled"] else "disabled",
                one["lastAt"] or "-",
                one["lastJob"] or "-",
                one["runs"],
                one["missed"],
                one["refused"],
                one["error"][:80],
            )
            for one in listed
        ],
        right=["job", "runs", "missed", "refused"],
    )


@app.command()
def remove(name: Name, database: Database = None) -> None:
    """Forget a schedule; its jobs stay."""
    with history(database) as opened:
        opened.schedules.remove(name)
    out.print(f"schedule {name} is removed", highlight=False, markup=False)


@app.command()
def enable(name: Name, database: Database = None) -> None:
    """Let a schedule run again, from its next time on."""
    with history(database) as opened:
        made = opened.schedules.enable(name, enabled=True)
    out.print(f"schedule {name} runs next at {when(made.next_at)}", highlight=False, markup=False)


@app.command()
def disable(name: Name, database: Database = None) -> None:
    """Let a schedule rest; what would have run meanwhile is not caught up."""
    with history(database) as opened:
        opened.schedules.enable(name, enabled=False)
    out.print(f"schedule {name} is disabled", highlight=False, markup=False)


@app.command("run-now")
def run_now(name: Name, database: Database = None) -> None:
    """Make a run out of turn; its next time stays."""
    with history(database) as opened:
        made_said(opened, opened.schedules.run_now(name))
