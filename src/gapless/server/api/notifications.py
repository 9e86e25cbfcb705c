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
from gapless.server.shapes import PAGE, Shape, Text, Word, answer, page_of

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
    last = history.deliveries.last()
    listed = [notification_json(one, last.get(one.id)) for one in history.notifications.every()]
    return answer({"notifications": listed})


@router.post("", status_code=201, summary="Tell an address")
def add(caller: Admin, history: History, body: New) -> Response:  # noqa: ARG001
    """The answer is the only time that `secret`, which signs webhooks, is shown."""
    made = history.notifications.add(body.name, body.url, tuple(body.events), secret=body.secret)
    return answer({**notification_json(made.notification), "secret": made.secret}, 201)


@router.get("/deliveries", summary="What was told")
def list_deliveries(
    caller: Admin,  # noqa: ARG001
    history: History,
    state: Literal["", "waiting", "sent", "failed"] = "",
    cursor: Annotated[int, Query(ge=0, le=2**53)] = 0,
    limit: Annotated[int, Query(ge=1, le=PAGE)] = 50,
) -> Response:
    """The newest first."""
    names = {one.id: one.name for one in history.notifications.every()}
    shown, is_more = page_of(history.deliveries.recent(limit + 1, below=cursor or 2**62, state=state), limit)
    listed = [delivery_json(one, names) for one in shown]
    return answer({"deliveries": listed, "cursor": shown[-1].id if is_more else None})


@router.delete("/{name}", status_code=204, summary="Tell it no more", responses=problems(404))
def remove(caller: Admin, history: History, name: Named) -> Response:  # noqa: ARG001
    """What waits for it is dropped."""
    history.notifications.remove(name)
    return Response(status_code=204)


@router.post("/{name}/test", summary="Tell it something now", responses=problems(404))
def test(caller: Admin, history: History, name: Named) -> Response:  # noqa: ARG001
    """Whether it arrived, and if not why; also of one that is switched off. Takes at most ten seconds."""
    outcome = history.deliveries.test(history.notifications.get(name))
    return answer({"delivered": not outcome.error, "error": outcome.error})


@router.post("/{name}/{verb}", summary="Switch it on or off", responses=problems(404))
def switch(caller: Admin, history: History, name: Named, verb: Literal["enable", "disable"]) -> Response:  # noqa: ARG001
    """It hears of what happens from then on."""
    history.notifications.enable(name, enabled=verb == "enable")
    return answer(notification_json(history.notifications.get(name)))
