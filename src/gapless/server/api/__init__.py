"""The routes of `/api`, one file per noun."""

from __future__ import annotations

from fastapi import APIRouter

from gapless.server.api import (
    accounts,
    audit,
    chains,
    coverage,
    create,
    findings,
    forecast,
    health,
    jobs,
    kinds,
    live,
    machine,
    notifications,
    reference,
    reports,
    schedules,
    series,
    session,
    templates,
)

_WORKFLOW = (templates, schedules, chains, notifications, forecast)
_MODULES = (
    health,
    session,
    # Before `jobs`, whose verbs would take `repair` for one of theirs.
    findings,
    jobs,
    create,
    kinds,
    reports,
    coverage,
    series,
    machine,
    *_WORKFLOW,
    accounts,
    audit,
    live,
    reference,
)


def routers() -> list[APIRouter]:
    """All of them."""
    return [one.router for one in _MODULES]
