"""Loads: millions of sequences, thousands of shards, hundreds of cells; time and memory bounded.

Times are of processor where that can be asked, because a busy machine is no fault.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fault_load import READER, growth, random_letters, write_one_record, write_reads
from fault_project import JOB, Done, Project, events
from fault_seen import Seen
from fault_sweeps import SWEEP, finished_cells, make_sweeps
from fault_watch import MemoryWatch, proportional

from gfmp.genome.corpus import Corpus
from gfmp.genome.ingest import build_corpus
from gfmp.genome.sources import IngestSettings, LocalFile, Source
from gfmp.plan.survey import find_corpus
from gfmp.storage.workspace import Workspace

GIB = 1 << 30
# A tenth of the rows gives the same tests in minutes; the full size is the default.
SHARE = float(os.environ.get("GFMP_FAULT_LOAD", "1.0"))
ROWS, LENGTH = int(2_000_000 * SHARE), 1_074
LONG_RECORD = int(250_000_000 * SHARE)
MOST_MEMORY = 3 * GIB
# Letters a second: for the build of wall time, with Ray's start and whatever else the machine does
# (alone, two cores do ten times as much); for reading of CPU time.
FLOOR_INGEST, FLOOR_READ = 0.5e6, 20e6
CORPUS = """\
kind: corpus
name: small
sources:
  - species: Synthetica prima
    assembly: reads
    format: parquet
    files: [{path: reads.parquet}]
  - species: Synthetica secunda
    assembly: long
    format: fasta
    files: [{path: long.fa}]
    valid: [{contig: long, start: 0, end: 1000000}]
