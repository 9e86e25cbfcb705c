"""Whether the audit is what it was: every digest is computed anew, from the first kept entry to the last."""

from __future__ import annotations

from dataclasses import dataclass

from gapless.store import audit
from gapless.store.store import Store

#: Entries read at once.
PART = 2000


@dataclass(frozen=True, slots=True)
class Verified:
    """The outcome: how many entries hold, and the first that does not."""

    entries: int
    place: int
    #: Of the last entry: whoever has noted it elsewhere can tell later whether the audit was cut off or written anew.
    digest: str
    #: What is wrong, in words; empty when the chain holds.
    trouble: str


def verify(store: Store, *, head: str = "") -> Verified:
    """Seal what waits, then walk the chain; `head` is a digest noted before that must still be in it."""
    while store.write(audit.seal):
        pass
    with store.read() as tx:
        place, digest = audit.root(tx)
        count, is_met = 0, not head or head == digest
        while part := audit.sealed(tx, place, PART):
            for one in part:
                if one.place != place + 1:
                    return Verified(count, place, digest, f"entry {place + 1} is gone")
                if one.digest != audit.digest_of(one, place + 1, digest):
                    return Verified(count, place, digest, f"entry {place + 1} (id {one.id}) was changed")
                place, digest, count = place + 1, one.digest, count + 1
                is_met = is_met or digest == head
    trouble = "" if is_met else "the digest that was noted is not in the chain: it was cut off or written anew"
    return Verified(count, place, digest, trouble)
