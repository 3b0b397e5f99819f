"""The stream of windows against the genome and the laws: coverage, lengths, strands, places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from feed_world import BPE, KMER, World
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.feed.cutter import Cutter
from gfmp.feed.dealer import deal, deal_rank
from gfmp.feed.draws import Purpose, below, contiguous_words, permutation, sample_words, uniform
from gfmp.feed.feed import Feed
from gfmp.feed.schedule import Schedule
from gfmp.feed.unigram import training_windows, unigram_counts
from gfmp.feed.windows import WORDS_PER_WINDOW, Mixture, Windows, places
from gfmp.genome.corpus import Piece

OTHER_STRAND = bytes.maketrans(b"ACGTN", b"TGCAN")


def chi_square(counts: np.ndarray, expected: np.ndarray) -> float:
    """Deviation in standard deviations of the chi-square law; beyond 5 is no chance."""
    degrees = len(counts) - 1
    return float((np.sum((counts - expected) ** 2 / expected) - degrees) / np.sqrt(2 * degrees))


def located(pieces: Sequence[Piece], base: int, length_bp: int) -> tuple[str, int]:
    """Return contig and first contig position of a window that starts at a core base."""
    for piece in pieces:
        if base < piece.bases:
            last = len(piece.sequence) - length_bp
            return piece.contig, piece.start + max(0, min(base, last))
        base -= piece.bases
    raise AssertionError("a window starts in the core of its row group")


@pytest.mark.parametrize("epoch", [0, 1, 5])
def test_an_epoch_reads_each_row_group_as_often_as_it_is_long(
    world: World, feed: Feed, epoch: int
) -> None:
    size = feed.samples_per_epoch
    windows = feed.windows(epoch * size, size)
    bases = np.array([group.bases for group in world.corpus.row_groups("train")])
    mean_bp = np.mean([v.window.mean_bp for v in world.ensemble.vocabularies])
    expected = np.maximum(1, np.floor(bases / mean_bp + 0.5)).astype(int)
    assert np.bincount(windows.groups, minlength=len(bases)).tolist() == expected.tolist()
    assert np.all(windows.bases >= 0) and np.all(windows.bases < bases[windows.groups])
    assert windows.samples.tolist() == list(range(epoch * size, (epoch + 1) * size))


def test_each_base_is_read_about_once_per_epoch(world: World, feed: Feed) -> None:
    epochs = 40
    windows = feed.windows(0, epochs * feed.samples_per_epoch)
    read = windows.lengths_bp.sum() / epochs
    bases = sum(group.bases for group in world.corpus.row_groups("train"))
    assert read / bases == pytest.approx(1.0, abs=0.03)


def test_windows_start_anywhere_in_a_group_alike(world: World, feed: Feed) -> None:
    windows = feed.windows(0, 60 * feed.samples_per_epoch)
    bases = np.array([group.bases for group in world.corpus.row_groups("train")])
    tenths = (10 * windows.bases // bases[windows.groups]).astype(int)
    counts = np.bincount(tenths, minlength=10)
    assert len(counts) == 10
    assert abs(chi_square(counts, np.full(10, len(windows) / 10))) < 5


@pytest.mark.parametrize("vocabulary", [KMER, BPE])
def test_every_length_of_the_law_is_drawn_alike(world: World, vocabulary: int) -> None:
    law = world.ensemble.vocabularies[vocabulary].window
    words = contiguous_words(3, Purpose.WINDOW, 0, (60_000, WORDS_PER_WINDOW))
    mixture = Mixture(world.settings, world.ensemble.vocabularies)
    lengths = mixture.lengths_bp(words, np.full(len(words), vocabulary, dtype=np.int16))
    counts = np.bincount(lengths - law.min_bp, minlength=law.max_bp - law.min_bp + 1)
    chance = np.full(len(counts), (1.0 - law.full_fraction) / len(counts))
    chance[-1] += law.full_fraction
    assert abs(chi_square(counts, len(words) * chance)) < 5


@pytest.mark.parametrize("full", [0.0, 1.0])
def test_laws_at_their_ends(world: World, full: float) -> None:
    vocabularies = [
        replace(v, window=replace(v.window, full_fraction=full))
        for v in world.ensemble.vocabularies
    ]
    words = contiguous_words(3, Purpose.WINDOW, 0, (5_000, WORDS_PER_WINDOW))
    lengths = Mixture(world.settings, vocabularies).lengths_bp(words, np.zeros(5_000, np.int16))
    law = vocabularies[0].window
    if full:
        assert np.all(lengths == law.max_bp)
    else:
        assert (lengths.min(), lengths.max()) == (law.min_bp, law.max_bp)
        assert np.mean(lengths == law.max_bp) < 0.01
        assert lengths.mean() == pytest.approx(law.mean_bp, rel=0.02)


@pytest.mark.parametrize("fraction", [0.0, 0.2, 0.5, 1.0])
def test_the_other_strand_is_read_as_often_as_asked(world: World, fraction: float) -> None:
    feed = world.feed(reverse_complement_fraction=fraction)
    share = feed.windows(0, 10_000).reverse.mean()
    deviation = np.sqrt(fraction * (1 - fraction) / 10_000)
    assert abs(share - fraction) <= 5 * deviation


def test_the_strand_changes_nothing_else(world: World) -> None:
    forward, back = (world.feed(reverse_complement_fraction=f).windows(0, 400) for f in (0.0, 1.0))
    assert not forward.reverse.any() and back.reverse.all()
    for name in ("groups", "bases", "lengths_bp", "vocabulary", "samples"):
        assert np.array_equal(vars(forward)[name], vars(back)[name])
    cutter = Cutter(world.corpus, world.corpus.row_groups("train"), 9)
    for one, other in zip(cutter.cut(forward), cutter.cut(back), strict=True):
        assert other == one[::-1].translate(OTHER_STRAND)


def test_windows_are_the_letters_of_the_genome_on_both_strands(world: World, feed: Feed) -> None:
    groups = world.corpus.row_groups("train")
    pieces = [world.corpus.read(group) for group in groups]
    windows = feed.windows(0, 2 * feed.samples_per_epoch)
    cut = Cutter(world.corpus, groups, 9).cut(windows)
    seen = {True: 0, False: 0}
    for row, bases in enumerate(cut):
        length = int(windows.lengths_bp[row])
        contig, start = located(pieces[windows.groups[row]], int(windows.bases[row]), length)
        letters = world.genome[contig][start : start + length]
        reverse = bool(windows.reverse[row])
        assert bases == (letters[::-1].translate(OTHER_STRAND) if reverse else letters)
        seen[reverse] += 1
    assert min(seen.values()) > 50


@pytest.mark.parametrize("buffer", [1, 2, 8, 9, 100])
def test_the_buffer_shuffles_but_never_changes_what_an_epoch_reads(
    world: World, feed: Feed, buffer: int
) -> None:
    other = world.feed(buffer_row_groups=buffer)
    size = other.samples_per_epoch
    assert size == feed.samples_per_epoch
    windows = other.windows(0, 2 * size)
    # Samples keep their own draws; only the row group they fall on differs.
    home = feed.windows(0, 2 * size)
    assert np.array_equal(windows.lengths_bp, home.lengths_bp)
    assert np.array_equal(windows.vocabulary, home.vocabulary)
    for epoch in (slice(0, size), slice(size, 2 * size)):
        assert sorted(windows.groups[epoch]) == sorted(home.groups[epoch])
    num_groups = len(world.corpus.row_groups("train"))
    num_buffers = -(-num_groups // buffer)
    assert np.unique(windows.buffers).tolist() == list(range(2 * num_buffers))
    for serial in range(2 * num_buffers):
        held = np.unique(windows.groups[windows.buffers == serial])
        last = num_groups - buffer * (num_buffers - 1)
        assert len(held) == (last if serial % num_buffers == num_buffers - 1 else buffer)


def test_a_step_over_a_border_holds_windows_of_both_buffers(world: World) -> None:
    feed = world.feed(buffer_row_groups=2, global_batch_sequences=30)
    windows = feed.windows(0, feed.samples_per_epoch)
    border = int(np.flatnonzero(np.diff(windows.buffers))[0]) + 1
    step = border // 30
    part = windows.take(np.arange(30 * step, 30 * step + 30))
    assert len(np.unique(part.buffers)) >= 2
    (batch,) = feed.step(step, 0, 1, 1)
    assert sorted(batch.samples) == part.samples.tolist()
    small = Cutter(world.corpus, world.corpus.row_groups("train"), 1)
    large = Cutter(world.corpus, world.corpus.row_groups("train"), 9)
    assert small.cut(part) == large.cut(part)


@given(seed=st.integers(0, 2**63 - 1), far=st.integers(0, 10**9))
@settings(deadline=None, max_examples=20)
def test_far_samples_are_reached_without_walking(seed: int, far: int) -> None:
    bases = np.array([700, 50, 1_900, 1_000], dtype=np.int64)
    schedule = Schedule(seed, bases, 100.0, 2)
    size = schedule.samples_per_epoch
    visits = schedule.visits(far * size, size)
    assert np.bincount(visits.groups, minlength=4).tolist() == [7, 1, 19, 10]
    assert np.unique(visits.buffers).tolist() == [2 * far, 2 * far + 1]


def test_group_orders_are_uniform() -> None:
    first = np.zeros((4, 4), dtype=int)
    for epoch in range(2_000):
        order = permutation(sample_words(1, Purpose.GROUP_ORDER, (epoch, 0), 4))
        first[np.arange(4), order] += 1
    for place in range(4):
        assert abs(chi_square(first[place], np.full(4, 500.0))) < 5


@given(st.integers(1, 2**40), st.integers(0, 2**62))
@settings(deadline=None, max_examples=40)
def test_words_map_below_their_bound_in_order(bound: int, seed: int) -> None:
    words = np.sort(contiguous_words(seed, Purpose.WINDOW, 0, (16, 8)).ravel())
    drawn = below(words, bound)
    assert np.all(np.diff(drawn) >= 0) and drawn[0] >= 0 and drawn[-1] < bound
    assert np.all((uniform(words) >= 0) & (uniform(words) < 1))
    ends = np.array([0, 2**64 - 1], dtype=np.uint64)
    assert below(ends, bound).tolist() == [0, bound - 1]


def naive_deal(loads: Sequence[float], num_parts: int) -> list[int]:
    """Deal the longest rows first, to and fro, one after the other."""
    order = sorted(range(len(loads)), key=lambda row: -loads[row])
    parts = [0] * len(loads)
    to_and_fro = [*range(num_parts), *reversed(range(num_parts))]
    for turn, row in enumerate(order):
        parts[row] = to_and_fro[turn % len(to_and_fro)]
    return parts


@given(
    loads=st.lists(st.integers(3, 512), min_size=12, max_size=60),
    world_size=st.integers(1, 4),
    accumulation=st.integers(1, 3),
)
@settings(deadline=None, max_examples=60)
def test_dealing_is_dealing_to_and_fro(
    loads: list[int], world_size: int, accumulation: int
) -> None:
    expected = np.array(loads, dtype=np.float64)
    assert deal(expected, world_size).tolist() == naive_deal(loads, world_size)
    sizes = []
    for rank in range(world_size):
        rows, micros = deal_rank(
            expected, np.zeros(len(loads), np.int64), rank, world_size, accumulation
        )
        own = [row for row, part in enumerate(naive_deal(loads, world_size)) if part == rank]
        inner = naive_deal([loads[row] for row in own], accumulation)
        pairs = sorted(zip(inner, own, strict=True))
        assert list(zip(micros.tolist(), rows.tolist(), strict=True)) == pairs
        sizes += np.bincount(micros, minlength=accumulation).tolist()
    assert min(sizes) >= 1 and sum(sizes) == len(loads)


@pytest.mark.parametrize("vocabulary", [KMER, BPE])
def test_unigram_counts_add_up_window_by_window(world: World, vocabulary: int) -> None:
    fixed = training_windows(world.settings, world.corpus, world.ensemble, world.tokenizers)
    whole = unigram_counts(fixed, vocabulary, 60)
    _, content = fixed.read(vocabulary, 0, 60)
    assert whole.sum() == len(content.ids)
    assert np.all(unigram_counts(fixed, vocabulary, 30) <= whole)
    assert whole[[0, 2, 3, 4]].tolist() == [0, 0, 0, 0], "no special but [UNK] is counted"


def test_places_follow_the_bound_of_each_row() -> None:
    words = contiguous_words(5, Purpose.WINDOW, 0, (2_000, WORDS_PER_WINDOW))
    bounds = np.arange(1, 2_001)
    drawn = places(words, bounds)
    assert np.all((drawn >= 0) & (drawn < bounds))
    assert np.mean(drawn / bounds) == pytest.approx(0.5, abs=0.03)


def test_windows_count_their_rows(feed: Feed) -> None:
    windows: Windows = feed.windows(7, 5)
    assert len(windows) == 5
    assert all(len(values) == 5 for values in vars(windows).values())
    assert len(windows.take(np.zeros(0, dtype=np.int64))) == 0
