from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from feed_world import BPE, KMER, World, random_dna
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.feed.content import Content, RowEncoder
from gfmp.feed.draws import Purpose
from gfmp.feed.masker import Masked, Masker, RowDraws, Spans, draw_centres, draw_spans
from gfmp.spec.pretrain import Masking
from gfmp.vocabulary.ensemble import Ensemble
from gfmp.vocabulary.masking import copy_oracle
from gfmp.vocabulary.vocabulary import MASK, UNK

LAWS = [Masking(), Masking(law="centres")]


def blank(lengths: Sequence[int], first_sample: int = 0) -> Content:
    """Return rows of word tokens of the given lengths."""
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    size = int(offsets[-1])
    return Content(
        ids=np.full(size, 100, dtype=np.uint16),
        starts=np.arange(size, dtype=np.int32),
        ends=np.arange(1, size + 1, dtype=np.int32),
        offsets=offsets,
        vocabulary=np.zeros(len(lengths), dtype=np.int16),
        samples=np.arange(first_sample, first_sample + len(lengths)),
    )


def place(law: str, lengths: Sequence[int], span: int, fraction: float) -> Spans:
    """Draw the spans of rows of the given lengths."""
    draws = RowDraws.of(blank(lengths), 5, Purpose.MASK)
    spans = np.full(len(lengths), span, dtype=np.int64)
    if law == "spans":
        return draw_spans(draws, spans, fraction)
    return draw_centres(draws, spans, np.full(len(lengths), fraction))


def encode(world: World, sequences: Sequence[bytes], vocabulary: int) -> Content:
    encoder = RowEncoder(world.ensemble, world.tokenizers, 512)
    rows = np.full(len(sequences), vocabulary, dtype=np.int16)
    return encoder.encode(sequences, rows, np.arange(len(sequences)))


def mask(world: World, content: Content, masking: Masking) -> Masked:
    return Masker(masking, world.ensemble, 5).mask(content)


@settings(deadline=None, max_examples=60)
@given(
    lengths=st.lists(st.integers(0, 60), min_size=1, max_size=8),
    span=st.integers(1, 14),
    fraction=st.floats(0.01, 0.99),
)
def test_spans_are_whole_and_apart(lengths: list[int], span: int, fraction: float) -> None:
    spans = place("spans", lengths, span, fraction)
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    ends = spans.starts + spans.lengths
    assert np.all(spans.starts[1:] >= ends[:-1])
    assert np.all(spans.starts >= offsets[spans.rows])
    assert np.all(ends <= offsets[spans.rows + 1])
    assert np.all(spans.lengths == np.minimum(span, np.array(lengths)[spans.rows]))
    for row, length in enumerate(lengths):
        if length:
            tokens = min(span, length)
            wanted, most = fraction * length / tokens, length // tokens
            count = int(np.sum(spans.rows == row))
            assert min(most, int(wanted)) <= count <= min(most, int(wanted) + 1)


@pytest.mark.parametrize("span", [1, 6, 14])
@pytest.mark.parametrize("length", [3, 20, 110, 441, 505])
def test_spans_hold_the_fraction_on_average(span: int, length: int) -> None:
    spans = place("spans", [length] * 6_000, span, 0.15)
    assert abs(spans.lengths.sum() / (6_000 * length) - 0.15) < 0.01


def test_one_span_is_uniform_over_its_places() -> None:
    spans = place("spans", [20] * 7_000, 14, 0.7)
    assert len(spans.rows) == 7_000
    counts = np.bincount(spans.starts % 20, minlength=7)
    assert len(counts) == 7
    assert np.sum((counts - 1_000) ** 2 / 1_000) < 30  # 6 degrees: once in 10**5


def test_two_spans_take_each_placement_alike() -> None:
    spans = place("spans", [6] * 6_000, 2, 4 / 6)
    pairs = (spans.starts % 6).reshape(-1, 2)
    placements, counts = np.unique(pairs, axis=0, return_counts=True)
    assert placements.tolist() == [[0, 2], [0, 3], [0, 4], [1, 3], [1, 4], [2, 4]]
    assert np.sum((counts - 1_000) ** 2 / 1_000) < 28  # 5 degrees: once in 10**5


