"""The routes of `/api`, one file per noun."""

from __future__ import annotations

from fastapi import APIRouter

from gapless.server.api import health, jobs, live, session


def routers() -> list[APIRouter]:
    """All of them."""
    return [one.router for one in (health, session, jobs, live)]
