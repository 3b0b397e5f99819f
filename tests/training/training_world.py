"""A small real corpus with real vocabularies and tiny plans, for tests and the ranks they start."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from gfmp.feed.batch import TokenBatch
from gfmp.feed.dealing import Dealing
from gfmp.feed.feed import Feed
from gfmp.feed.heldout import HeldOut
from gfmp.genome.corpus import Corpus
from gfmp.genome.ingest import build_corpus
from gfmp.genome.sources import IngestSettings, LocalFile, Region, Source
from gfmp.plan.values import Engine, FeedSettings, Plan, What, Where
from gfmp.spec.model import Architecture
from gfmp.spec.pretrain import Checkpointing, Evaluation, Masking, Optimiser
from gfmp.storage.atomic import read_json, write_json
from gfmp.training.job import Job
from gfmp.vocabulary.ensemble import Ensemble
from gfmp.vocabulary.family import Recipe
from gfmp.vocabulary.registry import FamilyRegistry
from gfmp.vocabulary.tokenizer import Tokenizer

CONTIG_BP = 12_000


def structured_dna(length: int, seed: int) -> bytes:
    """Draw bases from a first-order chain, so that there is something to learn."""
    generator = np.random.default_rng(seed)
    chain = np.array([[5, 1, 1, 3], [1, 2, 5, 2], [3, 4, 1, 2], [2, 1, 3, 4]], dtype=float).cumsum(
        1
    )
    chain /= chain[:, -1:]
    draws = generator.random(length)
    codes = np.zeros(length, dtype=np.int64)
    for place in range(1, length):
        codes[place] = np.searchsorted(chain[codes[place - 1]], draws[place])
    return np.frombuffer(b"ACGT", np.uint8)[codes].tobytes()


def build_world(folder: Path) -> None:
    """Write a corpus of four contigs and the ensemble of kmer3 and bpe64 into `folder`."""
    sources = []
    genome = [structured_dna(CONTIG_BP, seed) for seed in range(4)]
    for index, bases in enumerate(genome):
        path = folder / f"c{index}.fa"
        path.write_bytes(b">c%d\n%s\n" % (index, bases))
        valid = (Region(f"c{index}", CONTIG_BP - 4_000),) if index < 2 else ()
        sources.append(Source(f"Testus c{index}", "t1", "fasta", LocalFile(str(path)), valid=valid))
    settings = IngestSettings("small", sources=tuple(sources), piece_bp=3_000, halo_bp=600)
    corpus = build_corpus(settings, folder / "corpus", wait_seconds=5)
    families = FamilyRegistry.from_packages(("tokenizer_registry",))
    recipes = (
        Recipe("kmer3", "kmer", {"k": 3, "stride_bp": 1, "mask_span_tokens": 6}),
        Recipe("bpe64", "bpe", {"size": 64, "window_max_bp": 300}, sample_bp=40_000),
    )
    vocabularies = [families.get(r.family).build(r, genome) for r in recipes]
    write_json(folder / "ensemble.json", Ensemble.of(vocabularies).to_json())
    write_json(folder / "place.json", {"corpus": str(corpus.path)})


@dataclass(frozen=True)
class Shape:
    """What the tests vary of a plan."""

    engine: Engine = "ddp"
    world: int = 1
    accumulation: int = 1
    steps: int = 6
    commit_every: int = 2
    precision: str = "fp32"
    changes: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class World:
    """The opened world of a folder."""

    corpus: Corpus
    ensemble: Ensemble
    tokenizers: tuple[Tokenizer, ...]

    @classmethod
    def open(cls, folder: Path) -> World:
        """Open what `build_world` wrote."""
        ensemble = Ensemble.from_json(read_json(folder / "ensemble.json"))
        families = FamilyRegistry.from_packages(("tokenizer_registry",))
        corpus = Corpus.open(Path(str(read_json(folder / "place.json")["corpus"])))
        return cls(corpus, ensemble, tuple(map(families.tokenizer, ensemble.vocabularies)))

    def plan(self, shape: Shape) -> Plan:
        """Return a complete plan of a tiny model."""
        feed = FeedSettings(
            seed=3,
            weights=(0.5, 0.5),
            global_batch_sequences=8,
            max_tokens=128,
            reverse_complement_fraction=0.5,
            buffer_row_groups=4,
            masking=Masking(),
        )
        what = What(
            corpus=self.corpus.fingerprint,
            ensemble=self.ensemble.fingerprint,
            vocabulary_rows=self.ensemble.size,
            architecture=Architecture(layers=2, width=32, heads=4, intermediate=64),
            feed=feed,
            steps=shape.steps,
            optimiser=Optimiser(learning_rate=3e-3, clip_norm=0.5, warmup_steps=2),
            precision="bf16" if shape.precision == "bf16" else "fp32",
            evaluation=Evaluation(every_steps=2, windows=6, final_hidden_bases=400),
        )
        where = Where(
            workers=shape.world,
            use_gpu=False,
            engine=shape.engine,
            accumulation=shape.accumulation,
            threads_per_worker=1,
            max_failures=0,
            checkpoint=Checkpointing(every_steps=shape.commit_every, keep_last=2, keep_best=1),
        )
        changed = replace(what, **shape.changes)  # type: ignore[arg-type] # tests name real fields
        return Plan("tiny", changed, where, (), ())

    def source(self, plan: Plan, rank: int) -> StepSource:
        """Return the batches of one rank, made in this process."""
        feed = Feed(plan.what.feed, self.corpus, self.ensemble, self.tokenizers)
        return StepSource(feed, plan, rank)

    def job(self, plan: Plan, checkpoints: Path, events: Events, rank: int = 0) -> Job:
        """Return a job that records into `events`."""
        return Job(
            plan=plan,
            ensemble=self.ensemble,
            source=self.source(plan, rank),
            heldout=HeldOut(plan.what.feed, self.corpus, self.ensemble, self.tokenizers),
            corpus=self.corpus,
            checkpoints=checkpoints,
            record=events,
            should_stop=events.stop_wanted,
        )


@dataclass(frozen=True)
class StepSource:
    """The feed of one rank as the loop wants it."""

    feed: Feed
    plan: Plan
    rank: int

    def __call__(self, dealing: Dealing) -> Generator[tuple[TokenBatch, ...], None, None]:
        """Yield the micro-batches of each step."""
        where, feed = self.plan.where, self.feed.under(dealing.weights)
        for step in range(dealing.first_step, dealing.end_step):
            yield feed.step(step, self.rank, where.workers, where.accumulation)

    def since(self, step: int) -> Iterator[tuple[TokenBatch, ...]]:
        """Yield the steps from one on, dealt by the weights of the plan."""
        what = self.plan.what
        return self(Dealing(step, what.steps, what.feed.weights))


class Events:
    """Keeps what a run records; asks it to stop after a step."""

    def __init__(self, stop_after: int = 10**9) -> None:
        self.seen: list[tuple[str, dict[str, object]]] = []
        self._stop_after = stop_after

    def __call__(self, kind: str, fields: Mapping[str, object]) -> None:
        self.seen.append((kind, dict(fields)))

    def stop_wanted(self) -> bool:
        """True once so many steps were recorded."""
        return len(self.of("step")) >= self._stop_after

    def of(self, kind: str) -> list[dict[str, object]]:
        """Return the fields of all events of a kind."""
        return [fields for seen, fields in self.seen if seen == kind]
