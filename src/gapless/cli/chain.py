"""`gapless chain`: add, list, remove."""

from __future__ import annotations

from typing import Annotated

import typer

from gapless.app.shown import chain_json
from gapless.cli.common import AsJson, Database, dump, history, out, table
from gapless.cli.workflow import steps_said

app = typer.Typer(help="Let jobs follow jobs.", invoke_without_command=True)


def register(to: typer.Typer) -> None:
    """Add this group."""
    to.add_typer(app, name="chain")


@app.callback()
def default(ctx: typer.Context, json: AsJson = False, database: Database = None) -> None:
    """Let jobs follow jobs; without a verb, list what waits and what was started."""
    if ctx.invoked_subcommand is None:
        list_chains(json=json, database=database)


@app.command()
def add(
    job: Annotated[int, typer.Argument(metavar="JOB", help="The job that is followed.", show_default=False)],
    template: Annotated[
        list[str], typer.Argument(metavar="TEMPLATE", help="What follows, in order.", show_default=False)
    ],
    after: Annotated[str, typer.Option("--after", help="done, or ended: also when incomplete or failed.")] = "done",
    database: Database = None,
) -> None:
    """Let the jobs of templates follow a job, one after the other."""
    with history(database) as opened:
        steps = opened.templates.steps(tuple(template), field="template")
        made = opened.chains.add(job, steps, after=after)
    out.print(f"chain {made}: job {job} → {steps_said(steps)}", highlight=False, markup=False)


@app.command("list")
def list_chains(
    job: Annotated[int | None, typer.Argument(metavar="JOB", help="Only what leads from or to it.")] = None,
    json: AsJson = False,
    database: Database = None,
) -> None:
    """List what follows what."""
    with history(database) as opened:
        found = opened.chains.every(job)
    if json:
        dump([chain_json(one) for one in found])
        return
    table(
        ["chain", "after job", "is", "steps", "state", "started job", ""],
        [
            (one.id, one.job, one.after, steps_said(one.steps), one.state, one.next_job or "-", one.error[:80])
            for one in found
        ],
        right=["chain", "after job", "started job"],
    )


@app.command()
def remove(
    chain: Annotated[int, typer.Argument(metavar="CHAIN", help="Its number.", show_default=False)],
    database: Database = None,
) -> None:
    """Take away what still waits for a job."""
    with history(database) as opened:
        opened.chains.remove(chain)
    out.print(f"chain {chain} is removed", highlight=False)
