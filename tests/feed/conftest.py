"""A small real corpus and real vocabularies, built once for all tests of the room."""

from __future__ import annotations

import pytest
from feed_world import CONTIG_BP, NUM_SOURCES, World, build_small_corpus, random_dna

from gfmp.feed.feed import Feed
from gfmp.plan.values import FeedSettings
from gfmp.spec.pretrain import Masking
from gfmp.vocabulary.ensemble import Ensemble
from gfmp.vocabulary.family import Recipe
from gfmp.vocabulary.registry import FamilyRegistry


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Nine contigs of 9 kb in nine row groups, one with a short run of N; kmer6 and bpe64."""
    genome = {
        f"c{i}": random_dna(CONTIG_BP, i, (4_000, 4_020) if i == 3 else (0, 0))
        for i in range(NUM_SOURCES)
    }
    corpus = build_small_corpus(tmp_path_factory.mktemp("feed"), genome)
    families = FamilyRegistry.from_packages(("tokenizer_registry",))
    recipes = (
        Recipe("kmer6", "kmer", {"k": 6, "stride_bp": 1, "mask_span_tokens": 14}),
        Recipe(
            "bpe64",
            "bpe",
            {"size": 64, "mask_span_tokens": 6, "window_max_bp": 900},
            sample_bp=50_000,
        ),
    )
    sample = list(genome.values())
    vocabularies = [families.get(r.family).build(r, sample) for r in recipes]
    settings = FeedSettings(
        seed=7,
        weights=(0.5, 0.5),
        global_batch_sequences=24,
        max_tokens=512,
        reverse_complement_fraction=0.5,
        buffer_row_groups=4,
        masking=Masking(),
    )
    return World(
        corpus=corpus,
        ensemble=Ensemble.of(vocabularies),
        tokenizers=tuple(families.tokenizer(v) for v in vocabularies),
        settings=settings,
        genome=genome,
    )


@pytest.fixture(scope="session")
def feed(world: World) -> Feed:
    """The feed with the settings above."""
    return world.feed()
