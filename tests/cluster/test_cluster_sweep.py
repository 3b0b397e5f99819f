"""Sweeps on a real Ray session and real Ray Tune: work is shared, and nothing runs twice."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import psutil
import pytest
from sweep_world import SweepLines, SweepWorld, TaskText, write_task

from gfmp.cluster.sweep import SweepJob, resume, start
from gfmp.errors import ExistsError, InterruptedRunError, PartialSweepError, SpecError
from gfmp.ledger.cells import CellStore
from gfmp.ledger.events import Event
from gfmp.ledger.run import Run
from gfmp.ledger.status import Status
from gfmp.ledger.store import RunStore
from gfmp.ledger.sweep import book_of, failures_of, planned_cells
from gfmp.tasks.store import TaskStore

SPEC = """\
kind: sweep
name: grid
tasks: [gc]
label_percents: [50, 100]
seeds: [0]
arms:
  - learner: probe
    vocabularies: [kmer3]
    initial: [tiny]
  - learner: full
    vocabularies: [kmer3]
    initial: [tiny, scratch]
    label_percents: [100]
  - learner: {kind: kmer, longest: 4}
  - learner: {kind: cnn, epochs: 2}
compute: {workers: 2}
"""
PARTIAL = """\
kind: sweep
name: partial
tasks: [short, gc]
allow_leaks: [short]          # random rows as short as these meet each other by chance
label_percents: [100]
seeds: [0]
arms:
  - learner: probe
    vocabularies: [kmer3]
    initial: [tiny]
  - learner: {kind: kmer, shortest: 1, longest: 2}
