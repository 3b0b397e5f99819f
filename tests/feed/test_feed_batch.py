from __future__ import annotations

import struct
from dataclasses import fields, replace

import numpy as np
import pytest
from feed_world import World

from gfmp.errors import CorruptArtefactError
from gfmp.feed.batch import RowTokens, TokenBatch, row_digest
from gfmp.feed.feed import Feed


@pytest.fixture(scope="module")
def batch(feed: Feed) -> TokenBatch:
    return feed.step(3, 1, 2, 2)[1]


def assert_equal(left: TokenBatch, right: TokenBatch) -> None:
    """Compare every field: numbers, values and types of arrays."""
    for field in fields(TokenBatch):
        first, second = vars(left)[field.name], vars(right)[field.name]
        if isinstance(first, np.ndarray):
            assert first.dtype == second.dtype, field.name
            assert np.array_equal(first, second), field.name
        else:
            assert first == second, field.name


def test_a_batch_survives_the_journey(batch: TokenBatch) -> None:
    data = batch.to_bytes()
    assert_equal(TokenBatch.from_bytes(data), batch)
    assert TokenBatch.from_bytes(data).to_bytes() == data
    assert (batch.step, batch.micro) == (3, 1)


def test_wide_ids_survive_too(batch: TokenBatch) -> None:
    wide = replace(
        batch, ids=batch.ids.astype(np.int32) + 70_000, labels=batch.labels.astype(np.int32)
    )
    assert_equal(TokenBatch.from_bytes(wide.to_bytes()), wide)


def test_a_batch_without_targets_survives(batch: TokenBatch) -> None:
    bare = replace(batch, positions=batch.positions[:0], labels=batch.labels[:0])
    assert_equal(TokenBatch.from_bytes(bare.to_bytes()), bare)
    assert bare.num_targets == 0


def test_it_is_hardly_larger_than_its_arrays(batch: TokenBatch) -> None:
    arrays = sum(v.nbytes for v in vars(batch).values() if isinstance(v, np.ndarray))
    assert len(batch.to_bytes()) <= arrays + 64


@pytest.mark.parametrize("place", [0, 4, 6, 9, 13, 21, 25, 33, 41, 60, 200, -1])
def test_a_changed_byte_is_noticed(batch: TokenBatch, place: int) -> None:
    data = bytearray(batch.to_bytes())
    data[place] ^= 0x40
    with pytest.raises(CorruptArtefactError) as caught:
        TokenBatch.from_bytes(bytes(data))
    assert "build the batch again" in caught.value.problems[0].fix


@pytest.mark.parametrize("length", [0, 10, 63, 300])
def test_a_cut_block_is_noticed(batch: TokenBatch, length: int) -> None:
    with pytest.raises(CorruptArtefactError):
        TokenBatch.from_bytes(batch.to_bytes()[:length])


def test_another_version_is_refused(batch: TokenBatch) -> None:
    data = bytearray(batch.to_bytes())
    struct.pack_into("<H", data, 4, 2)
    with pytest.raises(CorruptArtefactError, match="version 2"):
        TokenBatch.from_bytes(bytes(data))


def test_views_are_read_only(batch: TokenBatch) -> None:
    copy = TokenBatch.from_bytes(batch.to_bytes())
    with pytest.raises(ValueError, match="read-only"):
        copy.ids[0] = 1


def test_the_digest_sees_every_part() -> None:
    base = RowTokens(b"aaaabbbb", b"aaaacccc", b"tttt", b"llll")
    rows = [
        row_digest(1, 0, base),
        row_digest(2, 0, base),
        row_digest(1, 1, base),
        row_digest(1, 0, base._replace(true_ids=b"aaaabbbx")),
        row_digest(1, 0, base._replace(seen_ids=b"aaaacccx")),
        row_digest(1, 0, base._replace(targets=b"tttx")),
        row_digest(1, 0, base._replace(labels=b"lllx")),
        row_digest(1, 0, base._replace(targets=b"", labels=b"ttttllll")),
    ]
    assert len(set(rows)) == len(rows)
    assert row_digest(1, 0, base) == rows[0]
    assert all(len(digest) == 8 for digest in rows)


def test_digests_differ_within_and_between_steps(world: World, feed: Feed) -> None:
    seen = [d for s in range(6) for d in feed.step(s, 0, 1, 1)[0].digests.tolist()]
    assert len(set(seen)) == len(seen) == 6 * world.settings.global_batch_sequences


def test_order_digests_add_up_as_plain_numbers(feed: Feed) -> None:
    (whole,) = feed.step(1, 0, 1, 1)
    parts = feed.step(1, 0, 1, 3)
    assert whole.order_digest == sum(whole.digests.tolist()) % 2**64
    assert sum(part.order_digest for part in parts) % 2**64 == whole.order_digest
