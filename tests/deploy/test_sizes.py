"""The table of sizes on the page is what the files come to."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from gapless.server.application import THREADS

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
#: What a command holds beside a connection for each slot: for control and listening; a worker's duties; the server's
#: threads, its live events and its duties.
MORE = {"follow": 2, "worker": 4, "serve": THREADS + 3}


def said(name: str) -> int:
    """The connections that the page promises."""
    row = re.search(rf"^\| `{name}` \|.*\| (\d+) \|$", (ROOT / "docs" / "deploy.md").read_text(), re.MULTILINE)
    assert row, name
    return int(row[1])


def connections(command: list[str], replicas: int) -> int:
    """What so many workers hold."""
    return replicas * (int(command[command.index("--slots") + 1]) + MORE[command[1]]) if "--slots" in command else 0


def of_compose() -> Iterator[int]:
    """Of each service that starts by itself."""
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", (DEPLOY / "compose.yaml").read_text())
    for service in yaml.safe_load(text)["services"].values():
        if "profiles" not in service:
            yield connections(service["command"], int(service.get("deploy", {}).get("replicas", 1)))


def of_overlay(objects: list[dict[str, Any]]) -> Iterator[int]:
    """Of each deployment; where an autoscaler decides, of as many pods as it may make."""
    most = {
        one["spec"]["scaleTargetRef"]["name"]: one["spec"]["maxReplicaCount"]
        for one in objects
        if one["kind"] == "ScaledObject"
    }
    for one in objects:
        if one["kind"] == "Deployment":
            name, spec = one["metadata"]["name"], one["spec"]
            command = spec["template"]["spec"]["containers"][0]["command"]
            yield connections(command, most.get(name, spec.get("replicas", 1)))


def test_connections_of_the_compose_file():
    """And PostgreSQL takes them all."""
    total = sum(of_compose())

    assert total == said("compose.yaml")
    assert total < int(re.search(r"max_connections=(\d+)", (DEPLOY / "compose.yaml").read_text())[1])


@pytest.mark.parametrize("overlay", ["small", "large"])
def test_connections_of_the_overlays(overlay: str):
    """At their largest."""
    program = shutil.which("kubectl")
    if program is None:
        pytest.skip("kubectl is not here: overlays are not rendered")
    folder = DEPLOY / "kubernetes" / overlay
    done = subprocess.run([program, "kustomize", folder], capture_output=True, text=True, check=True)

    assert sum(of_overlay(list(yaml.safe_load_all(done.stdout)))) == said(f"kubernetes/{overlay}")
