"""Libraries that store and count, failing without a word beside gfmp, which does not."""

from __future__ import annotations

import json
import random
import signal
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fault_project import Project, fault
from fault_seen import Seen
from fault_sweeps import finished_cells, make_sweeps
from test_faults_parquet import built, data_page, rows_of, words

from gfmp.errors import CorruptArtefactError
from gfmp.genome.corpus import Corpus

LETTERS = "ACGT"


def data_set(folder: Path, files: int, rows: int) -> list[Path]:
    """Write Parquet files of random DNA with the defaults of the library."""
    folder.mkdir()
    rng, paths = random.Random(1), []
    for number in range(files):
        table = pa.table({"sequence": ["".join(rng.choices(LETTERS, k=80)) for _ in range(rows)]})
        paths.append(folder / f"part-{number}.parquet")
        pq.write_table(table, paths[-1])
    return paths


BARE_READ = """
import sys, ray
ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
print("rows", ray.data.read_parquet(sys.argv[1]).count())
"""


@pytest.mark.fault("Q1")
def test_a_shard_of_zero_bytes_is_skipped_by_ray_data(
    empty: Project, tmp_path: Path, seen: Seen
) -> None:
    data_set(tmp_path / "data", 6, 1000)[2].write_bytes(b"")
    bare = empty.start_program([sys.executable, "-c", BARE_READ, str(tmp_path / "data")]).wait()
    assert bare.status == 0 and "rows 5000" in bare.output, "the library lost 1,000 rows in silence"
    corpus = built(empty)
    shard = corpus.path / corpus.manifest.shards[1].path
    good = shard.read_bytes()
    shard.write_bytes(b"")
    done = empty.run("plan", str(empty.job))
    assert done.status == 65 and shard.name in done.output, done.output
    shard.write_bytes(good)
    seen.exit(done.status)
    seen.outcome("bare: 5,000 of 6,000 rows, exit 0; gfmp: 65, shard named")
    seen.lost(rows=sum(s.rows for s in corpus.manifest.shards) - rows_of(Corpus.open(corpus.path)))


@pytest.mark.ci
@pytest.mark.fault("Q2")
def test_a_flipped_bit_is_handed_out_by_pyarrow(empty: Project, tmp_path: Path, seen: Seen) -> None:
    rng = random.Random(3)
    (path,) = data_set(tmp_path / "data", 1, 2000)
    table = pq.read_table(path)
    pq.write_table(table, path, compression="none", use_dictionary=False, write_statistics=False)
    silent = _flipped(path, rng, lambda: _reads_otherwise(path, table))
    assert silent >= 15, "most places are handed out as other DNA without a word"
    corpus = built(empty)
    shard = corpus.path / corpus.manifest.shards[0].path
    found = _flipped(shard, rng, lambda: _refuses(corpus.path))
    assert found == 20
    seen.outcome(f"bare: {silent} of 20 flips read as data; gfmp: {found} of 20 refused")
    seen.lost(unseen=20 - found)


def _reads_otherwise(path: Path, table: pa.Table) -> bool:
    try:
        return bool(pq.read_table(path) != table)
    except pa.ArrowInvalid:
        return False  # it noticed: the bit was in the length of a row


def _flipped(path: Path, rng: random.Random, check: object) -> int:
    """Flip a bit in 20 places of the data pages in turn; count the places where `check` holds."""
    assert callable(check)
    good, count = path.read_bytes(), 0
    begin, end = data_page(path)
    for _ in range(20):
        data = bytearray(good)
        data[rng.randrange(begin, end)] ^= 1 << rng.randrange(3)
        path.write_bytes(bytes(data))
        count += bool(check())
    path.write_bytes(good)
    return count


def _refuses(path: Path) -> bool:
    try:
        rows_of(Corpus.open(path))
    except CorruptArtefactError as fault:
        return "row group" in str(fault)
    return False


