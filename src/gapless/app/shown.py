"""Units, findings, templates, schedules, chains, notifications, forecasts as JSON: for commands and routes alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gapless.core.forecast import Honesty
from gapless.core.redact import redacted
from gapless.core.rules.finding import Finding, score_of
from gapless.core.span import SECOND, Instant, iso
from gapless.engine.forecasts import Told
from gapless.engine.notifications import shown_address
from gapless.engine.units import Units
from gapless.store.chains import Chain
from gapless.store.deliveries import Delivery
from gapless.store.findings import Told as ToldFinding
from gapless.store.findings import Verdict
from gapless.store.notifications import Notification
from gapless.store.schedules import Schedule
from gapless.store.templates import Template

if TYPE_CHECKING:
    from gapless.app.history import Gapless


def _when(at: Instant | None) -> str | None:
    return None if at is None else iso(at - at % SECOND)


def units_json(one: Units | None) -> dict[str, Any] | None:
    """The units of a job as JSON, where they are counted."""
    if one is None:
        return None
    return {
        "total": one.total,
        "processed": one.processed,
        "ok": one.ok,
        "cached": one.cached,
        "skip": one.skip,
        "fail": one.fail,
        "series": one.series,
        "period": None if one.period is None else iso(one.period),
        "error": redacted(one.error),
    }


def finding_json(one: Finding) -> dict[str, Any]:
    """A finding as JSON."""
    return {
        "rule": one.rule,
        "severity": one.severity.value,
        "start": iso(one.span.start),
        "end": iso(one.span.end),
        "rows": one.rows,
        "evidence": one.evidence,
    }


def listed_finding_json(one: ToldFinding) -> dict[str, Any]:
    """A finding of a list as JSON: with its job and its series."""
    told = {"id": one.id, "job": one.job, "dataset": one.dataset, "series": one.series, "foundAt": _when(one.at)}
    return told | finding_json(one.finding)


def verdict_json(one: Verdict) -> dict[str, Any]:
    """What a validation has to say of a series as JSON; `score` goes from 100, nothing found, to 0."""
    return {
        "series": one.series,
        "rows": one.rows,
        "score": score_of(one.lost, one.rows),
        "errors": one.errors,
        "warnings": one.warnings,
    }


def template_json(one: Template) -> dict[str, Any]:
    """A template as JSON."""
    return {
        "name": one.name,
        "kind": one.kind,
        "settings": one.settings,
        "then": list(one.then),
        "owner": one.owner,
        "createdAt": _when(one.created_at),
        "changedAt": _when(one.changed_at),
    }


def schedule_json(opened: Gapless, one: Schedule) -> dict[str, Any]:
    """A schedule as JSON."""
    return {
        "name": one.name,
        "template": opened.schedules.template_name(one),
        "cron": one.cron,
        "zone": one.zone,
        "enabled": bool(one.enabled),
        "nextAt": _when(one.next_at),
        "lastAt": _when(one.last_at),
        "lastJob": one.last_job,
        "runs": one.runs,
        "missed": one.missed,
        "refused": one.refused,
        "error": one.error,
        "owner": one.owner,
    }


def chain_json(one: Chain) -> dict[str, Any]:
    """A link as JSON."""
    return {
        "id": one.id,
        "job": one.job,
        "after": one.after,
        "steps": [{"kind": step.kind, "name": step.name, "settings": step.settings} for step in one.steps],
        "state": one.state,
        "nextJob": one.next_job,
        "error": one.error,
        "owner": one.owner,
        "createdAt": _when(one.created_at),
        "endedAt": _when(one.ended_at),
    }


def notification_json(one: Notification, last: Delivery | None = None) -> dict[str, Any]:
    """A notification as JSON, without its secrets; `last` is the newest delivery that came to an end."""
    return {
        "name": one.name,
        "kind": one.kind,
        "to": shown_address(one),
        "events": one.events.split(","),
        "enabled": bool(one.enabled),
        "owner": one.owner,
        "createdAt": _when(one.created_at),
        "last": None if last is None else delivery_json(last, {one.id: one.name}),
    }


def delivery_json(one: Delivery, names: dict[int, str]) -> dict[str, Any]:
    """A delivery as JSON."""
    return {
        "id": one.id,
        "notification": names.get(one.notification),
        "job": one.job,
        "event": one.event,
        "state": one.state,
        "attempts": one.attempts,
        "retryAt": _when(one.retry_at) if one.state == "waiting" else None,
        "error": one.error,
        "createdAt": _when(one.created_at),
        "endedAt": _when(one.ended_at),
    }


def told_json(one: Told | None) -> dict[str, Any] | None:
    """A forecast as JSON, in seconds from now; None for a job that has ended or has no end."""
    if one is None:
        return None
    return {
        "p50": round(one.p50, 1),
        "p90": round(one.p90, 1),
        "waits": round(one.idle, 1),
        "basis": one.basis,
        "madeAt": _when(one.made_at),
        "paused": one.is_paused,
    }


def honesty_json(one: Honesty) -> dict[str, Any]:
    """How forecasts did, as JSON; shares are 0–1."""
    return {
        "forecasts": one.forecasts,
        "jobs": one.jobs,
        "withinP50": round(one.within_p50, 4),
        "withinP90": round(one.within_p90, 4),
        "bias": round(one.bias, 4),
    }