def test_a_row_shorter_than_a_span_is_one_span_or_none() -> None:
    spans = place("spans", [8] * 4_000, 14, 0.15)
    assert np.all(spans.lengths == 8)
    assert abs(len(spans.rows) / 4_000 - 0.15) < 0.02


def test_a_fraction_near_one_places_what_fits() -> None:
    spans = place("spans", [7] * 50, 6, 0.95)
    assert np.bincount(spans.rows).tolist() == [1] * 50


def test_centres_hide_the_share_of_the_released_code() -> None:
    spans = place("centres", [505] * 2_000, 14, 0.025)
    share = spans.lengths.sum() / (505 * 2_000)
    assert share == pytest.approx(1 - 0.975**14, abs=0.01)
    assert share == pytest.approx(0.298, abs=0.01)
    # Runs are as long as one span unless they meet another or the end of the row.
    assert np.mean(spans.lengths >= 14) > 0.95


@settings(deadline=None, max_examples=60)
@given(
    lengths=st.lists(st.integers(0, 60), min_size=1, max_size=6),
    span=st.integers(1, 14),
    fraction=st.floats(0.01, 0.5),
)
def test_centres_merge_what_touches(lengths: list[int], span: int, fraction: float) -> None:
    draws = RowDraws.of(blank(lengths), 5, Purpose.MASK)
    spans = place("centres", lengths, span, fraction)
    covered = np.zeros(sum(lengths), dtype=np.bool_)
    for start, length in zip(spans.starts.tolist(), spans.lengths.tolist(), strict=True):
        assert not covered[start : start + length].any()
        covered[start : start + length] = True
    expected, border = np.zeros(sum(lengths), dtype=np.bool_), 0
    runs = 0
    for row, length in enumerate(lengths):
        inside = np.arange(border, border + length)
        words = draws.at(0, inside, np.full(length, row))
        for centre in inside[(words >> np.uint64(32)) * 2.0**-32 < fraction].tolist():
            low = max(border, centre - (span - 1) // 2)
            expected[low : min(border + length, centre + span // 2 + 1)] = True
        runs += int(np.sum(np.diff(expected[inside].astype(int), prepend=0) == 1))
        border += length
    assert np.array_equal(covered, expected)
    assert len(spans.rows) == runs


@pytest.mark.parametrize("masking", LAWS)
def test_a_row_is_masked_alike_in_any_company(world: World, masking: Masking) -> None:
    sequences = [random_dna(n, n) for n in (80, 300, 500)]
    content = encode(world, sequences, KMER)
    together = mask(world, content, masking)
    last = replace(encode(world, sequences[2:], KMER), samples=np.array([2]))
    alone = mask(world, last, masking)
    assert np.array_equal(together.ids[content.offsets[2] :], alone.ids)


@pytest.mark.parametrize("masking", LAWS)
def test_labels_are_true_and_nothing_else_changes(world: World, masking: Masking) -> None:
    content = encode(world, [random_dna(500, n) for n in range(20)], KMER)
    masked = mask(world, content, masking)
    assert np.all(np.diff(masked.targets) > 0)
    assert np.array_equal(masked.labels, content.ids[masked.targets])
    rest = np.ones(len(content.ids), dtype=np.bool_)
    rest[masked.targets] = False
    assert np.array_equal(masked.ids[rest], content.ids[rest])


def test_a_span_is_treated_as_a_whole(world: World) -> None:
    content = encode(world, [random_dna(510, n) for n in range(400)], KMER)
    masked = mask(world, content, Masking())
    kinds = np.full(len(masked.targets), 2)
    kinds[masked.ids[masked.targets] == masked.labels] = 0
    kinds[masked.ids[masked.targets] == MASK] = 1
    # No N in these rows, so targets come in whole spans of fourteen.
    kinds = kinds.reshape(-1, 14)
    # A random word equals the true one once in 4,096.
    assert np.mean(kinds == kinds[:, :1]) > 0.999
    shares = np.bincount(kinds[:, 0], minlength=3) / len(kinds)
    assert shares == pytest.approx([0.1, 0.8, 0.1], abs=0.025)


def test_random_tokens_come_from_the_scope(world: World) -> None:
    content = encode(world, [random_dna(800, n) for n in range(200)], BPE)
    everything = {"mask_fraction": 0.0, "random_fraction": 1.0}
    own = mask(world, content, Masking(**everything))
    words = world.ensemble.word_rows(BPE)
    drawn = own.ids[own.targets]
    assert np.isin(drawn, words).all()
    assert len(np.unique(drawn)) == len(words)
    union = mask(world, content, Masking(scope="union", **everything))
    drawn = union.ids[union.targets]
    assert not np.isin(drawn, words).all()
    assert drawn.min() >= 5 + len(world.ensemble.vocabularies)
    assert drawn.max() < world.ensemble.size


@pytest.mark.parametrize("masking", LAWS)
@pytest.mark.parametrize("vocabulary", [KMER, BPE])
def test_unknown_tokens_stay_and_are_never_scored(
    world: World, masking: Masking, vocabulary: int
) -> None:
    sequences = [random_dna(500, n, unknown=(200, 260)) for n in range(30)]
    content = encode(world, sequences, vocabulary)
    masked = mask(world, content, masking)
    unknown = content.ids == UNK
    assert unknown.any()
    assert np.all(masked.ids[unknown] == UNK)
    assert not unknown[masked.targets].any()
    share = len(masked.targets) / np.sum(~unknown)
    # The test's BPE hides six tokens a span: with law `centres` up to 1 - 0.85**6 = 62 %.
    assert 0.08 < share < 0.65


def test_rows_without_tokens_have_no_targets(world: World) -> None:
    content = encode(world, [b"A", b"N" * 50, b"AC"], KMER)
    assert mask(world, content, Masking()).targets.tolist() == []
    assert mask(world, content, LAWS[1]).targets.tolist() == []


@pytest.mark.parametrize("masking", LAWS)
@settings(deadline=None, max_examples=30)
@given(
    sequences=st.lists(
        st.text("ACGTACGTACGTACGTACGTACGTACGTN", min_size=6, max_size=200), min_size=1, max_size=6
    ),
    seed=st.integers(0, 2**40),
)
def test_copying_visible_bases_recovers_no_hidden_token(
    world: World, masking: Masking, sequences: list[str], seed: int
) -> None:
    bases = [sequence.encode() for sequence in sequences]
    for v, tokenizer in enumerate(world.tokenizers):
        encoded = tokenizer.encode(bases)
        content = encode(world, bases, v)
        masked = Masker(masking, world.ensemble, seed).mask(content)
        # Random tokens count as visible truth here: a harder test than the model gets.
        hidden = masked.ids == MASK
        recovered = copy_oracle(encoded, hidden, tokenizer.vocabulary)
        assert not recovered.any()


def test_the_oracle_would_notice_too_short_spans(world: World) -> None:
    short = replace(world.ensemble.vocabularies[KMER], mask_span_tokens=3)
    ensemble = Ensemble.of([short, world.ensemble.vocabularies[BPE]])
    sequences = [random_dna(300, n) for n in range(5)]
    content = encode(world, sequences, KMER)
    masked = Masker(Masking(), ensemble, 5).mask(content)
    encoded = world.tokenizers[KMER].encode(sequences)
    assert copy_oracle(encoded, masked.ids == MASK, short).any()


def test_streams_differ_by_seed_and_purpose(world: World) -> None:
    content = encode(world, [random_dna(510, n) for n in range(4)], KMER)
    streams = {
        Masker(Masking(), world.ensemble, seed, purpose).mask(content).ids.tobytes()
        for seed in (5, 6)
        for purpose in (Purpose.MASK, Purpose.HELD_OUT_MASK)
    }
    assert len(streams) == 4
