"""Data sets as large as a row of the matrix asks for, and readers that watch their own memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

_BATCH_ROWS = 8192
_LINE = 80


def write_reads(path: Path, rows: int, length: int, seed: int = 0) -> None:
    """Write `rows` sequences of random DNA, each `length` letters, with page checksums."""
    rng, schema = np.random.default_rng(seed), pa.schema([("sequence", pa.string())])
    options = {"compression": "zstd", "use_dictionary": False, "write_statistics": False}
    path.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(path, schema, write_page_checksum=True, **options) as writer:
        for first in range(0, rows, _BATCH_ROWS):
            number = min(_BATCH_ROWS, rows - first)
            offsets = np.arange(0, number * length + 1, length, dtype=np.int32)
            letters = pa.py_buffer(random_letters(rng, number * length))
            column = pa.Array.from_buffers(
                pa.string(), number, [None, pa.py_buffer(offsets), letters]
            )
            writer.write_table(pa.table([column], schema=schema))


def random_letters(rng: np.random.Generator, length: int) -> bytes:
    """Return random DNA."""
    letters = np.frombuffer(b"ACGT", np.uint8)
    return letters[rng.integers(0, 4, length, dtype=np.uint8)].tobytes()


def write_one_record(path: Path, length: int, name: str = "long") -> None:
    """Write one FASTA record in lines of 80 letters."""
    rng, block = np.random.default_rng(9), _LINE * 100_000
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as handle:
        handle.write(f">{name}\n".encode())
        for first in range(0, length, block):
            letters = random_letters(rng, min(block, length - first))
            lines = (letters[i : i + _LINE] for i in range(0, len(letters), _LINE))
            handle.write(b"\n".join(lines) + b"\n")


# Reads a corpus row group by row group; says what it counted and what memory it held meanwhile.
# In no order, as training does: the row groups of one long record are larger than those of many
# short ones, and would pass for growth where they come last.
READER = """
import json, random, sys, time
from pathlib import Path
import psutil
from gfmp.genome.corpus import Corpus

corpus = Corpus.open(Path(sys.argv[1]))
me, rows, bases, held = psutil.Process(), 0, 0, []
began = time.process_time()
groups = [group for split in ("train", "valid") for group in corpus.row_groups(split)]
random.Random(0).shuffle(groups)
for group in groups:
    pieces = corpus.read(group)
    rows += len(pieces)
    bases += sum(piece.bases for piece in pieces)
    held.append(me.memory_info().rss)
seconds = time.process_time() - began
print(json.dumps({"rows": rows, "bases": bases, "rss": held, "seconds": seconds}))
"""


def growth(samples: list[int]) -> float:
    """Return by which share memory grew between the first tenth of the samples and the end."""
    assert len(samples) >= 10, "too few samples to speak of growth"
    tenth = max(1, len(samples) // 10)
    return max(samples[-tenth:]) / max(samples[: 2 * tenth]) - 1.0
