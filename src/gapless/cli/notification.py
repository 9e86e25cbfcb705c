"""`gapless notification`: add, list, remove, enable, disable, deliveries, deliver."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from gapless.app.shown import delivery_json, notification_json
from gapless.cli.common import AsJson, Database, dump, err, history, out, table, when
from gapless.cli.workflow import Name
from gapless.core.errors import Exit
from gapless.engine.notifications import USUAL, shown_address

app = typer.Typer(help="Tell others when jobs end or wait.", invoke_without_command=True)


def register(to: typer.Typer) -> None:
    """Add this group."""
    to.add_typer(app, name="notification")


@app.callback()
def default(ctx: typer.Context, json: AsJson = False, database: Database = None) -> None:
    """Tell others when jobs end or wait; without a verb, list who is told."""
    if ctx.invoked_subcommand is None:
        list_notifications(json=json, database=database)


@app.command()
def add(
    name: Name,
    url: Annotated[str, typer.Argument(metavar="URL", help="A webhook, an address of apprise, or - for input.")],
    on: Annotated[
        list[str] | None, typer.Option("--on", help="done, incomplete, failed, cancelled or waiting.")
    ] = None,
    database: Database = None,
) -> None:
    """Tell an address from now on. The secret that signs webhooks is shown this once."""
    address = sys.stdin.readline().strip() if url == "-" else url
    with history(database) as opened:
        made = opened.notifications.add(name, address, tuple(on or USUAL))
    out.print(f"notification {name} to {shown_address(made.notification)}", highlight=False, markup=False)
    if made.secret:
        out.print(made.secret, highlight=False, markup=False)
        err.print("this secret signs what is sent; it is not shown again", highlight=False)


@app.command("list")
def list_notifications(json: AsJson = False, database: Database = None) -> None:
    """List who is told of what."""
    with history(database) as opened:
        found, last = opened.notifications.every(), opened.deliveries.last()
    if json:
        dump([notification_json(one, last.get(one.id)) for one in found])
        return
    table(
        ["notification", "kind", "to", "of", "state"],
        [(o.name, o.kind, shown_address(o), o.events, "enabled" if o.enabled else "disabled") for o in found],
    )


@app.command()
def remove(name: Name, database: Database = None) -> None:
    """Tell it no more."""
    with history(database) as opened:
        opened.notifications.remove(name)
    out.print(f"notification {name} is removed", highlight=False, markup=False)


@app.command()
def enable(name: Name, database: Database = None) -> None:
    """Tell it again of what happens from now on."""
    with history(database) as opened:
        opened.notifications.enable(name, enabled=True)
    out.print(f"notification {name} is enabled", highlight=False, markup=False)


@app.command()
def disable(name: Name, database: Database = None) -> None:
    """Tell it nothing for now."""
    with history(database) as opened:
        opened.notifications.enable(name, enabled=False)
    out.print(f"notification {name} is disabled", highlight=False, markup=False)


@app.command("test")
def try_out(name: Name, database: Database = None) -> None:
    """Tell it something now, to see whether it arrives. Exit code 1 when it does not."""
    with history(database) as opened:
        outcome = opened.deliveries.test(opened.notifications.get(name))
    if outcome.error:
        err.print(f"notification {name}: {outcome.error}", style="red", highlight=False, markup=False)
        raise typer.Exit(int(Exit.FAILED))
    out.print(f"notification {name} was told", highlight=False, markup=False)


@app.command()
def deliveries(
    most: Annotated[int, typer.Option("--most", min=1, help="So many at most.")] = 20,
    json: AsJson = False,
    database: Database = None,
) -> None:
    """List what was told, and what is still to be."""
    with history(database) as opened:
        found = opened.deliveries.recent(most)
        names = {one.id: one.name for one in opened.notifications.every()}
    if json:
        dump([delivery_json(one, names) for one in found])
        return
    table(
        ["delivery", "to", "job", "event", "state", "attempts", "at", ""],
        [
            (
                one.id,
                names.get(one.notification, "-"),
                one.job,
                one.event,
                one.state,
                one.attempts,
                when(one.ended_at or one.retry_at),
                one.error,
            )
            for one in found
        ],
        right=["delivery", "job", "attempts"],
    )


@app.command()
def deliver(database: Database = None) -> None:
    """Tell what is due now, where no worker and no server does."""
    with history(database) as opened:
        opened.notifications.tick()
        told = opened.deliveries.tick()
    out.print(f"{told} told", highlight=False)
