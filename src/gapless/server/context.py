"""What every route of one server shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from gapless.app import Gapless
from gapless.server.access import Access
from gapless.server.board import Board
from gapless.server.live import Live
from gapless.server.plans import Plans
from gapless.server.vitals import Vitals


@dataclass(frozen=True, slots=True)
class Context:
    """One open history and what the server keeps in mind of it."""

    #: In the server's own hands; routes that change something take `access.History`.
    history: Gapless
    access: Access
    board: Board
    live: Live
    plans: Plans
    vitals: Vitals


def _context(connection: HTTPConnection) -> Context:
    found: Context = connection.app.state.context
    return found


Server = Annotated[Context, Depends(_context)]
