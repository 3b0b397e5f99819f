"""Sequences as bytes on both strands."""

from __future__ import annotations

_COMPLEMENT = bytes.maketrans(b"ACGTN", b"TGCAN")


def other_strand(sequence: bytes) -> bytes:
    """Return the reverse complement of an upper-case A, C, G, T, N sequence."""
    return sequence.translate(_COMPLEMENT)[::-1]


def canonical(sequence: bytes) -> bytes:
    """Return the same bytes for a sequence and its reverse complement: the smaller of both."""
    return min(sequence, other_strand(sequence))
