"""Texts of a batch: shared, on both strands, and the tokens in which two of them differ."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from inference_samples import random_dna, vocabularies

from gfmp.genome.alleles import Allele, Window
from gfmp.genome.vcf import VcfRecord
from gfmp.inference.texts import Batch, Text, changed, split_tokens
from gfmp.tasks.strands import other_strand
from gfmp.vocabulary.registry import FamilyRegistry

IDS = st.lists(st.integers(5, 7), min_size=1, max_size=12)
DNA = random_dna(120, 4).encode()


def window(start: int, ref: bytes, alt: bytes) -> Window:
    record = VcfRecord("c", start, ref, (alt.decode(),), "", "", "x:1")
    allele = Allele(record, 1, "c", start, ref, alt)
    return Window(allele, DNA[:start], DNA[start + len(ref) :])


@settings(deadline=None, max_examples=300)
@given(IDS, IDS)
def test_only_the_difference_is_left(one: list[int], other: list[int]) -> None:
    first, second = np.array(one), np.array(other)
    a, b = changed(first, second)
    assert a.start == b.start
    assert len(one) - a.stop == len(other) - b.stop or one == other
    assert one[: a.start] == other[: b.start]
    assert one[a.stop :] == other[b.stop :] or one == other
    same = one == other
    assert (a.stop > a.start) == (b.stop > b.start) == (not same), "of nothing there is none"
    if a.stop - a.start > 1 and b.stop - b.start > 1:
        assert one[a.start] != other[b.start] or one[a.stop - 1] != other[b.stop - 1]


def test_a_changed_base_moves_the_boundaries_of_byte_pairs_only_between_common_ends() -> None:
    _, pairs = vocabularies()
    tokenizer = FamilyRegistry.discover().tokenizer(pairs)
    moved = 0
    for place in range(20, 100):
        alt = b"A" if DNA[place : place + 1] != b"A" else b"C"
        texts = [window(place, DNA[place : place + 1], alt)]
        batch = Batch.of(texts, both_strands=False)
        encoded = batch.encoded(tokenizer)
        parts = [split_tokens(encoded).row(i) for i in (0, 1)]
        one, other = changed(*parts)
        cu = encoded.cu_tokens
        for row, part in ((0, one), (1, other)):
            first, last = cu[row] + part.start, cu[row] + part.stop - 1
            assert encoded.starts[first] <= place < encoded.ends[last]
        edges = [
            (encoded.starts[cu[row] + part.start], encoded.ends[cu[row] + part.stop - 1])
            for row, part in ((0, one), (1, other))
        ]
        assert edges[0] == edges[1], "both stretches cover the same bases of the reference"
        moved += (one.stop - one.start) != (other.stop - other.start)
    assert moved > 5, "the sample has changes that move boundaries"


def test_alternates_of_one_place_share_the_reference_and_strands_mirror() -> None:
    place, base = 50, DNA[50:51]
    alts = [x for x in (b"A", b"C", b"G", b"T") if x != base]
    batch = Batch.of([window(place, base, alt) for alt in alts], both_strands=True)
    assert len(batch) == 3
    assert len(batch.texts) == 2 * (1 + 3)
    assert (batch.reference == batch.reference[0]).all()
    for forward, reverse in [*batch.reference, *batch.alternate]:
        text, other = batch.texts[forward], batch.texts[reverse]
        assert other.sequence == other_strand(text.sequence)
        assert (
            other_strand(other.sequence[other.start : other.end])
            == (text.sequence[text.start : text.end])
        )
    assert Text(b"AACG", 1, 3).other_strand.other_strand == Text(b"AACG", 1, 3)


def test_a_vocabulary_encodes_a_batch_once() -> None:
    kmers, _ = vocabularies()
    tokenizer = FamilyRegistry.discover().tokenizer(kmers)
    batch = Batch.of([window(50, DNA[50:51], b"")], both_strands=True)
    assert batch.encoded(tokenizer) is batch.encoded(tokenizer)
    assert len(batch.encoded(tokenizer).cu_tokens) == len(batch.texts) + 1