"""


def timed(project: Project, *arguments: str) -> tuple[Done, float]:
    """Run a command; return it with the processor seconds of it and all it waited for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = project.run(*arguments, seconds=7200)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose corpus has 2 million sequences and one of 250 million letters."""
    folder = tmp_path_factory.mktemp("load") / "project"
    for name in ("specs/corpora", "jobs", "workspace"):
        (folder / name).mkdir(parents=True)
    corpora = folder / "specs" / "corpora"
    write_reads(corpora / "reads.parquet", ROWS, LENGTH)
    write_one_record(corpora / "long.fa", LONG_RECORD)
    (corpora / "small.yaml").write_text(CORPUS)
    (folder / "jobs" / "small.yaml").write_text(JOB)
    (folder / "jobs" / "corpus.yaml").write_text("kind: build_corpus\ncorpus: small\n")
    return Project(folder)


def corpus_path(project: Project) -> Path:
    """Return where the corpus is or will be."""
    return find_corpus("small", project.job, Workspace(project.workspace)).path


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.fault("L1")
def test_two_gibibytes_become_a_corpus(loaded: Project, seen: Seen) -> None:
    with MemoryWatch(loaded.processes, 1.0, proportional).watching() as watch:
        done = loaded.run("submit", str(loaded.folder / "jobs" / "corpus.yaml"), seconds=7200)
    assert done.status == 0, done.output
    assert watch.peak <= MOST_MEMORY, f"{watch.peak / GIB:.2f} GiB"
    corpus = Corpus.open(corpus_path(loaded))
    assert [s.contigs.number for s in corpus.manifest.sources] == [ROWS, 1]
    assert corpus.manifest.sources[0].contigs.length_bp == ROWS * LENGTH
    assert corpus.manifest.sources[1].contigs.length_bp == LONG_RECORD
    assert (corpus.path / "manifest.json").stat().st_size < 4 << 20
    seen.exit(done.status)
    rate = (ROWS * LENGTH + LONG_RECORD) / done.seconds
    assert rate >= FLOOR_INGEST
    seen.outcome(
        f"{ROWS:,} sequences and one of {LONG_RECORD:,}: {rate / 1e6:.1f} Mnt/s, "
        f"at most {watch.peak / GIB:.2f} GiB in all processes"
    )
    seen.lost(records=ROWS - corpus.manifest.sources[0].contigs.number)


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.fault("L1")
def test_all_of_it_is_read_in_flat_memory(loaded: Project, seen: Seen) -> None:
    path = corpus_path(loaded)
    if not path.exists():
        target = find_corpus("small", loaded.job, Workspace(loaded.workspace))
        build_corpus(target.settings, target.path)
    done = loaded.start_program([sys.executable, "-c", READER, str(path)]).wait(7200)
    assert done.status == 0, done.output
    told = json.loads(done.output.splitlines()[-1])
    manifest = Corpus.open(path).manifest
    assert told["rows"] == sum(total.rows for total in manifest.totals)
    assert told["bases"] == manifest.bases("train") + manifest.bases("valid")
    assert max(told["rss"]) <= MOST_MEMORY
    assert growth(told["rss"]) <= 0.1
    rate = told["bases"] / told["seconds"]
    assert rate >= FLOOR_READ
    seen.exit(done.status)
    seen.outcome(
        f"{told['rows']:,} rows read and checked at {rate / 1e6:.0f} Mnt a CPU second, "
        f"{max(told['rss']) / GIB:.2f} GiB, growth {growth(told['rss']):+.1%}"
    )
    seen.lost(records=sum(total.rows for total in manifest.totals) - told["rows"])


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.fault("L1")
def test_a_training_on_it_stays_flat(loaded: Project, seen: Seen) -> None:
    changes = ("steps=400", "compute.workers=1", "checkpoint.every_steps=50")
    options = [word for change in changes for word in ("--set", change)]
    with MemoryWatch(loaded.processes, 0.5, proportional).watching() as watch:
        done = loaded.run("submit", str(loaded.job), *options, seconds=7200)
    assert done.status == 0, done.output
    run = loaded.known_runs()[-1]
    assert len(events(run, "step")) == 400
    assert watch.peak <= MOST_MEMORY, f"{watch.peak / GIB:.2f} GiB"
    trained = [sample for sample in watch.samples if sample > 0.6 * watch.peak]
    # The first steps fill pools and caches (steps, evaluation, commit, each once); what is lost
    # step by step is lost in the second half too.
    later = trained[len(trained) // 2 :]
    assert growth(later) <= 0.05
    seen.exit(done.status)
    seen.outcome(f"400 steps: at most {watch.peak / GIB:.2f} GiB, growth {growth(later):+.1%}")
    seen.lost(processes=len(loaded.gone(20)))


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.fault("L2")
def test_ten_thousand_shards(empty: Project, seen: Seen) -> None:
    number, rows = int(10_000 * SHARE), 100
    rng = np.random.default_rng(4)
    folder = empty.folder / "many"
    folder.mkdir()
    sources = []
    for index in range(number):
        letters = random_letters(rng, rows * 80).decode()
        table = pa.table({"sequence": [letters[i : i + 80] for i in range(0, len(letters), 80)]})
        path = folder / f"{index}.parquet"
        pq.write_table(table, path)
        sources.append(Source("Synthetica", f"a{index}", "parquet", LocalFile(str(path))))
    settings = IngestSettings("many", sources=tuple(sources))
    began = time.process_time()
    corpus = build_corpus(settings, empty.workspace / "corpora" / "many" / "x")
    built = time.process_time() - began
    began = time.process_time()
    again = Corpus.open(corpus.path)
    opened = time.process_time() - began
    assert len(again.manifest.shards) == number
    assert sum(total.rows for total in again.manifest.totals) == number * rows
    assert opened <= 60.0
    victim = corpus.path / again.manifest.shards[number // 2].path
    victim.write_bytes(b"")
    done = empty.start_program([sys.executable, "-c", READER, str(corpus.path)]).wait()
    assert done.status != 0 and victim.name in done.output
    seen.outcome(f"{number:,} shards: opened in {opened:.1f} s, built in {built:.0f} s of CPU")
    seen.lost(rows=number * rows - sum(total.rows for total in again.manifest.totals))


@pytest.mark.fault("L2")
def test_240_cells_are_planned_in_seconds(tmp_path: Path, seen: Seen) -> None:
    project = make_sweeps(tmp_path / "project")
    percents = [float(p) for p in range(5, 105, 5)]
    text = SWEEP.format(seeds=[0, 1, 2, 3, 4, 5]).replace("[25, 50, 100]", str(percents))
    (project.folder / "specs" / "grid.yaml").write_text(text)
    first, _ = timed(project, "plan", "specs/grid.yaml")
    assert first.status == 0, first.output
    project.run("tasks", "prepare", "gc", "at")
    done, seconds = timed(project, "plan", "specs/grid.yaml")
    assert done.status == 0 and "240" in done.output, done.output
    assert seconds <= 5.0
    seen.exit(done.status)
    seen.outcome(f"240 cells planned in {seconds:.1f} s of CPU, {done.seconds:.1f} s of wall time")
    seen.lost(cells=0)


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.fault("L2")
def test_24_cells_are_run_in_minutes(tmp_path: Path, seen: Seen) -> None:
    project = make_sweeps(tmp_path / "project", seeds=(0, 1, 2, 3))
    done, seconds = timed(project, "sweep", "specs/grid.yaml")
    assert done.status == 0, done.output
    assert len(finished_cells(project)) == 24
    assert seconds <= 360.0
    seen.exit(done.status)
    seen.outcome(f"24 cells in {done.seconds:.0f} s")
    seen.lost(cells=24 - len(finished_cells(project)))
    assert project.gone(20) == []
