"""Who does something: a person, a token, a schedule, or gapless itself; and what a role may do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What an account or a token may do; each may do what those before it may."""

    VIEWER = "viewer"
    #: Makes jobs and controls its own.
    OPERATOR = "operator"
    #: Controls every job, accounts, tokens, limits.
    ADMIN = "admin"

    def allows(self, needed: Role) -> bool:
        """Whether this role includes another one."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


class Via(StrEnum):
    """By which way something was done."""

    #: A person in a browser.
    SESSION = "session"
    TOKEN = "token"
    #: The command line or a script on the machine of the database.
    LOCAL = "local"
    SCHEDULE = "schedule"
    CHAIN = "chain"
    #: Workers, the ledger, recovery.
    ENGINE = "engine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who did it, and why if that was said."""

    name: str
    via: Via
    reason: str = ""


#: Moves that follow from the work itself.
ENGINE = Actor(name="gapless", via=Via.ENGINE)
