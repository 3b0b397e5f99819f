from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from feed_world import BPE, CONTIG_BP, KMER, World

from gfmp.errors import DataError
from gfmp.feed.heldout import HeldOut, HeldOutBatch
from gfmp.feed.hidden import expected_hidden_bases
from gfmp.genome.corpus import Corpus
from gfmp.spec.pretrain import Masking
from gfmp.vocabulary import masking as audit
from gfmp.vocabulary.vocabulary import MASK

COMPLEMENT = bytes.maketrans(b"ACGT", b"TGCA")
BOTH = pytest.mark.parametrize("vocabulary", [KMER, BPE])
CENTRES = Masking(law="centres")


@pytest.fixture(scope="module")
def held_out(world: World) -> HeldOut:
    return world.held_out()


def words_of(world: World, batch: HeldOutBatch) -> list[bytes]:
    return [world.ensemble.tokens[i].encode() for i in batch.batch.labels.tolist()]


def row_borders(batch: HeldOutBatch) -> list[tuple[int, int]]:
    return list(pairwise(batch.batch.cu_seqlens.tolist()))


@BOTH
def test_every_target_is_hidden(held_out: HeldOut, vocabulary: int) -> None:
    batch = held_out.batch(vocabulary, 0, 30).batch
    assert batch.num_targets > 100
    assert np.all(batch.ids[batch.positions] == MASK)
    assert np.sum(batch.ids == MASK) == batch.num_targets
    assert np.all(batch.vocabulary == vocabulary)


@BOTH
def test_targets_name_their_bases(world: World, held_out: HeldOut, vocabulary: int) -> None:
    batch = held_out.batch(vocabulary, 0, 30)
    targets = zip(
        words_of(world, batch),
        batch.rows.tolist(),
        batch.starts.tolist(),
        batch.lengths.tolist(),
        strict=True,
    )
    for word, row, start, length in targets:
        assert batch.sequences[row][start : start + length] == word
    rows = np.searchsorted(batch.batch.cu_seqlens, batch.batch.positions, side="right") - 1
    assert np.array_equal(rows, batch.rows)


@BOTH
def test_hidden_bases_name_their_letters(world: World, held_out: HeldOut, vocabulary: int) -> None:
    batch = held_out.batch(vocabulary, 0, 30)
    words = words_of(world, batch)
    hidden = zip(
        batch.hidden_rows.tolist(),
        batch.hidden_bases.tolist(),
        batch.hidden_targets.tolist(),
        batch.hidden_offsets.tolist(),
        strict=True,
    )
    for row, base, target, offset in hidden:
        assert batch.rows[target] == row
        assert batch.starts[target] + offset == base
        assert words[target][offset] == batch.sequences[row][base]


@pytest.mark.parametrize("masking", [Masking(), CENTRES])
@BOTH
def test_hidden_bases_are_those_no_visible_word_shows(
    world: World, masking: Masking, vocabulary: int
) -> None:
    batch = world.held_out(masking=masking).batch(vocabulary, 0, 40)
    encoded = world.tokenizers[vocabulary].encode(batch.sequences)
    specials = np.concatenate([[b, b + 1, e - 1] for b, e in row_borders(batch)])
    hidden = np.delete(batch.batch.ids, specials) == MASK
    counts = audit.hidden_bases(encoded, hidden)
    assert np.bincount(batch.hidden_rows, minlength=40).tolist() == counts.tolist()
    places = batch.hidden_rows.astype(np.int64) * 10_000 + batch.hidden_bases
    assert np.all(np.diff(places) > 0)


def test_the_nearest_centre_answers_and_the_left_one_of_two(held_out: HeldOut) -> None:
    batch = held_out.batch(KMER, 0, 30)
    for row, base, target in zip(
        batch.hidden_rows, batch.hidden_bases, batch.hidden_targets, strict=True
    ):
        covering = np.flatnonzero(
            (batch.rows == row) & (batch.starts <= base) & (base < batch.starts + batch.lengths)
        )
        distance = abs(batch.starts[covering] + 2.5 - base)
        assert target == covering[np.argmin(distance)]


