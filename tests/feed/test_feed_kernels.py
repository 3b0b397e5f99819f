"""Compiled masks and packed rows are those of numpy, and those of every earlier version."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from feed_world import BPE, KMER, World, random_dna
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gfmp.feed import kernels
from gfmp.feed.assemble import assemble
from gfmp.feed.content import RowEncoder, TokenRows
from gfmp.feed.draws import Purpose, key, sample_words
from gfmp.feed.masker import Masker
from gfmp.spec.pretrain import Masking
from gfmp.vocabulary.ensemble import Ensemble
from gfmp.vocabulary.registry import FamilyRegistry, find_recipe
from gfmp.vocabulary.vocabulary import UNK

NEVER = 1 << 60
LAWS = {
    "spans": Masking(),
    "centres": Masking(law="centres"),
    "most": Masking(fraction=0.9),
    "union": Masking(scope="union"),
    "random": Masking(mask_fraction=0.1, random_fraction=0.8),
}
# Read before anything was compiled: ids, targets and labels of seeded rows.
PINNED = {
    "spans": ("5a23ccb1c3f50cb1", "49769095494e6f41"),
    "centres": ("cc61fc29046a60cb", "24cb504193799fc4"),
    "most": ("3d44b2e5bc4b5973", "f145483641d557e7"),
    "union": ("bad07091d4e74a91", "86630fb1dec5d808"),
}


@pytest.fixture(autouse=True)
def kernels_as_they_were() -> Iterator[None]:
    before = kernels.KERNELS._worth
    yield
    kernels.KERNELS.pays_from(before)


def digest(*arrays: NDArray[np.generic]) -> str:
    joined = b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)
    return hashlib.sha256(joined).hexdigest()[:16]


def pinned_dna(length: int, seed: int) -> NDArray[np.uint8]:
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)
    return letters[np.random.default_rng(seed).choice(4, length, p=(0.4, 0.1, 0.2, 0.3))]


def pinned_sequences() -> list[bytes]:
    sequences = []
    for seed in range(300):
        rng = np.random.default_rng(10_000 + seed)
        letters = pinned_dna(int(rng.integers(6, 2000)), 20_000 + seed).copy()
        if seed % 3 == 0:
            letters[rng.integers(0, len(letters), max(1, len(letters) // 150))] = ord("N")
        if seed % 5 == 0:
            letters[: len(letters) // 2] |= 0x20
        sequences.append(letters.tobytes())
    return sequences


@pytest.fixture(scope="module")
def pinned() -> tuple[Ensemble, RowEncoder, TokenRows]:
    families = FamilyRegistry.from_packages(("tokenizer_registry",))
    sample = [pinned_dna(2300, seed).tobytes() for seed in range(100)]
    vocabularies = []
    for name in ("kmer6", "bpe512", "kmer6s6"):
        recipe = find_recipe(name, families, families.recipe_folders)
        vocabularies.append(families.get(recipe.family).build(recipe, sample))
    ensemble = Ensemble.of(vocabularies)
    encoder = RowEncoder(ensemble, [families.tokenizer(v) for v in vocabularies], 512)
    rows = (np.arange(300) % 3).astype(np.int16)
    return ensemble, encoder, encoder.encode_ids(pinned_sequences(), rows, np.arange(300) * 7 + 5)


@pytest.mark.parametrize("worth", [0, NEVER])
@pytest.mark.parametrize("law", PINNED)
def test_masks_and_batches_are_those_of_every_earlier_version(
    pinned: tuple[Ensemble, RowEncoder, TokenRows], law: str, worth: int
) -> None:
    ensemble, encoder, content = pinned
    kernels.KERNELS.pays_from(worth)
    masked = Masker(LAWS[law], ensemble, 11).mask(content)
    batch = assemble(3, content, masked, encoder).whole
    assert digest(masked.ids, masked.targets, masked.labels) == PINNED[law][0]
    arrays = (batch.ids, batch.cu_seqlens, batch.positions, batch.labels, batch.digests)
    assert digest(*arrays) == PINNED[law][1]


def rows_of(lengths: Sequence[int], seed: int, samples: int) -> TokenRows:
    """Return rows of random words, one token in nine unknown."""
    rng = np.random.default_rng(seed)
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    ids = rng.integers(7, 100, offsets[-1]).astype(np.uint16)
    ids[rng.random(len(ids)) < 1 / 9] = UNK
    vocabulary = rng.integers(0, 2, len(lengths)).astype(np.int16)
    return TokenRows(ids, offsets, vocabulary, np.arange(samples, samples + len(lengths)))


@settings(deadline=None, max_examples=60)
@given(
    lengths=st.lists(st.integers(0, 700), max_size=9),
    law=st.sampled_from(sorted(LAWS)),
    seed=st.integers(0, 2**40),
)
def test_batches_are_the_same_to_the_bit(
    world: World, lengths: list[int], law: str, seed: int
) -> None:
    content = rows_of(lengths, seed % 1000, seed % 2**31)
    encoder = RowEncoder(world.ensemble, world.tokenizers, 512)
    masker = Masker(LAWS[law], world.ensemble, seed, Purpose.MASK)
    found = []
    for worth in (0, NEVER):
        kernels.KERNELS.pays_from(worth)
        masked = masker.mask(content)
        assert masked.ids.dtype == masked.labels.dtype == np.uint16
        found.append(assemble(0, content, masked, encoder).whole.to_bytes())
    assert found[0] == found[1]


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**63 - 1),
    sample=st.integers(0, 2**62),
    first=st.integers(0, 40),
    count=st.integers(1, 40),
)
def test_the_words_are_those_of_numpy(seed: int, sample: int, first: int, count: int) -> None:
    functions = kernels.KERNELS.now()
    assert functions
    state, plain_state = np.empty((4, count + 2), np.uint64), np.empty((4, count + 2), np.uint64)
    words, plain = np.empty(count, np.uint64), np.empty(count, np.uint64)
    stream = key(seed, Purpose.MASK)
    functions.draw_words(stream, np.uint64(sample), first, words, state)
    with np.errstate(over="ignore"):
        kernels.draw_words(stream, np.uint64(sample), first, plain, plain_state)
    expected = sample_words(seed, Purpose.MASK, (sample, 0), first + count)[first:]
    assert words.tolist() == plain.tolist() == expected.tolist()


@settings(deadline=None, max_examples=40)
@given(
    keys=st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=300),
    share=st.floats(0, 1),
    equal=st.booleans(),
)
def test_both_ways_find_the_smallest(keys: list[int], share: float, equal: bool) -> None:
    functions = kernels.KERNELS.now()
    assert functions
    words = np.array(keys, dtype=np.uint64)
    words[:: 2 if equal else 1000] = words[0]
    count = 1 + int(share * (len(words) - 1))
    numbers = sorted((int(word) >> 32 << 32) | i for i, word in enumerate(words.tolist()))
    scratch = np.empty(len(words) + count, dtype=np.uint64)
    assert functions._threshold(words, count, scratch) == numbers[count - 1]
    functions._few_places(words, count, scratch)
    places = sorted(number & 0xFFFFFFFF for number in numbers[:count])
    assert scratch[len(words) :].tolist() == places


@pytest.mark.parametrize("vocabulary", [KMER, BPE])
def test_ids_alone_are_the_ids_of_a_content(world: World, vocabulary: int) -> None:
    encoder = RowEncoder(world.ensemble, world.tokenizers, 64)
    sequences = [random_dna(n, n) for n in (40, 6, 300, 75, 1)]
    rows = np.full(len(sequences), vocabulary, dtype=np.int16)
    content = encoder.encode(sequences, rows, np.arange(5))
    alone = encoder.encode_ids(sequences, rows, np.arange(5))
    assert np.array_equal(alone.ids, content.ids)
    assert np.array_equal(alone.offsets, content.offsets)
    assert alone.ids.dtype == content.ids.dtype
