"""`gapless findings`: what validations have found, and how to mend it."""

from __future__ import annotations

from typing import Annotated

import typer

from gapless.app.shown import listed_finding_json
from gapless.cli.collect import EXITS
from gapless.cli.common import AsJson, Database, dump, err, history, out, table
from gapless.core.job import JobState
from gapless.core.rules import Severity
from gapless.store import findings as stored
from gapless.store.findings import Which

app = typer.Typer(help="What validations have found.", invoke_without_command=True)


def register(to: typer.Typer) -> None:
    """Add this group."""
    to.add_typer(app, name="findings")


@app.callback()
def default(
    ctx: typer.Context,
    job: Annotated[int, typer.Option("--job", help="Only of this validation.")] = 0,
    dataset: Annotated[str, typer.Option("--dataset", help="Only of this dataset.")] = "",
    series: Annotated[str, typer.Option("--series", help="Only of series whose name holds this.")] = "",
    rule: Annotated[str, typer.Option("--rule", help="Only of this rule.")] = "",
    severity: Annotated[Severity | None, typer.Option("--severity", help="error or warning.")] = None,
    most: Annotated[int, typer.Option("--most", min=1, help="So many at most.")] = 50,
    json: AsJson = False,
    database: Database = None,
) -> None:
    """What validations have found; without a verb, list the newest findings."""
    if ctx.invoked_subcommand is not None:
        return
    which = Which(job=job, dataset=dataset, series=series, rule=rule, severity=severity or "")
    with history(database) as opened, opened.store.read() as tx:
        found = stored.page(tx, which, most, below=2**62)
    if json:
        dump([listed_finding_json(one) for one in found])
        return
    table(
        ["job", "series", "span", "severity", "rule", "evidence"],
        [(o.job, o.series, o.finding.span, o.finding.severity, o.finding.rule, o.finding.evidence) for o in found],
        right=["job"],
    )


@app.command()
def repair(
    job: Annotated[int, typer.Argument(metavar="JOB", help="The validation.", show_default=False)],
    database: Database = None,
) -> None:
    """Take back what a validation has found to be wrong, and fetch it again."""
    with history(database) as opened:
        running = opened.repair(job)
        state = JobState.DONE if running is None else running.wait(progress=err.is_terminal)
    out.print(f"taken back and fetched again: {state}", highlight=False)
    raise typer.Exit(int(EXITS[state]))
