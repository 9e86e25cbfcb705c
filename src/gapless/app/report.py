"""Reports as people ask for them: a wish over series and periods, the files of its job, and what a child draws."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import msgspec

from gapless.core.dataset import Dataset, Type
from gapless.core.errors import NotFound, UsageError
from gapless.core.grid import EVENTS as SECONDS
from gapless.core.index.components import COMPONENTS
from gapless.core.job import Direction, Job, Kind, Mode, Wish
from gapless.core.lazily import pl
from gapless.core.reports import REPORTS, subject
from gapless.core.rules import Finding
from gapless.core.span import SECOND, Instant, Span, iso, moment
from gapless.engine import truth
from gapless.engine.truth import Stretch, Word
from gapless.store import findings, rows
from gapless.store import reports as stored
from gapless.store import series as ledger
from gapless.store.database import Tx
from gapless.store.reports import ReportFile
from gapless.store.store import Store
from gapless.work.derive import FEAR_GREED
from gapless.work.elsewhere import datasets, store_of
from gapless.work.report.document import document, pictures
from gapless.work.report.facts import Facts, Period
from gapless.work.report.formats import FORMATS, MEDIA, PICTURE
from gapless.work.report.making import Drawn, Order, Reporting
from gapless.work.report.words import Language

if TYPE_CHECKING:
    from gapless.app.history import Gapless
    from gapless.app.orders import Orders, When
    from gapless.work.processes import Processes

PERIODS = ("day", "month", "year", "all")
#: Gaps and findings that a report lists.
LISTED = 40
#: Periods of a report at most, and reports of a job.
MOST, UNITS = 400, 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How reports are to be: what is the same for all files of a job."""

    #: Rows of their tables, and how a span is cut into reports of their own.
    per: str = "month"
    each: str = "all"
    formats: tuple[str, ...] = ("html",)
    languages: tuple[str, ...] = ("en",)

    def check(self) -> None:
        """Raise `UsageError` for a word that is not known."""
        _among("per", [self.per], PERIODS)
        _among("each", [self.each], PERIODS)
        _among("format", self.formats, list(FORMATS))
        _among("lang", self.languages, [one.value for one in Language])


def _among(field: str, said: Sequence[str], known: Sequence[str]) -> None:
    if not said:
        raise UsageError(f"{field}: none is given", field=field, hint=f"give {', '.join(known)}")
    for one in said:
        if one not in known:
            raise UsageError(f"{field}: {one!r} is unknown", field=field, hint=f"give {', '.join(known)}")


def manner_of(params: Mapping[str, Any]) -> Manner:
    """The manner that the parameters of a step or a template say; raises `UsageError`.

    A folder is nothing that they may say: only who sits at the machine names one.
    """
    try:
        made = msgspec.convert(dict(params), _Said)
    except msgspec.ValidationError as error:
        known = ", ".join(_Said.__struct_fields__)
        raise UsageError(f"params: {error}", field="params", hint=f"a report has {known}") from None
    formats, languages = _several(made.formats), _several(made.languages)
    manner = Manner(per=made.per, each=made.each, formats=formats, languages=languages)
    manner.check()
    return manner


class _Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    per: str = "month"
    each: str = "all"
    #: Lists, or text with commas: parameters of templates are single values.
    formats: tuple[str, ...] | str = "html"
    languages: tuple[str, ...] | str = "en"


def _several(said: tuple[str, ...] | str) -> tuple[str, ...]:
    return tuple(said.replace(",", " ").split()) if isinstance(said, str) else said


def reporting(history: Gapless, pool: Processes) -> Reporting:
    """The kind of work."""

    def folder(job_id: int, said: str) -> Path:
        return Path(said) if said else history.reports_folder / f"job-{job_id}"

    return Reporting(store=history.store, clock=history.clock, pool=pool, draw=drawn, folder=folder)


