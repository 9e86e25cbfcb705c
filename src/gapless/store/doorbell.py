"""Rings in PgQueuer's table: put there by triggers of the schema, mended here (PostgreSQL only).

A ring names a segment and its epoch, `s12.3`, so that a segment that waits anew is rung for anew even while its former
ring is still being answered. Its tables are unlogged: after a crash of the server they are empty, and mended.
"""

from __future__ import annotations

from gapless.store.database import Tx

PREFIX = "gapless_"
#: The key of a segment's ring, in SQL.
KEY = "'s' || segment.id || '.' || segment.epoch"
#: PgQueuer's priority, higher first, as an int32: the class, then the order of the segments.
PRIORITY = "(2 - job.priority) * 700000000 + 699999999 - (segment.id % 700000000)::int"
#: Rings added in one round: more than the slots of any cluster can answer before the next.
MOST = 10_000
_RING = f"""
INSERT INTO {PREFIX}pgqueuer (priority, entrypoint, payload, dedupe_key, status, execute_after)
SELECT {PRIORITY}, segment.queue, convert_to(segment.id::text, 'UTF8'), {KEY}, 'queued',
       greatest(now(), to_timestamp(segment.retry_at / 1e6))
FROM segment JOIN job ON job.id = segment.job
WHERE segment.state = 'waiting' AND job.state IN ('pending', 'running')
  AND NOT EXISTS (SELECT FROM {PREFIX}pgqueuer AS ring WHERE ring.dedupe_key = {KEY})
ORDER BY segment.turn, segment.job, segment.id LIMIT {MOST}
ON CONFLICT DO NOTHING
"""
_CLEAR = f"""
DELETE FROM {PREFIX}pgqueuer AS ring WHERE ring.status = 'queued' AND NOT EXISTS (
    SELECT FROM segment JOIN job ON job.id = segment.job
    WHERE segment.id = split_part(substr(ring.dedupe_key, 2), '.', 1)::bigint AND {KEY} = ring.dedupe_key
      AND segment.state = 'waiting' AND job.state IN ('pending', 'running'))
"""
_TURN = f"SELECT next_at FROM {PREFIX}doorbell WHERE next_at <= now() FOR UPDATE SKIP LOCKED"
_NEXT_TURN = f"""
UPDATE {PREFIX}doorbell SET next_at = now() + greatest(interval '3 seconds', 20 * (clock_timestamp() - now()))
"""
#: PgQueuer's log of what it did.
_SWEEP = f"DELETE FROM {PREFIX}pgqueuer_log WHERE created < now() - interval '10 minutes'"


def mend(tx: Tx) -> bool:
    """Ring for segments that wait without a ring and clear stale rings away, once every three seconds in a cluster.

    Seldomer where it takes long. Returns whether it was our turn.
    """
    cursor = tx.cursor
    if cursor.execute(_TURN).fetchone() is None:
        return False
    cursor.execute(_CLEAR)
    cursor.execute(_RING)
    cursor.execute(_SWEEP)
    cursor.execute(_NEXT_TURN)
    return True
