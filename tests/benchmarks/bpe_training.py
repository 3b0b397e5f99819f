"""Byte-pair training on real DNA: CPU-seconds and memory of gfmp and of `tokenizers`.

Each training runs in a process of its own, whose CPU-seconds (all threads) and peak memory above
that before training are read; the two alternate, and merges are compared. Pieces of a megabase are
trained too, by gfmp alone: the library moves what stands behind each merge in its piece.

    python tests/benchmarks/bpe_training.py
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

from figure import Figure
from genomes import every_genome

from tokenizer_registry._bpe_training import by_library, compiled
from tokenizer_registry._bpe_training_kernels import KERNELS

NUM_WORDS = 4091
WAYS = ("peer", "gfmp", "gfmp-megabase")


@dataclass(frozen=True)
class Trained:
    """One training: CPU-seconds, megabytes above those before it, digest of the merges."""

    cpu_seconds: float
    megabytes: float
    merges: str


def train(way: str, bases: int, piece_bp: int) -> Trained:
    """Train in this process."""
    stretches = re.findall(r"[ACGT]+", every_genome().decode("ascii").upper())
    dna = "".join(stretches)
    dna = (dna * (-(-bases // len(dna))))[:bases]
    size = 1_000_000 if way == "gfmp-megabase" else piece_bp
    pieces = [dna[at : at + size] for at in range(0, bases, size)]
    del stretches, dna
    functions = KERNELS.now()
    assert functions, "numba runs"
    compiled(functions, ["ACGT" * 50] * 2, 20)
    before, begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    learnt = (
        by_library(pieces, NUM_WORDS) if way == "peer" else compiled(functions, pieces, NUM_WORDS)
    )
    seconds = time.process_time() - begin
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    merges = hashlib.sha256("\n".join(learnt.merges).encode()).hexdigest()
    return Trained(seconds, kilobytes / 1024, merges)


def elsewhere(way: str, options: argparse.Namespace) -> Trained:
    """Train in a process of its own."""
    command = [sys.executable, __file__, "--way", way]
    command += ["--bases", str(options.bases), "--piece-bp", str(options.piece_bp)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return Trained(**json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Print the three figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bases", type=int, default=10_000_000)
    parser.add_argument("--piece-bp", type=int, default=2_300)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--way", choices=WAYS, help="train this way only, and print JSON")
    options = parser.parse_args()
    if options.way:
        print(json.dumps(vars(train(options.way, options.bases, options.piece_bp))))
        return
    found: dict[str, list[Trained]] = {way: [] for way in WAYS}
    for _ in range(options.rounds):
        for way in WAYS:
            found[way].append(elsewhere(way, options))
    assert len({t.merges for way in WAYS[:2] for t in found[way]}) == 1, "merges differ"
    seconds = {w: statistics.median(t.cpu_seconds for t in ts) for w, ts in found.items()}
    memory = {w: statistics.median(t.megabytes for t in ts) for w, ts in found.items()}
    size = options.bases / 1e6
    peer = "tokenizers BpeTrainer"
    Figure(
        item="2",
        work=f"BPE training, {size:g} MB in pieces of {options.piece_bp:,}",
        peer=peer,
        peer_rate=size / seconds["peer"],
        our_rate=size / seconds["gfmp"],
        unit="MB per CPU s",
        ratio=seconds["peer"] / seconds["gfmp"],
        goal="ratio >= 8",
    ).print()
    Figure(
        item="2",
        work="memory of BPE training",
        peer=peer,
        peer_rate=memory["peer"],
        our_rate=memory["gfmp"],
        unit="MB",
        ratio=memory["gfmp"] / memory["peer"],
        goal="ratio <= 0.75",
    ).print()
    Figure(
        item="2",
        work="BPE training in pieces of a megabase",
        peer="gfmp in short pieces",
        peer_rate=size / seconds["gfmp"],
        our_rate=size / seconds["gfmp-megabase"],
        unit="MB per CPU s",
        ratio=seconds["gfmp-megabase"] / seconds["gfmp"],
        goal="ratio <= 1.2",
    ).print()


if __name__ == "__main__":
    main()
