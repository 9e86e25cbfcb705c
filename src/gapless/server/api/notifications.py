"""Notifications: whom to tell. For admins: an address is a way out of the house."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from gapless.app.shown import delivery_json, notification_json
from gapless.server.access import Admin, History
from gapless.server.api.documented import problems
from gapless.server.api.templates import Named
from gapless.server.shapes import Shape, Text, Word, answer

router = APIRouter(prefix="/api/notifications", tags=["workflow"], responses=problems())

Event = Literal["done", "incomplete", "failed", "cancelled", "waiting"]
_USUAL: tuple[Event, ...] = ("done", "incomplete", "failed", "waiting")


class New(Shape):
    """A notification."""

    name: Annotated[Word, Field(min_length=1)]
    #: A webhook, or an address of apprise. It is not shown again.
    url: Annotated[Text, Field(min_length=1)]
    events: Annotated[list[Event], Field(min_length=1, max_length=5)] = Field(default_factory=lambda: list(_USUAL))
    #: Signs webhooks; left out, one is made.
    secret: Word = ""


@router.get("", summary="Notifications")
def list_notifications(caller: Admin, history: History) -> Response:  # noqa: ARG001
    """Addresses without what may be secret in them."""
    return answer({"notifications": [notification_json(one) for one in history.notifications.every()]})


@router.post("", status_code=201, summary="Tell an address")
def add(caller: Admin, history: History, body: New) -> Response:  # noqa: ARG001
    """The answer is the only time that `secret`, which signs webhooks, is shown."""
    made = history.notifications.add(body.name, body.url, tuple(body.events), secret=body.secret)
    return answer({**notification_json(made.notification), "secret": made.secret}, 201)


@router.get("/deliveries", summary="What was told")
def list_deliveries(
    caller: Admin,  # noqa: ARG001
    history: History,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Response:
    """The newest first."""
    names = {one.id: one.name for one in history.notifications.every()}
    return answer({"deliveries": [delivery_json(one, names) for one in history.deliveries.recent(limit)]})


@router.delete("/{name}", status_code=204, summary="Tell it no more", responses=problems(404))
def remove(caller: Admin, history: History, name: Named) -> Response:  # noqa: ARG001
    """What waits for it is dropped."""
    history.notifications.remove(name)
    return Response(status_code=204)


@router.post("/{name}/{verb}", summary="Switch it on or off", responses=problems(404))
def switch(caller: Admin, history: History, name: Named, verb: Literal["enable", "disable"]) -> Response:  # noqa: ARG001
    """It hears of what happens from then on."""
    history.notifications.enable(name, enabled=verb == "enable")
    return answer(notification_json(history.notifications.get(name)))
