"""The command line: translates and calls; decides nothing.

Exit codes: 0 done, 1 failed, 2 usage, 3 incomplete, 4 refused by the source, 5 database, 130 interrupted.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import sys
from importlib import import_module

import typer
from typer.exceptions import TyperException

from gapless.cli.common import complain
from gapless.core.errors import Exit, GaplessError
from gapless.logs import write_logs

#: Modules in the order of the help, with the commands and groups that each adds.
_MODULES = {
    "collect": ("plan", "fill", "follow"),
    "read": ("read",),
    "show": ("gaps", "coverage", "verify", "sources", "datasets"),
    "machine": ("worker", "workers", "budget", "sandbox", "demo", "doctor"),
    "serve": ("serve",),
    "validate": ("validate",),
    "report": ("report",),
    "compute": ("compute", "compare"),
    "jobs": ("jobs",),
    "template": ("template",),
    "schedule": ("schedule",),
    "chain": ("chain",),
    "notification": ("notification",),
    "findings": ("findings",),
    "db": ("db",),
    "migrate": ("migrate",),
    "accounts": ("user", "token", "audit"),
    "enrich": ("enrich",),
}


def tree(called: str = "") -> typer.Typer:
    """All commands; with the name of one, those of its module alone, which starts half a second sooner."""
    app = typer.Typer(
        help="Keep the history of financial series complete.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback(invoke_without_command=True)(_start)
    for module in [one for one, adds in _MODULES.items() if called in adds] or _MODULES:
        import_module(f"gapless.cli.{module}").register(app)
    return app


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
        run = tree(next((one for one in sys.argv[1:] if not one.startswith("-")), ""))
        # Without a value a command has ended by itself.
        code = run(standalone_mode=False) or int(Exit.DONE)
        sys.stdout.flush()
        sys.exit(code)
    except TyperException as error:
        _refuse(error)
        sys.exit(int(Exit.USAGE))
    except typer.Abort:
        complain("aborted")
        sys.exit(int(Exit.FAILED))
    except GaplessError as error:
        complain(str(error))
        sys.exit(int(error.exit))
    except BrokenPipeError:
        # Whoever read our output has gone (`| head`): nothing is left to say, and nobody to say it to.
        _say_no_more()
        sys.exit(int(Exit.DONE))
    except OSError as error:
        if error.errno not in _FULL:
            raise
        _say_no_more()
        complain(f"output: the standard output cannot be written ({error.strerror}); what is there is not all")
        sys.exit(int(Exit.FAILED))


#: The disk, the quota or the file is full.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _say_no_more() -> None:
    """Whatever is still to be printed goes nowhere: the interpreter would fail over it when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _refuse(error: TyperException) -> None:
    """Say in one line what of a command is not understood; without a command, what there is."""
    told, context = " ".join(error.format_message().split()), getattr(error, "ctx", None)
    if told.startswith("Usage:"):
        typer.echo(str(error), err=True)
        return
    told = told.replace("Value error, ", "").rstrip(".")
    complain(told[:1].lower() + told[1:] + (f"; see `{context.command_path} --help`" if context else ""))


def _interrupted(*_: object) -> None:
    sys.exit(int(Exit.INTERRUPTED))
