from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from feed_world import KMER, World, build_small_corpus, first_micro_batch

from gfmp.errors import CorruptArtefactError, DataError, UsageError
from gfmp.feed.batch import TokenBatch
from gfmp.feed.feed import Feed
from gfmp.genome.corpus import Corpus
from gfmp.genome.ingest import Job, build_corpus
from gfmp.genome.reports import SourceReport
from gfmp.genome.sources import IngestSettings, LocalFile, Region, Source
from gfmp.spec.pretrain import Masking
from gfmp.vocabulary.vocabulary import CLS, FIRST_WORD, PAD, SEP


def batches(feed: Feed, step: int, world: int, accumulation: int) -> list[TokenBatch]:
    """Return every micro-batch of every rank."""
    return [b for r in range(world) for b in feed.step(step, r, world, accumulation)]


def rows_of(found: Iterable[TokenBatch]) -> dict[int, tuple[object, ...]]:
    """Return what each sample holds: digest, vocabulary, tokens, targets and labels."""
    rows = {}
    for batch in found:
        for b, sample in enumerate(batch.samples.tolist()):
            begin, end = batch.cu_seqlens[b : b + 2].tolist()
            inside = (batch.positions >= begin) & (batch.positions < end)
            rows[sample] = (
                int(batch.digests[b]),
                int(batch.vocabulary[b]),
                batch.ids[begin:end].tolist(),
                (batch.positions[inside] - begin).tolist(),
                batch.labels[inside].tolist(),
            )
    return rows


@pytest.mark.parametrize("world_size", [1, 2, 4])
@pytest.mark.parametrize("accumulation", [1, 2, 3])
def test_the_global_batch_is_the_same_for_any_world(
    feed: Feed, world_size: int, accumulation: int
) -> None:
    for step in (0, 5, 11):
        expected = feed.step(step, 0, 1, 1)[0]
        found = batches(feed, step, world_size, accumulation)
        assert len(found) == world_size * accumulation
        assert [b.micro for b in found] == list(range(accumulation)) * world_size
        assert all(b.step == step and len(b.samples) for b in found)
        assert sum(len(b.samples) for b in found) == len(expected.samples)
        assert rows_of(found) == rows_of([expected])
        assert sum(b.order_digest for b in found) % 2**64 == expected.order_digest


def test_any_step_can_be_taken_up_by_a_new_process(world: World, feed: Feed) -> None:
    walked = [feed.step(step, 1, 2, 2) for step in range(9)]
    again = replace(world, corpus=Corpus.open(world.corpus.path)).feed().step(8, 1, 2, 2)
    assert [b.to_bytes() for b in again] == [b.to_bytes() for b in walked[8]]


def test_two_feeds_side_by_side_do_not_disturb_each_other(world: World) -> None:
    first, second = world.feed(), world.feed()
    forward = [first.step(s, 0, 2, 1)[0].to_bytes() for s in (0, 7, 1)]
    backward = [second.step(s, 0, 2, 1)[0].to_bytes() for s in (1, 7, 0)]
    assert forward == backward[::-1]


