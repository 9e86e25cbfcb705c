"""`gapless user`, `gapless token`, `gapless audit`: who may come in, and who did what."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from gapless.cli.common import AsJson, Database, dump, err, history, out, table, when
from gapless.core.actor import Role
from gapless.core.errors import Exit, UsageError
from gapless.engine.audit import verify as walk
from gapless.store import audit as entries
from gapless.store.accounts import Account

users = typer.Typer(help="Accounts of the server.", no_args_is_help=False, invoke_without_command=True)
tokens = typer.Typer(help="Tokens, for programs.", no_args_is_help=False, invoke_without_command=True)
audits = typer.Typer(help="Who did what, when and why.", no_args_is_help=False, invoke_without_command=True)


def register(to: typer.Typer) -> None:
    """Add these groups."""
    to.add_typer(users, name="user")
    to.add_typer(tokens, name="token")
    to.add_typer(audits, name="audit")


Name = Annotated[str, typer.Argument(help="The account.", show_default=False)]
RoleOption = Annotated[Role, typer.Option("--role", help="What it may do.")]
Password = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input instead of asking.")
]


@users.callback()
def default_users(ctx: typer.Context, json: AsJson = False, database: Database = None) -> None:
    """Accounts of the server; without a verb, list them."""
    if ctx.invoked_subcommand is not None:
        return
    with history(database) as app:
        every = app.accounts.every()
    if json:
        dump([_user_json(one) for one in every])
        return
    table(
        ["account", "role", "made", ""],
        [(one.name, one.role, when(one.created_at), "closed" if one.closed_at is not None else "") for one in every],
    )


@users.command("add")
def add_user(
    name: Name, role: RoleOption = Role.OPERATOR, password_stdin: Password = False, database: Database = None
) -> None:
    """Make an account."""
    password = _password(password_stdin)
    with history(database) as app:
        made = app.accounts.add(name, role, password)
    out.print(f"{made.name} is {made.role}", highlight=False)


@users.command("set")
def set_user(
    name: Name,
    role: Annotated[Role | None, typer.Option("--role", help="What it may do.")] = None,
    password: Annotated[bool, typer.Option("--password", help="Ask for another password.")] = False,
    password_stdin: Password = False,
    close: Annotated[bool, typer.Option("--close", help="Let it open nothing any more.")] = False,
    reopen: Annotated[bool, typer.Option("--reopen", help="Open a closed account again.")] = False,
    database: Database = None,
) -> None:
    """Change an account: its role, its password, closed or open."""
    if role is None and not (password or password_stdin or close or reopen):
        raise UsageError("role: nothing to change", field="role", hint="give --role, --password, --close or --reopen")
    if close and reopen:
        raise UsageError("close: cannot be given with reopen", field="close", hint="give one of them")
    secret = _password(password_stdin) if password or password_stdin else ""
    with history(database) as app:
        if role is not None:
            app.accounts.set_role(name, role)
        if secret:
            app.accounts.set_password(name, secret)
        if close:
            app.accounts.close(name)
        if reopen:
            app.accounts.reopen(name)
    out.print(f"{name} is changed", highlight=False)


@tokens.callback()
def default_tokens(ctx: typer.Context, json: AsJson = False, database: Database = None) -> None:
    """Tokens, for programs; without a verb, list them."""
    if ctx.invoked_subcommand is not None:
        return
    with history(database) as app:
        every = app.accounts.tokens()
    listed = [
        {
            "id": one.id,
            "name": one.name,
            "account": one.account,
            "role": one.role,
            "createdAt": when(one.created_at),
            "expiresAt": when(one.expires_at) if one.expires_at is not None else None,
            "usedAt": when(one.used_at) if one.used_at is not None else None,
            "revokedAt": when(one.revoked_at) if one.revoked_at is not None else None,
        }
        for one in every
    ]
    if json:
        dump(listed)
        return
    columns = ["id", "name", "account", "role", "createdAt", "usedAt", "revokedAt"]
    table(columns, [[one[key] or "" for key in columns] for one in listed], right=["id"])


@tokens.command("add")
def add_token(
    name: Annotated[str, typer.Argument(help="What it is for.", show_default=False)],
    account: Annotated[str, typer.Option("--account", help="Whose token it is.")] = "admin",
    role: RoleOption = Role.VIEWER,
    days: Annotated[float | None, typer.Option("--days", help="Let it end after so many days.")] = None,
    json: AsJson = False,
    database: Database = None,
) -> None:
    """Make a token and print it: this once, and never again."""
    if days is not None and not 0 < days <= 3650:
        raise UsageError("days: must be 1 to 3650", field="days", hint="give the number of days")
    with history(database) as app:
        made, secret = app.accounts.add_token(account, name, role, days)
    if json:
        dump({"id": made.id, "name": made.name, "account": made.account, "role": made.role, "token": secret})
        return
    err.print(f"token {made.id}, {made.role} of {made.account}; it is shown this once:", highlight=False)
    sys.stdout.write(f"{secret}\n")


@tokens.command("revoke")
def revoke_token(
    token: Annotated[int, typer.Argument(help="Its number.", show_default=False)], database: Database = None
) -> None:
    """Close a token, at once and for ever."""
    with history(database) as app:
        app.accounts.revoke(token)
    out.print(f"token {token} opens nothing any more", highlight=False)


@audits.callback()
def default_audit(
    ctx: typer.Context,
    most: Annotated[int, typer.Option("--most", min=1, help="So many at most.")] = 50,
    subject: Annotated[str, typer.Option("--subject", help="Only of this, such as job/12.")] = "",
    actor: Annotated[str, typer.Option("--actor", help="Only what this account did.")] = "",
    action: Annotated[str, typer.Option("--action", help="Only what begins so, such as job. or job.paused.")] = "",
    json: AsJson = False,
    database: Database = None,
) -> None:
    """Who did what, when and why; without a verb, list the newest entries."""
    if ctx.invoked_subcommand is not None:
        return
    with history(database) as app, app.store.read() as tx:
        found = entries.newest(tx, most, below=2**62, subject=subject, actor=actor, action=action)
    if json:
        dump([_entry_json(one) for one in found])
        return
    table(
        ["at", "who", "by", "what", "of", "before", "after", "why"],
        [
            (when(one.at), one.actor, one.via, one.action, one.subject, one.before, one.after, one.reason[:60])
            for one in found
        ],
    )


@audits.command()
def verify(
    head: Annotated[str, typer.Option("--head", help="A digest noted before that must still be there.")] = "",
    json: AsJson = False,
    database: Database = None,
) -> None:
    """Walk the chain of digests: whether an entry was changed, removed or put in."""
    with history(database) as app:
        found = walk(app.store, head=head)
    if json:
        dump({"holds": not found.trouble, "entries": found.entries, "digest": found.digest, "trouble": found.trouble})
    elif found.trouble:
        err.print(found.trouble, style="red", highlight=False, markup=False)
    else:
        out.print(f"{found.entries:,} entries hold; the last one is {found.digest}", highlight=False)
    if found.trouble:
        raise typer.Exit(int(Exit.FAILED))


def _password(from_input: bool) -> str:
    """A password that is neither shown nor in the list of processes."""
    if from_input or not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))


def _user_json(one: Account) -> dict[str, Any]:
    closed = when(one.closed_at) if one.closed_at is not None else None
    return {"name": one.name, "role": one.role, "createdAt": when(one.created_at), "closedAt": closed}


def _entry_json(one: entries.Entry) -> dict[str, Any]:
    return {
        "id": one.id,
        "at": when(one.at),
        "actor": one.actor,
        "via": one.via,
        "action": one.action,
        "subject": one.subject,
        "before": one.before,
        "after": one.after,
        "reason": one.reason,
        "place": one.place,
        "digest": one.digest,
    }
