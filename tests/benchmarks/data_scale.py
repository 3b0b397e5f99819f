"""What a corpus costs at one size and at ten times that: disk, time and memory.

    python tests/benchmarks/data_scale.py [--rounds 5] [--megabases 30]

The genomes are made from seeds: as many contigs of 5 Mb, a tenth of the letters soft-masked, a run
of N in each. A round builds the corpus of each size in a process of its own, reads all of it back
and compares the letters with those that were written, and prepares training batches from it. CPU
seconds are those of that process; its memory is the most it had resident.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from figure import Figure

CONTIG_BP = 5_000_000
LINE_BP = 80
UNKNOWN_BP = 1_000
TIMES = 10
FEED_STEPS = 8


@dataclass(frozen=True)
class Cost:
    """What one size took in one round; bases without the unknown ones.

    Attributes:
        bases: Letters A, C, G, T.
        ingest: CPU seconds to build the corpus.
        decode: CPU seconds to read and check all of it.
        feed: Tokens a CPU second, everything from the disk to packed batches.
        bits: Bits per base on disk.
        peak: Most resident bytes while it was built.
        peak_feed: Most resident bytes at the end.
    """

    bases: int
    ingest: float
    decode: float
    feed: float
    bits: float
    peak: int
    peak_feed: int


def contig(number: int) -> np.ndarray:
    """Return the letters of a contig, a function of its number alone."""
    rng = np.random.default_rng(number)
    letters = np.frombuffer(b"ACGT", np.uint8)[rng.integers(0, 4, CONTIG_BP, np.uint8)]
    masked = int(rng.integers(0, CONTIG_BP * 9 // 10))
    letters[masked : masked + CONTIG_BP // 10] |= 32
    unknown = int(rng.integers(0, CONTIG_BP - UNKNOWN_BP))
    letters[unknown : unknown + UNKNOWN_BP] = ord("N")
    return letters


def write_fasta(path: Path, megabases: int) -> None:
    """Write the genome of one size, 80 letters a line."""
    with path.open("wb") as handle:
        for number in range(megabases * 1_000_000 // CONTIG_BP):
            lines = contig(number).reshape(-1, LINE_BP)
            ends = np.full((len(lines), 1), ord("\n"), np.uint8)
            handle.write(b">c%d\n" % number)
            handle.write(np.hstack([lines, ends]).tobytes())


def expected(megabases: int) -> str:
    """Return the digest of the known letters of all contigs, upper case, in order."""
    digest = sha256()
    for number in range(megabases * 1_000_000 // CONTIG_BP):
        letters = contig(number)
        digest.update((letters[letters != ord("N")] & 0xDF).tobytes())
    return digest.hexdigest()


def cost(fasta: Path) -> tuple[Cost, str]:
    """Build, read and feed one size; return what it took, and the digest of what was read."""
    from gfmp.genome.ingest import build_corpus
    from gfmp.genome.sources import IngestSettings, LocalFile, Source

    with tempfile.TemporaryDirectory(dir=fasta.parent) as folder:
        source = Source("Made up", "m1", "fasta", LocalFile(str(fasta)))
        settings = IngestSettings("made", sources=(source,))
        began = time.process_time()
        corpus = build_corpus(settings, Path(folder) / "corpus", wait_seconds=60)
        ingest, peak = time.process_time() - began, resident()
        groups = [group for split in ("train", "valid") for group in corpus.row_groups(split)]
        began = time.process_time()
        bases = sum(piece.bases for group in groups for piece in corpus.read(group))
        decode = time.process_time() - began
        size = sum(path.stat().st_size for path in (Path(folder) / "corpus").rglob("*.parquet"))
        read = digest_of(corpus, groups)
        rate = feed_rate(corpus)
    return Cost(bases, ingest, decode, rate, 8.0 * size / bases, peak, resident()), read


def digest_of(corpus, groups) -> str:  # noqa: ANN001 - imported late
    """Return the digest of the letters that were read, contig by contig."""
    pieces = [
        (int(piece.contig[1:]), piece.start, group, index)
        for group in groups
        for index, piece in enumerate(corpus.read(group))
    ]
    digest, held = sha256(), (None, ())
    for _, _, group, index in sorted(pieces, key=lambda piece: piece[:2]):
        if held[0] is not group:
            held = group, corpus.read(group)
        piece = held[1][index]
        letters = np.frombuffer(piece.sequence, np.uint8)[: piece.bases]
        digest.update((letters[letters != ord("N")] & 0xDF).tobytes())
    return digest.hexdigest()


def feed_rate(corpus) -> float:  # noqa: ANN001 - imported late
    """Return tokens a CPU second of the feed with 6-mers; the first steps are left out."""
    from feed_tokens import build_vocabularies

    from gfmp.feed.feed import Feed
    from gfmp.plan.values import FeedSettings
    from gfmp.spec.pretrain import Masking

    ensemble, tokenizers = build_vocabularies(corpus, ["kmer6"])
    settings = FeedSettings(0, (1.0,), 256, 512, 0.5, 16, Masking())
    feed = Feed(settings, corpus, ensemble, tokenizers)
    tokens, began = 0, 0.0
    for step in range(2 + FEED_STEPS):
        if step == 2:
            tokens, began = 0, time.process_time()
        tokens += sum(batch.num_tokens for batch in feed.step(step, 0, 1, 1))
    return tokens / (time.process_time() - began)


def resident() -> int:
    """Return the most bytes this process had resident."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measured(fasta: Path, wanted: str) -> Cost:
    """Measure one size in a process of its own; its letters must be those that were written."""
    command = [sys.executable, __file__, "--child", str(fasta)]
    environment = os.environ | {"TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    values, read = json.loads(done.stdout.splitlines()[-1])
    assert read == wanted, f"{fasta.name} came back as other letters"
    return Cost(**values)


def show(small: list[Cost], large: list[Cost], rates: dict[str, float]) -> None:
    """Print the medians and the figures."""

    def _middle(costs: list[Cost], name: str) -> float:
        return statistics.median(getattr(cost, name) for cost in costs)

    for name in ("ingest", "decode", "feed", "bits", "peak", "peak_feed"):
        print(f"{name:<10} {_middle(small, name):16,.3f} {_middle(large, name):16,.3f}")
    grown = statistics.median(b.ingest / a.ingest for a, b in zip(small, large, strict=True))
    memory = statistics.median(b.peak / a.peak for a, b in zip(small, large, strict=True))
    bits = _middle(large, "bits")
    speed = statistics.median(cost.bases / cost.decode for cost in large)
    floor = statistics.median(rates.values())
    for work, ours, unit, peer, rate, ratio in (
        ("bits per base on disk", bits, "bits", "2.5 bits allowed", 2.5, 2.5 / bits),
        (f"time of {TIMES} x the bases", grown, "x", "10.5 x allowed", 10.5, 10.5 / grown),
        (f"memory at {TIMES} x the bases", memory, "x", "1.2 x allowed", 1.2, 1.2 / memory),
    ):
        print(f"{work}: {ours:.3f} {unit}")
        Figure("7", work, peer, rate, ours, unit, ratio, "ratio >= 1").print()
    Figure(
        "7",
        "corpus decoded and checked",
        "sha256 of as many bytes",
        floor / 1e6,
        speed / 1e6,
        "Mnt per CPU s",
        speed / floor,
        "",
    ).print()


def digest_speed() -> float:
    """Return bytes a CPU second of sha256, which is what to compare reading with."""
    data = bytes(50_000_000)
    began = time.process_time()
    sha256(data).hexdigest()
    return len(data) / (time.process_time() - began)


def main() -> None:
    """Make both genomes, measure them in turn, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabases", type=int, default=30)
    parser.add_argument("--child", type=Path, metavar="FASTA")
    options = parser.parse_args()
    if options.child:
        found, read = cost(options.child)
        print(json.dumps([vars(found), read]))
        return
    with tempfile.TemporaryDirectory() as folder:
        sizes = (options.megabases, TIMES * options.megabases)
        files = [Path(folder) / f"{size}.fa" for size in sizes]
        for path, size in zip(files, sizes, strict=True):
            write_fasta(path, size)
        wanted = [expected(size) for size in sizes]
        rounds, rates = [], {}
        for turn in range(options.rounds):
            rounds.append([measured(*one) for one in zip(files, wanted, strict=True)])
            rates[str(turn)] = digest_speed()
            print(*rounds[-1], sep="\n", flush=True)
    show([pair[0] for pair in rounds], [pair[1] for pair in rounds], rates)


if __name__ == "__main__":
    main()
