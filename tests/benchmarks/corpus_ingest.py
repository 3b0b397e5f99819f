"""Corpus ingest in nt/s on one core, against the least anybody could do with the same bytes.

    python tests/benchmarks/corpus_ingest.py [--corpus demo] [--rounds 3]

The floor reads and inflates the files and writes their letters as zstd Parquet with the same
settings, in the same process, round by round. It decides nothing: no alphabet, splits or hashes.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from figure import Figure

from gfmp.genome.ingest import build_corpus
from gfmp.genome.sources import IngestSettings, open_location
from gfmp.plan.survey import find_corpus
from gfmp.storage.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
PIECE_BP = 1_000_000


def main() -> None:
    """Measure and print both speeds and their ratio."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--corpus", default="demo")
    arguments.add_argument("--rounds", type=int, default=3)
    options = arguments.parse_args()
    pa.set_cpu_count(1)
    settings = find_corpus(options.corpus, ROOT / "jobs", Workspace.at(None)).settings
    ours, floor, bases = [], [], 0
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            began = time.process_time()
            corpus = build_corpus(settings, Path(folder) / "corpus")
            ours.append(time.process_time() - began)
            bases = sum(s.contigs.length_bp for s in corpus.manifest.sources)
            began = time.process_time()
            _floor(settings, Path(folder))
            floor.append(time.process_time() - began)
    mine, least = statistics.median(ours), statistics.median(floor)
    print(f"gfmp ingest      {bases / mine / 1e6:8.1f} Mnt per CPU-second ({bases:,} nt)")
    print(f"inflate + write  {bases / least / 1e6:8.1f} Mnt per CPU-second")
    Figure(
        item="7",
        work=f"ingest of the corpus {options.corpus}",
        peer="inflate and write, nothing else",
        peer_rate=bases / least / 1e6,
        our_rate=bases / mine / 1e6,
        unit="Mnt per CPU s",
        ratio=least / mine,
        goal="",
    ).print()


def _floor(settings: IngestSettings, folder: Path) -> None:
    for number, source in enumerate(settings.sources):
        with open_location(source.location) as stream:
            text = stream.read()
        if text[:2] == b"\x1f\x8b":
            import gzip

            text = gzip.decompress(text)
        pieces = [text[i : i + PIECE_BP] for i in range(0, len(text), PIECE_BP)]
        table = pa.table({"sequence": pa.array([p.decode("latin-1") for p in pieces])})
        pq.write_table(
            table,
            folder / f"{number}.parquet",
            compression="zstd",
            use_dictionary=False,
            write_page_checksum=True,
        )


if __name__ == "__main__":
    main()
