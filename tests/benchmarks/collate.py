"""Masking and packing of rows: gfmp, and DataCollatorForLanguageModeling of `transformers`.

64 rows of 6-mer ids, lengths by the law of the paper, fresh in every call. gfmp masks whole spans,
by compiled functions and by numpy alike, and packs without padding; the collator masks tokens and
pads to the longest row. The digests that make a batch verifiable are measured apart, for the
collator has none. Last, the share of token slots that hold no token.

    python tests/benchmarks/collate.py
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from feed_tokens import build_vocabularies, random_corpus
from figure import Figure, interleaved, rate_over, timed

from gfmp.feed.assemble import assemble, packed_rows
from gfmp.feed.content import RowEncoder, TokenRows
from gfmp.feed.feed import Feed
from gfmp.feed.kernels import KERNELS
from gfmp.feed.masker import Masker
from gfmp.feed.windows import Mixture
from gfmp.genome.corpus import Corpus
from gfmp.plan.values import FeedSettings
from gfmp.spec.pretrain import Masking
from gfmp.vocabulary.ensemble import Ensemble
from gfmp.vocabulary.vocabulary import CLS, MASK, SEP, SPECIALS

NUM_ROWS = 64
PEER = "HF DataCollatorForLanguageModeling (torch)"
RANKS, MICROS, BATCH = 8, 2, 2048


def draw(ensemble: Ensemble, rng: np.random.Generator, first: int) -> TokenRows:
    """Return rows of random 6-mers with the paper's lengths."""
    law = ensemble.vocabularies[0].window
    free = rng.integers(law.min_bp, law.max_bp + 1, NUM_ROWS)
    lengths = np.where(rng.random(NUM_ROWS) < law.full_fraction, law.max_bp, free) - 5
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    ids = rng.choice(ensemble.word_rows(0), offsets[-1]).astype(np.uint16)
    rows = np.zeros(NUM_ROWS, dtype=np.int16)
    return TokenRows(ids, offsets, rows, np.arange(first, first + NUM_ROWS))


def peer(
    folder: Path, words: tuple[str, ...]
) -> Callable[[list[dict[str, object]]], object] | None:
    """Return the collator, or None where `transformers` is not installed."""
    try:
        from transformers import BertTokenizer, DataCollatorForLanguageModeling
    except ImportError:
        return None
    path = folder / "vocab.txt"
    path.write_text("\n".join((*SPECIALS, *words)) + "\n", encoding="ascii")
    return DataCollatorForLanguageModeling(
        BertTokenizer(str(path), do_lower_case=False), mlm_probability=0.15
    )


def features(content: TokenRows) -> list[dict[str, object]]:
    """Return rows as the collator takes them, with the mask of special tokens."""
    found = []
    for row in range(NUM_ROWS):
        ids = content.ids[content.offsets[row] : content.offsets[row + 1]].tolist()
        special = [1, *([0] * len(ids)), 1]
        found.append({"input_ids": [CLS, *ids, SEP], "special_tokens_mask": special})
    return found


def check(content: TokenRows, masker: Masker, encoder: RowEncoder) -> None:
    """Compare compiled masks with those of numpy, and their share with the law."""
    batches = []
    for worth in (0, 1 << 60):
        KERNELS.pays_from(worth)
        batches.append(assemble(0, content, masker.mask(content), encoder).whole)
    assert batches[0].to_bytes() == batches[1].to_bytes(), "batches differ"
    assert abs(batches[0].num_targets / len(content.ids) - 0.15) < 0.02, "share of targets"
    assert np.any(batches[0].ids == MASK)