def report_wish(
    history: Gapless,
    told: Iterable[tuple[str, Sequence[str]]],
    start: When | None,
    end: When | None,
    *,
    days: float | None = None,
    periods: Sequence[str] = (),
    manner: Manner = Manner(),
    folder: Path | None = None,
) -> Wish:
    """A checked wish for reports on series of one dataset or of several; without series all that are stored.

    `periods` ("2023", "2024-01..2024-06") instead of a span: a report for each. Raises `UsageError`.
    """
    manner.check()
    subjects: list[str] = []
    spans: dict[str, list[Span]] = {}
    for name, series in told:
        dataset = history.dataset(name)
        names = history.catalogue.series(dataset, list(series) or history.series(dataset))
        subjects += [subject(dataset.name, one) for one in names]
        asked = _asked(history, dataset, names, start, end, days, periods)
        zone = ZoneInfo(dataset.zone)
        spans[dataset.name] = [part for one in asked for _, part in _parts(dataset, one, manner.each, zone)]
        for one in spans[dataset.name]:
            _parts(dataset, one, manner.per, zone)
    if not subjects:
        raise UsageError("dataset: none is given", field="dataset", hint="`gapless datasets` lists them")
    subjects = list(dict.fromkeys(subjects))
    _check_files(history, subjects, spans)
    if folder is not None:
        folder = folder.expanduser().absolute()
        _check_folder(folder)
    every = [one for parts in spans.values() for one in parts]
    params = {
        "periods": {name: [[one.start, one.end] for one in parts] for name, parts in spans.items()},
        "per": manner.per,
        "formats": list(dict.fromkeys(manner.formats)),
        "languages": list(dict.fromkeys(manner.languages)),
        **({"folder": str(folder)} if folder else {}),
    }
    return Wish(
        owner=history.actor.name,
        kind=Kind.REPORT,
        dataset=REPORTS.name,
        series=tuple(subjects),
        span=Span(SECONDS.floor(min(one.start for one in every)), SECONDS.ceil(max(one.end for one in every))),
        mode=Mode.ALL,
        direction=Direction.FORWARD,
        params=msgspec.json.encode(params, order="sorted").decode(),
    )


def _asked(
    history: Gapless,
    dataset: Dataset,
    names: Sequence[str],
    start: When | None,
    end: When | None,
    days: float | None,
    periods: Sequence[str],
) -> list[Span]:
    """The spans of a dataset that are to be reported on, oldest first; no two of them overlap."""
    if not periods:
        return [history.span(dataset, start, end, days, names)[0]]
    if start is not None or end is not None or days is not None:
        raise UsageError("periods: cannot be given with a span", field="periods", hint="give one of them")
    found = []
    for one in periods:
        first, dots, last = one.partition("..")
        found.append(history.span(dataset, first, last if dots else first, None, names)[0])
    found.sort()
    for before, after in pairwise(found):
        if after.start < before.end:
            raise UsageError(
                f"periods: {before} and {after} overlap", field="periods", hint="make a job for each of them"
            )
    return found


def _check_files(history: Gapless, subjects: Sequence[str], spans: Mapping[str, list[Span]]) -> None:
    """Raise `UsageError` where two reports would be one file, or there are too many."""
    seen: dict[str, str] = {}
    for one in subjects:
        name, _, series = one.partition(":")
        for part in spans[name]:
            if len(seen) >= UNITS:
                raise UsageError(
                    f"series: more than {UNITS:,} reports", field="series", hint="make several jobs, or longer periods"
                )
            stem = _stem(history.catalogue.dataset(name), series, part)
            if stem in seen:
                raise UsageError(
                    f"series: {seen[stem]} and {one} in {part} would be one file, {stem}",
                    field="series",
                    hint="make a job for each of them",
                )
            seen[stem] = one


def _stem(dataset: Dataset, series: str, part: Span) -> str:
    """What the name of a report's files begins with."""
    zone = ZoneInfo(dataset.zone)
    said = f"{dataset.name}-{series}-{_day(part.start, zone)}-{_day(part.end - 1, zone)}"
    return re.sub(r"[^\w.-]+", "_", said, flags=re.ASCII)


def check_stored(history: Gapless, wish: Wish) -> None:
    """Raise `UsageError` where reports would tell of nothing: no series has a row in any of the periods."""
    with history.store.read() as tx:
        for one in wish.series:
            name, _, series = one.partition(":")
            dataset, its = history.catalogue.dataset(name), ledger.find(tx, name, series)
            if its is not None and rows.count(tx, dataset, its, wish.span):
                return
    names = ", ".join(dict.fromkeys(one.partition(":")[0] for one in wish.series))
    raise UsageError(
        f"from: nothing is stored of {names} in {wish.span}", field="from", hint="`gapless fill` fetches it"
    )


def _check_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"output: {folder} cannot be made ({error.strerror})", field="output", hint="name another folder"
        ) from None
    if not os.access(folder, os.W_OK):
        raise UsageError(f"output: {folder} cannot be written", field="output", hint="name another folder")


