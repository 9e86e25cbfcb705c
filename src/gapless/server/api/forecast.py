"""Forecasts: how long a job will still take, and how honest such forecasts were."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from gapless.app.shown import honesty_json, told_json
from gapless.server.access import History, Viewer
from gapless.server.api.documented import problems
from gapless.server.shapes import Number, answer

router = APIRouter(prefix="/api/forecast", tags=["workflow"], responses=problems())


@router.get("/jobs/{job_id}", summary="How long a job will still take", responses=problems(404))
def show(caller: Viewer, history: History, job_id: Number) -> Response:  # noqa: ARG001
    """Seconds from now: half of such jobs end within `p50`, nine of ten within `p90`; null for one that has ended."""
    return answer({"forecast": told_json(history.forecasts.told(job_id))})


@router.get("/score", summary="How honest forecasts were")
def score(
    caller: Viewer,  # noqa: ARG001
    history: History,
    days: Annotated[float, Query(gt=0, le=3650, allow_inf_nan=False)] = 30,
) -> Response:
    """By budget and by what they were learned from, and `all`; 0.5 and 0.9 are honest."""
    return answer({"score": {name: honesty_json(one) for name, one in history.forecasts.honesty(days).items()}})
