"""Validations: what they may ask a source, what they have found, and how it is mended."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from gapless.core.actor import Actor
from gapless.core.clock import Clock
from gapless.core.dataset import Dataset
from gapless.core.errors import Refused, TryAgain
from gapless.core.job import Job
from gapless.core.page import Ask, Page
from gapless.core.rules import Finding, Severity, score
from gapless.core.span import DOOM, Instant, Span, span
from gapless.core.words import counted_word
from gapless.engine.budgets import Departed, Gates
from gapless.engine.catalogue import Catalogue
from gapless.store import audit, budgets, findings, jobs, pages, rows, series, tallies
from gapless.store.database import Tx
from gapless.store.store import Store
from gapless.work.validate import AskAgain, Validate

#: Seconds that a validation waits for the budget of a source before it lets go of its stretch.
PATIENCE = 60.0
#: Warnings about what is not there: asking again harms nobody.
EMPTINESS = ("missing_session", "truncated_day")


def validation(store: Store, catalogue: Catalogue, clock: Clock) -> Validate:
    """The chore, with a way to ask sources that waits for their budgets."""
    gates = Gates(store, clock)

    def again(dataset: Dataset, name: str) -> tuple[int, AskAgain] | None:
        source = catalogue.source(dataset)
        if dataset.directory is not None or not source.base_url:
            return None
        return source.shape(dataset, name).rows, ask

    def ask(dataset: Dataset, asked: Ask) -> Page:
        limit = catalogue.limit(dataset)
        store.write(lambda tx: budgets.set_limit(tx, limit))
        never, until = threading.Event(), clock.monotonic() + PATIENCE
        while not isinstance(leaves := gates.gate(limit.key).depart(never), Departed):
            if clock.monotonic() > until:
                raise TryAgain(f"waiting for the budget of {limit.key} ({leaves})", source=dataset.source)
            clock.wait(never, 0.5)
        now = clock.now()
        try:
            with gates.sending(limit, leaves) as sent:
                page = catalogue.source(dataset).fetch(dataset, asked, now)
        except Refused as error:
            gates.refused(limit.key, error.seconds, is_quota=error.is_quota)
            raise TryAgain(str(error), source=dataset.source) from None
        gates.answered(sent, remaining=page.remaining)
        return page.before(dataset.frontier(now if page.source_time is None else min(now, page.source_time)))

    return Validate(store=store, clock=clock, datasets=catalogue.datasets, again=again)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesVerdict:
    """What was found of one series."""

    series: str
    rows: int
    #: From 100, nothing found, to 0.
    score: float
    findings: list[Finding]

    @property
    def errors(self) -> int:
        """How many findings cannot be true."""
        return sum(one.severity is Severity.ERROR for one in self.findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Validated:
    """What a validation has found."""

    job: int
    dataset: str
    series: list[SeriesVerdict]

    @property
    def findings(self) -> list[tuple[str, Finding]]:
        """All of it, with the series."""
        return [(one.series, each) for one in self.series for each in one.findings]

    @property
    def has_errors(self) -> bool:
        """Whether anything cannot be true."""
        return any(one.errors for one in self.series)


def validated(store: Store, job: Job) -> Validated:
    """What a job has found so far, series by series."""
    with store.read() as tx:
        names = [name for _, name in jobs.series_of(tx, job.id)]
        counted, told = findings.looked_at(tx, job.id), findings.of_job(tx, job.id)
    by: dict[str, list[Finding]] = {name: [] for name in names}
    for name, one in told:
        by[name].append(one)
    return Validated(
        job=job.id,
        dataset=job.dataset,
        series=[
            SeriesVerdict(
                series=name,
                rows=counted.get(name, 0),
                score=score(found, counted.get(name, 0)),
                findings=found,
            )
            for name, found in by.items()
        ],
    )


def repair(store: Store, catalogue: Catalogue, job: Job, now: Instant, actor: Actor) -> dict[str, Span]:
    """Take back what cannot be true or is not there: rows go, the ledger forgets their spans.

    Returns what to fetch, by series; nothing of what lies beyond the job.
    """
    dataset = catalogue.dataset(job.dataset)
    lost: dict[str, list[Finding]] = {}
    for name, one in [each for verdict in [validated(store, job)] for each in verdict.findings]:
        if one.severity is Severity.ERROR or one.rule in EMPTINESS:
            lost.setdefault(name, []).append(one)
    if lost:
        said = f"{counted_word(sum(map(len, lost.values())), 'finding')} of {len(lost)} series"
        store.write(lambda tx: audit.add(tx, now, actor, "findings.repaired", f"job/{job.id}", after=said))
    spans: dict[str, Span] = {}
    for name, found in lost.items():
        parts = [_aligned(dataset, one.span) for one in found]
        whole = Span(min(one.start for one in parts), max(one.end for one in parts))
        kept = span(max(whole.start, job.start), min(whole.end, job.end))
        store.write(lambda tx, name=name, found=found: _take_back(tx, dataset, name, found))  # type: ignore[misc]
        if kept:
            spans[name] = kept
    return spans


def _aligned(dataset: Dataset, one: Span) -> Span:
    grid = dataset.grid
    return Span(grid.floor(one.start), grid.ceil(one.end) if one.end < DOOM else one.end)


def _take_back(tx: Tx, dataset: Dataset, name: str, found: list[Finding]) -> None:
    its = series.ensure(tx, dataset.name, name)
    for one in found:
        part = _aligned(dataset, one.span)
        pages.withdraw(tx, dataset, its, part)
        rows.delete(tx, dataset, its, part)
        if one.rule == "ledger":
            tallies.drop(tx, its, (one.span.start - dataset.tally_origin) // dataset.tally_width)