# -- what a job has written


def files(history: Orders, job_id: int) -> list[ReportFile]:
    """The files of a job, by name; none for jobs of other kinds. Raises `NotFound` without such a job."""
    history.jobs.get(job_id)
    with history.store.read() as tx:
        return stored.of_job(tx, job_id)


def place(history: Orders, job: Job, file: ReportFile) -> Path:
    """Where a file of a job stands."""
    reporting = history.catalogue.chore(Kind.REPORT)
    assert isinstance(reporting, Reporting)
    said: str = msgspec.json.decode(job.params).get("folder", "")
    return reporting.folder(job.id, said) / file.name


def content(history: Gapless, job_id: int, name: str) -> tuple[ReportFile, bytes]:
    """A file and what is in it, as it was written; raises `NotFound` for one that is gone or was changed since."""
    job = history.jobs.get(job_id)
    with history.store.read() as tx:
        found = stored.get(tx, job_id, name)
    if found is None:
        raise NotFound(f"name: job {job_id} has no file {name}", field="name", hint="see the job's list of files")
    try:
        body = place(history, job, found).read_bytes()
    except OSError:
        raise NotFound(
            f"name: {name} is not in the folder of job {job_id} any more",
            field="name",
            hint="retry or clone the job; machines that share a database have to share GAPLESS_REPORTS_DIR, too",
        ) from None
    if hashlib.sha256(body).hexdigest() != found.sha256:
        raise NotFound(
            f"name: {name} was changed since job {job_id} wrote it", field="name", hint="clone the job to write it anew"
        )
    return found, body


def certificate(history: Orders, job: Job) -> dict[str, Any]:
    """What a report job vouches for: its files, each with the digest of what it wrote and what became of it."""
    return {
        "job": job.id,
        "state": job.state,
        "dataset": job.dataset,
        "mode": job.mode,
        "start": iso(job.start),
        "end": iso(job.end),
        "isComplete": job.state == "done",
        "series": [],
        "files": [
            {
                "name": one.name,
                "dataset": one.dataset,
                "series": one.series,
                "bytes": one.bytes,
                "sha256": one.sha256,
                "found": _found_file(place(history, job, one), one.sha256),
            }
            for one in files(history, job.id)
        ],
    }


def _found_file(path: Path, digest: str) -> str:
    """Whether a file is as it was written."""
    try:
        return "unchanged" if hashlib.sha256(path.read_bytes()).hexdigest() == digest else "changed"
    except OSError:
        return "gone"


# -- what a child draws


def drawn(url: str, order: Order) -> list[Drawn]:
    """The files of one report: its facts gathered once, from one view of the store."""
    dataset = datasets()[order.dataset]
    its = facts(store_of(url), dataset, order.series, order.span, order.per, order.now)
    stem, charts = _stem(dataset, order.series, order.span), pictures(its, {PICTURE[one] for one in order.formats})
    made = []
    for language in order.languages:
        told = document(its, Language(language), charts)
        made += [
            Drawn(name=f"{stem}.{language}.{kind}", media_type=MEDIA[kind], body=FORMATS[kind](told))
            for kind in order.formats
        ]
    return made


def facts(store: Store, dataset: Dataset, name: str, span: Span, per: str, now: Instant) -> Facts:
    """Everything about one series in a span, from one view of the store."""
    with store.read() as tx:
        stretches = truth.gaps(tx, dataset, name, span, now)
        its = ledger.find(tx, dataset.name, name)
        frame = rows.empty(dataset) if its is None else rows.frame(tx, dataset, its, span)
        told, is_validated = ([], False) if its is None else _found(tx, its, span)
    zone = ZoneInfo(dataset.zone)
    parts = _parts(dataset, span, per, zone)
    drawn = next((one for one in ("score", "close", "value", "dps") if one in frame.columns), "")
    listed = sorted(stretches, key=lambda one: (one.word is Word.EMPTY, -one.cells))[:LISTED]
    path = _path(frame, drawn, dataset)
    components = [
        one for one in COMPONENTS if dataset.name == FEAR_GREED and frame.height and frame[one].is_not_null().any()
    ]
    if components:
        path = path.with_columns(frame.select(components))
    return Facts(
        dataset=dataset.name,
        series=name,
        span=span,
        zone=dataset.zone,
        first_day=_day(span.start, zone),
        last_day=_day(span.end - 1, zone),
        made_at=iso(now - now % SECOND),
        periods=[_period(label, part, stretches, path, frame, dataset) for label, part in parts],
        whole=_period("", span, stretches, path, frame, dataset),
        statistics=_statistics(frame, dataset),
        gaps=[(one.word.value, one.span, one.cells, one.note) for one in listed],
        gap_count=len(stretches),
        findings=told[:LISTED],
        is_validated=is_validated,
        path=path,
        drawn=drawn,
        components=components,
    )


