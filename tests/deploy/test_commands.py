"""Every `gapless …` in the deployment files and their page is one that the program understands."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from gapless.cli import tree

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PAGE = ROOT / "docs" / "deploy.md"


def gapless_lists(found: Any) -> Iterator[list[str]]:
    """Every list of words in a document that calls gapless: `[gapless, worker]`, `[CMD, gapless, workers]`."""
    if isinstance(found, dict):
        for one in found.values():
            yield from gapless_lists(one)
    elif isinstance(found, list):
        words = found[1:] if found[:1] == ["CMD"] else found
        if words[:1] == ["gapless"]:
            yield words
        else:
            for one in found:
                yield from gapless_lists(one)


def command_lines() -> dict[str, list[str]]:
    """Every command line, by itself and the file that it stands in."""
    found: list[tuple[Path, list[str]]] = []
    for file in DEPLOY.rglob("*.yaml"):
        found += [(file, words) for one in yaml.safe_load_all(file.read_text()) for words in gapless_lists(one)]
    dockerfile = DEPLOY / "Dockerfile"
    found += [(dockerfile, json.loads(one)) for one in re.findall(r"^CMD (.+)$", dockerfile.read_text(), re.MULTILINE)]
    for file in DEPLOY.rglob("*.service"):
        lines = re.findall(r"^ExecStart=\S+/(gapless .*)$", file.read_text(), re.MULTILINE)
        found += [(file, shlex.split(line.replace("%i", "backfill"))) for line in lines]
    for block in re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        for line in re.findall(r"(?:^| |bin/)(gapless [a-z].*)", block, re.MULTILINE):
            found.append((PAGE, list(takewhile(lambda word: word not in ("#", "&&", "|"), shlex.split(line)))))
    return {f"{file.relative_to(ROOT)}: {' '.join(words)}": words for file, words in found}


def parse(words: list[str]) -> None:
    """Resolve a command and its options without running it."""
    command: Any = typer.main.get_command(tree())
    name, *left = words
    while hasattr(command, "commands") and left and not left[0].startswith("-"):
        name, command, left = command.resolve_command(command.make_context(name, list(left)), left)
    command.make_context(name, left)


def test_command_lines_are_found_everywhere():
    """A search that finds nothing would prove nothing."""
    files = {place.split(":")[0] for place in command_lines()}

    assert {"deploy/Dockerfile", "deploy/compose.yaml", "deploy/systemd/gapless-worker@.service"} < files
    assert {"docs/deploy.md", "deploy/kubernetes/base/live.yaml"} < files
    assert len(command_lines()) > 20


@pytest.mark.parametrize("words", command_lines().values(), ids=command_lines().keys())
def test_every_command_line_parses(words: list[str]):
    """A container that stops at a wrong word is found out too late."""
    parse(words)


@pytest.mark.parametrize(
    "line", ["gapless work", "gapless worker --queue backlog", "gapless worker --slot 4", "gapless db upgrades"]
)
def test_a_wrong_command_line_does_not_parse(line: str):
    """The test above can fail."""
    with pytest.raises(Exception, match=r"No such|not one of"):
        parse(line.split())


def test_files_and_page_name_no_address_and_no_password():
    """Where images, packages and passwords come from is the user's choice."""
    for file in [PAGE, *(one for one in DEPLOY.rglob("*") if one.is_file())]:
        assert not re.search(r"https?://|\b(?:docker|ghcr|quay)\.io\b", file.read_text()), file
        assert not re.search(r"postgresql://\w+:(?!\$\{|PASSWORD@)", file.read_text()), file
