"""What is recorded of a run is enough to repeat it, and every change of it is found."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cluster_world import World

from gfmp.cli.main import gfmp
from gfmp.cli.render.replay import show_replayed, show_reproduced
from gfmp.cluster.inputs import RunInputs
from gfmp.cluster.reproduce import Compared, compare, repeat
from gfmp.cluster.verify import verify_runs
from gfmp.errors import (
    CorruptArtefactError,
    GfmpError,
    MissingInputError,
    TrainingError,
    UsageError,
)
from gfmp.feed.batch import TokenBatch
from gfmp.feed.dealing import Dealing
from gfmp.ledger.run import Run
from gfmp.storage.workspace import Workspace
from gfmp.training.health import Incident, Share
from gfmp.training.history import newest_commit, require_checkpoint
from gfmp.training.job import Job
from gfmp.training.loop import train
from gfmp.training.manifest import WEIGHTS_FILE
from gfmp.training.replay import BadRow, Replayed


def trained(run: Run) -> Run:
    """Train a run to its end in this process, as a worker does without Ray."""
    inputs = RunInputs.open(run.path)
    feed = inputs.feed()

    def _source(dealing: Dealing) -> Generator[tuple[TokenBatch, ...], None, None]:
        dealt = feed.under(dealing.weights)
        for step in range(dealing.first_step, dealing.end_step):
            yield dealt.step(step, 0, 1, inputs.plan.where.accumulation)

    with run.own(), run.open_writer("driver") as driver, run.open_writer("rank0") as rank0:
        driver.append("started", {"segment": 0, "workers": 1, "engine": "ddp", "from_step": 0})
        outcome = train(
            Job(
                plan=inputs.plan,
                ensemble=inputs.ensemble,
                source=_source,
                heldout=inputs.heldout(),
                corpus=inputs.corpus,
                checkpoints=run.checkpoints_path,
                record=rank0.append,
                should_stop=run.stop_requested,
                committed_step=newest_commit(run),
            )
        )
        rank0.append("outcome", outcome.to_json())
        driver.append("finished", {"step": outcome.step, "seconds": 1.0})
    return run


SHORT = ("steps=4", "checkpoint.every_steps=2", "evaluation.final_hidden_bases=200")


@pytest.fixture(scope="module")
def done(world: World) -> Run:
    """A finished run; stays as it is."""
    return trained(world.run(*SHORT))


@pytest.fixture
def own(done: Run, tmp_path: Path) -> Run:
    """A copy of it to change, in a workspace of its own."""
    shutil.copytree(done.path, tmp_path / "runs" / done.id)
    return Run.open(tmp_path / "runs" / done.id)


def command(run: Run, *words: str) -> Result:
    """Call gfmp on the workspace a run is in."""
    workspace = str(run.path.parent.parent)
    return CliRunner().invoke(gfmp, [*words, "--workspace", workspace])


def test_a_run_is_repeated_from_its_record_to_the_bit(world: World, done: Run) -> None:
    new = repeat(done, world.workspace, ("gfmp", "reproduce", done.id))
    assert new.id != done.id
    assert new.plan() == done.plan()
    assert new.spec_path.read_bytes() == done.spec_path.read_bytes()
    found = compare(done, trained(new))
    assert found.differences == ()
    assert found.num_equal > 10
    assert found.surroundings == ()
    show_reproduced(found)


def test_another_model_is_no_repetition(world: World, done: Run) -> None:
    other = trained(world.run(*SHORT, "seed=4"))
    found = compare(done, other)
    names = {line.split(":")[0] for line in found.differences}
    assert {"weights_hash", "order_hash"} <= names
    with pytest.raises(TrainingError, match="weights_hash") as caught:
        show_reproduced(found)
    assert caught.value.problems[0].why == "what else differs: nothing on record"


def test_what_else_differs_is_told() -> None:
    found = Compared("a", "b", 3, ("step: 1 -> 2",), ("library torch: 1 -> 2",))
    with pytest.raises(TrainingError, match="1 difference between a and b") as caught:
        show_reproduced(found)
    assert "library torch: 1 -> 2" in caught.value.problems[0].why


def test_only_finished_pretraining_is_repeated(world: World, planned: Run, done: Run) -> None:
    with pytest.raises(UsageError, match="is planned"):
        repeat(planned, world.workspace, ())
    sweep = replace(done, header=replace(done.header, kind="sweep"))
    with pytest.raises(UsageError, match="is a sweep run"):
        repeat(sweep, world.workspace, ())


def test_a_whole_run_verifies_and_nothing_changes(done: Run, own: Run) -> None:
    before = {path: path.read_bytes() for path in own.path.rglob("*") if path.is_file()}
    result = command(own, "runs", "verify", own.id)
    assert result.exit_code == 0, result.output
    assert f"{own.id}: whole" in result.output
    assert "step-000000004: as it was written" in result.output
    assert "every shard: as it was written" in result.output
    assert {path: path.read_bytes() for path in own.path.rglob("*") if path.is_file()} == before
    shown = command(own, "runs", "verify", "--json")
    assert '"problems": []' in shown.output


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (f"checkpoints/step-000000002/{WEIGHTS_FILE}", "does not match its sha256"),
        ("checkpoints/step-000000004/manifest.json", "manifest.json"),
        ("plan.json", ""),
        ("inputs.json", ""),
        ("ledger/000-rank0.jsonl", "is not event"),
    ],
)
def test_every_changed_file_is_found(own: Run, file: str, said: str) -> None:
    path = own.path / file
    body = bytearray(path.read_bytes())
    place = body.index(b"\n") + 10 if file.startswith("ledger") else len(body) // 2
    body[place] ^= 1
    path.write_bytes(body)
    (found, *_) = verify_runs((own,), Workspace(own.path.parent.parent))
    assert found.problems, found.checked
    assert any(said in problem.message for problem in found.problems)
    result = command(own, "runs", "verify", own.id)
    assert isinstance(result.exception, CorruptArtefactError)
    assert result.exception.exit_status == 65


def test_a_checkpoint_that_is_gone_is_found(own: Run) -> None:
    shutil.rmtree(own.checkpoints_path / "step-000000004")
    (found, *_) = verify_runs((own,), Workspace(own.path.parent.parent))
    assert [problem.message for problem in found.problems] == ["the checkpoint of step 4 is gone"]
    require_checkpoint(own)  # an older one is there
    shutil.rmtree(own.checkpoints_path)
    with pytest.raises(MissingInputError, match="step 4 was committed"):
        require_checkpoint(own)


def test_the_cells_of_a_sweep_are_looked_at(own: Run) -> None:
    sweep = replace(own, header=replace(own.header, kind="sweep"))
    with own.open_writer("driver") as driver:
        driver.append("cell", {"cell": "ab" * 32, "seconds": 0.0, "reused": False})
    (found,) = verify_runs((sweep,), Workspace(own.path.parent.parent))
    assert [problem.message for problem in found.problems] == [
        f"the result of cell {('ab' * 6)} is gone"
    ]


def test_no_dump_is_66(tmp_path: Path) -> None:
    result = CliRunner().invoke(gfmp, ["replay", str(tmp_path)])
    assert isinstance(result.exception, GfmpError)
    assert result.exception.exit_status == 66


NAN = float("nan")
INCIDENT = Incident(6, "loss", 2.5, float("inf"), (Share((NAN,), (3, 4)),))


def test_a_replay_is_shown_beside_the_record(capsys: pytest.CaptureFixture[str]) -> None:
    rows = tuple(BadRow(0, sample, "kmer3", NAN) for sample in range(14))
    show_replayed(Path("dump"), Replayed(INCIDENT, ((NAN,),), 2.5, rows))
    said = capsys.readouterr().out
    assert "step 7: loss nan at step 7 on rank 0, samples 3, 4" in said
    assert "sample 11 (kmer3, rank 0) alone: nan" in said
    assert "sample 12" not in said and "... and 2 more samples" in said
    assert "reproduced: " in said


def test_a_replay_with_other_numbers_blames_the_machine() -> None:
    with pytest.raises(TrainingError, match="not reproduced") as caught:
        show_replayed(Path("dump"), Replayed(INCIDENT, ((7.5,),), 2.5, ()))
    assert caught.value.problems[0].where == "dump"
