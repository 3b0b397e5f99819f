"""Help that can be read at 80 columns, listings that programs can read, no colour in a pipe."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from gfmp.cli.examples import EXAMPLES, leaves
from gfmp.cli.main import gfmp

ROOT = Path(__file__).resolve().parents[2]
LEAVES = dict(leaves(gfmp))
# What programs may rely on: keys are only ever added.
LISTINGS = {
    ("tasks", "list"): "name prepared rows target outputs metric source files",
    ("verify",): "table title numbers notes",
    ("schema",): "kind place command meaning",
    ("doctor",): "name state found fix status",
    ("explain", "--all"): "path meaning type default required rules variant read_by",
}
# Commands that do something and say so, or that print what is no list.
NO_LISTING = {
    *("init", "submit", "sweep", "register-vocab", "ui", "replay", "reproduce", "completion"),
    "export",
    *("runs logs", "runs stop", "runs sync"),
}


def _help(name: str) -> str:
    done = CliRunner().invoke(gfmp, [*name.split(), "--help"], catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


@pytest.mark.parametrize("name", LEAVES)
def test_help_has_a_sentence_options_and_an_example(name: str) -> None:
    text = _help(name)
    assert all(len(line) <= 80 for line in text.splitlines()), text
    sentence = text.splitlines()[2].strip()
    assert sentence[0].isupper() and len(sentence) > 20
    assert "--help" in text and f"gfmp {name}" in text.rpartition("For example:")[2]
    assert "\b" not in text and "\\b" not in text


def test_the_first_page_says_how_to_begin() -> None:
    text = CliRunner().invoke(gfmp, ["--help"]).output
    lines = text.splitlines()
    assert "  gfmp doctor" in [line[2:] for line in lines]
    assert any(line.endswith("gfmp init my-lab --fasta genome.fa --labels labels.csv")
               for line in lines)  # fmt: skip
    assert all(len(line) <= 80 for line in lines)


@pytest.mark.parametrize(
    ("name", "line"), [(name, line) for name, lines in EXAMPLES.items() for line in lines]
)
def test_an_example_can_be_meant(name: str, line: str) -> None:
    words = shlex.split(line.replace('eval "$(', "").replace(')"', ""))
    assert words[: len(name.split()) + 1] == ["gfmp", *name.split()]
    rest = words[len(name.split()) + 1 :]
    for word in rest:
        if word.startswith(("jobs/", "specs/")):
            assert (ROOT / word).is_file()
    # Parsing raises where an option or an argument does not exist or is missing.
    LEAVES[name].make_context(name, rest, resilient_parsing=False).close()


def test_examples_are_of_commands_that_exist() -> None:
    assert set(EXAMPLES) <= set(LEAVES)


@pytest.mark.parametrize("name", LEAVES)
def test_what_lists_or_shows_gives_json(name: str) -> None:
    options = {o for parameter in LEAVES[name].params for o in parameter.opts}
    assert ("--json" in options) != (name in NO_LISTING)


@pytest.mark.parametrize("words", LISTINGS, ids=" ".join)
def test_columns_stay_what_they_are_called(words: tuple[str, ...], tmp_path: Path) -> None:
    places = {o for p in LEAVES[" ".join(w for w in words if w[0] != "-")].params for o in p.opts}
    place = ("--workspace", str(tmp_path)) if "--workspace" in places else ()
    done = CliRunner().invoke(gfmp, [*words, "--json", *place], catch_exceptions=False)
    rows = json.loads(done.output)
    assert rows and all(set(LISTINGS[words].split()) <= set(row) for row in rows)


def test_an_empty_workspace_lists_nothing_as_json(tmp_path: Path) -> None:
    place = ("--workspace", str(tmp_path))
    done = CliRunner().invoke(gfmp, ["runs", "list", "--json", *place], catch_exceptions=False)
    assert json.loads(done.output) == []
    done = CliRunner().invoke(gfmp, ["vocab", "list", "--json", *place], catch_exceptions=False)
    assert set(json.loads(done.output)) >= {"registered", "recipes", "families"}


@pytest.mark.parametrize(
    "words", ["--help", "schema", "tasks list", "vocab list", "explain task", "nothing"]
)
def test_a_pipe_gets_no_colour_and_80_columns(words: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("gfmp")), *words.split()],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert "\x1b" not in done.stdout + done.stderr
    assert done.stdout or done.returncode == 2
    wide = [line for line in (done.stdout + done.stderr).splitlines() if len(line) > 80]
    assert not wide


def test_every_group_says_what_it_holds() -> None:
    groups = [command for command in gfmp.commands.values() if isinstance(command, click.Group)]
    assert groups and all(group.help for group in groups)
