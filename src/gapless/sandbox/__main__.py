"""`python -m gapless.sandbox upbit --port 8600`: play a provider until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from threading import Thread

import msgspec

from gapless.sandbox.clock import Clock, instant
from gapless.sandbox.control import Settings
from gapless.sandbox.http import Server
from gapless.sandbox.process import LISTENING
from gapless.sandbox.upbit.api import Upbit
from gapless.sandbox.upbit.listings import SEED, world

#: How often a child looks whether its parent is still there.
PARENT_S = 0.5


def main(argv: Sequence[str] | None = None) -> int:
    """Run a sandbox with the words of a command line; ends with 0 on Ctrl-C and SIGTERM."""
    parser = _parser()
    args = parser.parse_args(argv)
    try:
        provider = _upbit(args)
    except (ValueError, msgspec.ValidationError) as error:
        parser.error(str(error))
    try:
        with suppress(KeyboardInterrupt):
            asyncio.run(_serve(provider, args.port, with_parent=args.die_with_parent))
    except OSError as error:
        parser.exit(1, f"cannot listen on port {args.port}: {error.strerror}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gapless sandbox", description="Play a provider over HTTP.")
    upbit = parser.add_subparsers(dest="provider", required=True).add_parser("upbit", help="Upbit's candles")
    add = upbit.add_argument
    add("--port", type=int, default=0, help="0 takes a free one")
    add("--seed", type=int, default=SEED, help="other seeds give other candles")
    add("--now", metavar="TIME", help="when the clock starts, such as 2026-01-01T00:00:00Z; else the present")
    add("--rate", type=int, default=10, help="requests a second; 0 is no limit")
    add("--latency-ms", type=float, default=0.0, help="how late every reply comes")
    add("--window", choices=("clock", "sliding"), default="clock", help="how requests are counted")
    add("--jitter-ms", type=float, default=20.0, help="how far windows are stretched, at most 50")
    add(
        "--market",
        action="append",
        default=[],
        metavar="SPEC",
        help="KRW-DEMO:density=0.1,listed=TIME,halt=A..B",
    )
    add("--die-with-parent", action="store_true", help="end when standard input or the parent ends")
    return parser


def _upbit(args: argparse.Namespace) -> Upbit:
    clock = Clock()
    if args.now:
        clock.set(instant(args.now))
    named = {name: getattr(args, name) for name in ("rate", "latency_ms", "window", "jitter_ms")}
    return Upbit(world(args.seed, args.market), msgspec.convert(named, Settings), clock)


async def _serve(provider: Upbit, port: int, *, with_parent: bool) -> None:
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, over.set)
    server = Server(provider.answer)
    chosen = await server.start(port)
    sys.stdout.write(f"{LISTENING}http://127.0.0.1:{chosen}\n")
    sys.stdout.flush()
    watch = asyncio.create_task(_watch_parent(over)) if with_parent else None
    await over.wait()
    if watch:
        watch.cancel()
    server.close()


async def _watch_parent(over: asyncio.Event) -> None:
    """End with whoever started us: our standard input ends, or somebody else becomes our parent."""
    loop, parent = asyncio.get_running_loop(), os.getppid()
    # A thread, because a loop cannot watch every kind of standard input.
    Thread(target=_read_input, args=(loop, over), daemon=True).start()
    while os.getppid() == parent:  # noqa: ASYNC110 - the kernel sets no event
        await asyncio.sleep(PARENT_S)
    over.set()


def _read_input(loop: asyncio.AbstractEventLoop, over: asyncio.Event) -> None:
    # No loop left to tell, or no input: either way it is over.
    with suppress(RuntimeError, OSError):
        while os.read(0, 4_096):
            pass
        loop.call_soon_threadsafe(over.set)


if __name__ == "__main__":
    sys.exit(main())
