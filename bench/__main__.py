"""`python -m bench [names] [--long]`."""

from __future__ import annotations

import argparse
import importlib
import logging
import time

import structlog

from bench import table

NAMES = [
    "requests",
    "rate",
    "commit",
    "slots",
    "end_to_end",
    "claims",
    "plan",
    "budgets",
    "cluster",
    "dividends",
    "enrich",
    "server",
    "pages",
    "derived",
    "jobs",
]


def main() -> None:
    """Run the benchmarks that were named, or all, and print their table."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure, each number beside its limit.")
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], help=f"some of: {', '.join(NAMES)} (default: all)")
    parser.add_argument("--long", action="store_true", help="longer runs, steadier numbers")
    said = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    began = time.monotonic()
    print(table.head())
    for name in said.names or NAMES:
        for line in importlib.import_module(f"bench.{name}").run(long=said.long):
            print(table.text(line), flush=True)
    print(f"\n{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
