"""The compose file holds to the Compose Specification, and to what a worker needs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from gapless import __version__
from gapless.settings import load

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy" / "compose.yaml"
OURS = {"upgrade", "backfill", "daily", "live", "follow", "compute", "server"}


def check(file: Path) -> str:
    """What the schema of the Compose Specification has against a file; the schema comes with check-jsonschema."""
    words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(file)]
    done = subprocess.run(words, capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def services() -> dict[str, Any]:
    """The services, with the default of every variable put in."""
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", FILE.read_text())
    return yaml.safe_load(text)["services"]


def seconds(text: str) -> int:
    """The number of a duration in seconds."""
    return int(text.removesuffix("s"))


def test_the_file_holds_to_the_schema():
    """Every key and type."""
    assert check(FILE) == ""


@pytest.mark.parametrize(
    ("old", "new"),
    [("stop_grace_period", "stop_grace_time"), ("disable: true", "disabled: true"), ("retries: 3", "retries: [3]")],
)
def test_the_schema_sees_mistakes(tmp_path: Path, old: str, new: str):
    """The test above can fail."""
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(FILE.read_text().replace(old, new))

    assert "Schema validation errors" in check(wrong)


def test_the_schema_is_brought_up_before_the_workers():
    """PostgreSQL is healthy, then the upgrade ends well, then they start."""
    found = services()

    assert set(found) == OURS | {"postgres"}
    assert found["upgrade"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert found["upgrade"]["restart"] == "no"
    for name in OURS - {"upgrade"}:
        assert found[name]["depends_on"] == {"upgrade": {"condition": "service_completed_successfully"}}, name
    for name in OURS - {"upgrade", "server"}:
        assert found[name]["healthcheck"]["test"] == ["CMD", "gapless", "workers", "--ready"], name
    # No worker of this host: it is asked whether it answers.
    assert "3000" in found["server"]["healthcheck"]["test"][-1]
    assert found["server"]["ports"] == ["127.0.0.1:3000:3000"]


def test_a_worker_has_time_to_finish_its_page():
    """Longer than two requests may take."""
    for name in OURS:
        service = services()[name]
        settings = load(
            {**service["environment"], "GAPLESS_DATABASE_URL": "postgresql://localhost/x"}, ROOT / "nowhere"
        )
        assert seconds(service["stop_grace_period"]) > 2 * settings.timeout.total_seconds(), name


def test_every_gapless_image_is_built_here():
    """Without `build` compose would look for the image somewhere else."""
    for name in OURS:
        build = services()[name]["build"]
        assert (FILE.parent / build["context"] / build["dockerfile"]).samefile(ROOT / "deploy" / "Dockerfile"), name
        assert services()[name]["image"] == f"gapless:{__version__}", name


def test_no_secret_stands_in_the_file():
    """The password comes from the environment, and nothing starts without one."""
    text = FILE.read_text()

    assert re.findall(r"postgresql://\w+:([^@]*)@", text) == [
        "${POSTGRES_PASSWORD:?give it in the environment or in deploy/.env}"
    ]
    assert not re.search(r"^\s*POSTGRES_PASSWORD:", text, re.MULTILINE)