def test_steps_hold_consecutive_samples_across_epochs(world: World, feed: Feed) -> None:
    size = world.settings.global_batch_sequences
    assert feed.samples_per_epoch % size != 0
    for step in (0, 1, feed.samples_per_epoch // size, 3 * feed.samples_per_epoch // size):
        samples = np.sort(np.concatenate([b.samples for b in batches(feed, step, 2, 2)]))
        assert samples.tolist() == list(range(step * size, (step + 1) * size))


def test_a_batch_may_be_larger_than_an_epoch(world: World) -> None:
    feed = world.feed(global_batch_sequences=300)
    assert feed.samples_per_epoch < 300
    (batch,) = feed.step(0, 0, 1, 1)
    assert len(np.unique(batch.digests)) == 300


def test_epochs_differ(world: World, feed: Feed) -> None:
    size = feed.samples_per_epoch
    whole = world.feed(global_batch_sequences=size)
    first, second = (rows_of(whole.step(epoch, 0, 1, 1)) for epoch in (0, 1))
    texts = [{tuple(row[2]) for row in rows.values()} for rows in (first, second)]
    assert not texts[0] & texts[1]


def test_seeds_differ(world: World, feed: Feed) -> None:
    other = world.feed(seed=8)
    assert rows_of(other.step(0, 0, 1, 1)) != rows_of(feed.step(0, 0, 1, 1))


def test_rows_are_packed_without_padding(world: World, feed: Feed) -> None:
    for batch in batches(feed, 2, 2, 3):
        begins, ends = batch.cu_seqlens[:-1], batch.cu_seqlens[1:]
        assert batch.cu_seqlens[0] == 0 and batch.cu_seqlens[-1] == batch.num_tokens
        assert np.all(ends - begins <= world.settings.max_tokens)
        assert PAD not in batch.ids
        assert np.all(batch.ids[begins] == CLS) and np.all(batch.ids[ends - 1] == SEP)
        prompts = [world.ensemble.prompt(int(v)) for v in batch.vocabulary]
        assert batch.ids[begins + 1].tolist() == prompts
        assert np.all(np.diff(batch.positions) > 0)
        assert not np.isin(batch.positions, [begins, begins + 1, ends - 1]).any()
        assert batch.labels.min() >= FIRST_WORD + len(world.ensemble.vocabularies)
        assert batch.num_targets == len(batch.labels)


def test_types_are_the_small_ones(feed: Feed) -> None:
    batch = feed.step(0, 0, 1, 1)[0]
    types = [v.dtype.name for v in vars(batch).values() if isinstance(v, np.ndarray)]
    assert types == ["uint16", "int32", "int16", "int32", "uint16", "int64", "uint64"]


def test_the_masked_share_is_the_fraction(world: World) -> None:
    feed = world.feed(global_batch_sequences=2_000)
    (batch,) = feed.step(0, 0, 1, 1)
    share = batch.num_targets / (batch.num_tokens - 3 * 2_000)
    assert share == pytest.approx(0.15, abs=0.01)


def test_the_centres_law_reaches_the_batch(world: World) -> None:
    feed = world.feed(
        global_batch_sequences=1_000,
        weights=(1.0, 0.0),
        masking=Masking(law="centres"),
    )
    (batch,) = feed.step(0, 0, 1, 1)
    assert np.all(batch.vocabulary == KMER)
    share = batch.num_targets / (batch.num_tokens - 3 * 1_000)
    assert share == pytest.approx(0.298, abs=0.015)


def test_ranks_carry_alike_loads(world: World) -> None:
    feed = world.feed(global_batch_sequences=128)
    for step in range(3):
        loads = [sum(b.num_tokens for b in feed.step(step, r, 4, 2)) for r in range(4)]
        assert max(loads) / min(loads) < 1.05


def test_a_batch_too_small_for_the_world_is_refused(feed: Feed) -> None:
    with pytest.raises(UsageError, match="24 sequences for 5 ranks x 5"):
        feed.step(0, 0, 5, 5)


def test_steps_below_zero_are_refused(feed: Feed) -> None:
    with pytest.raises(UsageError, match="step -1"):
        feed.step(-1, 0, 1, 1)


def test_a_corpus_without_train_pieces_is_refused(world: World) -> None:
    manifest = replace(
        world.corpus.manifest,
        shards=tuple(s for s in world.corpus.manifest.shards if s.split == "valid"),
    )
    with pytest.raises(DataError, match="split 'train'"):
        replace(world, corpus=Corpus(world.corpus.path, manifest)).feed()


def backwards(function: Callable[[Job], SourceReport], jobs: Sequence[Job]) -> list[SourceReport]:
    """Ingest the last source first, as busy workers might."""
    return [function(job) for job in reversed(jobs)]


def test_the_stream_does_not_depend_on_who_ingested(world: World, tmp_path: Path) -> None:
    genome = dict(list(world.genome.items())[:4])
    forward = build_small_corpus(tmp_path, genome)
    sources = tuple(
        Source(
            f"Testus {name}",
            "t1",
            "fasta",
            LocalFile(str(tmp_path / f"{name}.fa")),
            valid=(Region(name, len(bases) - 3_000),) if i < 2 else (),
        )
        for i, (name, bases) in enumerate(genome.items())
    )
    settings = IngestSettings("small", sources=sources, piece_bp=2_500, halo_bp=600)
    other = build_corpus(settings, tmp_path / "again" / "corpus", run=backwards, wait_seconds=5)
    streams = [
        [b.to_bytes() for b in replace(world, corpus=corpus).feed().step(1, 0, 1, 2)]
        for corpus in (forward, other)
    ]
    assert streams[0] == streams[1]


def test_damage_on_disk_is_an_error_not_a_token(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    shutil.copytree(world.corpus.path, folder)
    for shard in (folder / "shards").glob("train-*.parquet"):
        data = bytearray(shard.read_bytes())
        data[len(data) // 3] ^= 0xFF
        shard.write_bytes(bytes(data))
    with pytest.raises(CorruptArtefactError, match="row group 0"):
        replace(world, corpus=Corpus.open(folder)).feed().step(0, 0, 1, 1)


def test_every_process_may_open_its_own(world: World) -> None:
    feed = world.feed()
    expected = [b.to_bytes() for rank in (0, 1) for b in feed.step(4, rank, 2, 1)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        found = list(pool.map(first_micro_batch, [world] * 2, [4] * 2, [0, 1], [2] * 2))
    assert found == expected
