"""One real Ray session: it gives what a plain loop gives, and faults keep their words."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pyarrow as pa
import pytest
from cluster_world import CONTIG_BP, World, make_world

from gfmp.cluster.feed import BURST_STEPS, FIRST_BURST_STEPS, RayStepSource, Share
from gfmp.cluster.ingest import ray_mapper
from gfmp.cluster.inputs import RunInputs
from gfmp.cluster.pipeline import rows_in_order
from gfmp.cluster.session import ray_session
from gfmp.cluster.train import TrainingJob, fit
from gfmp.errors import CorruptArtefactError, DataError
from gfmp.feed.dealing import Dealing
from gfmp.genome.ingest import build_corpus
from gfmp.ledger.run import Run
from gfmp.plan.survey import find_corpus

pytestmark = pytest.mark.long
NUM_STEPS = FIRST_BURST_STEPS + 3


def dealing(first: int, end: int = NUM_STEPS, weights: tuple[float, ...] = (0.5, 0.5)) -> Dealing:
    """Return steps of a run, by equal weights as its job says."""
    return Dealing(first, end, weights)


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    """Start Ray once; nothing it started may outlive it, and a person's own setting stays."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TQDM", "1")
        patch.delenv("RAY_ADDRESS", raising=False)
        before = set(psutil.Process().children(recursive=True))
        with ray_session(workers=2):
            yield
        import ray

        assert not ray.is_initialized()
        left = set(psutil.Process().children(recursive=True)) - before
        _, alive = psutil.wait_procs(left, timeout=10)
        assert not alive


def test_the_session_is_quiet_and_local() -> None:
    import ray

    assert os.environ["RAY_TQDM"] == "1"
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    assert os.environ["DO_NOT_TRACK"] == "true"
    # Two slots for tasks beside the two workers, whatever the machine has.
    assert ray.cluster_resources()["CPU"] == 4
    token = Path.home() / ".ray" / "auth_token"
    assert not token.exists() or token.stat().st_mode & 0o077 == 0


def test_a_corpus_made_by_ray_is_the_corpus_made_by_map(world: World, tmp_path: Path) -> None:
    settings = find_corpus("small", world.job, world.workspace).settings
    plain = world.corpus()
    made = build_corpus(settings, tmp_path / "ray", ray_mapper)
    assert made.manifest == plain.manifest
    assert made.fingerprint == plain.fingerprint
    shards = sorted(p.relative_to(plain.path) for p in plain.path.rglob("*.parquet"))
    assert len(shards) == 8  # train and valid of four genomes
    for shard in shards:
        assert (made.path / shard).read_bytes() == (plain.path / shard).read_bytes()


def test_a_fault_that_is_none_of_ours_stays_a_bug() -> None:
    from ray.exceptions import RayTaskError

    def stumbles(batch: dict[str, list[int]]) -> pa.Table:
        if batch["number"][0] == 2:
            raise ValueError("number 2")
        return pa.table({"number": pa.array([int(n) for n in batch["number"]])})

    rows = rows_in_order([{"number": i} for i in range(3)], stumbles, num_cpus=0.25)
    seen = []
    with pytest.raises(RayTaskError, match="number 2"):
        seen.extend(row["number"] for row in rows)
    assert seen in ([], [0], [0, 1])


def test_a_letter_that_is_refused_is_told_as_without_ray(tmp_path: Path) -> None:
    broken = make_world(tmp_path)
    genome = broken.folder / "specs" / "corpora" / "2.fa"
    letters = genome.read_text().splitlines()[1]
    genome.write_text(f">c2\n{letters[:50]}!{letters[51:]}\n")
    target = find_corpus("small", broken.job, broken.workspace)
    with pytest.raises(DataError) as plain:
        build_corpus(target.settings, target.path)
    with pytest.raises(DataError) as carried:
        build_corpus(target.settings, target.path, ray_mapper)
    assert type(carried.value) is DataError  # not Ray's wrapping, which cannot be recorded
    assert carried.value.problems == plain.value.problems
    assert not target.built
    assert not list(target.path.parent.glob("[!.]*"))


