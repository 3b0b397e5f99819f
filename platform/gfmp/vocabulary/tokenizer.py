"""The verb of a vocabulary: batches of bytes to local ids with offsets, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from gfmp.errors import DataError, VocabularyError
from gfmp.vocabulary.vocabulary import BASES, CLS, FIRST_WORD, PAD, SEP, Vocabulary

OTHER_CODE = 4
UNKNOWN_LETTER = b"N"


def _code_table() -> bytes:
    table = bytearray([OTHER_CODE]) * 256
    for code, base in enumerate(BASES):
        table[ord(base)] = table[ord(base.lower())] = code
    return bytes(table)


_CODES = _code_table()
_LETTERS = _CODES.translate(BASES.encode("ascii") + UNKNOWN_LETTER + bytes(251))


@dataclass(frozen=True)
class Encoded:
    """The tokens of B sequences, one after another.

    Attributes:
        ids: Local ids, int32, shape (T,).
        starts: First base of each token in its own sequence, 0-based, int32, shape (T,).
        ends: One past the last base (half-open), int32, shape (T,).
        cu_tokens: Sequence b holds the tokens cu_tokens[b]:cu_tokens[b + 1]; int64, shape (B+1,).
    """

    ids: NDArray[np.int32]
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]
    cu_tokens: NDArray[np.int64]

    @property
    def num_sequences(self) -> int:
        """Number of sequences B."""
        return len(self.cu_tokens) - 1

    @property
    def rows(self) -> NDArray[np.int64]:
        """Which sequence each token belongs to, shape (T,)."""
        return np.repeat(np.arange(self.num_sequences), np.diff(self.cu_tokens))


@dataclass(frozen=True)
class TokenIds:
    """The ids of B sequences, one after another, without the places of their tokens.

    Attributes:
        ids: Ids of the caller's table, of its type, shape (T,).
        cu_tokens: Sequence b holds the tokens cu_tokens[b]:cu_tokens[b + 1]; int64, shape (B+1,).
    """

    ids: NDArray[np.integer]
    cu_tokens: NDArray[np.int64]


class Tokenizer(Protocol):
    """Encodes and decodes for one vocabulary; holds no state that a call changes."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The vocabulary whose local ids it speaks."""
        ...

    def encode(self, sequences: Sequence[bytes]) -> Encoded:
        """Encode sequences to local ids with offsets.

        Lower case reads as upper case. Any letter but ACGT becomes [UNK] (with overlapping
        tokens: every window that contains it) and keeps its offsets; no text can produce
        another special.

        Raises:
            DataError: a sequence is shorter than `vocabulary.shortest_bp`.
        """
        ...

    def decode(self, ids: NDArray[np.int32]) -> bytes:
        """Return the upper-case bases of the tokens of one sequence; N where they are unknown.

        [PAD], [CLS] and [SEP] stand for nothing. `decode(encode(s)) == s` for ACGT text.

        Raises:
            VocabularyError: an id is not one of the vocabulary's.
        """
        ...


@runtime_checkable
class IdsTokenizer(Protocol):
    """A tokenizer that also encodes without the places of tokens, for those who want ids only."""

    def encode_ids(self, sequences: Sequence[bytes], table: NDArray[np.integer]) -> TokenIds:
        """Encode sequences to the ids a table gives local ids; see `encode_ids`."""
        ...


def encode_ids(
    tokenizer: Tokenizer, sequences: Sequence[bytes], table: NDArray[np.integer]
) -> TokenIds:
    """Encode sequences to ids of the caller: `table[tokenizer.encode(sequences).ids]`.

    Args:
        tokenizer: Where it is an `IdsTokenizer` it does so itself, several times faster.
        sequences: Bases.
        table: Id of each local id, shape (vocabulary.size,).

    Raises:
        DataError: a sequence is shorter than `vocabulary.shortest_bp`.
    """
    if isinstance(tokenizer, IdsTokenizer):
        return tokenizer.encode_ids(sequences, table)
    encoded = tokenizer.encode(sequences)
    return TokenIds(table[encoded.ids], encoded.cu_tokens)