def _found(tx: Tx, series: int, span: Span) -> tuple[list[Finding], bool]:
    return findings.newest(tx, series, span)


def _day(at: Instant, zone: ZoneInfo) -> str:
    return moment(at).astimezone(zone).date().isoformat()


def _path(frame: pl.DataFrame, drawn: str, dataset: Dataset) -> pl.DataFrame:
    """What is drawn; nothing where a time has many rows."""
    if not drawn or dataset.key:
        return pl.DataFrame({"time": frame["time"].head(0), "value": pl.Series([], dtype=pl.Float64)})
    return frame.select("time", value=pl.col(drawn).cast(pl.Float64))


def _parts(dataset: Dataset, span: Span, per: str, zone: ZoneInfo) -> list[tuple[str, Span]]:
    """The calendar periods of a span, in its dataset's zone, on its grid."""
    if per == "all":
        return [(f"{_day(span.start, zone)} – {_day(span.end - 1, zone)}", span)]
    made: list[tuple[str, Span]] = []
    at = span.start
    while at < span.end:
        local = moment(at).astimezone(zone)
        label, following = _next(local, per)
        end = min(span.end, dataset.grid.ceil(round(following.timestamp()) * SECOND))
        if end > at:
            made.append((label, Span(at, end)))
        at = max(end, at + 1)
        if len(made) > MOST:
            raise UsageError(f"per: more than {MOST} periods", field="per", hint="take a shorter span, or longer ones")
    return made


def _next(local: datetime, per: str) -> tuple[str, datetime]:
    from datetime import timedelta

    day = local.replace(hour=0, minute=0, second=0, microsecond=0)
    if per == "day":
        return f"{day:%Y-%m-%d}", day + timedelta(days=1)
    if per == "month":
        return f"{day:%Y-%m}", day.replace(year=day.year + day.month // 12, month=day.month % 12 + 1, day=1)
    return f"{day:%Y}", day.replace(year=day.year + 1, month=1, day=1)


def _period(
    label: str, part: Span, stretches: list[Stretch], path: pl.DataFrame, frame: pl.DataFrame, dataset: Dataset
) -> Period:
    grid = dataset.grid
    counted = {word.value: 0 for word in Word}
    for one in stretches:
        inside = one.span.clip(part)
        if inside:
            counted[one.word.value] += grid.count(inside.start, inside.end)
    counted["present"] = grid.count(part.start, part.end) - sum(counted.values())
    at = path["time"].dt.epoch("us")
    values = path.filter((at >= part.start) & (at < part.end))["value"].drop_nulls()
    if not len(values):
        return Period(label=label, cells=counted)
    volume = None
    # An index calls a component so, which is no amount.
    if {"close", "volume"} <= set(frame.columns) and not dataset.key:
        times = frame["time"].dt.epoch("us")
        volume = float(frame.filter((times >= part.start) & (times < part.end))["volume"].sum())
    least, most, mean = (float(one) for one in (values.min(), values.max(), values.mean()))  # type: ignore[arg-type]
    return Period(
        label=label,
        cells=counted,
        first=float(values[0]),
        last=float(values[-1]),
        low=least,
        high=most,
        mean=mean,
        volume=volume,
    )


def _statistics(frame: pl.DataFrame, dataset: Dataset) -> list[tuple[str, int, float, float, float, float]]:
    kinds = {one.name: one.type for one in dataset.columns}
    names = [
        name for name, kind in kinds.items() if kind in (Type.FLOAT, Type.INT, Type.DECIMAL) and name not in _PLUMBING
    ]
    made = []
    for name in names:
        values = frame[name].cast(pl.Float64).drop_nulls().drop_nans()
        if len(values):
            numbers = [float(one or 0) for one in (values.mean(), values.std(), values.min(), values.max())]  # type: ignore[arg-type]
            made.append((name, len(values), numbers[0], numbers[1], numbers[2], numbers[3]))
    return made


_PLUMBING = ("job", "version", "rank")
