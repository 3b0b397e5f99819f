"""`gfmp runs`: every state a run can be in, as a table and as JSON."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console as RichConsole

from gfmp.cli.main import gfmp
from gfmp.cli.progress import LiveConsole, shown
from gfmp.cli.render.runs import event_line, show_outcome
from gfmp.errors import GfmpError
from gfmp.ledger.events import Event
from gfmp.ledger.header import NewRun
from gfmp.ledger.run import Run
from gfmp.ledger.store import RunStore
from gfmp.storage.workspace import Workspace

PLAN = {"format_version": 1, "name": "demo", "what": {"steps": 20}}
STARTED = {"segment": 0, "workers": 2, "engine": "zero1", "from_step": 0}


@dataclass(frozen=True)
class Runs:
    """A workspace with one run in each state."""

    folder: Path
    finished: Run
    interrupted: Run
    failed: Run
    planned: Run


def _create(folder: Path, name: str) -> Run:
    new = NewRun(name, "pretrain", 0, "3f9a" + "0" * 60, b"kind: pretrain\n", PLAN, ("gfmp",))
    return RunStore(Workspace(folder)).create(new)


def _train(run: Run, steps: int) -> None:
    """Write what rank 0 writes: steps, one checkpoint that is there."""
    with run.open_writer("rank0") as rank0:
        for step in range(1, steps + 1):
            fields = {"step": step, "loss": 7.0 / step, "loss/kmer3": 7.0 / step}
            fields |= {"mixture/kmer3": 0.25, "mixture/bpe64": 0.75}
            rank0.append("step", fields | {"tokens_per_second": 1234.5})
        place = f"checkpoints/step-{steps:09d}"
        (run.path / place).mkdir()
        rank0.append("checkpoint", {"step": steps, "path": place, "bytes": 12_345, "seconds": 0.1})


def _end(run: Run, kind: str, fields: dict[str, object]) -> None:
    with run.open_writer("driver") as driver:
        driver.append("started", STARTED)
        _train(run, 20 if kind == "finished" else 7)
        driver.append(kind, fields)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    folder = tmp_path_factory.mktemp("runs")
    names = ("finished", "interrupted", "failed", "planned")
    made = Runs(folder, *(_create(folder, name) for name in names))
    _end(made.finished, "finished", {"step": 20, "seconds": 3725.2})
    _end(made.interrupted, "interrupted", {"step": 7, "signal": "SIGTERM"})
    _end(made.failed, "failed", {"error": "loss nan", "code": "T070"})
    for rank, text in ((0, "a\nb\nc\n"), (1, "no line end")):
        (made.finished.logs_path / f"rank{rank}.log").write_text(text)
    return made


def _run(folder: Path, *arguments: str) -> str:
    result = CliRunner().invoke(
        gfmp, ["runs", *arguments, "--workspace", str(folder)], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    return result.output


def test_a_workspace_without_runs_says_how_to_start(tmp_path: Path) -> None:
    assert _run(tmp_path, "list").startswith("No runs yet. Start one: gfmp submit")
    assert json.loads(_run(tmp_path, "list", "--json")) == []
    assert not list(tmp_path.iterdir())


def test_the_list_has_a_line_for_each_run(runs: Runs) -> None:
    lines = _run(runs.folder, "list").splitlines()
    assert lines[0].split()[:3] == ["RUN", "STATUS", "PROGRESS"]
    shown = {line.split()[0]: line.split()[1:4] for line in lines[1:]}
    assert shown == {
        runs.finished.id: ["finished", "step", "20"],
        runs.interrupted.id: ["interrupted", "step", "7"],
        runs.failed.id: ["failed", "step", "7"],
        runs.planned.id: ["planned", "step", "0"],
    }
    assert all(len(line) <= 80 for line in lines)


def test_the_list_as_json_has_every_summary(runs: Runs) -> None:
    rows = {row["name"]: row for row in json.loads(_run(runs.folder, "list", "--json"))}
    assert {name: (row["status"], row["step"]) for name, row in rows.items()} == {
        "finished": ("finished", 20),
        "interrupted": ("interrupted", 7),
        "failed": ("failed", 7),
        "planned": ("planned", 0),
    }
    assert rows["failed"]["path"] == str(runs.failed.path)


@pytest.mark.parametrize("name", ["finished", "interrupted", "failed", "planned"])
def test_only_what_can_go_on_is_told_how(runs: Runs, name: str) -> None:
    run: Run = vars(runs)[name]
    text = _run(runs.folder, "show", run.id)
    assert f"status: {name}" in text
    assert run.repeat_command in text
    assert (run.resume_command in text) == (name in ("interrupted", "failed"))
    assert ("checkpoint: step" in text) == (name != "planned")


def test_show_as_json_holds_header_plan_and_checkpoints(runs: Runs) -> None:
    value = json.loads(_run(runs.folder, "show", "fin", "--json"))
    assert value["id"] == runs.finished.id
    assert value["plan"] == PLAN
    assert value["header"] == json.loads((runs.finished.path / "run.json").read_text())
    assert [c["step"] for c in value["checkpoints"]] == [20]
    assert value["report"] is None


def test_show_tells_the_shares_of_the_newest_step(runs: Runs) -> None:
    text = _run(runs.folder, "show", runs.finished.id)
    assert "rows of the newest step: kmer3 25.0%, bpe64 75.0%" in text
    shown = json.loads(_run(runs.folder, "show", runs.finished.id, "--json"))
    assert shown["mixture"] == {"kmer3": 0.25, "bpe64": 0.75}
    assert "newest step" not in _run(runs.folder, "show", runs.planned.id)


def test_logs_end_with_their_last_lines(runs: Runs) -> None:
    text = _run(runs.folder, "logs", runs.finished.id, "--lines", "2")
    logs = runs.finished.logs_path
    assert (
        text == f"==> {logs / 'rank0.log'} <==\nb\nc\n==> {logs / 'rank1.log'} <==\nno line end\n"
    )
    assert "a\nb\nc\n" in _run(runs.folder, "logs", runs.finished.id)
    assert _run(runs.folder, "logs", runs.planned.id) == ""


@pytest.mark.parametrize("lines", ["0", "-3", "many"])
def test_a_number_of_lines_is_at_least_one(runs: Runs, lines: str) -> None:
    arguments = ["runs", "logs", "fin", "--lines", lines, "--workspace", str(runs.folder)]
    result = CliRunner().invoke(gfmp, arguments)
    assert result.exit_code == 2
    assert "--lines" in result.output


def test_stop_asks_a_run_that_lives_and_no_other(tmp_path: Path) -> None:
    run = _create(tmp_path, "alive")
    with run.own(), run.open_writer("driver") as driver:
        driver.append("started", STARTED)
        text = _run(tmp_path, "stop", "alive")
        assert text.startswith(f"{run.id} will commit a checkpoint")
        assert run.resume_command in text
        assert run.stop_requested()
        assert _run(tmp_path, "stop", "alive") == text  # asking twice is asking once
    with pytest.raises(GfmpError) as caught:
        _run(tmp_path, "stop", "alive")
    assert caught.value.exit_status == 2
    assert "is interrupted, not running" in str(caught.value)


def test_a_broken_run_is_warned_about_and_hides_no_other(tmp_path: Path) -> None:
    good, broken = _create(tmp_path, "good"), _create(tmp_path, "broken")
    (broken.path / "run.json").write_text("{")
    result = CliRunner().invoke(gfmp, ["runs", "list", "--workspace", str(tmp_path)])
    assert result.exit_code == 0
    assert good.id in result.stdout
    assert "warning" not in result.stdout
    assert result.stderr.startswith(f"warning: {broken.path / 'run.json'}: ")
    with pytest.raises(GfmpError) as caught:
        _run(tmp_path, "show", broken.id)
    assert caught.value.exit_status == 65


def test_a_broken_run_is_warned_about_in_json_too(tmp_path: Path) -> None:
    broken = _create(tmp_path, "broken")
    (broken.path / "run.json").write_text("[]")
    result = CliRunner().invoke(gfmp, ["runs", "list", "--json", "--workspace", str(tmp_path)])
    assert json.loads(result.stdout) == []
    assert str(broken.path) in result.stderr


@pytest.mark.parametrize(("wanted", "status"), [("f", 2), ("zzz", 66), ("", 66)])
def test_a_name_means_one_run(runs: Runs, wanted: str, status: int) -> None:
    for command in ("show", "logs", "stop"):
        with pytest.raises(GfmpError) as caught:
            _run(runs.folder, command, wanted)
        assert caught.value.exit_status == status


@pytest.mark.parametrize(
    ("kind", "fields", "line"),
    [
        ("started", STARTED, "run starts with 2 workers, engine zero1"),
        ("resumed", {"step": 7}, "resumed from the checkpoint of step 7"),
        (
            "incident",
            {"message": "loss nan at step 8 on rank 1", "policy": "skip", "step": 8},
            "loss nan at step 8 on rank 1: no weight was changed (numbers: skip)",
        ),
        (
            "rewound",
            {"step": 4, "first": 6, "end": 9},
            "back to step 4: leaves out the batches of steps 7 to 9",
        ),
        ("checkpoint", {"step": 7, "bytes": 1234}, "checkpoint of step 7 committed (1,234 bytes)"),
        (
            "evaluation",
            {"step": 7, "heldout/a/loss": 1.25, "heldout/a/bits_per_base": 1.9, "other": 3.0},
            "held-out at step 7: a/loss 1.250  a/bits_per_base 1.900",
        ),
    ],
)
def test_live_lines(kind: str, fields: dict[str, object], line: str) -> None:
    assert event_line(Event(0, 0.0, 0, "rank0", kind, fields)) == line


def test_plain_output_shows_the_first_step_the_last_and_never_a_bar() -> None:
    stream = StringIO()
    console = LiveConsole(stream, 3, "the.log")
    for step in (1, 2, 3):
        fields = {"step": step, "loss": 1.0 / step}
        console.event(Event(step, 0.0, 0, "rank0", "step", fields))
    console.event(Event(4, 0.0, 0, "driver", "finished", {"step": 3, "seconds": 1.0}))
    console.close()
    console.close()
    lines = stream.getvalue().splitlines()
    assert "libraries log to the.log" in lines[0]
    assert "step 3/3  loss 0.3333" in lines[-1]
    assert len(lines) in (2, 3)  # within ten seconds only the first and the last
    assert "\x1b" not in stream.getvalue()


def test_brackets_in_a_line_are_no_markup() -> None:
    stream = StringIO()
    LiveConsole(stream, 0, "log").say("hidden by [MASK] and [bold]not[/bold]")
    assert stream.getvalue().endswith("hidden by [MASK] and [bold]not[/bold]\n")


def test_the_end_of_a_run_names_the_next_commands(runs: Runs) -> None:
    stream = StringIO()
    show_outcome(runs.finished, RichConsole(file=stream, highlight=False, width=80))
    text = stream.getvalue()
    assert text.startswith(f"run {runs.finished.id} finished in 1 h 2 min\n")
    assert f"gfmp runs show {runs.finished.id}" in text
    assert "--resume" not in text


def test_noise_of_a_block_goes_to_a_log_of_the_workspace(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match="own"), shown(Workspace(tmp_path)) as console:
        console.say("seen")
        os.write(1, b"library noise\n")  # as C++ does, past Python
        raise ValueError("own")
    (log,) = (tmp_path / "logs").iterdir()
    assert "library noise" in log.read_text()
    captured = capfd.readouterr()
    assert captured.err.endswith("seen\n")
    assert "library noise" not in captured.out + captured.err
