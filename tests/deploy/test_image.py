"""The Dockerfile is read by a real linter, and what it copies and pins is there."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
TEXT = DOCKERFILE.read_text()


def pinned(name: str) -> set[str]:
    """What a requirements file pins."""
    return {canonicalize_name(one) for one in re.findall(r"^([\w.-]+)==", (ROOT / name).read_text(), re.MULTILINE)}


def lint(text: str) -> str:
    """What hadolint (with ShellCheck for the commands) has against a Dockerfile."""
    program = Path(sysconfig.get_path("scripts")) / "hadolint"
    return subprocess.run([program, "--no-color", "-"], input=text, capture_output=True, text=True).stdout


def test_the_dockerfile_passes_the_linter():
    """Syntax, shell and good practice."""
    assert lint(TEXT) == ""


@pytest.mark.parametrize(
    ("old", "new"), [("WORKDIR /build", "WORKDIRR /build"), ("--wheel-dir /wheels .", '"'), ("10001:10001", "root")]
)
def test_the_linter_sees_mistakes(old: str, new: str):
    """The test above can fail."""
    assert lint(TEXT.replace(old, new))


def test_what_is_copied_is_there_and_is_not_ignored():
    """The ignore file lets nothing pass but what is copied."""
    copied = {
        word.removeprefix("./")
        for words in re.findall(r"^COPY (?!--from)(.+) \S+$", TEXT, re.MULTILINE)
        for word in words.split()
    }
    lines = DOCKERFILE.with_name("Dockerfile.dockerignore").read_text().splitlines()

    assert "*" in lines
    assert {line[1:] for line in lines if line.startswith("!")} == copied
    assert [name for name in copied if not (ROOT / name).exists()] == []


def test_the_image_does_not_run_as_root():
    """The last user is a number: Kubernetes refuses a name it cannot judge."""
    assert re.findall(r"^USER (.+)$", TEXT, re.MULTILINE)[-1] == "10001:10001"


def test_the_build_backend_is_pinned():
    """The image picks the backend and all that it needs out of the developers' file."""
    picked = set(re.search(r"\^\(([\w|-]+)\)==", TEXT)[1].split("|"))
    needed = [Requirement(one) for one in requires("hatchling") or []]

    assert picked <= pinned("requirements-dev.txt")
    assert {canonicalize_name(one.name) for one in needed if one.marker is None or one.marker.evaluate()} <= picked


def test_requirements_hold_what_the_image_installs():
    """The program and its extra `cluster`, if there is one; `pip install --no-index` fails otherwise."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = project["dependencies"] + project["optional-dependencies"].get("cluster", [])
    needed = {canonicalize_name(Requirement(one).name) for one in named}

    assert needed - {"gapless"} <= pinned("requirements.txt")


def test_the_python_of_the_image_is_one_we_support():
    """The oldest one: what the lock files are made for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    version = re.search(r"^ARG PYTHON_IMAGE=python:([\d.]+)-slim$", TEXT, re.MULTILINE)[1]

    assert project["requires-python"] == f">={version}"
    assert sys.version_info >= tuple(int(part) for part in version.split("."))
