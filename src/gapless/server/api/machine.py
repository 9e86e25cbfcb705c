"""The whole: metrics, workers, queues, budgets."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from pydantic import Field
from starlette.responses import Response

from gapless.core.job import JobState, Queue
from gapless.core.pacing import Budget
from gapless.core.span import SECOND, iso
from gapless.engine.overview import Overview, overview
from gapless.server import exposition
from gapless.server.access import Admin, History, Viewer
from gapless.server.api.documented import problems
from gapless.server.context import Context, Server
from gapless.server.shapes import Shape, answer
from gapless.store.sqlite import SQLite

router = APIRouter(tags=["system"], responses=problems())


class Limit(Shape):
    """Slots of all processes that may run segments of a queue at once; null lifts the limit."""

    limit: Annotated[int, Field(ge=1, le=9_999)] | None


@router.get("/api/batch/metrics", summary="Figures of today")
def metrics(server: Server, caller: Viewer) -> Response:  # noqa: ARG001
    """Days begin at midnight UTC; `avgProcessingTime` in ms per job, `errorRate` 0–1 over the last hour."""
    seen, now = _look(server), server.history.clock.now()
    rows, _ = server.board.speed()
    states = seen.states
    return answer(
        {
            "system": {
                "activeJobs": states.get(JobState.RUNNING, 0),
                "queuedJobs": states.get(JobState.PENDING, 0),
                "completedToday": seen.completed_today,
                "failedToday": seen.failed_today,
                "avgProcessingTime": round(seen.average_ms, 1),
            },
            "performance": {
                "itemsPerSecond": round(rows, 1),
                "memoryUsage": f"{round(server.vitals.memory / 1_000_000)}MB",
                "cpuUsage": server.vitals.cpu,
            },
            "health": {"status": seen.status(now), "errorRate": round(seen.error_rate, 4)},
        }
    )


@router.get("/api/system", summary="Workers, queues, budgets, this process")
def system(server: Server, caller: Viewer) -> Response:  # noqa: ARG001
    """What the system page shows."""
    seen, now = _look(server), server.history.clock.now()
    return answer(
        {
            "workers": [
                {
                    "id": one.id,
                    "name": one.name,
                    "host": one.host,
                    "pid": one.pid,
                    "queues": one.queues.split(","),
                    "slots": one.slots,
                    "busy": seen.busy.get(one.id, 0),
                    "job": one.job,
                    "startedAt": iso(one.started_at - one.started_at % SECOND),
                    "silence": server.board.silence(one.id, one.beat),
                }
                for one in seen.workers
            ],
            "queues": _queues(seen),
            "budgets": [_budget(server, one, now) for one in seen.budgets],
            "database": _database(server),
            "process": {
                "memoryBytes": server.vitals.memory,
                "cpuPercent": server.vitals.cpu,
                "loopLagMs": round(server.vitals.lag * 1000, 1),
                "uptime": round(server.vitals.uptime, 1),
                "readers": server.live.listeners,
                "boot": server.live.boot,
            },
            "health": {"status": seen.status(now), "errorRate": round(seen.error_rate, 4)},
            "states": seen.states,
        }
    )


@router.get("/api/workers", summary="Workers")
def workers(server: Server, caller: Viewer) -> Response:  # noqa: ARG001
    """Those that have not left; one that is silent for 3 s loses its segments."""
    seen = _look(server)
    listed = [
        {"id": one.id, "name": one.name, "host": one.host, "queues": one.queues.split(","), "slots": one.slots}
        for one in seen.workers
    ]
    return answer({"workers": listed})


@router.get("/api/budgets", summary="Budgets")
def budgets(server: Server, caller: Viewer) -> Response:  # noqa: ARG001
    """What each source allows, and what was used of it."""
    now = server.history.clock.now()
    return answer({"budgets": [_budget(server, one, now) for one in _look(server).budgets]})


@router.patch("/api/queues/{queue}", summary="Limit a queue")
def limit_queue(
    server: Server,
    caller: Admin,  # noqa: ARG001
    history: History,
    queue: Annotated[Literal["live", "daily", "backfill", "compute"], Path()],
    body: Limit,
) -> Response:
    """Takes effect at the next claim."""
    history.set_limit(Queue(queue), body.limit)
    return answer({"queues": _queues(_look(server))})


@router.get("/metrics", summary="Figures for Prometheus", response_class=Response)
def prometheus(server: Server, caller: Viewer) -> Response:  # noqa: ARG001
    """Text exposition format; scrape it with a viewer's token."""
    text = exposition.text(_look(server), server.board, server.live, server.vitals)
    return Response(text, 200, media_type="text/plain; version=0.0.4; charset=utf-8")


def _look(server: Context) -> Overview:
    with server.history.store.read() as tx:
        return overview(tx, server.history.clock.now())


def _queues(seen: Overview) -> list[dict[str, Any]]:
    slots = {
        queue: sum(one.slots for one in seen.workers if queue in one.queues.split(",")) for queue in map(str, Queue)
    }
    return [
        {
            "name": one.queue,
            "waiting": one.waiting,
            "running": one.running,
            "oldestSeconds": round(one.oldest_seconds, 1),
            "limit": seen.limits.get(one.queue),
            "slots": slots.get(one.queue, 0),
        }
        for one in seen.queues
    ]


def _budget(server: Context, one: Budget, now: int) -> dict[str, Any]:
    name, _, scope = one.key.partition("@")
    source, _, group = name.partition("/")
    used = server.board.used(one.key)
    return {
        "key": one.key,
        "source": source,
        "group": group,
        "scope": scope,
        "rate": one.rate,
        "perSecond": round(used, 2),
        "used": None if not one.rate else round(min(1.0, used / one.rate), 3),
        "requests": one.requests,
        "refusals": one.refusals,
        "blockedUntil": iso(one.blocked_until) if one.blocked_until > now else None,
        "daily": one.daily,
        "usedToday": one.used if one.daily is not None else None,
    }


def _database(server: Context) -> dict[str, Any]:
    database = server.history.store.database
    if not isinstance(database, SQLite):
        return {"kind": database.name, "bytes": None, "walBytes": None}
    log = database.path.with_name(f"{database.path.name}-wal")
    return {
        "kind": "sqlite",
        "bytes": database.path.stat().st_size if database.path.exists() else 0,
        "walBytes": log.stat().st_size if log.exists() else 0,
    }
