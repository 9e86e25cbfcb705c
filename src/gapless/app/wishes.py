"""Wishes as they are said: by templates, schedules and steps of chains, in plain words and numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from gapless.core.actor import Actor
from gapless.core.errors import UsageError
from gapless.core.job import Bounds, Job, Kind, Queue, Wish, priority_of
from gapless.core.period import lasting
from gapless.core.span import iso
from gapless.engine.jobs import check_rate
from gapless.engine.templates import Making
from gapless.store import jobs
from gapless.store.chains import Step
from gapless.work.reparse import REPARSE

if TYPE_CHECKING:
    from gapless.app.history import Gapless


class Said(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The settings of a wish. A step of a chain may leave out dataset, series or span: those of the job before."""

    dataset: str = ""
    series: tuple[str, ...] = ()
    start: str | None = None
    end: str | None = None
    days: float | None = None
    mode: str = "missing"
    direction: str = "both"
    recheck: int = 0
    report: str = ""
    priority: str = "normal"
    rate: float | None = None
    #: As `Bounds`: attempts after the first one, and a duration such as `2h`.
    max_retries: int | None = None
    max_runtime: str | None = None
    #: A name for its jobs; else the template's.
    name: str = ""
    #: What a kind of work wants to know for itself.
    params: dict[str, Any] = {}


def said(settings: Mapping[str, Any]) -> Said:
    """Settings as a value; raises `UsageError` that names the field."""
    try:
        return msgspec.convert(dict(settings), Said)
    except msgspec.ValidationError as error:
        found = re.search(r"`\$\.(\w+)|field `(\w+)`", str(error))
        field = next((one for one in found.groups() if one), "settings") if found else "settings"
        known = ", ".join(Said.__struct_fields__)
        raise UsageError(f"{field}: {error}", field=field, hint=f"the settings of a wish are {known}") from None


class Wishes:
    """Makes jobs of a history out of steps."""

    def __init__(self, app: Gapless) -> None:
        self._app = app

    def check(self, step: Step, *, alone: bool) -> None:
        """Raise `UsageError` for a step that cannot become a job; `alone`: with no job before it."""
        one, kind = said(step.settings), self._kind(step.kind)
        _check_verb(kind, one)
        priority_of(one.priority)
        bounds_of(one.max_retries, one.max_runtime)
        if kind is Kind.REPORT:
            from gapless.app.report import manner_of

            manner_of(one.params)
        check_rate(one.rate)
        if alone or (one.dataset and one.series and _has_span(one)):
            self._wish(one, kind)
        elif one.dataset:
            dataset = self._app.catalogue.dataset(one.dataset)
            if one.series:
                self._app.catalogue.series(dataset, list(one.series), one.report)

    def prepare(self, step: Step, *, actor: Actor, queue: Queue | None = None, before: Job | None = None) -> Making:
        """Do all that may take long or fail; what is returned makes the actor's job in the caller's transaction."""
        one, kind = said(step.settings), self._kind(step.kind)
        if before is not None:
            one = self._after(one, before)
        wish = replace(self._wish(one, kind), owner=actor.name)
        self._app.ready_for(wish)
        return self._app.jobs.by(actor).maker(
            wish,
            queue=queue,
            priority=priority_of(one.priority),
            name=one.name or step.name,
            rate=one.rate,
            bounds=bounds_of(one.max_retries, one.max_runtime),
        )

    def ring(self) -> None:
        """Wake the idle slots of this process."""
        self._app.jobs.ring()

    def _kind(self, name: str) -> Kind:
        """A kind of work that can be wished for here."""
        known = [Kind.COLLECT, *self._app.catalogue.chores]
        if name not in known:
            listed = ", ".join(one.value for one in known)
            raise UsageError(f"kind: {name!r} is unknown", field="kind", hint=f"give one of: {listed}")
        return Kind(name)

    def _wish(self, one: Said, kind: Kind) -> Wish:
        _check_verb(kind, one)
        if not one.dataset:
            raise UsageError("dataset: none is given", field="dataset", hint="`gapless datasets` lists them")
        if kind is Kind.REPORT:
            from gapless.app.report import manner_of, report_wish

            told = [(one.dataset, one.series)]
            return report_wish(self._app, told, one.start, one.end, days=one.days, manner=manner_of(one.params))
        return self._app.wish(
            self._app.dataset(one.dataset),
            list(one.series),
            one.start,
            one.end,
            days=one.days,
            mode=one.mode,
            direction=one.direction,
            recheck=one.recheck,
            report=one.report,
            kind=kind,
            params=one.params,
        )

    def _after(self, one: Said, before: Job) -> Said:
        """What a step does not say is as the job before had it."""
        filled: dict[str, Any] = {}
        if not one.dataset:
            filled["dataset"] = before.dataset
        if not one.series and one.dataset in ("", before.dataset):
            with self._app.store.read() as tx:
                filled["series"] = tuple(name for _, name in jobs.series_of(tx, before.id))
        if not _has_span(one):
            filled |= {"start": iso(before.start), "end": iso(before.end)}
        return msgspec.structs.replace(one, **filled)


def _check_verb(kind: Kind, one: Said) -> None:
    """Other migrations are begun by their commands, which look first: they open databases, move rows, take back."""
    verb = one.params.get("verb")
    if kind is Kind.MIGRATE and verb != REPARSE:
        raise UsageError(
            f"params: a template or step cannot migrate with verb {verb!r}",
            field="params",
            hint=f"give {REPARSE}, or use `gapless migrate`",
        )


def _has_span(one: Said) -> bool:
    return one.start is not None or one.days is not None


def bounds_of(max_retries: int | None, max_runtime: str | None) -> Bounds:
    """Bounds as they are said; raises `UsageError`."""
    made = Bounds(
        max_retries=max_retries, max_runtime=None if max_runtime is None else lasting(max_runtime, field="max_runtime")
    )
    made.check()
    return made
