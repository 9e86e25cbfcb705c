"""The command line: what the script `gapless` and `python -m gapless` run."""

from __future__ import annotations

import os
import signal


def main() -> None:
    """Load the command line and run it."""
    # Ctrl-C while modules are loaded: nothing has begun, so there is nothing to tell.
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    from gapless.cli import main as run

    run()


if __name__ == "__main__":
    main()
