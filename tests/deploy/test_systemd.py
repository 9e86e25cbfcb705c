"""The unit is read by systemd's own verifier."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from gapless.settings import Settings

UNIT = Path(__file__).parents[2] / "deploy" / "systemd" / "gapless-worker@.service"


def verify(text: str, folder: Path) -> str:
    """What systemd has against a unit; the program, which is not installed here, is replaced by one that is."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not here: the unit is not verified")
    unit = folder / "gapless-worker@backfill.service"
    unit.write_text(re.sub(r"^ExecStart=\S+", f"ExecStart={shutil.which('true')}", text, flags=re.MULTILINE))
    done = subprocess.run([program, "verify", "--man=no", unit], capture_output=True, text=True)
    # It reads the machine's other units, too, and may grumble about them.
    return "\n".join(line for line in done.stderr.splitlines() if unit.name in line)


def test_systemd_accepts_the_unit(tmp_path: Path):
    """Every section, key and value."""
    assert verify(UNIT.read_text(), tmp_path) == ""


@pytest.mark.parametrize(
    ("old", "new"), [("RestartSec=", "RestartSecs="), ("=mixed", "=some"), ("TimeoutStopSec=45", "TimeoutStopSec=x")]
)
def test_systemd_sees_mistakes(tmp_path: Path, old: str, new: str):
    """The test above can fail."""
    assert verify(UNIT.read_text().replace(old, new), tmp_path)


def test_a_worker_has_time_to_finish_its_page():
    """Longer than two requests may take; and it comes back, unless its settings are wrong."""
    unit = configparser.RawConfigParser(strict=True)
    unit.optionxform = str
    unit.read_string(UNIT.read_text())
    service = unit["Service"]

    assert int(service["TimeoutStopSec"]) > 2 * Settings().timeout.total_seconds()
    assert (service["KillSignal"], service["Restart"], service["RestartPreventExitStatus"]) == (
        "SIGTERM",
        "always",
        "2",
    )
