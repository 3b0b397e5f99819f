"""What each letter of a sequence file becomes, decided by one policy and counted.

All work is per block of bytes: one histogram, one translation table. Nothing is dropped: a
letter is kept, changed and counted, or refused.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gfmp.errors import SpecError
from gfmp.storage.hashes import fingerprint

SoftMask = Literal["upper", "keep"]
Iupac = Literal["n", "error"]
Uracil = Literal["error", "t"]

IUPAC_LETTERS = b"RYSWKMBDHV"
_COMPLEMENTS = (b"ACGTURYSWKMBDHVN", b"TGCAAYRSWMKVHDBN")


@dataclass(frozen=True)
class AlphabetPolicy:
    """How letters other than upper-case A, C, G, T and N are treated.

    Attributes:
        soft_mask: `upper` folds lower case, `keep` leaves it (N is upper case either way).
        iupac: `n` turns R Y S W K M B D H V into N, `error` refuses them.
        uracil: `error` refuses U, `t` turns it into T.
        split_n_run_bp: Runs of at least this many N end a piece and are left out.

    Raises:
        SpecError: `split_n_run_bp` is below 1.
    """

    soft_mask: SoftMask = "upper"
    iupac: Iupac = "n"
    uracil: Uracil = "error"
    split_n_run_bp: int = 50

    def __post_init__(self) -> None:
        if self.split_n_run_bp < 1:
            raise SpecError(
                f"split_n_run_bp is {self.split_n_run_bp}",
                why="a run holds at least one N",
                fix="give 1 or more; a very large number keeps every N",
            )

    @property
    def fingerprint(self) -> str:
        """Sha256 of the four decisions."""
        return fingerprint([self.soft_mask, self.iupac, self.uracil, self.split_n_run_bp])


@dataclass(frozen=True)
class AlphabetCounts:
    """How many letters of each class a file held, before any translation.

    Attributes:
        upper: A, C, G, T.
        soft_masked: a, c, g, t.
        n: N and n.
        uracil: U and u.
        iupac: One count per letter of `IUPAC_LETTERS`, both cases pooled.
    """

    upper: int = 0
    soft_masked: int = 0
    n: int = 0
    uracil: int = 0
    iupac: tuple[int, ...] = (0,) * len(IUPAC_LETTERS)

    def __add__(self, other: AlphabetCounts) -> AlphabetCounts:
        return AlphabetCounts(
            self.upper + other.upper,
            self.soft_masked + other.soft_masked,
            self.n + other.n,
            self.uracil + other.uracil,
            tuple(a + b for a, b in zip(self.iupac, other.iupac, strict=True)),
        )

    @classmethod
    def of_histogram(cls, histogram: NDArray[np.int64]) -> AlphabetCounts:
        """Read the classes out of a byte histogram of shape (256,)."""
        return cls(
            _pooled(histogram, b"ACGT"),
            _pooled(histogram, b"acgt"),
            _pooled(histogram, b"Nn"),
            _pooled(histogram, b"Uu"),
            tuple(_pooled(histogram, bytes([c, c + 32])) for c in IUPAC_LETTERS),
        )


@dataclass(frozen=True)
class Translated:
    """A block after the policy.

    Attributes:
        bases: The translated letters, one byte per base.
        histogram: How often each byte stood there before translation; shape (256,).
        refused: Index of the first letter the policy refuses; `len(bases)` when all are fine.
    """

    bases: bytes
    histogram: NDArray[np.int64]
    refused: int

    @property
    def counts(self) -> AlphabetCounts:
        """Classes of the letters before translation."""
        return AlphabetCounts.of_histogram(self.histogram)


def translate(block: bytes, policy: AlphabetPolicy) -> Translated:
    """Apply `policy` to a block of letters of any length."""
    histogram = byte_histogram(block)
    allowed = _allowed(policy)
    refused = len(block)
    if histogram[~allowed].any():
        refused = int(np.argmin(allowed[np.frombuffer(block, np.uint8)]))
    return Translated(block.translate(_table(policy)), histogram, refused)


def byte_histogram(block: bytes | memoryview) -> NDArray[np.int64]:
    """Count each byte value; shape (256,)."""
    return np.bincount(np.frombuffer(block, np.uint8), minlength=256)


def reverse_complement(seq: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the other strand of `seq`, read 5' to 3'; case is kept and N stays N.

    IUPAC letters are complemented, U becomes A, every other byte stays as it is.
    """
    return _COMPLEMENT_TABLE[seq[::-1]]


def _pooled(histogram: NDArray[np.int64], letters: bytes) -> int:
    return int(histogram[np.frombuffer(letters, np.uint8)].sum())


@functools.cache
def _table(policy: AlphabetPolicy) -> bytes:
    table = bytearray(range(256))
    for letter in IUPAC_LETTERS:
        table[letter] = table[letter + 32] = ord("N")
    table[ord("n")], table[ord("U")], table[ord("u")] = b"NTt"
    if policy.soft_mask == "upper":
        for letter in range(ord("a"), ord("z") + 1):
            table[letter] = bytes([table[letter]]).upper()[0]
    return bytes(table)


@functools.cache
def _allowed(policy: AlphabetPolicy) -> NDArray[np.bool_]:
    letters = b"ACGTN"
    letters += IUPAC_LETTERS if policy.iupac == "n" else b""
    letters += b"U" if policy.uracil == "t" else b""
    allowed = np.zeros(256, bool)
    allowed[np.frombuffer(letters + letters.lower(), np.uint8)] = True
    return allowed


def _complement_table() -> NDArray[np.uint8]:
    table = np.arange(256, dtype=np.uint8)
    for source, target in (_COMPLEMENTS, tuple(s.lower() for s in _COMPLEMENTS)):
        table[np.frombuffer(source, np.uint8)] = np.frombuffer(target, np.uint8)
    return table


_COMPLEMENT_TABLE = _complement_table()
