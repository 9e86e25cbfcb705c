"""What the pages say is so: events, settings, exit codes, commands, links, and every command line in them."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
import typer

from gapless.cli import tree
from gapless.core.errors import Exit
from gapless.core.segment import SegmentState
from gapless.engine.jobs import ORDERED
from gapless.settings import Settings, load, of_source
from gapless.sources import SOURCES

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
READMES = ["README.md", "README.ko.md"]
PAGES = [
    ROOT / name for name in (*READMES, "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/deploy.md", "docs/workflow.md")
] + sorted(REFERENCE.glob("*.md"))
#: A command of the commands page, and what stands below it.
SECTION = re.compile(r"^### `(gapless[a-z -]*[a-z]).*?`\n(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
LOGGED = {"debug", "info", "warning", "error", "exception", "critical"}


def page(name: str) -> str:
    """The text of a reference page."""
    return (REFERENCE / name).read_text()


def first_cells(text: str) -> list[str]:
    """The words in backticks that head the rows of a page's tables."""
    return re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)


# -- events


def event_names() -> set[str]:
    """Every event that the code writes."""
    found: set[str] = set()
    for file in sorted((ROOT / "src" / "gapless").rglob("*.py")):
        for call in ast.walk(ast.parse(file.read_text())):
            if isinstance(call, ast.Call):
                found |= named_in(call)
    return found


def named_in(call: ast.Call) -> set[str]:
    """The events of one call: `events.add(tx, at, name, …)`, `self._note(run, name, …)` or `log.info(name, …)`."""
    called = ast.unparse(call.func)
    place = {"events.add": 2, "self._note": 1}.get(called, 0 if called in {f"log.{one}" for one in LOGGED} else None)
    if place is None:
        return set()
    name = call.args[place]
    if isinstance(name, ast.Constant):
        return {str(name.value)}
    if ast.unparse(name) == "ORDERED[verb]":
        return set(ORDERED.values())
    # A name handed through (`_note` itself) was seen where it came from.
    return composed(ast.unparse(name)) if isinstance(name, ast.JoinedStr) else set()


def composed(text: str) -> set[str]:
    """The events of a name that is put together from a move of a job or a state of a segment."""
    endings = {
        "f'job.{verb}'": {"job.done", "job.incomplete", "job.failed"},
        "f'segment.{state.value}'": {f"segment.{state.value}" for state in segment_ends()},
    }
    assert text in endings, f"{text}: say here which events this can be"
    return endings[text]


def segment_ends() -> set[SegmentState]:
    """The states that the runner ends segments with, but for a good end."""
    text = (ROOT / "src" / "gapless" / "engine" / "runner.py").read_text()
    return {SegmentState[name] for name in re.findall(r"_end\([^)]*SegmentState\.(\w+)", text)} - {SegmentState.DONE}


def test_every_event_is_on_its_page_and_nothing_else():
    """Logs are searched for by these names."""
    listed = first_cells(page("events.md"))

    assert len(listed) == len(set(listed))
    assert set(listed) == event_names()


# -- settings


def variables() -> dict[str, str]:
    """Every variable, and the name of the field that it sets (empty where it is one of a mapping)."""
    named = {f"GAPLESS_{one.name.upper()}": one.name for one in fields(Settings) if "Mapping" not in str(one.type)}
    for source in SOURCES:
        for kind in of_source(source):
            named[f"GAPLESS_{source.upper()}_{kind.upper()}"] = ""
    return named


def rows(text: str) -> dict[str, str]:
    """Variables of a settings table with their default."""
    return dict(re.findall(r"^\| `(GAPLESS_\w+)` \| ([^|]+?) \|", text, re.MULTILINE))


def test_every_setting_is_on_its_page():
    """A setting that nobody can find is none; one that is gone must not be promised."""
    elsewhere = {"GAPLESS_DEMO_FOLDER", "GAPLESS_TEST_DATABASE_URL"}
    code = "".join(file.read_text() for file in (ROOT / "src").rglob("*.py"))

    assert set(rows(page("settings.md"))) == set(variables()) | elsewhere
    assert all(f'"{name}"' in code for name in elsewhere)


@pytest.mark.parametrize("name", READMES)
def test_readme_lists_settings_that_are_there(name: str):
    """All that are no source's, every key, and of a source's others each kind once, beside the names of all sources."""
    text = (ROOT / name).read_text()
    told = set(re.findall(r"GAPLESS_[A-Z_]*[A-Z]", text))
    general = {variable for variable, field in variables().items() if field}
    keys = {variable for variable in variables() if variable.endswith("_API_KEY")}
    kinds = {kind.upper() for source in SOURCES for kind in of_source(source)}

    assert general | keys <= told <= set(variables())
    assert all(any(one.endswith(f"_{kind}") for one in told) for kind in kinds)
    assert all(f"`{source.upper()}`" in text for source in SOURCES)


