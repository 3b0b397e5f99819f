"""`gfmp plan`, `gfmp sweep` and `gfmp report` of sweeps, before and beside the work itself."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path

import pytest
from click.testing import CliRunner

from gfmp.cli.loading import SWEEPS, load_job
from gfmp.cli.main import gfmp
from gfmp.cli.render.sweeps import outcome_lines, progress_line
from gfmp.cli.sweep_progress import SweepConsole, shown
from gfmp.errors import GfmpError, SpecError, UsageError
from gfmp.ledger.events import Event
from gfmp.ledger.header import NewRun
from gfmp.ledger.run import Run
from gfmp.ledger.store import RunStore
from gfmp.ledger.sweep import SweepBook
from gfmp.plan.cells import Cell, Ingredient
from gfmp.spec.learner import AnyLearner, KmerBaseline, Probe
from gfmp.spec.sweep import SweepSpec
from gfmp.storage.workspace import Workspace
from gfmp.tasks.catalogue import find_task
from gfmp.tasks.store import TaskStore

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"torch", "ray", "mlflow", "sklearn", "scipy", "matplotlib", "pandas", "deepspeed"}
PUBLISHED = [*sorted((ROOT / "specs").glob("*.yaml")), ROOT / "jobs" / "finetune.yaml"]
ENCODER = """\
  - learner: {kind: probe}
    vocabularies: [kmer3]
    initial: [demo]
"""
SPEC = f"""\
kind: sweep
name: grid
tasks: [gc]
label_percents: [50, 100]
seeds: [0, 1]
arms:
{ENCODER}  - learner: {{kind: kmer}}
"""
FEW = ("--set", "label_percents=[5]", "--set", "arms=[{learner: {kind: kmer}}]")
TASK = """\
kind: task
description: Composition.
source: {format: csv, files: {train: {path: a.csv}, valid: {path: a.csv}, test: {path: b.csv}}}
target: {kind: binary}
metric: mcc
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    tasks = tmp_path / "specs" / "tasks"
    tasks.mkdir(parents=True)
    (tasks / "gc.yaml").write_text(TASK)
    for name, tail in (("a", "C"), ("b", "G")):
        rows = [f"GCGC{tail * i},1\nATAT{tail * i},0" for i in range(1, 7)]
        (tasks / f"{name}.csv").write_text("\n".join(["sequence,label", *rows]) + "\n")
    (tmp_path / "sweep.yaml").write_text(SPEC)
    return tmp_path


