"""Compressed streams: bombs, cuts and foreign tails."""

from __future__ import annotations

import gzip
import io
import random
import time
import zlib

import pytest
from genome_samples import contigs, fasta_text, random_dna, stream

from gfmp.errors import DataError
from gfmp.genome.blocks import BLOCK_BYTES
from gfmp.genome.fasta import read_fasta
from gfmp.genome.inflate import RATIO_FREE_BYTES, chunks


def test_chunks_are_bounded_and_complete() -> None:
    data = random.Random(1).randbytes(3 * BLOCK_BYTES + 17)
    for packed in (data, gzip.compress(data, 1)):
        parts = list(chunks(stream(packed), "x"))
        assert b"".join(parts) == data
        assert max(map(len, parts)) <= BLOCK_BYTES


def test_genuine_runs_of_n_are_no_bomb() -> None:
    packed = gzip.compress(b"N" * (RATIO_FREE_BYTES // 2))
    assert sum(map(len, chunks(stream(packed), "x"))) == RATIO_FREE_BYTES // 2


def test_a_bomb_is_refused_at_the_ratio_cap() -> None:
    packer = zlib.compressobj(9, wbits=31)
    parts = [packer.compress(b">bomb\n")]
    parts += [packer.compress(b"A" * BLOCK_BYTES) for _ in range(80)]
    bomb = b"".join([*parts, packer.flush()])
    assert len(bomb) < BLOCK_BYTES
    num_read = 0
    with pytest.raises(DataError, match="inflate to more than") as caught:
        for block in read_fasta(stream(bomb), "bomb.fa.gz"):
            num_read += len(block.bases)
    assert num_read <= RATIO_FREE_BYTES + BLOCK_BYTES
    assert "compression bomb" in caught.value.problems[0].why


@pytest.mark.parametrize("cut", [1, 9, 5_000, 12_000])
def test_a_cut_names_offset_and_last_complete_record(cut: int) -> None:
    data = fasta_text([("first", random_dna(20_000, 1)), ("second", random_dna(40_000, 2))])
    packed = gzip.compress(data)[:-cut]
    with pytest.raises(DataError, match=f"ends early, after {len(packed):,} bytes") as caught:
        contigs(read_fasta(stream(packed), "cut.fa.gz"))
    assert caught.value.problems[0].why == "the last complete record is 'first'"


def test_a_cut_in_the_first_record_says_that_none_is_complete() -> None:
    packed = gzip.compress(fasta_text([("only", random_dna(40_000, 2))]))[:-5_000]
    with pytest.raises(DataError) as caught:
        contigs(read_fasta(stream(packed), "cut.fa.gz"))
    assert caught.value.problems[0].why == "no record is complete"


def test_every_flipped_bit_is_noticed() -> None:
    packed = gzip.compress(fasta_text([("a", random_dna(5_000, 3)), ("b", random_dna(5_000, 4))]))
    rng = random.Random(7)
    for _ in range(20):
        damaged = bytearray(packed)
        # Bytes before 10 are the header: name, time and system are not content.
        damaged[rng.randrange(10, len(damaged))] ^= 1 << rng.randrange(8)
        with pytest.raises(DataError):
            contigs(read_fasta(stream(bytes(damaged)), "flip.fa.gz"))


def test_a_foreign_tail_is_refused() -> None:
    packed = gzip.compress(b">a\nACGT\n")
    for tail in (b"trailing text", b"\0\0x", b"\x1f"):
        with pytest.raises(DataError, match="not gzip"):
            contigs(read_fasta(stream(packed + tail), "x.fa.gz"))


def test_many_tiny_members_cost_no_more_than_their_bytes() -> None:
    data = gzip.compress(b">a\nACGT\n") + gzip.compress(b"ACGT\n") * 40_000
    began = time.process_time()
    assert len(contigs(read_fasta(stream(data), "tiny.fa.gz"))["a"]) == 4 * 40_001
    assert time.process_time() - began < 5  # the square of the bytes would be minutes


def test_zero_padding_is_fine() -> None:
    packed = gzip.compress(b">a\nACGT\n") + b"\0" * (BLOCK_BYTES + 5)
    assert contigs(read_fasta(io.BytesIO(packed), "x.fa.gz")) == {"a": "ACGT"}
