from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from feed_world import World, random_dna, write_fasta

from gfmp.errors import SpecError
from gfmp.feed.cutter import CACHE_LIMIT_BYTES, Cutter
from gfmp.feed.feed import Feed
from gfmp.feed.windows import Windows
from gfmp.genome.alphabet import AlphabetPolicy
from gfmp.genome.corpus import Corpus, Piece, RowGroup
from gfmp.genome.ingest import build_corpus
from gfmp.genome.sources import IngestSettings, LocalFile, Source


@dataclass(frozen=True)
class WatchedCorpus(Corpus):
    """A corpus that notes which row groups are read."""

    reads: list[tuple[str, int]] = field(default_factory=list)

    def read(self, group: RowGroup) -> tuple[Piece, ...]:
        self.reads.append((group.shard, group.index))
        return super().read(group)


def cutter_of(corpus: Corpus, num_cached: int = 4) -> Cutter:
    return Cutter(corpus, corpus.row_groups("train"), num_cached)


def slow_cut(corpus: Corpus, windows: Windows, row: int) -> bytes:
    """Cut one window step by step, as the rule is written."""
    group = corpus.row_groups("train")[int(windows.groups[row])]
    base, length = int(windows.bases[row]), int(windows.lengths_bp[row])
    for piece in corpus.read(group):
        if base < piece.bases:
            break
        base -= piece.bases
    while base and base + length > len(piece.sequence):
        base -= 1
    bases = piece.sequence[base : base + length]
    if windows.reverse[row]:
        bases = bases[::-1].translate(bytes.maketrans(b"ACGT", b"TGCA"))
    return bases


def test_windows_are_the_bases_their_coordinates_say(world: World, feed: Feed) -> None:
    windows = feed.windows(0, feed.samples_per_epoch)
    cut = cutter_of(world.corpus).cut(windows)
    for row in range(len(windows)):
        assert cut[row] == slow_cut(world.corpus, windows, row)
    assert windows.reverse.any() and not windows.reverse.all()


def test_windows_run_into_the_halo_and_have_the_drawn_length(world: World, feed: Feed) -> None:
    windows = feed.windows(0, feed.samples_per_epoch)
    cut = cutter_of(world.corpus).cut(windows)
    assert [len(bases) for bases in cut] == windows.lengths_bp.tolist()
    crossing = 0
    for row in np.flatnonzero(~windows.reverse).tolist():
        contig = world.genome[f"c{windows.groups[row]}"]
        start = contig.find(cut[row])
        assert start >= 0
        crossing += start // 2_500 != (start + len(cut[row]) - 1) // 2_500
    assert crossing > 0


def test_no_window_leaves_its_split(world: World, feed: Feed) -> None:
    windows = feed.windows(0, feed.samples_per_epoch)
    cut = cutter_of(world.corpus).cut(windows)
    for row in np.flatnonzero((windows.groups == 0) & ~windows.reverse).tolist():
        assert world.genome["c0"].find(cut[row]) + len(cut[row]) <= 6_000


def test_each_group_is_decoded_once_per_epoch(world: World) -> None:
    corpus = WatchedCorpus(world.corpus.path, world.corpus.manifest)
    feed = Feed(world.settings, corpus, world.ensemble, world.tokenizers)
    num_groups = len(corpus.row_groups("train"))
    steps = feed.samples_per_epoch // world.settings.global_batch_sequences
    for step in range(steps):
        feed.step(step, 0, 1, 2)
    assert len(corpus.reads) == num_groups
    assert len(set(corpus.reads)) == num_groups


def test_only_the_groups_of_own_rows_are_read(world: World) -> None:
    corpus = WatchedCorpus(world.corpus.path, world.corpus.manifest)
    feed = Feed(world.settings, corpus, world.ensemble, world.tokenizers)
    (batch,) = feed.step(0, 0, 24, 1)
    assert len(batch.samples) == 1
    assert len(corpus.reads) == 1


def test_order_of_rows_and_size_of_the_cache_do_not_matter(world: World, feed: Feed) -> None:
    windows = feed.windows(100, 60)
    expected = cutter_of(world.corpus).cut(windows)
    back = np.arange(60)[::-1]
    assert cutter_of(world.corpus, 1).cut(windows.take(back))[::-1] == expected


def test_no_windows_cut_to_nothing(world: World, feed: Feed) -> None:
    assert cutter_of(world.corpus).cut(feed.windows(0, 4).take(np.zeros(0, np.int64))) == []


def one_window(length_bp: int, base: int) -> Windows:
    zero = np.zeros(1, dtype=np.int64)
    return Windows(
        samples=zero,
        buffers=zero,
        groups=zero,
        bases=zero + base,
        lengths_bp=zero + length_bp,
        reverse=np.zeros(1, dtype=np.bool_),
        vocabulary=np.zeros(1, dtype=np.int16),
        expected_tokens=np.zeros(1),
    )


@pytest.fixture
def soft_masked(tmp_path: Path) -> Corpus:
    path = write_fasta(tmp_path / "soft.fa", {"s": random_dna(120, 1).lower()})
    source = Source("Soft", "s1", "fasta", LocalFile(str(path)))
    settings = IngestSettings("soft", policy=AlphabetPolicy(soft_mask="keep"), sources=(source,))
    return build_corpus(settings, tmp_path / "corpus", wait_seconds=5)


def test_short_pieces_are_given_whole_and_ends_shift_left(soft_masked: Corpus) -> None:
    letters = random_dna(120, 1)
    assert cutter_of(soft_masked).cut(one_window(300, 60)) == [letters]
    assert cutter_of(soft_masked).cut(one_window(50, 119)) == [letters[70:]]
    assert cutter_of(soft_masked).cut(one_window(50, 7)) == [letters[7:57]]


def test_a_buffer_beyond_memory_is_refused(world: World) -> None:
    huge = [RowGroup("s", i, "train", 1, CACHE_LIMIT_BYTES // 2 + 1) for i in range(3)]
    assert Cutter(world.corpus, huge, 1).cache_bases == CACHE_LIMIT_BYTES // 2 + 1
    with pytest.raises(SpecError, match="buffer_row_groups 2") as caught:
        Cutter(world.corpus, huge, 2)
    assert caught.value.problems[0].where == "sampling.buffer_row_groups"
    assert "lower" in caught.value.problems[0].fix