compute: {workers: 2}
"""
JOB = """\
kind: finetune
name: one
task: three
vocabulary: kmer3
initial: tiny
learner: full
label_percent: 50
"""
FILES = {
    "report.html",
    "report.md",
    "results.parquet",
    "results.csv",
    "vocabularies.csv",
    "reduction.csv",
}


@pytest.fixture(scope="module")
def grid(sweeps: SweepWorld) -> Run:
    """A sweep of eight cells that nobody disturbed."""
    before = set(psutil.Process().children(recursive=True))
    run = start(sweeps.job(SPEC), SweepLines())
    left = set(psutil.Process().children(recursive=True)) - before
    _, alive = psutil.wait_procs(left, timeout=10)
    assert not alive, "nothing outlives a sweep"
    return run


def _names(run: Run, kind: str) -> list[str]:
    return [str(event.fields["cell"]) for event in run.events(kind)]


def _pairs(run: Run) -> list[tuple[object, object]]:
    return [(e.fields["task"], e.fields["vocabulary"]) for e in run.events("tokenised")]


def _table(run: Run) -> bytes:
    return (run.path / "report" / "results.csv").read_bytes()


def _resumed(run: Run, world: SweepWorld, job: SweepJob, console: SweepLines) -> Run:
    return resume(run, job.document, job.spec, world.workspace, console)


def _newest(world: SweepWorld) -> Run:
    return RunStore(world.workspace).list()[-1]


def test_every_cell_is_run_once_and_kept(sweeps: SweepWorld, grid: Run) -> None:
    cells = planned_cells(grid)
    names = [cell.fingerprint for cell in cells]
    assert Counter(cell.method for cell in cells) == Counter(probe=2, full=2, kmer=2, cnn=2)
    assert sorted(_names(grid, "cell_started")) == sorted(_names(grid, "cell")) == sorted(names)
    assert not grid.events("cell_failed", "trial_failed", "failed")
    assert grid.status() is Status.FINISHED
    assert grid.lifecycle()[-1].fields["cells"] == 8
    assert book_of(grid).progress().counts.done == 8
    store, task = CellStore(sweeps.workspace), TaskStore(sweeps.workspace)
    for cell in cells:
        result = store.get(cell.fingerprint)
        rows = task.get("gc", cell.task.fingerprint).test
        assert result.test_predictions.shape == (len(rows), 2)
        assert {"test/mcc", "test/accuracy", "valid/mcc"} <= result.metrics.keys()


def test_the_ledger_says_what_the_store_has(sweeps: SweepWorld, grid: Run) -> None:
    store = CellStore(sweeps.workspace)
    for event in grid.events("cell"):
        result = store.get(str(event.fields["cell"]))
        assert event.fields["reused"] is False
        assert event.fields["test/mcc"] == pytest.approx(result.metrics["test/mcc"])
    for event in grid.events("cell_started"):
        assert event.fields.keys() == {"cell", "task", "model", "label_percent", "seed"}


def test_a_task_is_tokenised_once_for_each_vocabulary(grid: Run) -> None:
    assert _pairs(grid) == [("gc", "kmer3")]
    (event,) = grid.events("tokenised")
    # 76 rows of 24 bases have 22 overlapping words of 3 each.
    assert event.fields["tokens"] == (40 + 16 + 20) * 22


def test_composition_is_learned_from(grid: Run) -> None:
    scores = {str(e.fields["cell"]): e.fields["test/mcc"] for e in grid.events("cell")}
    best = [scores[c.fingerprint] for c in planned_cells(grid) if c.method == "kmer"]
    assert all(isinstance(score, float) and score > 0.5 for score in best)


def test_the_report_is_written(grid: Run) -> None:
    report = grid.path / "report"
    assert {path.name for path in report.iterdir()} >= FILES
    assert list((report / "figures").glob("*.svg"))
    rows = [line.split(",") for line in _table(grid).decode().splitlines()]
    models = {row[rows[0].index("model")] for row in rows[1:]}
    assert models == {cell.model for cell in planned_cells(grid)}


def test_a_finished_sweep_is_never_changed(sweeps: SweepWorld, grid: Run) -> None:
    before = grid.contents()
    with pytest.raises(ExistsError, match="is finished") as caught:
        _resumed(grid, sweeps, sweeps.job(SPEC), SweepLines())
    assert caught.value.problems[0].fix.startswith(f"gfmp report {grid.id}")
    assert grid.contents() == before


def test_the_same_sweep_again_runs_nothing(sweeps: SweepWorld, grid: Run) -> None:
    console = SweepLines()
    again = start(sweeps.job(SPEC), console)
    assert again.id != grid.id
    assert not again.events("cell_started", "tokenised")
    assert all(event.fields["reused"] is True for event in again.events("cell"))
    assert sorted(_names(again, "cell")) == sorted(_names(grid, "cell"))
    assert again.events("started")[0].fields["finished"] == 8
    for name in FILES - {"report.html"}:
        one, other = (run.path / "report" / name for run in (grid, again))
        assert one.read_bytes() == other.read_bytes(), name
    assert console.cells == planned_cells(again)
    assert any(line.startswith("report: ") for line in console.said)


def test_a_vocabulary_more_runs_only_its_cells(sweeps: SweepWorld, grid: Run) -> None:
    more = SPEC.replace("vocabularies: [kmer3]\n    initial: [tiny]\n", BOTH)
    run = start(sweeps.job(more), SweepLines())
    new = {c.fingerprint for c in planned_cells(run) if c.vocabulary.name == "bpe64"}
    assert len(new) == 2
    assert set(_names(run, "cell_started")) == new
    assert len(_names(run, "cell")) == 8 + 2
    assert _pairs(run) == [("gc", "bpe64")]
    assert set(_table(grid).splitlines()) < set(_table(run).splitlines())


BOTH = "vocabularies: [kmer3, bpe64]\n    initial: [tiny]\n"


class _Stopping(SweepLines):
    """Asks the sweep to stop when its first cell is done."""

    def __init__(self, world: SweepWorld) -> None:
        super().__init__()
        self.world = world

    def event(self, event: Event) -> None:
        """Ask once."""
        super().event(event)
        if event.kind == "cell":
            _newest(self.world).request_stop()


def test_a_stopped_sweep_goes_on_where_it_was(sweeps: SweepWorld, grid: Run) -> None:
    world = sweeps.elsewhere("stopped")
    job = world.job(SPEC.replace("workers: 2", "workers: 1"))
    with pytest.raises(InterruptedRunError, match="was stopped") as caught:
        start(job, _Stopping(world))
    run = _newest(world)
    assert (caught.value.exit_status, run.status()) == (130, Status.INTERRUPTED)
    assert caught.value.problems[0].fix == f"gfmp sweep --resume {run.id}"
    before = set(_names(run, "cell"))
    assert 0 < len(before) < 8
    assert not (run.path / "report").exists()
    _resumed(run, world, job, SweepLines())
    assert run.status() is Status.FINISHED
    assert Counter(_names(run, "cell_started")).most_common(1)[0][1] == 1, "no cell began twice"
    reused = {str(e.fields["cell"]) for e in run.events("cell") if e.fields["reused"]}
    assert reused == before
    # Another workspace, another number of workers, a stop: the numbers are the same.
    assert _table(run) == _table(grid)


def test_a_cell_that_cannot_work_does_not_touch_the_others(sweeps: SweepWorld) -> None:
    world, console = sweeps.elsewhere("partial"), SweepLines()
    job = world.job(PARTIAL)
    with pytest.raises(PartialSweepError) as caught:
        start(job, console)
    run = _newest(world)
    cells = planned_cells(run)
    (bad,) = [c for c in cells if (c.task.name, c.method) == ("short", "probe")]
    (problem,) = caught.value.problems
    assert caught.value.exit_status == 3
    assert problem.message.startswith(f"1 cell has no result: {bad.model} on short")
    assert "2 bases" in problem.message
    assert "Traceback" not in problem.message
    assert problem.fix.startswith(f"gfmp sweep --resume {run.id}")
    store = CellStore(world.workspace)
    assert [c for c in cells if not store.finished(c.fingerprint)] == [bad]
    assert set(failures_of(run)) == {bad.fingerprint}
    assert run.status() is Status.FAILED
    page = (run.path / "report" / "report.html").read_text()
    assert "2 bases" in page
    assert "2 bases" not in _table(run).decode()
    # Trying again tries that cell only.
    with pytest.raises(PartialSweepError):
        _resumed(run, world, job, SweepLines())
    assert Counter(_names(run, "cell_started")) == Counter(
        {cell.fingerprint: 2 if cell == bad else 1 for cell in cells}
    )
    assert _pairs(run) == [("gc", "kmer3")], "nothing is tokenised twice"
    _check_other_rows_are_another_sweep(world, run, job)


def _check_other_rows_are_another_sweep(world: SweepWorld, run: Run, job: SweepJob) -> None:
    tasks = world.folder / "specs" / "tasks"
    write_task(tasks, TaskText("short", ("low", "high"), length=12))
    try:
        with pytest.raises(SpecError, match="2 of 4 cells are no longer") as caught:
            _resumed(run, world, job, SweepLines())
    finally:
        write_task(tasks, TaskText("short", ("low", "high"), length=2))
    assert "unchanged cells are not run again" in caught.value.problems[0].fix


def test_a_fine_tuning_job_is_the_sweep_of_one_cell(sweeps: SweepWorld) -> None:
    run = start(sweeps.job(JOB, "finetune"), SweepLines())
    (cell,) = planned_cells(run)
    assert (run.header.kind, run.header.name, run.status()) == ("finetune", "one", Status.FINISHED)
    assert run.resume_command == f"gfmp submit --resume {run.id}"
    assert (cell.model, cell.task.name, cell.label_percent) == ("full / kmer3 / tiny", "three", 50)
    assert _names(run, "cell_started") == _names(run, "cell") == [cell.fingerprint]
    assert CellStore(sweeps.workspace).finished(cell.fingerprint)
    assert list((run.path / "models" / cell.fingerprint[:12]).iterdir()), "it keeps its model"
    assert (run.path / "report" / "report.html").is_file()


def test_a_trial_writes_its_own_log(grid: Run) -> None:
    logs = sorted(path.name for path in Path(grid.path / "logs").glob("trial-*.log"))
    assert logs == [f"trial-{number:03d}.log" for number in range(4)]