def rates(ensemble: Ensemble, encoder: RowEncoder, rounds: int) -> dict[str, float]:
    """Return the medians of all ways in million tokens per CPU-second."""
    rng, calls = np.random.default_rng(0), 60
    masker = Masker(Masking(), ensemble, 0)
    check(draw(ensemble, rng, 0), masker, encoder)
    with tempfile.TemporaryDirectory() as folder:
        collate = peer(Path(folder), ensemble.vocabularies[0].words)

    def _ours(compiled: bool, digests: bool) -> float:
        KERNELS.pays_from(0 if compiled else 1 << 60)
        batches = [draw(ensemble, rng, 64 * i) for i in range(calls)]

        def _run() -> None:
            for content in batches:
                masked = masker.mask(content)
                if digests:
                    assemble(0, content, masked, encoder)
                else:
                    packed_rows(content, masked, encoder)

        return sum(len(content.ids) for content in batches) / 1e6 / timed(_run)

    def _theirs() -> float:
        content = draw(ensemble, rng, 0)
        given = features(content)
        return len(content.ids) / 1e6 / timed(lambda: collate(given))

    def _copy() -> float:
        ids = [draw(ensemble, rng, 0).ids for _ in range(calls)]
        return sum(map(len, ids)) / 1e6 / timed(lambda: [each.copy() for each in ids])

    variants = {
        "compiled": lambda: _ours(True, False),
        "numpy": lambda: _ours(False, False),
        "digests": lambda: _ours(True, True),
        "copy": _copy,
    }
    if collate is None:
        print("transformers is not installed: no peer")
    else:
        variants["peer"] = _theirs
    return interleaved(variants, rounds)


def idle_share(corpus: Corpus, ensemble: Ensemble, feed: Feed, settings: FeedSettings) -> None:
    """Print the share of token slots without a token: ours over ranks, the collator's in 32s."""
    tokens = np.array(
        [[batch.num_tokens for batch in feed.step(0, rank, RANKS, MICROS)] for rank in range(RANKS)]
    )
    # All ranks wait for the longest micro-batch of each turn.
    ours = 1 - tokens.sum() / (RANKS * tokens.max(axis=0).sum())
    mixture = Mixture(settings, ensemble.vocabularies)
    drawn = feed.windows(0, BATCH)
    lengths = mixture.expected_tokens(drawn.vocabulary, drawn.lengths_bp).reshape(-1, 32)
    theirs = 1 - lengths.sum() / (32 * lengths.max(axis=1).sum())
    Figure(
        item="4",
        work="padding, 6-mers and BPE mixed",
        peer="longest row of a random 32",
        peer_rate=100 * float(theirs),
        our_rate=100 * float(ours),
        unit="% of token slots",
        ratio=float(theirs / ours),
        goal="rate <= 2.5",
    ).print()


def main() -> None:
    """Print the rates, their ratios and the padding."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        corpus = random_corpus(Path(folder), 4)
        ensemble, tokenizers = build_vocabularies(corpus, ["kmer6", "bpe4096"])
        alone = Ensemble.of(ensemble.vocabularies[:1])
        encoder = RowEncoder(alone, tokenizers[:1], 512)
        found = rates(alone, encoder, options.rounds)
        base = found.get("peer", 0.0)
        figure = Figure(
            item="4",
            work="mask and collate",
            peer=PEER if base else "",
            peer_rate=base,
            our_rate=found["compiled"],
            unit="M tokens per CPU s",
            ratio=rate_over(base, found["compiled"]),
            goal="ratio >= 150",
            limit="uint16 copy",
            share_of_limit=found["compiled"] / found["copy"],
        )
        figure.print()
        for way, work, goal in (
            ("numpy", "mask and collate, numpy alone", "ratio >= 50"),
            ("digests", "mask and collate, with a digest of every row", ""),
        ):
            replace(
                figure,
                work=work,
                our_rate=found[way],
                ratio=rate_over(base, found[way]),
                goal=goal,
                share_of_limit=found[way] / found["copy"],
            ).print()
        settings = FeedSettings(0, (0.5, 0.5), BATCH, 512, 0.5, 16, Masking())
        idle_share(corpus, ensemble, Feed(settings, corpus, ensemble, tokenizers), settings)


if __name__ == "__main__":
    main()
