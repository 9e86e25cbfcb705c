"""Templates: a wish as it is said, under a name. Run by hand, by a schedule, or as a step of a chain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from gapless.core.actor import Actor
from gapless.core.clock import Clock
from gapless.core.errors import NotAllowed, NotFound, UsageError
from gapless.core.job import Job, Queue
from gapless.core.names import checked_name
from gapless.engine.jobs import Made
from gapless.store import audit, chains, templates
from gapless.store.chains import Step
from gapless.store.database import Tx
from gapless.store.store import Store
from gapless.store.templates import Template

Making = Callable[[Tx], Made]


class Starter(Protocol):
    """Makes jobs out of steps; what the engine asks of those who know how wishes are said."""

    def check(self, step: Step, *, alone: bool) -> None:
        """Raise `UsageError` for a step that cannot become a job; `alone`: with no job before it."""
        ...

    def prepare(self, step: Step, *, actor: Actor, queue: Queue | None = None, before: Job | None = None) -> Making:
        """Do all that may take long or fail; what is returned makes the actor's job in the caller's transaction.

        Raises `UsageError` where trying again is of no use, `SourceError` and `StoreError` where it is.
        """
        ...

    def ring(self) -> None:
        """Wake idle slots, after that transaction."""
        ...


class Templates:
    """Verbs on templates, done by `actor`."""

    def __init__(self, store: Store, clock: Clock, starter: Starter, actor: Actor) -> None:
        self._store = store
        self._clock = clock
        self._starter = starter
        self._actor = actor

    def save(
        self,
        name: str,
        kind: str,
        settings: Mapping[str, Any],
        *,
        then: tuple[str, ...] = (),
        replace: bool = False,
    ) -> Template:
        """Save the settings of a wish; `then` names the templates whose jobs follow its job. Raises `UsageError`."""
        checked_name(name)
        step = Step(kind=kind, settings=dict(settings), name=name)
        self._starter.check(step, alone=False)
        for one in then:
            self.get(one, field="then")
        now = self._clock.now()

        def write(tx: Tx) -> Template:
            before = templates.by_name(tx, name)
            owner = self._actor.name
            if not templates.save(tx, name, owner, kind, step.settings, then, now, replace=replace):
                raise UsageError(
                    f"name: there is a template {name}", field="name", hint="replace it with --replace, or rename"
                )
            found = templates.by_name(tx, name)
            assert found is not None
            shown = ["" if one is None else msgspec.json.encode(one.settings).decode() for one in (before, found)]
            audit.add(tx, now, self._actor, "template.saved", f"template/{name}", before=shown[0], after=shown[1])
            return found

        return self._store.write(write)

    def every(self) -> list[Template]:
        """All templates by name."""
        with self._store.read() as tx:
            return templates.every(tx)

    def get(self, name: str, *, field: str = "template") -> Template:
        """A template by its name; raises `UsageError`."""
        with self._store.read() as tx:
            found = templates.by_name(tx, name)
        if found is None:
            raise NotFound(
                f"{field}: there is no template {name}", field=field, hint="`gapless template list` shows them"
            )
        return found

    def remove(self, name: str) -> None:
        """Forget a template; raises `NotAllowed` while schedules run it."""
        found = self.get(name)

        def write(tx: Tx) -> None:
            used = templates.schedules_of(tx, found.id)
            if used:
                raise NotAllowed(f"template {name} is run by schedule {', '.join(used)}", hint="remove that first")
            templates.remove(tx, found.id)
            audit.add(tx, self._clock.now(), self._actor, "template.removed", f"template/{name}")

        self._store.write(write)

    def steps(self, names: tuple[str, ...], *, field: str = "then") -> tuple[Step, ...]:
        """Templates as steps of a chain, as they are now. What follows a template by itself does not come along."""
        found = [self.get(name, field=field) for name in names]
        return tuple(Step(kind=one.kind, settings=one.settings, name=one.name) for one in found)

    def check(self, template: Template) -> Step:
        """A template as the step it runs as by itself; raises `UsageError` when it needs a job before it."""
        step = Step(kind=template.kind, settings=template.settings, name=template.name)
        self._starter.check(step, alone=True)
        return step

    def prepare(self, template: Template, *, actor: Actor, queue: Queue | None = None) -> Making:
        """Prepare a run: its job, and the chain of what follows it, are made in one transaction."""
        step = self.check(template)
        make = self._starter.prepare(step, actor=actor, queue=queue)
        then, now = self.steps(template.then), self._clock.now()

        def write(tx: Tx) -> Made:
            made = make(tx)
            if then:
                chains.add(tx, made.job.id, actor.name, "done", then, now)
            return made

        return write

    def run(self, name: str) -> Made:
        """Make the job of a template now; an identical unfinished job is adopted."""
        made = self._store.write(self.prepare(self.get(name), actor=self._actor), isolated=True)
        self._starter.ring()
        return made
