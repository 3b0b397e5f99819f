"""A small real corpus and what a feed is made of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gfmp.feed.feed import Feed
from gfmp.feed.heldout import HeldOut
from gfmp.genome.corpus import Corpus
from gfmp.genome.ingest import build_corpus
from gfmp.genome.sources import IngestSettings, LocalFile, Region, Source
from gfmp.plan.values import FeedSettings
from gfmp.vocabulary.ensemble import Ensemble
from gfmp.vocabulary.tokenizer import Tokenizer

NUM_SOURCES = 9
CONTIG_BP = 9_000
KMER, BPE = 0, 1


def random_dna(length: int, seed: int, unknown: tuple[int, int] = (0, 0)) -> bytes:
    """Draw letters of ACGT with skewed composition; N in [start, end)."""
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)
    drawn = np.random.default_rng(seed).choice(letters, length, p=(0.4, 0.1, 0.2, 0.3))
    drawn[unknown[0] : unknown[1]] = ord("N")
    return drawn.tobytes()


@dataclass(frozen=True)
class World:
    """Everything a feed is made of.

    Attributes:
        genome: The contigs by name, as they were written.
    """

    corpus: Corpus
    ensemble: Ensemble
    tokenizers: tuple[Tokenizer, ...]
    settings: FeedSettings
    genome: dict[str, bytes]

    def feed(self, **changes: object) -> Feed:
        """Open a feed with some settings changed."""
        settings = replace(self.settings, **changes)  # type: ignore[arg-type]
        return Feed(settings, self.corpus, self.ensemble, self.tokenizers)

    def held_out(self, **changes: object) -> HeldOut:
        """Open the held-out windows with some settings changed."""
        settings = replace(self.settings, **changes)  # type: ignore[arg-type]
        return HeldOut(settings, self.corpus, self.ensemble, self.tokenizers)


def write_fasta(path: Path, contigs: dict[str, bytes]) -> Path:
    """Write contigs as FASTA."""
    path.write_bytes(b"".join(b">%s\n%s\n" % (n.encode(), s) for n, s in contigs.items()))
    return path


def build_small_corpus(folder: Path, genome: dict[str, bytes]) -> Corpus:
    """Ingest one source per contig, so that each has its own row group; hold out two ends."""
    sources = []
    for i, (name, bases) in enumerate(genome.items()):
        path = write_fasta(folder / f"{name}.fa", {name: bases})
        valid = (Region(name, len(bases) - 3_000),) if i < 2 else ()
        sources.append(Source(f"Testus {name}", "t1", "fasta", LocalFile(str(path)), valid=valid))
    settings = IngestSettings("small", sources=tuple(sources), piece_bp=2_500, halo_bp=600)
    return build_corpus(settings, folder / "corpus", wait_seconds=5)


def first_micro_batch(world: World, step: int, rank: int, world_size: int) -> bytes:
    """Prepare one batch in a process of its own; it opens the corpus itself."""
    own = replace(world, corpus=Corpus.open(world.corpus.path))
    return own.feed().step(step, rank, world_size, 1)[0].to_bytes()
