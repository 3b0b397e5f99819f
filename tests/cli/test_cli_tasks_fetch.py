"""`gfmp tasks fetch`: what comes is listed with its digest, what cannot come is told with 66."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from gfmp.cli.main import gfmp
from gfmp.errors import MissingInputError, ServiceError
from gfmp.storage.hashes import sha256_bytes
from tests.storage.web_server import Site, served

LETTERS = np.random.default_rng(0).choice(list("ACGT"), (24, 30))
ROWS = (
    "sequence,label\n" + "".join(f"{''.join(r)},{i % 2}\n" for i, r in enumerate(LETTERS))
).encode()
TASK = """\
kind: task
description: For tests.
source: {{format: csv, files: {{train: {{path: d/a.csv}}, test: {{path: d/{test}.csv}}}}}}
target: {{kind: binary}}
metric: mcc
public:
  address: http://example.org
  download: [{{url: "{url}/a.csv", path: d/a.csv}}]
  instruction: Ask for b.csv and put it into d/.
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server with a table, and a project with a task that needs it and one that needs more."""
    with served(Site({"/a.csv": ROWS})) as made:
        folder = tmp_path / "specs" / "tasks"
        folder.mkdir(parents=True)
        for name, test in (("whole", "a"), ("half", "b")):
            (folder / f"{name}.yaml").write_text(TASK.format(test=test, url=made.url))
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("GFMP_WORKSPACE", raising=False)
        yield made


def _run(*arguments: str) -> str:
    result = CliRunner().invoke(gfmp, ["tasks", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_fetched_task_can_be_shown(site: Site) -> None:
    assert _run("list").splitlines()[2].split()[-1] == "fetch"
    text = _run("fetch", "whole")
    assert f"a.csv <- {site.url}/a.csv" in text
    assert sha256_bytes(ROWS)[:16] in text and "fetched" in text
    assert text.splitlines()[-1] == "Everything is here: gfmp tasks check whole"
    assert "was here" in _run("fetch", "whole")
    (one,) = json.loads(_run("fetch", "whole", "--json").split("\n", 1)[1])["fetched"]
    assert one["sha256"] == sha256_bytes(ROWS) and one["was_there"]
    assert "address: http://example.org" in _run("show", "whole")
    assert _run("list").splitlines()[2].split()[-1] == "here"


def test_what_cannot_be_fetched_is_told_after_what_can(site: Site, tmp_path: Path) -> None:
    with pytest.raises(MissingInputError) as caught:
        _run("fetch", "half")
    (problem,) = caught.value.problems
    assert problem.message.endswith("specs/tasks/d/b.csv")
    assert problem.fix == "Ask for b.csv and put it into d/."
    assert (tmp_path / "specs" / "tasks" / "d" / "a.csv").read_bytes() == ROWS


def test_a_server_that_cuts_is_gone_on_with(site: Site) -> None:
    site.cut_after = 100
    with pytest.raises(ServiceError, match="the connection ended after 100 of"):
        _run("fetch", "whole")
    site.cut_after = 0
    assert "went on after" in _run("fetch", "whole")
