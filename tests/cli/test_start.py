"""Starting a command is cheap: only what it needs is loaded."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer

from gapless.cli import tree

HEAVY = ["polars", "psycopg", "pydantic", "matplotlib", "fastapi", "exchange_calendars", "alembic", "pgqueuer"]
ASK = "import sys; from gapless.cli import tree; tree(sys.argv[1]); print(*set(sys.argv[2:]) & set(sys.modules))"


@pytest.mark.parametrize("command", ["fill", "jobs", "worker", "follow"])
def test_a_command_loads_no_library_that_it_may_never_need(command: str) -> None:
    """Polars alone takes a third of a second, and a fill never needs it."""
    done = subprocess.run([sys.executable, "-c", ASK, command, *HEAVY], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_a_simulator_loads_nothing_of_the_store() -> None:
    """The package shows its face without loading it."""
    ask = "import sys, gapless.sandbox.__main__; print(*{'sqlalchemy', 'polars', 'gapless.app'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_every_command_is_found_alone_as_in_the_whole_tree() -> None:
    """The module that is loaded for a name has the command of that name, as the whole tree has it."""
    whole = _commands(tree())
    for name, command in whole.items():
        alone = _commands(tree(name))
        assert len(alone) < len(whole), name
        assert alone[name].name == command.name
        assert list(getattr(alone[name], "commands", ())) == list(getattr(command, "commands", ()))


def _commands(app: typer.Typer) -> dict[str, typer.core.TyperCommand]:
    return typer.main.get_command(app).commands  # type: ignore[attr-defined, no-any-return]
