"""Pages of candles, newest first, cut from blocks that are encoded once."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from itertools import accumulate
from typing import Generic, TypeVar

import msgspec

from gapless.sandbox.clock import SECOND
from gapless.sandbox.upbit.candles import Unit, block, candles, period, retained_from, unfinished
from gapless.sandbox.upbit.encoding import encoded
from gapless.sandbox.upbit.market import Candles, Market, World

T = TypeVar("T")
#: Bounds of memory: encoded blocks (300 bytes a candle: half a million are encoded once) and whole replies.
BLOCK_BYTES = 192 * 2**20
REPLY_BYTES = 32 * 2**20


class Shelf(Generic[T]):
    """Keeps what was used last, up to a number of bytes."""

    def __init__(self, most_bytes: int) -> None:
        self._left = most_bytes
        self._kept: OrderedDict[Hashable, tuple[T, int]] = OrderedDict()

    def get(self, key: Hashable) -> T | None:
        """What is kept under `key`."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        self._kept.move_to_end(key)
        return kept[0]

    def put(self, key: Hashable, value: T, size: int) -> None:
        """Keep a new value of `size` bytes; the ones unused for longest go."""
        self._kept[key] = value, size
        self._left -= size
        while self._left < 0:
            _, (_, freed) = self._kept.popitem(last=False)
            self._left += freed


class Block(msgspec.Struct, frozen=True):
    """Encoded candles."""

    #: Starts, ascending, in seconds.
    times: Sequence[int]
    #: Objects with commas between them, newest first.
    text: bytes
    #: Where each object begins in the text, and where one more would.
    begins: Sequence[int]

    def cut(self, i: int, j: int) -> bytes:
        """Candles `[i, j)` of the ascending order, newest first."""
        count = len(self.times)
        return self.text[self.begins[count - j] : self.begins[count - i] - 1]


class Slice(msgspec.Struct, frozen=True):
    """A part of a page: candles `[i, j)` of a block; never empty."""

    block: Block
    i: int
    j: int


class Page(msgspec.Struct, frozen=True):
    """The candles of a reply, newest first."""

    slices: list[Slice]

    def body(self) -> bytes:
        """A JSON array."""
        return b"[" + b",".join([part.block.cut(part.i, part.j) for part in self.slices]) + b"]"

    def rows(self) -> list[tuple[int, bytes]]:
        """Start in seconds and object of each candle."""
        return [
            (part.block.times[k], part.block.cut(k, k + 1))
            for part in self.slices
            for k in range(part.j - 1, part.i - 1, -1)
        ]


class Pages:
    """Cuts pages of a world's candles."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._blocks: Shelf[Block] = Shelf(BLOCK_BYTES)

    def page(self, market: Market, unit: Unit, before: int, count: int, now_us: int) -> Page:
        """The newest `count` candles that start before the second `before`, as they stand at `now_us`."""
        slices: list[Slice] = []
        start, _ = period(unit, now_us // SECOND)
        if before > start:
            before = start
            current = self._encoded(market, unit, unfinished(self._world, market, unit, now_us))
            slices += [Slice(current, 0, 1)] if current.times else []
        left, oldest = count - len(slices), retained_from(unit, market, now_us)
        while left > 0 and before > oldest:
            span = block(unit, before - 1)
            part = self._part(self._block(market, unit, *span), oldest, before, left)
            if part:
                slices.append(part)
                left -= part.j - part.i
            before = span[0]
        return Page(slices)

    def warm(self, market: Market, unit: Unit, start: int, end: int) -> tuple[int, int]:
        """Encode the blocks that touch `[start, end)` seconds; the numbers of blocks and candles."""
        blocks = rows = 0
        start = max(start, period(unit, market.listed)[0])
        while start < end:
            span = block(unit, start)
            rows += len(self._block(market, unit, *span).times)
            blocks += 1
            start = span[1]
        return blocks, rows

    def _part(self, whole: Block, oldest: int, before: int, most: int) -> Slice | None:
        j = bisect_left(whole.times, before)
        i = max(j - most, bisect_left(whole.times, oldest))
        return Slice(whole, i, j) if i < j else None

    def _block(self, market: Market, unit: Unit, start: int, end: int) -> Block:
        key = (market.name, unit.name, start)
        known = self._blocks.get(key)
        if known is None:
            known = self._encoded(market, unit, candles(self._world, market, unit, start, end))
            self._blocks.put(key, known, 400 + len(known.text) + 16 * len(known.times))
        return known

    def _encoded(self, market: Market, unit: Unit, columns: Candles) -> Block:
        rows = encoded(self._world, market, unit, columns)
        rows.reverse()
        begins = list(accumulate((len(row) + 1 for row in rows), initial=0))
        return Block(array("q", columns.time), ",".join(rows).encode(), array("I", begins))