@pytest.mark.parametrize("world_size", [1, 2])
@pytest.mark.parametrize("first", [0, 5, NUM_STEPS - 1])
def test_ray_carries_exactly_the_batches_of_the_feed(
    planned: Run, world_size: int, first: int
) -> None:
    feed = RunInputs.open(planned.path).feed()
    rows = 0
    for rank in range(world_size):
        source = RayStepSource(planned.path, Share(rank, world_size, 2))
        steps = list(source(dealing(first)))
        assert len(steps) == NUM_STEPS - first
        for step, made in enumerate(steps, start=first):
            expected = feed.step(step, rank, world_size, 2)
            assert [b.to_bytes() for b in made] == [b.to_bytes() for b in expected]
            rows += sum(len(b.samples) for b in made)
    assert rows == 6 * (NUM_STEPS - first)


def test_a_dealing_is_made_by_its_weights_and_not_beyond_its_end(planned: Run) -> None:
    weights = (0.1, 0.9)
    feed = RunInputs.open(planned.path).feed()
    steps = list(RayStepSource(planned.path, Share(0, 1, 1))(dealing(2, 6, weights)))
    made = [batch.to_bytes() for (batch,) in steps]
    assert made == [feed.under(weights).step(s, 0, 1, 1)[0].to_bytes() for s in range(2, 6)]
    assert made != [feed.step(s, 0, 1, 1)[0].to_bytes() for s in range(2, 6)]


def test_a_run_that_is_over_has_no_batches(planned: Run) -> None:
    assert list(RayStepSource(planned.path, Share(0, 1, 1))(dealing(NUM_STEPS))) == []


def test_a_reader_may_leave_at_any_step(planned: Run) -> None:
    feed = RunInputs.open(planned.path).feed()
    source = RayStepSource(planned.path, Share(0, 1, 1))
    steps = source(dealing(3, FIRST_BURST_STEPS + 2 * BURST_STEPS))
    (first,) = next(steps)
    steps.close()
    assert first.to_bytes() == feed.step(3, 0, 1, 1)[0].to_bytes()


def test_damage_under_the_feed_is_named_not_trained_on(own_world: World) -> None:
    run = own_world.run()
    shards = [
        path
        for path in own_world.corpus().path.rglob("*.parquet")
        if path.stat().st_size > CONTIG_BP // 8 and "train" in str(path)
    ]
    for shard in shards:
        damaged = bytearray(shard.read_bytes())
        damaged[200] ^= 0xFF  # inside the sequences; size and footer stay
        shard.write_bytes(damaged)
    assert shards
    with pytest.raises(CorruptArtefactError) as caught:
        list(RayStepSource(run.path, Share(0, 1, 1))(dealing(0)))
    assert type(caught.value) is CorruptArtefactError
    assert ".parquet" in caught.value.problems[0].where


def test_a_final_fault_of_a_worker_is_raised_once_and_not_retried(copied: Run) -> None:
    (copied.path / "inputs.json").write_text("{}")
    where = copied.plan().where
    restarts: list[object] = []
    job = TrainingJob(copied.path, where, 0, lambda *said: restarts.append(said))
    with pytest.raises(CorruptArtefactError, match="is missing") as caught:
        fit(job, lambda done: assert_set(done.wait(120)))
    assert caught.value.problems[0].where == str(copied.path / "inputs.json")
    assert restarts == []
    log = (copied.path / "logs" / "rank0.log").read_text()
    assert log.count("rank 0 gives up") == 1
    assert json.loads((copied.path / "workers" / "rank0.json").read_text())["pid"] != os.getpid()


def assert_set(ended: bool) -> None:
    """The worker group ends by itself."""
    assert ended
