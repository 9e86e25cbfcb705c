"""Why a job is not going on: never a state of its own, but the predicates of the claim, spelled out."""

from __future__ import annotations

from gapless.core.job import Job, JobState, Kind, Queue
from gapless.core.span import SECOND, Instant, iso
from gapless.core.words import counted_word
from gapless.store import claims, queues, segments, workers
from gapless.store.database import Tx
from gapless.store.workers import Worker


def serving(tx: Tx, job: Job) -> list[Worker]:
    """Workers that would take segments of a job."""
    return [one for one in workers.every(tx) if job.queue in one.queues.split(",") and one.job in (None, job.id)]


def reasons(tx: Tx, job: Job, now: Instant) -> list[str]:
    """Why a job waits, or that it is running."""
    if job.is_final:
        return [f"it is {job.state}" + (f": {job.error}" if job.error else "")]
    if job.state == JobState.PAUSED:
        return [f"it is paused: `gapless jobs resume {job.id}`"]
    waiting = claims.why(tx, job.id, now)
    counted, _, _ = segments.counts(tx, job.id)
    takers = serving(tx, job)
    # Workers fetch what a follower has found missing; what comes next only the follower plans.
    if job.kind == Kind.FOLLOW and not any(one.job == job.id for one in takers):
        return [f"nobody follows: `gapless follow {job.dataset} …` with the same series goes on"]
    is_served = bool(takers)
    found = [f"{counted_word(counted['running'], 'segment')} running"] if counted.get("running") else []
    found += [reason for one in waiting for reason in _waits(one, now)]
    if waiting and not is_served:
        found.append(f"no worker serves queue {job.queue}: `gapless jobs resume {job.id} --here` or `gapless worker`")
    elif waiting and not found:
        found += _behind(tx, job)
    return list(dict.fromkeys(found)) or ["it is about to go on"]


def _behind(tx: Tx, job: Job) -> list[str]:
    """Every slot is taken, or as many as the queue may have."""
    ahead = claims.ahead(tx, job.id, job.queue, job.turn)
    limit = queues.limits(tx).get(job.queue)
    behind = [] if ahead is None else [f"it is behind job {ahead}"]
    if job.state == JobState.PENDING and job.queue != Queue.LIVE and claims.is_crowded(tx):
        behind.append("as many jobs run as may run at once")
    return behind + ([] if limit is None else [f"queue {job.queue} is limited to {counted_word(limit, 'slot')}"])


def _waits(one: claims.Waiting, now: Instant) -> list[str]:
    """Why one segment waits."""
    found = {
        f"the source told us to wait until {_when(one.blocked_until)}": one.blocked_until > now,
        "the daily quota is spent; it goes on by itself after the reset": one.is_quota_spent,
        f"it tries again at {_when(one.retry_at)}: {one.error}": one.retry_at > now,
        f"job {one.overlapped_by} is fetching it": one.overlapped_by != 0,
    }
    return [reason for reason, holds in found.items() if holds]


def _when(at: Instant) -> str:
    return iso(at - at % SECOND)
