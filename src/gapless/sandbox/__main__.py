"""`python -m gapless.sandbox upbit --port 8600`: play a provider until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from threading import Thread

import msgspec

from gapless.sandbox.clock import SECOND, Clock, instant
from gapless.sandbox.control import Settings
from gapless.sandbox.fmp import api as fmp_api
from gapless.sandbox.fmp.world import SEED as FMP_SEED
from gapless.sandbox.fmp.world import World as FmpWorld
from gapless.sandbox.gdelt import panel as gdelt_panel
from gapless.sandbox.gdelt.api import Gdelt
from gapless.sandbox.gdelt.world import SEED as GDELT_SEED
from gapless.sandbox.gdelt.world import World as GdeltWorld
from gapless.sandbox.http import Answer, Server
from gapless.sandbox.krx import panel as krx_panel
from gapless.sandbox.krx import world as krx_world
from gapless.sandbox.krx.api import Krx
from gapless.sandbox.naver import panel as naver_panel
from gapless.sandbox.naver.api import Naver
from gapless.sandbox.naver.world import SEED as NAVER_SEED
from gapless.sandbox.naver.world import World as NaverWorld
from gapless.sandbox.opendart import listings as dart
from gapless.sandbox.opendart import panel
from gapless.sandbox.opendart.api import OpenDart
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
        answer = PROVIDERS[args.provider](args)
    except (ValueError, msgspec.ValidationError) as error:
        parser.error(str(error))
    try:
        with suppress(KeyboardInterrupt):
            asyncio.run(_serve(answer, args.port, with_parent=args.die_with_parent))
    except OSError as error:
        parser.exit(1, f"cannot listen on port {args.port}: {error.strerror}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gapless sandbox", description="Play a provider over HTTP.")
    providers = parser.add_subparsers(dest="provider", required=True)
    upbit = _provider(providers.add_parser("upbit", help="Upbit's candles"), "candles", SEED)
    upbit("--rate", type=int, default=10, help="requests a second; 0 is no limit")
    upbit("--window", choices=("clock", "sliding"), default="clock", help="how requests are counted")
    upbit("--jitter-ms", type=float, default=20.0, help="how far windows are stretched, at most 50")
    upbit(
        "--market",
        action="append",
        default=[],
        metavar="SPEC",
        help="KRW-DEMO:density=0.1,listed=TIME,halt=A..B",
    )
    opendart = _provider(
        providers.add_parser("opendart", help="OpenDART's filings and dividends"), "filings", dart.SEED
    )
    usual = panel.Settings()
    opendart("--companies", type=int, default=dart.COMPANIES, help=f"how many there are, at least {dart.FEWEST}")
    opendart("--quota", type=int, default=usual.quota, help="requests of a key in a Korean day; 0 is no limit")
    opendart("--per-minute", type=int, default=usual.per_minute, help="more blocks a key; 0 is no limit")
    opendart("--block-s", type=float, default=usual.block_s, help="for how long")
    opendart(
        "--maintenance",
        action="append",
        default=[],
        metavar="FROM..TO[,html]",
        help="when the provider is closed: status 800, or a page",
    )
    gdelt = _provider(providers.add_parser("gdelt", help="GDELT's list of articles"), "articles", GDELT_SEED)
    throttle = gdelt_panel.Settings()
    gdelt("--interval-s", type=float, default=throttle.interval_s, help="between requests; 0 is no limit")
    gdelt("--sticky-s", type=float, default=throttle.sticky_s, help="how long who comes too early is refused")
    naver = _provider(providers.add_parser("naver", help="Naver's news search"), "articles", NAVER_SEED)
    naver("--quota", type=int, default=naver_panel.Settings().quota, help="requests of a key in a Korean day")
    fmp = _provider(providers.add_parser("fmp", help="Financial Modeling Prep"), "companies", FMP_SEED)
    fmp("--plan", choices=sorted(fmp_api.PLANS), default="premium", help="what the key may ask, and how often")
    fmp("--minute-s", type=float, default=60.0, help="real seconds that a minute of the limit takes")
    fmp("--years", type=int, help="of history; else each company its own")
    krx = _provider(providers.add_parser("krx", help="KRX's prices of whole markets"), "prices", krx_world.SEED)
    krx("--stocks", type=int, default=krx_world.STOCKS, help=f"shares of KOSPI, at least {krx_world.FEWEST}")
    krx("--quota", type=int, default=krx_panel.Settings().quota, help="calls of a key in a Korean day; 0 is no limit")
    return parser


def _port(said: str) -> int:
    number = int(said)
    if not 0 <= number <= 65_535:
        raise argparse.ArgumentTypeError(f"{number} is no port; give 0 to 65535")
    return number


def _provider(parser: argparse.ArgumentParser, what: str, seed: int) -> Callable[..., object]:
    """The options that every provider has; what comes back adds more."""
    add = parser.add_argument
    add("--port", type=_port, default=0, help="0 takes a free one")
    add("--seed", type=int, default=seed, help=f"other seeds give other {what}")
    add("--now", metavar="TIME", help="when the clock starts, such as 2026-01-01T00:00:00Z; else the present")
    add("--latency-ms", type=float, default=0.0, help="how late every reply comes")
    add("--die-with-parent", action="store_true", help="end when standard input or the parent ends")
    return add


def _upbit(args: argparse.Namespace) -> Answer:
    named = _named(args, "rate", "latency_ms", "window", "jitter_ms")
    return Upbit(world(args.seed, args.market), msgspec.convert(named, Settings), _clock(args)).answer


def _opendart(args: argparse.Namespace) -> Answer:
    named = _named(args, "quota", "per_minute", "block_s", "latency_ms")
    closures = tuple(panel.closure_of(text) for text in args.maintenance)
    settings = msgspec.structs.replace(msgspec.convert(named, panel.Settings), maintenance=closures)
    return OpenDart(dart.world(args.seed, args.companies), settings, _clock(args)).answer


def _gdelt(args: argparse.Namespace) -> Answer:
    named = _named(args, "interval_s", "sticky_s", "latency_ms")
    return Gdelt(GdeltWorld(args.seed), msgspec.convert(named, gdelt_panel.Settings), _clock(args)).answer


def _naver(args: argparse.Namespace) -> Answer:
    named = _named(args, "quota", "latency_ms")
    return Naver(NaverWorld(args.seed), msgspec.convert(named, naver_panel.Settings), _clock(args)).answer


def _fmp(args: argparse.Namespace) -> Answer:
    named = _named(args, "plan", "minute_s", "latency_ms")
    clock = _clock(args)
    last = datetime.fromtimestamp(clock.now_us() // SECOND, UTC).date()
    return fmp_api.Fmp(FmpWorld(args.seed, last, args.years), msgspec.convert(named, fmp_api.Settings), clock).answer


def _krx(args: argparse.Namespace) -> Answer:
    settings = msgspec.convert(_named(args, "quota", "latency_ms"), krx_panel.Settings)
    return Krx(krx_world.World(args.seed, args.stocks), settings, _clock(args)).answer


PROVIDERS: dict[str, Callable[[argparse.Namespace], Answer]] = {
    "upbit": _upbit,
    "opendart": _opendart,
    "gdelt": _gdelt,
    "naver": _naver,
    "fmp": _fmp,
    "krx": _krx,
}


def _clock(args: argparse.Namespace) -> Clock:
    clock = Clock()
    if args.now:
        clock.set(instant(args.now))
    return clock


def _named(args: argparse.Namespace, *names: str) -> dict[str, object]:
    return {name: getattr(args, name) for name in names}


async def _serve(answer: Answer, port: int, *, with_parent: bool) -> None:
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, over.set)
    server = Server(answer)
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
