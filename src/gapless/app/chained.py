"""Jobs with what has to come before them and what is to follow: the fills of a computation's inputs, a validation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from gapless.app.compute import lacking_inputs
from gapless.app.wishes import bounds_of
from gapless.core.job import UNBOUND, Bounds, Kind, Priority, Queue, Wish, priority_of
from gapless.core.span import iso
from gapless.engine.jobs import Made
from gapless.store.chains import Step

if TYPE_CHECKING:
    from gapless.app.history import Gapless


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How a job is to be done: no part of the wish."""

    name: str = ""
    #: None: that of its kind.
    queue: Queue | None = None
    priority: Priority = Priority.NORMAL
    rate: float | None = None
    bounds: Bounds = UNBOUND
    hold: bool = False


def terms(
    *,
    name: str = "",
    queue: str | None = None,
    priority: str = "normal",
    rate: float | None = None,
    max_retries: int | None = None,
    max_runtime: str | None = None,
    hold: bool = False,
) -> Terms:
    """Terms as they are said; raises `UsageError`."""
    return Terms(
        name=name,
        queue=None if queue is None else Queue(queue),
        priority=priority_of(priority),
        rate=rate,
        bounds=bounds_of(max_retries, max_runtime),
        hold=hold,
    )


def made(history: Gapless, wish: Wish, its: Terms = Terms(), *, level: str = "") -> Made:
    """Make the job of a wish, or take up an unfinished one; returns the first of its chain.

    What the inputs of a computation miss is filled before it, one job for each, whatever becomes of them: days whose
    inputs stay incomplete are given up by the computation itself. `level`: a validation of the same span follows.
    """
    after = (validation(level),) if level else ()
    fills = _fills(history, wish) if wish.kind is Kind.COMPUTE else []
    if not fills:
        how: dict[str, Any] = {"priority": its.priority, "name": its.name, "rate": its.rate, "bounds": its.bounds}
        job = history.create(wish, queue=its.queue, **how, hold=its.hold)
        return _followed(history, job, after, "done")
    name = f"inputs of {wish.series[0]}"
    job = history.create(fills[0], name=name, hold=its.hold)
    steps = [Step(kind=Kind.COLLECT.value, name=name, settings=_said(one)) for one in fills[1:]]
    return _followed(history, job, (*steps, _step(wish, its), *after), "ended")


def _followed(history: Gapless, job: Made, steps: tuple[Step, ...], after: str) -> Made:
    if steps:
        # A job that was taken up may have its steps already: the same ones are one link.
        history.chains.add(job.job.id, steps, after=after)
    return job


def validation(level: str) -> Step:
    """A validation of what the job before has made."""
    return Step(kind=Kind.VALIDATE.value, name="", settings={"params": {"level": level.lower()}})


def _fills(history: Gapless, wish: Wish) -> list[Wish]:
    """The wishes for what the inputs of a computation miss."""
    return [
        history.wish(history.dataset(one.dataset), [one.series], one.start, one.end)
        for one in lacking_inputs(history, wish)
    ]


def _step(wish: Wish, its: Terms) -> Step:
    """A computation as a step."""
    params: dict[str, Any] = msgspec.json.decode(wish.params)
    settings = {**_said(wish), "params": params, "mode": wish.mode.value, "priority": its.priority.name.lower()}
    if its.bounds.max_retries is not None:
        settings["max_retries"] = its.bounds.max_retries
    if its.bounds.max_runtime is not None:
        settings["max_runtime"] = f"{its.bounds.max_runtime / 1_000_000:g}s"
    return Step(kind=Kind.COMPUTE.value, name=its.name, settings=settings)


def _said(wish: Wish) -> dict[str, Any]:
    return {
        "dataset": wish.dataset,
        "series": list(wish.series),
        "start": iso(wish.span.start),
        "end": iso(wish.span.end),
    }
