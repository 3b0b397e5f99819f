"""What one rank trains on in one micro-batch, and how it crosses a process border."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gfmp.errors import CorruptArtefactError

_MAGIC = b"GFTB"
_FORMAT_VERSION = 1
# magic, version, bytes per id, crc32 of the block with zeros in its place, step, micro, B, T, M
_HEADER = struct.Struct("<4sHHIqiqqq")
# sample, vocabulary, bytes of each part
_DIGEST_HEAD = struct.Struct("<6q")
_CRC, _CRC_BEGIN = struct.Struct("<I"), 8
_PADDED_HEADER_BYTES = -(-_HEADER.size // 8) * 8
_ID_TYPES: dict[int, np.dtype[np.integer]] = {2: np.dtype("<u2"), 4: np.dtype("<i4")}


@dataclass(frozen=True)
class TokenBatch:
    """B sequences laid end to end without padding: T tokens, M of them scored.

    Each sequence is [CLS] [PROMPT] tokens [SEP].

    Attributes:
        step: Optimiser step.
        micro: Micro-batch of the rank in that step.
        ids: Ensemble ids after masking, uint16 where the ensemble fits, else int32; shape (T,).
        cu_seqlens: Sequence b holds ids[cu_seqlens[b]:cu_seqlens[b + 1]]; shape (B+1,).
        vocabulary: Index of each sequence's vocabulary in the ensemble, shape (B,).
        positions: Flat positions in `ids` that are scored, ascending, shape (M,).
        labels: True ensemble ids there, of the type of `ids`, shape (M,).
        samples: Global sample index of each sequence, shape (B,).
        digests: 64-bit digest of each sequence (see `row_digest`), shape (B,).
    """

    step: int
    micro: int
    ids: NDArray[np.integer]
    cu_seqlens: NDArray[np.int32]
    vocabulary: NDArray[np.int16]
    positions: NDArray[np.int32]
    labels: NDArray[np.integer]
    samples: NDArray[np.int64]
    digests: NDArray[np.uint64]

    @property
    def num_tokens(self) -> int:
        """Tokens T, special tokens included."""
        return len(self.ids)

    @property
    def num_targets(self) -> int:
        """Scored tokens M."""
        return len(self.positions)

    @property
    def order_digest(self) -> int:
        """Sum of the digests modulo 2**64; sums of a global batch's parts add up to its own."""
        total: int = sum(self.digests.tolist())
        return total % 2**64

    def to_bytes(self) -> bytes:
        """Return the batch as one block: a checked header and the raw arrays, largest items first.

        No pickle: reading it runs no code.
        """
        width = self.ids.dtype.itemsize
        body = b"".join(
            array.astype(dtype, copy=False).tobytes()
            for array, dtype in zip(self._arrays(), _dtypes(width), strict=True)
        )
        sizes = (len(self.samples), self.num_tokens, self.num_targets)
        header = _HEADER.pack(
            _MAGIC, _FORMAT_VERSION, width, 0, self.step, self.micro, *sizes
        ).ljust(_PADDED_HEADER_BYTES, b"\0")
        crc = _CRC.pack(zlib.crc32(body, zlib.crc32(header)))
        return b"".join((header[:_CRC_BEGIN], crc, header[_CRC_BEGIN + _CRC.size :], body))

    @classmethod
    def from_bytes(cls, data: bytes) -> TokenBatch:
        """Rebuild a batch written by `to_bytes`; its arrays are read-only views of `data`.

        Raises:
            CorruptArtefactError: the block is cut, changed or of another version.
        """
        width, step, micro, (num_rows, num_tokens, num_targets) = _read_header(data)
        counts = (
            num_rows,
            num_rows,
            num_rows + 1,
            num_targets,
            num_tokens,
            num_targets,
            num_rows,
        )
        arrays: list[NDArray[np.generic]] = []
        start = _PADDED_HEADER_BYTES
        for count, dtype in zip(counts, _dtypes(width), strict=True):
            arrays.append(np.frombuffer(data, dtype=dtype, count=count, offset=start))
            start += count * dtype.itemsize
        samples, digests, cu_seqlens, positions, ids, labels, vocabulary = arrays
        return cls(
            step=step,
            micro=micro,
            ids=ids.view(_ID_TYPES[width]),
            cu_seqlens=cu_seqlens.view(np.int32),
            vocabulary=vocabulary.view(np.int16),
            positions=positions.view(np.int32),
            labels=labels.view(_ID_TYPES[width]),
            samples=samples.view(np.int64),
            digests=digests.view(np.uint64),
        )

    def _arrays(self) -> tuple[NDArray[np.generic], ...]:
        return (
            self.samples,
            self.digests,
            self.cu_seqlens,
            self.positions,
            self.ids,
            self.labels,
            self.vocabulary,
        )


class RowTokens(NamedTuple):
    """The tokens of one row as they enter its digest, little-endian.

    A tuple, for one is made for every row of every step.

    Attributes:
        true_ids: Ensemble ids before masking, L of them.
        seen_ids: The same after masking, L of them.
        targets: Scored positions in the row, m of them.
        labels: True ids there, m of them.
    """

    true_ids: bytes | memoryview
    seen_ids: bytes | memoryview
    targets: bytes | memoryview
    labels: bytes | memoryview


def row_digest(sample: int, vocabulary: int, tokens: RowTokens) -> bytes:
    """Return 64 bits of BLAKE2b over what the model is shown and asked of one row.

    Args:
        sample: Global sample index.
        vocabulary: Index of the vocabulary in the ensemble.
        tokens: Bytes of the arrays; their lengths are digested with them.
    """
    digest = blake2b(_DIGEST_HEAD.pack(sample, vocabulary, *map(len, tokens)), digest_size=8)
    for part in tokens:
        digest.update(part)
    return digest.digest()


def _dtypes(width: int) -> tuple[np.dtype[np.generic], ...]:
    identifier = _ID_TYPES[width]
    wide, narrow = np.dtype("<i4"), np.dtype("<i2")
    return (
        np.dtype("<i8"),
        np.dtype("<u8"),
        wide,
        wide,
        identifier,
        identifier,
        narrow,
    )


def _read_header(data: bytes) -> tuple[int, int, int, tuple[int, int, int]]:
    if len(data) < _PADDED_HEADER_BYTES:
        raise _damaged(f"a token batch of {len(data)} bytes", "it has a header")
    magic, version, width, crc, step, micro, *sizes = _HEADER.unpack_from(data)
    if magic != _MAGIC or version != _FORMAT_VERSION or width not in _ID_TYPES:
        raise _damaged(
            f"a token batch starts with {magic!r} and has version {version}",
            f"this gfmp reads {_MAGIC!r}, version {_FORMAT_VERSION}",
        )
    rest = memoryview(data)[_CRC_BEGIN + _CRC.size :]
    if zlib.crc32(rest, zlib.crc32(data[:_CRC_BEGIN] + bytes(_CRC.size))) != crc:
        raise _damaged(f"a token batch of step {step} was changed or cut", "its CRC-32 matches")
    num_rows, num_tokens, num_targets = sizes
    return width, step, micro, (num_rows, num_tokens, num_targets)


def _damaged(message: str, rule: str) -> CorruptArtefactError:
    return CorruptArtefactError(
        message, why=rule, fix="build the batch again with the same gfmp version on both sides"
    )
