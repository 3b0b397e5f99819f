"""What a corpus holds of a task: the same as searching it letter by letter."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from task_samples import rows_of, sequences, task_of

from gfmp.errors import CorruptArtefactError
from gfmp.genome.corpus import Corpus, Piece
from gfmp.genome.ingest import build_corpus
from gfmp.genome.sources import IngestSettings, LocalFile, Source
from gfmp.tasks.exposure import Exposure, exposures, stretches
from gfmp.tasks.leaks import LeakReport, TaskLeaks
from gfmp.tasks.strands import other_strand
from gfmp.tasks.task import Rows


def _rows(texts: list[bytes]) -> Rows:
    names = tuple(map(str, range(len(texts))))
    zeros = np.zeros((len(texts), 1), dtype=np.float32)
    return Rows(tuple(texts), zeros, names, ("",) * len(texts))


@pytest.fixture(scope="module")
def genome() -> bytes:
    return sequences(1, seed=21, length=60_000)[0]


@pytest.fixture(scope="module")
def corpus(genome: bytes, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("exposure")
    (folder / "one.fa").write_bytes(b">c1\n" + genome + b"\n")
    source = Source("Testus one", "t1", "fasta", LocalFile(str(folder / "one.fa")))
    return build_corpus(
        IngestSettings("small", sources=(source,)), folder / "corpus", wait_seconds=5
    )


def test_whole_rows_are_found_on_both_strands(corpus: Corpus, genome: bytes) -> None:
    others = sequences(30, seed=22, length=300)
    starts = np.random.default_rng(2).integers(0, len(genome) - 300, 30).tolist()
    there = [genome[i : i + 300] for i in starts]
    mixed = [text if i % 3 else other_strand(text) for i, text in enumerate(there)]
    half = [text[:150] + other[:150] for text, other in zip(there, others, strict=True)]
    task = task_of(_rows(mixed), _rows(half), _rows(list(others)))
    found = exposures("small", corpus, {"sample": task})["sample"]
    assert found == (
        Exposure("small", "train", 30, exact=20, reverse_complement=10, near=0),
        Exposure("small", "valid", 30, exact=0, reverse_complement=0, near=30),
        Exposure("small", "test", 30, exact=0, reverse_complement=0, near=0),
    )
    assert [one.read for one in found] == [30, 0, 0]


def test_rows_without_a_word_are_never_found(corpus: Corpus, genome: bytes) -> None:
    short = [genome[:20], b"N" * 100]
    task = task_of(_rows(short), _rows([genome[-500:]]), _rows([genome[:500]]))
    found = exposures("small", corpus, {"sample": task})["sample"]
    assert [one.read + one.near for one in found] == [0, 1, 1]


def test_a_damaged_corpus_is_an_error(corpus: Corpus, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(corpus.path, copy)
    shard = copy / corpus.row_groups("train")[0].shard
    content = bytearray(shard.read_bytes())
    content[len(content) // 3] ^= 1
    shard.write_bytes(content)
    rows = rows_of([0.0, 1.0])
    with pytest.raises(CorruptArtefactError):
        exposures("small", Corpus.open(copy), {"sample": task_of(rows, rows, rows)})


def test_pieces_are_read_over_their_borders() -> None:
    text = sequences(1, seed=23, length=1_000)[0]
    pieces = [
        Piece("Testus", "t1", contig, start, 250, text[start : start + 260])
        for contig in ("c1", "c2")
        for start in range(0, 1_000, 250)
    ]
    read = list(stretches(pieces, 100))
    for first, (piece, got) in enumerate(zip(pieces, read, strict=True)):
        lead = 0 if piece.start == 0 else min(100, piece.start)
        assert got == text[piece.start - lead : piece.start + 260], first


def test_a_report_comes_back_from_json() -> None:
    exposure = Exposure("small", "test", 3, 1, 1, 0)
    report = LeakReport((TaskLeaks("sites", (), (exposure,), allowed=True),), ("folder/",))
    body = report.to_json()
    assert LeakReport.from_json(body, "leaks.json") == report
    body["tasks"] = [{"task": 1}]
    with pytest.raises(CorruptArtefactError, match="leak audit"):
        LeakReport.from_json(body, "leaks.json")
