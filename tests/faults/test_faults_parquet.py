"""Shards and Parquet sources that somebody damaged: told before a step is taken, never skipped."""

from __future__ import annotations

import random
import resource
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fault_project import STEPS, Done, Prepared, Project, events
from fault_seen import Seen

from gfmp.errors import CorruptArtefactError
from gfmp.genome.corpus import Corpus
from gfmp.genome.ingest import build_corpus
from gfmp.plan.survey import find_corpus
from gfmp.storage.workspace import Workspace

# Of processor time, because a busy machine is no fault of the check.
PREFLIGHT_SECONDS = 10.0
# Pages as they are in memory, with checksums, as a careful writer makes them.
PLAIN = {
    "compression": "none",
    "use_dictionary": False,
    "write_statistics": False,
    "write_page_checksum": True,
}


def built(project: Project) -> Corpus:
    """Build the corpus of the project as a submit would, without Ray."""
    target = find_corpus("small", project.job, Workspace(project.workspace))
    return build_corpus(target.settings, target.path)


def refused(project: Project, seen: Seen, *arguments: str) -> Done:
    """Run a command that must end with 65 before anything begins."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = project.run(*arguments)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.status == 65, done.output
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert spent < PREFLIGHT_SECONDS, f"{spent:.1f} s of processor time"
    assert "Traceback" not in done.output
    assert project.known_runs() == [], "nothing was begun"
    seen.exit(done.status)
    return done


def words(done: Done) -> str:
    """Return what a command printed as one line, so that wrapping cuts no path."""
    return " ".join(done.output.split())


def rows_of(corpus: Corpus) -> int:
    """Count the rows that can be read, each checked."""
    splits = ("train", "valid")
    return sum(len(corpus.read(g)) for split in splits for g in corpus.row_groups(split))  # type: ignore[arg-type]


@pytest.mark.ci
@pytest.mark.fault("P1")
def test_a_shard_of_zero_bytes(empty: Project, seen: Seen) -> None:
    corpus = built(empty)
    shard = corpus.manifest.shards[1]
    path = corpus.path / shard.path
    good = path.read_bytes()
    path.write_bytes(b"")
    done = refused(empty, seen, "submit", str(empty.job))
    told = done.output.replace("\n", "").replace(" ", "")
    assert shard.path in told
    assert f"expected{shard.bytes:,}byteswith{shard.rows:,}rows" in told
    path.write_bytes(good)
    seen.outcome("refused before Ray; shard, its bytes and rows named")
    seen.lost(rows=sum(s.rows for s in corpus.manifest.shards) - rows_of(Corpus.open(corpus.path)))


def halved(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def other_magic(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4] + b"PAR9")


def huge_footer(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:-8] + (0x7FFFFFFF).to_bytes(4, "little") + data[-4:])


def text(path: Path) -> None:
    path.write_bytes(b"x" * path.stat().st_size)


@pytest.mark.ci
@pytest.mark.fault("P2")
@pytest.mark.parametrize("damage", [halved, other_magic, huge_footer, text])
def test_a_shard_that_is_no_parquet(
    empty: Project, seen: Seen, damage: Callable[[Path], None]
) -> None:
    corpus = built(empty)
    shard = corpus.path / corpus.manifest.shards[0].path
    good = shard.read_bytes()
    damage(shard)
    done = refused(empty, seen, "plan", str(empty.job))
    assert shard.name in done.output
    shard.write_bytes(good)
    seen.outcome("refused, shard named")
    whole = sum(s.rows for s in corpus.manifest.shards)
    seen.lost(rows=whole - rows_of(Corpus.open(corpus.path)))


def parquet_source(project: Project, *files: pa.Table) -> Path:
    """Make the corpus of the project a folder of Parquet files, names in the column `id`."""
    folder = project.corpora / "reads"
    folder.mkdir()
    for number, table in enumerate(files):
        pq.write_table(table, folder / f"part-{number}.parquet", **PLAIN)
    (project.corpora / "small.yaml").write_text(
        "kind: corpus\nname: small\nsources:\n"
        "  - species: Synthetica prima\n    assembly: S1\n    format: parquet\n"
        "    contig_column: id\n    files: [{path: reads}]\n"
    )
    (project.folder / "jobs" / "corpus.yaml").write_text("kind: build_corpus\ncorpus: small\n")
    return folder


def reads(number: int, of: pa.DataType, seed: int) -> pa.Table:
    """Return rows of random DNA."""
    rng = random.Random(seed)
    letters = ["".join(rng.choices("ACGT", k=400)) for _ in range(number)]
    names = [1000 * seed + i for i in range(number)]
    return pa.table({"id": pa.array(names, pa.int64()).cast(of), "sequence": letters})


def build_job(project: Project) -> str:
    return str(project.folder / "jobs" / "corpus.yaml")


def data_page(path: Path) -> tuple[int, int]:
    """Return where the letters of the first row group lie in a file, behind their page's header."""
    group = pq.ParquetFile(path).metadata.row_group(0)
    columns = [group.column(i) for i in range(group.num_columns)]
    (letters,) = (column for column in columns if column.path_in_schema == "sequence")
    begin = letters.data_page_offset
    return begin + 100, begin + letters.total_compressed_size


