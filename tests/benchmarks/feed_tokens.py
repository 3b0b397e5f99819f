"""Tokens per second that one core prepares: each vocabulary alone and the mix of both.

Reading, cutting, tokenising, masking and packing are all inside. The genome is random DNA made
on the spot, read through a corpus on disk, fresh windows in every round; variants alternate and
the median over rounds of tokens per CPU-second (all threads) is printed. Compiled functions are
loaded before, as in a long run; `--plain` does without them.

    python tests/benchmarks/feed_tokens.py --demand 50000
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from figure import Figure

from gfmp.feed import kernels
from gfmp.feed.feed import Feed
from gfmp.genome.corpus import Corpus
from gfmp.genome.ingest import build_corpus
from gfmp.genome.sample import sample_sequences
from gfmp.genome.sources import IngestSettings, LocalFile, Source
from gfmp.plan.values import FeedSettings
from gfmp.spec.model import Architecture
from gfmp.spec.pretrain import Masking, Optimiser
from gfmp.vocabulary.ensemble import Ensemble
from gfmp.vocabulary.registry import FamilyRegistry, find_recipe
from gfmp.vocabulary.tokenizer import Tokenizer
from tokenizer_registry import _bpe_encoding_kernels, _kmer_kernels

KERNELS = (kernels.KERNELS, _bpe_encoding_kernels.KERNELS, _kmer_kernels.KERNELS)
NEVER = 1 << 60
SAMPLE_BP = 1_000_000
STEPS_PER_ROUND = 4
# The model of jobs/pretrain.yaml, the smallest there is, so that its demand is the highest.
TINY = Architecture(layers=4, width=128, heads=4, intermediate=256)
DEMAND_STEPS = 24


def random_corpus(folder: Path, megabases: int) -> Corpus:
    """Write random DNA as FASTA, one contig per megabase, and ingest it."""
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)
    rng = np.random.default_rng(0)
    path = folder / "random.fa"
    with path.open("wb") as handle:
        for i in range(megabases):
            handle.write(b">c%d\n%s\n" % (i, rng.choice(letters, 1_000_000).tobytes()))
    source = Source("Random", "r1", "fasta", LocalFile(str(path)))
    settings = IngestSettings("random", sources=(source,))
    return build_corpus(settings, folder / "corpus", wait_seconds=60)


def build_vocabularies(corpus: Corpus, names: Sequence[str]) -> tuple[Ensemble, list[Tokenizer]]:
    """Build vocabularies by name on a sample of the corpus."""
    families = FamilyRegistry.from_packages(("tokenizer_registry",))
    sample = sample_sequences(corpus, SAMPLE_BP, 2_300, seed=0)
    vocabularies = []
    for name in names:
        recipe = find_recipe(name, families, families.recipe_folders)
        vocabularies.append(families.get(recipe.family).build(recipe, sample))
    return Ensemble.of(vocabularies), [families.tokenizer(v) for v in vocabularies]


def tokens_per_cpu_second(feed: Feed, first_step: int) -> float:
    """Prepare a few steps as the only rank and return tokens per CPU-second."""
    begin = time.process_time()
    tokens = sum(
        batch.num_tokens
        for step in range(first_step, first_step + STEPS_PER_ROUND)
        for batch in feed.step(step, 0, 1, 4)
    )
    return tokens / (time.process_time() - begin)


def measure(feeds: dict[str, Feed], rounds: int) -> dict[str, float]:
    """Return the median over rounds for each feed; one round warms up and is left out."""
    results: dict[str, list[float]] = {name: [] for name in feeds}
    for turn in range(rounds + 1):
        for name, feed in feeds.items():
            rate = tokens_per_cpu_second(feed, turn * STEPS_PER_ROUND)
            if turn:
                results[name].append(rate)
    return {name: statistics.median(rates) for name, rates in results.items()}


def step_demand(feed: Feed, ensemble: Ensemble) -> float:
    """Return the tokens that a CPU second of training takes: tiny model, one rank, one thread."""
    import torch

    from gfmp.model.masked import build
    from gfmp.training.batches import SoftmaxRows, to_tensors
    from gfmp.training.engine import make_adamw
    from gfmp.training.hardware import flushed_denormals

    torch.set_num_threads(1)
    rows = SoftmaxRows.of(ensemble, Masking())
    model = build(TINY, ensemble.size, rows.tensors(), "fp32", 0)
    optimiser = make_adamw(model, Optimiser(learning_rate=1e-3, warmup_steps=0))
    rates = []
    with flushed_denormals():
        for batch in feed.step(0, 0, 1, DEMAND_STEPS):
            began = time.process_time()
            sums = model(to_tensors(batch, rows, torch.device("cpu")))
            (sum(part[0] for part in sums) / batch.num_targets).backward()
            optimiser.step()
            optimiser.zero_grad()
            rates.append(batch.num_tokens / (time.process_time() - began))
    return statistics.median(rates[len(rates) // 3 :])


def show_decoding(corpus: Corpus, demand: float) -> None:
    """Print how fast the corpus is read and checked against the bases that training takes."""
    groups = corpus.row_groups("train")
    rates = []
    for _ in range(5):
        began = time.process_time()
        bases = sum(piece.bases for group in groups for piece in corpus.read(group))
        rates.append(bases / (time.process_time() - began))
    rate = statistics.median(rates)
    Figure(
        item="7",
        work="row groups decoded and checked",
        peer="demand of the training step",
        peer_rate=demand,
        our_rate=rate,
        unit="bases per CPU s",
        ratio=rate / demand,
        goal="ratio >= 100",
    ).print()


def main() -> None:
    """Print one line per mixture, with its ratio to the demand of a training step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--demand", type=float, default=0.0, metavar="TOKENS_PER_S", help="measured when left out"
    )
    parser.add_argument("--vocabularies", nargs="+", default=["kmer6", "bpe4096"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabases", type=int, default=16)
    parser.add_argument("--sequences", type=int, default=256, help="per step")
    parser.add_argument("--plain", action="store_true", help="without compiled functions")
    options = parser.parse_args()
    for each in KERNELS:
        each.pays_from(NEVER if options.plain else 0)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    with tempfile.TemporaryDirectory() as folder:
        corpus = random_corpus(Path(folder), options.megabases)
        ensemble, tokenizers = build_vocabularies(corpus, options.vocabularies)
        count = len(tokenizers)
        mixtures = {name: tuple(np.eye(count)[i]) for i, name in enumerate(options.vocabularies)}
        mixtures["mix"] = (1.0 / count,) * count
        feeds = {
            name: Feed(
                FeedSettings(0, weights, options.sequences, 512, 0.5, 16, Masking()),
                corpus,
                ensemble,
                tokenizers,
            )
            for name, weights in mixtures.items()
        }
        demand = options.demand or step_demand(feeds["mix"], ensemble)
        for name, rate in measure(feeds, options.rounds).items():
            print(f"{name}: {rate:,.0f} tokens per CPU-second, {rate / demand:.1f} x the demand")
            Figure(
                item="7",
                work=f"read, cut, tokenise, mask and pack: {name}",
                peer="demand of the training step",
                peer_rate=demand,
                our_rate=rate,
                unit="tokens per CPU s",
                ratio=rate / demand,
                goal="ratio >= 20",
            ).print()
        show_decoding(corpus, demand * max(v.bp_per_token for v in ensemble.vocabularies))


if __name__ == "__main__":
    main()
