"""The command line: translates and calls; decides nothing.

Exit codes: 0 done, 1 failed, 2 usage, 3 incomplete, 4 refused by the source, 5 database, 130 interrupted.
"""

from __future__ import annotations

import logging
import os
import signal
import sys

import typer

from gapless.cli import (
    accounts,
    chain,
    collect,
    compute,
    db,
    enrich,
    findings,
    imports,
    jobs,
    machine,
    migrate,
    notification,
    read,
    report,
    schedule,
    serve,
    show,
    template,
    validate,
)
from gapless.cli.common import complain
from gapless.core.errors import Exit, GaplessError
from gapless.logs import write_logs

app = typer.Typer(
    help="Keep the history of financial series complete.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
collect.register(app)
read.register(app)
show.register(app)
machine.register(app)
serve.register(app)
validate.register(app)
report.register(app)
compute.register(app, jobs.app)
imports.register(migrate.app)
app.add_typer(jobs.app, name="jobs")
app.add_typer(template.app, name="template")
app.add_typer(schedule.app, name="schedule")
app.add_typer(chain.app, name="chain")
app.add_typer(notification.app, name="notification")
app.add_typer(findings.app, name="findings")
app.add_typer(db.app, name="db")
app.add_typer(migrate.app, name="migrate")
app.add_typer(accounts.users, name="user")
app.add_typer(accounts.tokens, name="token")
app.add_typer(accounts.audits, name="audit")
app.add_typer(enrich.app, name="enrich")


@app.callback(invoke_without_command=True)
def _start(
    version: bool = typer.Option(False, "--version", help="Print the version and exit."),
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Log what happens to standard error."),
) -> None:
    if version:
        from gapless import __version__

        typer.echo(f"gapless {__version__}")
        raise typer.Exit
    # Commands speak for themselves; logs are for those who ask for them.
    write_logs(logging.DEBUG if verbose else logging.CRITICAL)


def main() -> None:
    """Run a command, and turn what went wrong into one line and a documented exit code."""
    signal.signal(signal.SIGINT, _interrupted)
    try:
        app()
    except GaplessError as error:
        complain(str(error))
        sys.exit(int(error.exit))
    except BrokenPipeError:
        # Whoever read our output has gone (`| head`): nothing is left to say, and nobody to say it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(int(Exit.DONE))


def _interrupted(*_: object) -> None:
    sys.exit(int(Exit.INTERRUPTED))
