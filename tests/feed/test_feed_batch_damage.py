"""Token batches as blocks of bytes: any batch comes back, no damaged block does."""

from __future__ import annotations

import struct
import zlib
from dataclasses import fields

import numpy as np
import pytest
from feed_world import World
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.errors import CorruptArtefactError
from gfmp.feed.batch import TokenBatch
from gfmp.feed.feed import Feed

# Offset and struct code of each field of the header.
HEADER = {
    "magic": (0, "4s"),
    "version": (4, "H"),
    "width": (6, "H"),
    "crc": (8, "I"),
    "step": (12, "q"),
    "micro": (20, "i"),
    "sequences": (24, "q"),
    "tokens": (32, "q"),
    "targets": (40, "q"),
}
HEADER_BYTES = 48


@st.composite
def batches(draw: st.DrawFn) -> TokenBatch:
    """Any batch: lengths of its sequences, ids of either width, targets anywhere."""
    lengths = draw(st.lists(st.integers(0, 9), max_size=5))
    dtype, highest = draw(st.sampled_from([(np.uint16, 2**16 - 1), (np.int32, 2**31 - 1)]))
    size = sum(lengths)
    ids = draw(st.lists(st.integers(0, highest), min_size=size, max_size=size))
    places = sorted(draw(st.sets(st.integers(0, max(0, size - 1)), max_size=size)))
    labels = [ids[place] for place in places]
    words = st.lists(st.integers(0, 2**63 - 1), min_size=len(lengths), max_size=len(lengths))
    return TokenBatch(
        step=draw(st.integers(0, 2**63 - 1)),
        micro=draw(st.integers(0, 2**31 - 1)),
        ids=np.array(ids, dtype=dtype),
        cu_seqlens=np.cumsum([0, *lengths], dtype=np.int32),
        vocabulary=np.array([i % 3 for i in range(len(lengths))], dtype=np.int16),
        positions=np.array(places, dtype=np.int32),
        labels=np.array(labels, dtype=dtype),
        samples=np.array(draw(words), dtype=np.int64),
        digests=np.array(draw(words), dtype=np.uint64) * np.uint64(2),
    )


@pytest.fixture(scope="module")
def block(feed: Feed) -> bytes:
    return feed.step(2, 0, 4, 2)[0].to_bytes()


@given(batches())
@settings(deadline=None, max_examples=60)
def test_any_batch_comes_back(batch: TokenBatch) -> None:
    data = batch.to_bytes()
    again = TokenBatch.from_bytes(data)
    for field in fields(TokenBatch):
        mine, theirs = vars(batch)[field.name], vars(again)[field.name]
        assert np.array_equal(mine, theirs), field.name
        assert np.asarray(mine).dtype == np.asarray(theirs).dtype, field.name
    assert again.to_bytes() == data
    assert again.order_digest == sum(int(d) for d in batch.digests) % 2**64
    assert TokenBatch.from_bytes(memoryview(data).tobytes()).num_targets == batch.num_targets


def test_the_header_is_laid_out_as_documented(block: bytes) -> None:
    batch = TokenBatch.from_bytes(block)
    found = {
        name: struct.unpack_from(f"<{code}", block, at)[0] for name, (at, code) in HEADER.items()
    }
    assert found["magic"] == b"GFTB" and found["version"] == 1
    assert (found["width"], found["step"], found["micro"]) == (2, 2, 0)
    sizes = (len(batch.samples), batch.num_tokens, batch.num_targets)
    assert (found["sequences"], found["tokens"], found["targets"]) == sizes
    zeroed = block[:8] + bytes(4) + block[12:]
    assert found["crc"] == zlib.crc32(zeroed)


@pytest.mark.parametrize("name", HEADER)
def test_every_bit_of_every_header_field_is_guarded(block: bytes, name: str) -> None:
    at, code = HEADER[name]
    for bit in range(8 * struct.calcsize(f"<{code}")):
        data = bytearray(block)
        data[at + bit // 8] ^= 1 << bit % 8
        with pytest.raises(CorruptArtefactError) as caught:
            TokenBatch.from_bytes(bytes(data))
        problem = caught.value.problems[0]
        assert problem.why and "build the batch again" in problem.fix


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("magic", b"GFTC", "starts with b'GFTC'"),
        ("version", 0, "has version 0"),
        ("version", 2, "has version 2"),
        ("width", 3, "a token batch starts with"),
        ("width", 0, "a token batch starts with"),
        ("step", 99, "of step 99 was changed or cut"),
        ("tokens", 2**40, "was changed or cut"),
        ("targets", -1, "was changed or cut"),
    ],
)
def test_another_value_in_the_header_is_named(
    block: bytes, name: str, value: object, message: str
) -> None:
    at, code = HEADER[name]
    data = bytearray(block)
    struct.pack_into(f"<{code}", data, at, value)
    with pytest.raises(CorruptArtefactError, match=message):
        TokenBatch.from_bytes(bytes(data))


@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_no_cut_longer_or_flipped_block_is_read(block: bytes, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(block) - 1))
    tail = data.draw(st.binary(min_size=1, max_size=9))
    flipped = bytearray(block)
    flipped[data.draw(st.integers(0, len(block) - 1))] ^= data.draw(st.integers(1, 255))
    for damaged in (block[:cut], block + tail, bytes(flipped), tail + block):
        with pytest.raises(CorruptArtefactError):
            TokenBatch.from_bytes(damaged)


@given(st.binary(max_size=120))
@settings(deadline=None, max_examples=60)
def test_foreign_bytes_are_no_batch(data: bytes) -> None:
    for foreign in (data, b"GFTB" + data, b"GFTB\x01\x00\x02\x00" + data):
        with pytest.raises(CorruptArtefactError):
            TokenBatch.from_bytes(foreign)


def test_two_blocks_are_not_one(block: bytes) -> None:
    with pytest.raises(CorruptArtefactError, match="changed or cut"):
        TokenBatch.from_bytes(block + block)
    swapped = block[:HEADER_BYTES] + block[HEADER_BYTES:][::-1]
    with pytest.raises(CorruptArtefactError, match="changed or cut"):
        TokenBatch.from_bytes(swapped)


@pytest.mark.parametrize("accumulation", [1, 2, 3, 8])
def test_micro_batches_join_to_the_rank(world: World, feed: Feed, accumulation: int) -> None:
    parts = feed.step(4, 1, 2, accumulation)
    (whole,) = feed.step(4, 1, 2, 1)
    assert [part.micro for part in parts] == list(range(accumulation))
    assert sum(part.num_tokens for part in parts) == whole.num_tokens
    assert sum(part.num_targets for part in parts) == whole.num_targets
    joined = np.concatenate([part.samples for part in parts])
    assert sorted(joined) == sorted(whole.samples)
    for part in parts:
        assert part.cu_seqlens[0] == 0 and part.cu_seqlens[-1] == part.num_tokens
        assert np.all((part.positions >= 0) & (part.positions < part.num_tokens))
        assert len(part.digests) == len(part.vocabulary) == len(part.samples)
    total = sum(part.order_digest for part in parts) % 2**64
    assert total == whole.order_digest
