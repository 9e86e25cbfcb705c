"""The routes of `/api`, one file per noun."""

from __future__ import annotations

from fastapi import APIRouter

from gapless.server.api import (
    accounts,
    audit,
    coverage,
    create,
    health,
    jobs,
    live,
    machine,
    reference,
    series,
    session,
)

_MODULES = (health, session, jobs, create, coverage, series, machine, accounts, audit, live, reference)


def routers() -> list[APIRouter]:
    """All of them."""
    return [one.router for one in _MODULES]