BARE_TUNE = """
import sys, ray
from ray import tune
ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
def trial(config):
    if config["i"] in (1, 4):
        raise RuntimeError("a fault of user code")
    tune.report({"score": config["i"]})
results = tune.Tuner(
    trial,
    param_space={"i": tune.grid_search(list(range(6)))},
    run_config=tune.RunConfig(storage_path=sys.argv[1], verbose=0),
).fit()
print("returned", len(results), "best", results.get_best_result("score", "max").metrics["score"])
"""


@pytest.mark.fault("Q6")
def test_failed_trials_are_returned_by_tune_as_a_success(tmp_path: Path, seen: Seen) -> None:
    project = make_sweeps(tmp_path / "project")
    command = [sys.executable, "-c", BARE_TUNE, str(tmp_path / "tune")]
    bare = project.start_program(command).wait()
    assert bare.status == 0 and "returned 6 best 5" in bare.output, bare.output
    done = project.run("sweep", "specs/grid.yaml", env=fault("raise-cell", percent=50))
    assert done.status == 3 and "2 cells have no result" in words(done), done.output
    seen.exit(done.status)
    seen.outcome("bare: fit() returns, exit 0; gfmp: 3, both cells named")
    seen.lost(cells=4 - len(finished_cells(project)))
    project.end_all()


BARE_TRACKING = """
import os, signal, sys
from mlflow import MlflowClient
client = MlflowClient(tracking_uri=sys.argv[1])
run = client.create_run(client.create_experiment("bare"))
client.log_metric(run.info.run_id, "loss", float("inf"))
os.kill(os.getpid(), signal.SIGKILL)
"""
OURS = """
import math, os, signal
from gfmp.ledger.header import NewRun
from gfmp.ledger.store import RunStore
from gfmp.mlflow_store.mirror import Mirror
from gfmp.storage.workspace import Workspace

workspace = Workspace.at(None)
plan = {"format_version": 1, "name": "ours", "what": {"steps": 4}}
run = RunStore(workspace).create(
    NewRun("ours", "pretrain", 1, "0" * 64, b"kind: pretrain\\nname: ours\\n", plan, ("gfmp",))
)
with run.own(), run.open_writer("driver") as driver, run.open_writer("rank0") as rank0:
    driver.append("started", {"segment": 0, "workers": 1})
    rank0.append("step", {"step": 1, "loss": 0.5})
    rank0.append("step", {"step": 2, "loss": math.inf})
    Mirror(run, workspace).sync()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.ci
@pytest.mark.fault("Q11")
def test_infinity_and_killed_runs_in_mlflow(empty: Project, tmp_path: Path, seen: Seen) -> None:
    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path / 'bare.db'}"
    bare = empty.start_program([sys.executable, "-c", BARE_TRACKING, uri]).wait()
    assert bare.status == -signal.SIGKILL, bare.output
    client = MlflowClient(tracking_uri=uri)
    (run,) = client.search_runs([client.get_experiment_by_name("bare").experiment_id])
    assert run.data.metrics["loss"] == sys.float_info.max, "infinity became a number"
    assert run.info.status == "RUNNING", "and will be for ever"
    ours = empty.start_program([sys.executable, "-c", OURS]).wait()
    assert ours.status == -signal.SIGKILL, ours.output
    synced = empty.run("runs", "sync")
    assert synced.status == 0, synced.output
    client = MlflowClient(tracking_uri=f"sqlite:///{empty.workspace / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("ours").experiment_id])
    assert run.info.status == "KILLED"
    assert run.data.tags["nonfinite.loss"] == "inf@2"
    history = client.get_metric_history(run.info.run_id, "loss")
    assert json.dumps([[m.step, m.value] for m in history]) == "[[1, 0.5]]"
    seen.exit(synced.status)
    seen.outcome("bare: 1.797e308, RUNNING; gfmp: the word inf, KILLED")
    seen.lost(points=2 - len(history) - 1)