def nothing_published(project: Project) -> int:
    """Count what a build that failed left in the workspace."""
    made = [p for p in (project.workspace / "corpora").rglob("*") if p.name != ".lock"]
    return len([p for p in made if p.is_file()]) + len(project.leftovers())


@pytest.mark.ci
@pytest.mark.fault("P2")
def test_a_column_of_another_type_in_one_file(empty: Project, seen: Seen) -> None:
    parquet_source(empty, reads(5, pa.string(), 1), reads(5, pa.int64(), 2))
    done = empty.run("submit", build_job(empty))
    assert done.status == 65, done.output
    assert "part-1.parquet" in done.output and "column 'id' holds int64" in words(done)
    seen.exit(done.status)
    seen.outcome("file and column named")
    seen.lost(files=nothing_published(empty))


@pytest.mark.ci
@pytest.mark.fault("P3")
def test_twenty_flipped_bits_in_data_pages(empty: Project, seen: Seen) -> None:
    corpus = built(empty)
    shard = corpus.path / corpus.manifest.shards[0].path
    good = shard.read_bytes()
    begin, end = data_page(shard)
    rng, found = random.Random(5), 0
    for _ in range(20):
        data = bytearray(good)
        data[rng.randrange(begin, end)] ^= 1 << rng.randrange(8)
        shard.write_bytes(bytes(data))
        with pytest.raises(CorruptArtefactError, match=r"row group \d+: ") as caught:
            rows_of(Corpus.open(corpus.path))
        found += caught.value.problems[0].where == str(shard)
    shard.write_bytes(good)
    seen.outcome(f"{found} of 20 found, shard and row group named")
    seen.lost(unseen=20 - found)


@pytest.mark.fault("P3")
def test_a_flipped_bit_under_a_training(prepared: Prepared, fresh: Project, seen: Seen) -> None:
    corpus = built(fresh)
    shard = corpus.path / corpus.manifest.shards[0].path
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 4
    shard.write_bytes(bytes(data))
    done = fresh.run("submit", str(fresh.job))
    assert done.status == 65, done.output
    assert shard.name in done.output and "row group 0" in words(done)
    run = fresh.known_runs()[-1]
    steps = [int(str(e["step"])) for e in events(run, "step")]
    assert len(steps) < STEPS and not events(run, "finished")
    seen.exit(done.status)
    seen.outcome(f"stopped after {len(steps)} steps; shard and row group named")
    seen.lost(processes=len(fresh.gone(20)))


@pytest.mark.ci
@pytest.mark.fault("P3")
def test_a_flipped_bit_in_a_parquet_source(empty: Project, seen: Seen) -> None:
    table = reads(5, pa.string(), 1)
    folder = parquet_source(empty, table, reads(5, pa.string(), 2))
    path = folder / "part-0.parquet"
    data = path.read_bytes()
    place = data.index(table["sequence"][2].as_py().encode()) + 100
    path.write_bytes(data[:place] + bytes([data[place] ^ 2]) + data[place + 1 :])
    done = empty.run("submit", build_job(empty))
    assert done.status == 65, done.output
    assert "part-0.parquet" in done.output
    seen.exit(done.status)
    seen.outcome("the file of the source is named, no corpus is published")
    seen.lost(files=nothing_published(empty))


@pytest.mark.ci
@pytest.mark.fault("P4")
def test_strangers_links_and_a_replaced_shard(empty: Project, seen: Seen) -> None:
    corpus = built(empty)
    shards = corpus.path / "shards"
    first, second = (corpus.path / shard.path for shard in corpus.manifest.shards[:2])
    (corpus.path / "README.md").write_text("notes of a person")
    assert empty.run("plan", str(empty.job)).status == 0, "a README is nobody's harm"
    good = second.read_bytes()
    (shards / ".tmp-half.parquet").write_bytes(b"PAR1")
    (shards / "sibling.parquet").symlink_to(first)
    (corpus.path / "hostname").symlink_to("/etc/hostname")
    pq.write_table(pq.read_table(first), second)
    shutil.copy(first, shards / "extra.parquet")
    done = refused(empty, seen, "plan", str(empty.job))
    for name in (".tmp-half.parquet", "sibling.parquet", "hostname", second.name, "extra.parquet"):
        assert name in done.output, name
    assert "README" not in done.output
    for path in (
        shards / ".tmp-half.parquet",
        shards / "sibling.parquet",
        corpus.path / "hostname",
    ):
        path.unlink()
    (shards / "extra.parquet").unlink()
    second.write_bytes(good)
    seen.outcome("all five listed at once, README passed")
    whole = sum(s.rows for s in corpus.manifest.shards)
    seen.lost(rows=whole - rows_of(Corpus.open(corpus.path)))


@pytest.mark.ci
@pytest.mark.fault("P4")
def test_a_link_in_a_source_folder_would_double_its_rows(empty: Project, seen: Seen) -> None:
    folder = parquet_source(empty, reads(5, pa.string(), 1))
    (folder / "sibling.parquet").symlink_to(folder / "part-0.parquet")
    done = empty.run("submit", build_job(empty))
    assert done.status == 65, done.output
    assert "symbolic link" in words(done) and "sibling.parquet" in done.output
    seen.exit(done.status)
    seen.outcome("the link is named, no corpus is published")
    seen.lost(files=nothing_published(empty))