def test_without_overlap_every_base_of_a_target_is_hidden(held_out: HeldOut) -> None:
    batch = held_out.batch(BPE, 0, 30)
    assert len(batch.hidden_bases) == batch.lengths.sum()
    assert np.array_equal(
        np.bincount(batch.hidden_targets, minlength=len(batch.lengths)), batch.lengths
    )


@BOTH
def test_a_window_is_the_same_in_any_batch(held_out: HeldOut, vocabulary: int) -> None:
    whole, part = held_out.batch(vocabulary, 0, 12), held_out.batch(vocabulary, 5, 3)
    assert part.sequences == whole.sequences[5:8]
    assert part.batch.digests.tolist() == whole.batch.digests[5:8].tolist()
    begin, end = whole.batch.cu_seqlens[[5, 8]].tolist()
    assert part.batch.ids.tolist() == whole.batch.ids[begin:end].tolist()
    chosen = (whole.hidden_rows >= 5) & (whole.hidden_rows < 8)
    assert part.hidden_bases.tolist() == whole.hidden_bases[chosen].tolist()


def test_windows_are_fixed_by_the_seed(world: World, held_out: HeldOut) -> None:
    first = held_out.batch(KMER, 0, 8)
    again = world.held_out().batch(KMER, 0, 8)
    other = world.held_out(seed=8).batch(KMER, 0, 8)
    assert first.batch.to_bytes() == again.batch.to_bytes()
    assert first.sequences != other.sequences


def test_only_the_held_out_regions_are_read(world: World, held_out: HeldOut) -> None:
    regions = [world.genome[name][CONTIG_BP - 3_000 :] for name in ("c0", "c1")]
    for vocabulary in (KMER, BPE):
        for bases in held_out.batch(vocabulary, 0, 40).sequences:
            other = bases[::-1].translate(COMPLEMENT)
            assert any(bases in region or other in region for region in regions)


def test_another_split_can_be_read(world: World) -> None:
    source = HeldOut(world.settings, world.corpus, world.ensemble, world.tokenizers, "train")
    region = world.genome["c0"][CONTIG_BP - 3_000 :]
    sequences = source.batch(KMER, 0, 40).sequences
    assert not any(bases in region for bases in sequences)


@BOTH
def test_long_rows_are_cut_with_their_bases(world: World, vocabulary: int) -> None:
    batch = world.held_out(max_tokens=40).batch(vocabulary, 0, 20)
    lengths = np.diff(batch.batch.cu_seqlens)
    assert lengths.max() == 40
    encoded = world.tokenizers[vocabulary].encode(batch.sequences)
    last = encoded.ends[encoded.cu_tokens[1:] - 1]
    assert [len(bases) for bases in batch.sequences] == last.tolist()
    if vocabulary == KMER:
        assert np.array_equal(np.diff(encoded.cu_tokens), lengths - 3)


@pytest.mark.parametrize("masking", [Masking(), CENTRES])
@BOTH
def test_enough_windows_are_asked_for(world: World, masking: Masking, vocabulary: int) -> None:
    held_out = world.held_out(masking=masking)
    for wanted in (1, 500, 5_000):
        count = held_out.windows_for(vocabulary, wanted)
        assert len(held_out.batch(vocabulary, 0, count).hidden_bases) >= wanted
    # Not many times too many, either.
    assert len(held_out.batch(vocabulary, 0, count).hidden_bases) < 4 * 5_000


@pytest.mark.parametrize("masking", [Masking(), CENTRES])
@BOTH
def test_the_expectation_is_what_is_found(world: World, masking: Masking, vocabulary: int) -> None:
    count = 2_000
    found = len(world.held_out(masking=masking).batch(vocabulary, 0, count).hidden_bases)
    expected = expected_hidden_bases(world.ensemble.vocabularies[vocabulary], masking, 509)
    assert found / count == pytest.approx(expected, rel=0.1)


def test_a_corpus_without_held_out_pieces_is_refused(world: World) -> None:
    manifest = replace(
        world.corpus.manifest,
        shards=tuple(s for s in world.corpus.manifest.shards if s.split == "train"),
    )
    with pytest.raises(DataError, match="split 'valid'"):
        replace(world, corpus=Corpus(world.corpus.path, manifest)).held_out()