@pytest.mark.parametrize("name", [*READMES, "docs/reference/settings.md"])
def test_defaults_in_tables_are_the_defaults(name: str):
    """Saying the printed default changes nothing."""
    for variable, default in rows((ROOT / name).read_text()).items():
        field = variables().get(variable)
        said = re.fullmatch(r"`([^`]+)`", default)
        if field and said:
            made = load({variable: said[1]}, ROOT / "nowhere")
            assert getattr(made, field) == getattr(Settings(), field), variable


def test_every_exit_code_is_on_its_page():
    """Scripts rely on them."""
    listed = re.findall(r"^\| (\d+) \| (\w+) \|", page("exit-codes.md"), re.MULTILINE)

    assert listed == [(str(int(one)), one.name) for one in Exit]
    for name in READMES:
        said = (ROOT / name).read_text()
        assert all(f"`{int(one)}` " in said for one in Exit), name


# -- commands


def commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every command with its full name, groups included."""
    for name, one in getattr(command, "commands", {}).items():
        yield f"{path} {name}", one
        yield from commands(one, f"{path} {name}")


def cli() -> Any:
    """The command line as a tree."""
    return typer.main.get_command(tree())


def test_every_command_and_option_is_on_its_page():
    """One section a command, with all its options; no section for what is not there."""
    sections = dict(SECTION.findall(page("commands.md")))
    known = dict(commands(cli(), "gapless"))

    # Groups without a verb of their own need no section.
    assert set(sections) | {"gapless db", "gapless enrich", "gapless migrate"} == set(known)
    for name, section in sections.items():
        options = {option for param in known[name].params for option in param.opts if option.startswith("-")}
        for option in options - {"--help"}:
            assert re.search(rf"`{option}[ `]", section), f"{name} {option}"


def command_lines() -> list[str]:
    """Every `gapless …` line of a code block, once, without its comment."""
    lines = []
    for file in PAGES:
        for block in re.findall(r"^```sh\n(.*?)^```", file.read_text(), re.MULTILINE | re.DOTALL):
            lines += [re.sub(r" +#.*", "", line) for line in block.splitlines() if line.startswith("gapless ")]
    return list(dict.fromkeys(lines))


def parse(line: str) -> None:
    """Resolve the command of a line and its options without running it."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    name, *words = takewhile(lambda word: not set(word) <= set("();<>|&"), lexer)
    command = cli()
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        name, command, words = command.resolve_command(command.make_context(name, list(words)), words)
    if "--help" not in words:
        command.make_context(name, words)


@pytest.mark.parametrize("line", command_lines())
def test_command_lines_of_the_pages_parse(line: str):
    """A tour that stops at a wrong word is the first thing that people see."""
    parse(line)


@pytest.mark.parametrize(
    "line", ["gapless fil x", "gapless fill x --dayz 3", "gapless jobs pause x", "gapless jobs go"]
)
def test_a_wrong_command_line_does_not_parse(line: str):
    """The test above can fail."""
    with pytest.raises(Exception, match=r"No such|valid integer"):
        parse(line)


def test_both_readmes_show_the_same_code():
    """They are one text in two languages."""
    english, korean = ((ROOT / name).read_text() for name in READMES)
    blocks = [re.findall(r"^```(\w+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL) for text in (english, korean)]
    bare = [[(kind, re.sub(r" *#.*", "", code)) for kind, code in listed] for listed in blocks]

    assert bare[0] == bare[1]
    assert english.count("\n## ") == korean.count("\n## ")


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.name)
def test_links_lead_somewhere(file: Path):
    """Links between pages are relative, and there is a page at their end."""
    targets = re.findall(r"\]\(([^)#]+)", file.read_text())

    assert [one for one in targets if not (file.parent / one).exists()] == []


def code_names() -> list[tuple[str, str]]:
    """Every `module.name` and `Class.name` of the architecture page."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    return sorted(set(re.findall(r"`(?:\w+\.)?(\w+)\.([A-Z_]+|_?[a-z_]{3,})`", text)))


def test_the_architecture_names_what_is_there():
    """Code moves; the page that explains it must not stay behind."""
    files = [(file.stem, file.read_text()) for file in (ROOT / "src" / "gapless").rglob("*.py")]

    def is_there(owner: str, name: str) -> bool:
        owns = re.compile(rf"^class {owner}\b", re.MULTILINE)
        defines = re.compile(rf"\b(?:def|class) {name}\b|^\s*{name}\b[^=\n]*[:=]", re.MULTILINE)
        return any(defines.search(text) for stem, text in files if stem == owner or owns.search(text))

    assert [f"{owner}.{name}" for owner, name in code_names() if not is_there(owner, name)] == []