def _out(project: Path, *arguments: str) -> str:
    workspace = ("--workspace", str(project / "workspace"))
    result = CliRunner().invoke(gfmp, [*arguments, *workspace], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def _loaded(tmp_path: Path, *commands: list[str]) -> tuple[list[int], set[str], str]:
    """Run commands in one fresh process; return their statuses, what it imported, its output."""
    script = f"""
import json, sys
from gfmp.cli.main import main
statuses = []
for command in {[*commands]!r}:
    sys.argv = ["gfmp", *command]
    try:
        main()
    except SystemExit as ended:
        statuses.append(ended.code)
print(json.dumps([statuses, sorted({{name.split('.')[0] for name in sys.modules}})]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    *printed, last = done.stdout.splitlines()
    statuses, modules = json.loads(last)
    return statuses, set(modules), "\n".join([*printed, done.stderr])


def test_everything_published_is_planned_in_an_empty_workspace(tmp_path: Path) -> None:
    place = ["--workspace", str(tmp_path / "w")]
    commands = [["plan", str(path), *place] for path in PUBLISHED]
    began = time.monotonic()
    statuses, modules, text = _loaded(tmp_path, *commands)
    assert statuses == [0] * len(PUBLISHED), text
    assert not modules & HEAVY
    assert not (tmp_path / "w").exists()
    folded = " ".join(text.split())
    assert "missing: there is no run 'demo'" in folded
    assert "gfmp submit jobs/pretrain.yaml" in folded
    assert "to be prepared: task yeast_coding_vs_intergenic" in folded
    assert "sweep label-efficiency: 252 cells in 18 trials" in folded
    assert "sweep yeast-coding: 1 cell in 1 trial" in folded
    # Five plans; the promise is five seconds for 240 cells, the margin is for a busy machine.
    assert time.monotonic() - began < 60


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_a_plan_fits_the_page_and_adds_up(path: Path, tmp_path: Path) -> None:
    text = _out(tmp_path, "plan", str(path))
    value = json.loads(_out(tmp_path, "plan", str(path), "--json"))
    assert value["cells"] == [] and value["num_finished"] is None
    rows = re.findall(r"^(?:probe|full|lora|kmer|cnn)\b.* ([\d,]+)$", text, re.MULTILINE)
    assert sum(int(count.replace(",", "")) for count in rows) == value["num_cells"]
    assert value["unprepared"] == value["tasks"]
    assert re.fullmatch(r"there is no run 'demo[a-z-]*'", value["missing"][0])
    tables = [line for line in text.splitlines() if not line.lstrip().startswith("/")]
    assert max(map(len, tables)) <= 80


def test_a_job_of_one_cell_names_its_own_lines(tmp_path: Path) -> None:
    folded = " ".join(_out(tmp_path, "plan", str(ROOT / "jobs" / "finetune.yaml")).split())
    lines = (ROOT / "jobs" / "finetune.yaml").read_text().splitlines()
    for key, noun in (("initial", "run"), ("vocabulary", "vocabulary")):
        (number,) = [n for n, line in enumerate(lines, 1) if line.startswith(key)]
        assert re.search(rf"there is no {noun} '\w+' \(\S*finetune\.yaml:{number}:", folded)


def test_set_changes_what_is_planned(project: Path) -> None:
    def count(*assignments: str) -> int:
        options = [part for text in assignments for part in ("--set", text)]
        text = _out(project, "plan", str(project / "sweep.yaml"), "--json", *options)
        return int(json.loads(text)["num_cells"])

    assert count() == 2 * 2 * 2
    assert count("seeds=[0]") == 4
    assert count("seeds=[0, 1, 2]", "label_percents=[100]") == 6
    with pytest.raises(SpecError, match="unknown key 'sedes'"):
        count("sedes=[1]")


def test_cells_get_an_identity_once_everything_is_there(project: Path) -> None:
    (project / "sweep.yaml").write_text(SPEC.replace(ENCODER, ""))
    plan = ("plan", str(project / "sweep.yaml"))
    assert json.loads(_out(project, *plan, "--json"))["cells"] == []
    TaskStore(Workspace(project / "workspace")).prepare(find_task("gc", project))
    value = json.loads(_out(project, *plan, "--json"))
    assert value["unprepared"] == value["missing"] == []
    cells = [Cell.from_json(cell) for cell in value["cells"]]
    assert len({cell.fingerprint for cell in cells}) == 4
    assert (value["num_cells"], value["num_finished"]) == (4, 0)
    assert "0 of 4 cells are finished and will not run again." in _out(project, *plan)


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["sweep"], 2, ("give either a sweep spec or --resume RUN",)),
        (["sweep", "sweep.yaml", "--resume", "x"], 2, ("give either",)),
        (["sweep", "--resume", "nothing"], 66, ("there is no run 'nothing'",)),
        (["sweep", "nothing.yaml"], 66, ("there is no file 'nothing.yaml'",)),
        (["sweep", "sweep.yaml"], 66, ("sweep.yaml:9:15", "gfmp submit jobs/pretrain.yaml")),
        (["sweep", "sweep.yaml", "--set", "tasks=[gd]"], 66, ("no specs/tasks/gd.yaml", "gc")),
        (["sweep", "sweep.yaml", "--set", "seeds=[1, 1]"], 78, ("this stands twice: 1",)),
        (["sweep", "sweep.yaml", "--set", "arms=[{learner: 3}]"], 78, ("arms.0.learner",)),
        (["sweep", "sweep.yaml", *FEW], 65, ("have no row of class", "it works from")),
        (["submit", "sweep.yaml"], 78, ("fix: gfmp sweep sweep.yaml",)),
        (["report"], 2, ("Missing argument",)),
        (["report", "nothing"], 66, ("there is no run 'nothing'", "no run was started here")),
    ],
)
def test_a_mistake_is_told_before_ray_is_imported(
    project: Path, arguments: list[str], status: int, words: tuple[str, ...]
) -> None:
    began = time.monotonic()
    statuses, modules, text = _loaded(project, arguments)
    assert statuses == [status], text
    assert not modules & {"ray", "torch", "mlflow", "deepspeed"}
    folded = " ".join(text.split())
    assert all(word in folded for word in words), text
    assert not (project / "workspace" / "runs").exists()
    assert time.monotonic() - began < 10


def test_a_job_is_sent_to_the_command_that_takes_it(project: Path) -> None:
    job = project / "job.yaml"
    job.write_text(
        "kind: finetune\nname: one\ntask: gc\nvocabulary: kmer3\ninitial: demo\n"
        "learner: {kind: finetune}\n"
    )
    with pytest.raises(SpecError, match="'finetune' is not known here") as caught:
        load_job(job, (), SWEEPS)
    (problem,) = caught.value.problems
    assert (problem.why, problem.fix) == ("this command takes kind: sweep", f"gfmp submit {job}")
    assert problem.where.endswith("job.yaml:1:1")
    assert isinstance(load_job(project / "sweep.yaml", (), SWEEPS)[0], SweepSpec)


def _cell(learner: AnyLearner, seed: int, initial: str = "demo") -> Cell:
    alone = isinstance(learner, KmerBaseline)
    return Cell(
        task=Ingredient("gc", "1" * 64),
        vocabulary=Ingredient() if alone else Ingredient("kmer3", "2" * 64),
        initial=Ingredient() if alone else Ingredient(initial, "3" * 64),
        learner=learner,
        label_percent=10.0,
        seed=seed,
        subset=str(seed),
        num_rows=4,
    )


CELLS = tuple(
    _cell(learner, seed)
    for learner in (Probe(kind="probe"), KmerBaseline(kind="kmer"))
    for seed in range(3)
)


def _run(folder: Path, kind: str = "sweep") -> Run:
    plan: dict[str, object] = {"format_version": 1, "cells": [cell.to_json() for cell in CELLS]}
    new = NewRun("grid", kind, 0, "ab" * 32, SPEC.encode(), plan, ("gfmp",))
    return RunStore(Workspace(folder)).create(new)


def _event(kind: str, cell: Cell | None = None, **fields: object) -> Event:
    named = {"cell": cell.fingerprint} if cell else {}
    return Event(0, time.time(), 0, "driver", kind, {**named, **fields})


EVENTS = (
    _event("started", cells=6, finished=1),
    _event("cell", CELLS[0], seconds=0.0, reused=True),
    _event("tokenised", task="gc", vocabulary="kmer3", tokens=10, seconds=0.1),
    _event("cell_started", CELLS[1]),
    _event("cell", CELLS[1], seconds=2.0, reused=False),
    _event("cell_started", CELLS[2]),
    _event("cell_failed", CELLS[2], error="too short [red]rows[/red]"),
    _event("cell_started", CELLS[3]),
)


def test_the_report_of_an_unknown_kind_of_run_is_an_error(tmp_path: Path) -> None:
    run = _run(tmp_path, "prophecy")
    with pytest.raises(UsageError, match="is a prophecy run") as caught:
        CliRunner().invoke(
            gfmp, ["report", run.id, "--workspace", str(tmp_path)], catch_exceptions=False
        )
    assert caught.value.exit_status == 2
    assert caught.value.problems[0].fix == f"gfmp runs show {run.id} shows its numbers"
    assert not (run.path / "report").exists()


def test_a_sweep_that_was_killed_while_it_was_created_says_so(tmp_path: Path) -> None:
    run = _run(tmp_path)
    with pytest.raises(GfmpError, match="does not say what it works on") as caught:
        CliRunner().invoke(
            gfmp,
            ["sweep", "--resume", run.id, "--workspace", str(tmp_path)],
            catch_exceptions=False,
        )
    assert caught.value.exit_status == 66


class _Terminal(StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def _plain(text: str) -> list[str]:
    """Return what stands on the lines, without control sequences."""
    return re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text))


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> _Terminal:
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "LINES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm-256color")
    return _Terminal()


def test_a_terminal_of_80_columns_shows_a_live_table(terminal: _Terminal) -> None:
    console = SweepConsole(terminal, "some.log")
    console.planned(CELLS)
    for event in EVENTS:
        console.event(event)
    console.close()
    console.close()  # may be called twice
    lines = _plain(terminal.getvalue())
    assert all(len(line) <= 80 for line in lines)
    tables = [line.split() for line in lines]
    assert ["MODEL", "CELLS", "DONE", "RUNNING", "FAILED"] in tables
    assert ["probe", "/", "kmer3", "/", "demo", "3", "2", "1"] in tables
    assert ["kmer", "3", "1"] in tables
    last = [line for line in lines if "cells done" in line][-1]
    assert last.startswith("2/6 cells done, 1 of them before, 1 running, 1 failed, about ")
    text = "\n".join(lines)
    assert "tokenised gc with kmer3" in text
    assert "a cell failed: too short [red]rows[/red]" in text, "no markup of other programs"
    assert "\x1b[2K" in terminal.getvalue(), "the table is taken down at the end"


def test_a_long_name_is_folded_and_not_cut(terminal: _Terminal) -> None:
    name = "a-very-long-name-of-an-initial-model-that-somebody-gave-to-a-folder-of-weights/"
    console = SweepConsole(terminal, "some.log")
    console.planned([_cell(Probe(kind="probe"), 0, name)])
    console.close()
    lines = _plain(terminal.getvalue())
    assert all(len(line) <= 80 for line in lines)
    folded = "".join(line.replace(" ", "") for line in lines)
    assert name[:30] in folded and "weights/" in folded


def test_elsewhere_there_are_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    stream = StringIO()
    console = SweepConsole(stream, "some.log")
    console.planned(CELLS)
    for event in EVENTS:
        console.event(event)
    for cell in CELLS[2:]:
        console.event(_event("cell", cell, seconds=1.0, reused=False))
    console.close()
    text = stream.getvalue()
    assert "\x1b" not in text and "MODEL" not in text
    lines = text.splitlines()
    assert all(re.match(r"\[ *\d+\.\d s\] ", line) for line in lines)
    words = [line.partition("] ")[2] for line in lines]
    assert words[0] == "libraries log to some.log"
    assert words[1] == "0/6 cells done"
    assert words[-1] == "6/6 cells done, 1 of them before"
    assert len(words) == 5, "not a line for every cell"


def test_progress_says_only_what_there_is() -> None:
    book = SweepBook(CELLS)
    assert progress_line(book, 0.0) == "0/6 cells done"
    book.add([Event(0, 1.0, 0, "d", "cell_started", {"cell": CELLS[0].fingerprint})])
    assert progress_line(book, 2.0) == "0/6 cells done, 1 running"
    done = {"cell": CELLS[0].fingerprint, "seconds": 60.0, "reused": False}
    book.add([Event(0, 3.0, 0, "d", "cell", done)])
    assert progress_line(book, 4.0) == "1/6 cells done, about 5 min left"


def test_the_end_says_what_to_do_next(tmp_path: Path) -> None:
    run = _run(tmp_path)
    with run.open_writer("driver") as driver:
        driver.append("started", {"cells": 6, "finished": 0})
        driver.append("finished", {"cells": 6, "seconds": 3725.0})
    first, *rest = outcome_lines(run)
    assert first == f"sweep {run.id} finished in 1 h 2 min"
    text = "\n".join(rest)
    assert str(run.path / "report" / "report.html") in text
    assert "gfmp ui" in text and run.repeat_command in text
    stream = StringIO()
    SweepConsole(stream, "some.log").finished(run)
    assert stream.getvalue().splitlines()[1:] == [first, *rest]


def test_the_console_is_taken_down_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="own"), shown(Workspace(tmp_path)) as console:
        console.planned(CELLS)
        raise ValueError("of its own")
    assert list((tmp_path / "logs").glob("*.log"))