@dataclass(frozen=True)
class Packed:
    """B sequences laid end to end as base codes.

    Attributes:
        codes: A C G T as 0..3, anything else 4; uint8, shape (total bases,).
        offsets: Sequence b holds codes[offsets[b]:offsets[b + 1]]; int64, shape (B+1,).
    """

    codes: NDArray[np.uint8]
    offsets: NDArray[np.int64]


def pack(sequences: Sequence[bytes], shortest_bp: int) -> Packed:
    """Join sequences into one array of base codes, case folded.

    Raises:
        DataError: a sequence is shorter than `shortest_bp`.
    """
    offsets = offsets_of(sequences, shortest_bp)
    # Bytearrays, for compiled functions take arrays that could be written.
    joined = bytearray().join(sequences).translate(_CODES)
    return Packed(np.frombuffer(joined, dtype=np.uint8), offsets)


def offsets_of(sequences: Sequence[bytes], shortest_bp: int) -> NDArray[np.int64]:
    """Return where each of B sequences begins, and the last ends, laid end to end; shape (B+1,).

    Raises:
        DataError: a sequence is shorter than `shortest_bp`.
    """
    lengths = np.fromiter(map(len, sequences), dtype=np.int64, count=len(sequences))
    if lengths.size and lengths.min() < shortest_bp:
        i = int(lengths.argmin())
        raise DataError(
            f"a sequence has {lengths[i]} bases",
            where=f"sequence {i} of {len(sequences)}",
            why=f"this vocabulary encodes sequences of at least {shortest_bp} bases",
            fix="drop such sequences, or choose a vocabulary of shorter words",
        )
    return np.concatenate(([0], np.cumsum(lengths)))


def upper_dna(sequence: bytes) -> str:
    """Return text in which every letter is one of A, C, G, T and N (N for all others)."""
    return sequence.translate(_LETTERS).decode("ascii")


def speaking_ids(vocabulary: Vocabulary, ids: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return `ids` without [PAD], [CLS] and [SEP], checked against the vocabulary.

    Raises:
        VocabularyError: an id is negative or not below `vocabulary.size`.
    """
    outside = (ids < 0) | (ids >= vocabulary.size)
    if outside.any():
        raise VocabularyError(
            f"{int(ids[outside][0])} is not an id of {vocabulary.name!r}",
            where=f"token {int(np.flatnonzero(outside)[0])}",
            why=f"its local ids are 0 to {vocabulary.size - 1}",
            fix="decode ids with the vocabulary that encoded them, after mapping them back",
        )
    return ids[~np.isin(ids, (PAD, CLS, SEP))]


def join_words(vocabulary: Vocabulary, ids: NDArray[np.int32]) -> bytes:
    """Decode tokens that do not overlap: their words one after another, N for [UNK] and [MASK]."""
    return "".join(
        vocabulary.words[i - FIRST_WORD] if i >= FIRST_WORD else "N"
        for i in speaking_ids(vocabulary, ids).tolist()
    ).encode("ascii")


def tiled(ids: NDArray[np.int32], packed: Packed, vocabulary: Vocabulary) -> Encoded:
    """Give offsets to tokens that tile their sequences without overlap.

    Args:
        ids: Local ids of all sequences, in order, shape (T,).
        packed: The sequences they were made from.
        vocabulary: Tells how many bases each id stands for.
    """
    flat_ends = np.cumsum(vocabulary.token_bp[ids], dtype=np.int64)
    flat_starts = flat_ends - vocabulary.token_bp[ids]
    total = int(flat_ends[-1]) if flat_ends.size else 0
    assert total == packed.offsets[-1], "tokens tile the sequences"
    cu_tokens = np.searchsorted(flat_starts, packed.offsets).astype(np.int64)
    origin = np.repeat(packed.offsets[:-1], np.diff(cu_tokens))
    return Encoded(
        ids=ids,
        starts=(flat_starts - origin).astype(np.int32),
        ends=(flat_ends - origin).astype(np.int32),
        cu_tokens=cu_tokens,
    )


def is_word(ids: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return which local ids are words, not specials; shape of `ids`."""
    return ids >= FIRST_WORD
