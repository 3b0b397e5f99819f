"""A haplotype instead of the reference: alleles of a VCF put into the letters of a source.

Sequence and variants are read side by side, so memory does not grow with either. Substitutions keep
every coordinate; where indels are applied, `genome.lifts` says what the positions mean. Every REF
is compared with the sequence. What a record means is decided in `genome.changes`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gfmp.genome.alphabet import IUPAC_LETTERS
from gfmp.genome.blocks import Block
from gfmp.genome.changes import Change, Changes
from gfmp.genome.contig_names import proposed_names
from gfmp.genome.locations import checked_digest, describe, open_location
from gfmp.genome.variants import VariantCounts, Variants
from gfmp.genome.vcf import VcfFile

_MOST_NAMES = 8


def substituted(
    blocks: Iterator[Block], variants: Variants, counts: VariantCounts
) -> Iterator[Block]:
    """Yield `blocks` with the letters of the haplotype; a letter keeps its case.

    Letters of an alternate of another length have the case of the first letter they replace, or, of
    an insertion, of the letter before it.

    Raises:
        DataError: the VCF is damaged, unsorted or of other contigs, a REF is not what the
            sequence holds, two records change one base, or a record is unusable.
        MissingInputError: there is no such VCF.
    """
    origin = describe(variants.file.location)
    counts.sha256 = checked_digest(variants.file.location, variants.file.sha256)
    with open_location(variants.file.location) as stream:
        vcf = VcfFile(stream, origin, variants.sample)
        sequence = _Sequence(Changes(vcf, variants, counts))
        for block in blocks:
            yield sequence.passed(block)
        sequence.end(vcf.header.contigs)


class _Sequence:
    """Follows the blocks of a source and puts each change where it belongs."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._lengths: dict[str, int] = {}
        self._contig = ""
        self._open: list[Change] = []

    def passed(self, block: Block) -> Block:
        """Return `block` with its changes."""
        if block.contig != self._contig:
            self._end_contig()
            self._contig = block.contig
        start = self._lengths.get(block.contig, 0)
        end = self._lengths[block.contig] = start + len(block.bases)
        due = self._due(end)
        if not due:
            return block
        letters = np.frombuffer(block.bases, np.uint8).copy()
        for change in due:
            _compare(change, letters, start)
        for change in due:
            if change.applied and not change.moves:
                _replace(change, letters, start)
        self._open = [change for change in due if change.record.end > end]
        moving = sorted((c for c in due if c.moves), key=lambda change: (change.start, change.end))
        return _spliced(_with_letters(block, letters), letters, start, moving)

    def end(self, header: Mapping[str, int]) -> None:
        """End the sequence.

        Args:
            header: Contigs of the VCF's header with their lengths, 0 where it states none.

        Raises:
            DataError: a record lies beyond its contig, on none, or on one that went by before.
        """
        self._end_contig()
        left = self._changes.next
        if left is None:
            return
        contig = left.record.contig
        if left.contig in self._lengths:
            raise left.record.fault(
                "CHROM",
                f"{contig!r} comes after contigs that follow it in the sequence file",
                "both files are read side by side, once",
                f"sort the VCF as the sequence is: {', '.join(list(self._lengths)[:8])}",
            )
        names = proposed_names({**header, contig: header.get(contig, 0)}, self._lengths)
        pairs = ", ".join(f"{a}: {b}" for a, b in list(names.items())[:_MOST_NAMES])
        raise left.record.fault(
            "CHROM",
            f"{contig!r} is no contig of the sequence file",
            f"that has {', '.join(list(self._lengths)[:_MOST_NAMES])}",
            f"set variants.contigs: {{{pairs}}}"
            if contig in names
            else "name sequence and variants of the same assembly",
        )

    def _due(self, end: int) -> list[Change]:
        """Return the changes that meet the block which ends at `end`."""
        due = self._open
        while (change := self._changes.next) and change.contig == self._contig:
            if change.record.start >= end:
                break
            due.append(self._changes.take())
        return due

    def _end_contig(self) -> None:
        waiting = self._changes.next
        on_this = waiting is not None and waiting.contig == self._contig
        beyond = self._open[0] if self._open else waiting if on_this else None
        if beyond is not None:
            raise beyond.record.fault(
                "POS",
                f"the record ends at {beyond.record.end:,}, beyond the end of {self._contig!r}",
                f"that contig has {self._lengths[self._contig]:,} bases in the sequence file",
                "name sequence and variants of the same assembly",
            )


def _compare(change: Change, letters: NDArray[np.uint8], start: int) -> None:
    """Compare REF with the block that begins at `start`, as far as both reach."""
    record = change.record
    low, high = max(record.start, start), min(record.end, start + len(letters))
    here = letters[low - start : high - start]
    wanted = np.frombuffer(record.ref, np.uint8)[low - record.start : high - record.start]
    found = _AS_REF[here]
    wrong = np.flatnonzero((found != wanted) & (found != _ANY))
    if wrong.size:
        at = low + int(wrong[0])
        raise record.fault(
            "REF",
            f"{chr(wanted[wrong[0]])!r} at position {at + 1:,}, where {change.contig!r} has "
            f"{chr(here[wrong[0]])!r}",
            "REF holds the letters of the sequence file",
            "name sequence and variants of the same assembly",
        )


def _replace(change: Change, letters: NDArray[np.uint8], start: int) -> None:
    """Put a substitution into the block that begins at `start`, as far as both reach."""
    low, high = max(change.start, start), min(change.end, start + len(letters))
    if low < high:
        here = letters[low - start : high - start]
        part = slice(low - change.start, high - change.start)
        here[:] = np.frombuffer(change.alt, np.uint8)[part] | (here & _CASE_BIT)


def _with_letters(block: Block, letters: NDArray[np.uint8]) -> Block:
    """Return `block` with other letters in the same layout."""
    raw = np.frombuffer(block.raw, np.uint8).copy()
    raw[_is_letter(block)] = letters
    return replace(block, raw=raw.tobytes())


def _is_letter(block: Block) -> NDArray[np.bool_]:
    raw = np.frombuffer(block.raw, np.uint8)
    return ~np.isin(raw, np.frombuffer(block.ignored, np.uint8))


def _spliced(
    block: Block, letters: NDArray[np.uint8], start: int, changes: Sequence[Change]
) -> Block:
    """Put changes of another length into the block that begins at `start`; its lines stay.

    Args:
        block: The block.
        letters: Its letters.
        start: Position of the first of them in the reference.
        changes: In the order of their positions; one may reach in from the block before, or out.
    """
    if not changes:
        return block
    not_layout = bytes(set(range(256)) - set(block.ignored))
    # Where each letter stands in the text, and where the text ends.
    offsets = np.append(np.flatnonzero(_is_letter(block)), len(block.raw))
    parts, done = [], 0
    for change in changes:
        low, high = (min(max(p - start, 0), len(letters)) for p in (change.start, change.end))
        first, last = int(offsets[low]), int(offsets[high])
        parts.append(block.raw[done:first])
        if _stands_here(change, start, start + len(letters)):
            beside = change.start - (change.record.start < change.start == change.end)
            case = letters[beside - start] & _CASE_BIT
            parts.append((np.frombuffer(change.alt, np.uint8) | case).tobytes())
        parts.append(block.raw[first:last].translate(None, not_layout))
        done = last
    return replace(block, raw=b"".join((*parts, block.raw[done:])))


def _stands_here(change: Change, start: int, end: int) -> bool:
    """Return True in the block of the first letter replaced, or of the letter before an insertion.

    An insertion so precedes what replaces the letters behind it, also at the border of two blocks.
    A record without a letter before its insertion has it at its own first letter.
    """
    if change.start < change.end:
        return start <= change.start < end
    return change.start <= end and (change.start > start or change.record.start >= start)


# Lower case is the soft mask, which a substitution does not lift.
_CASE_BIT = np.uint8(0x20)
# An ambiguity code stands for several letters, any of which a REF may name.
_ANY = ord("?")


def _as_ref() -> NDArray[np.uint8]:
    table = np.frombuffer(bytes(range(256)).upper(), np.uint8).copy()
    table[np.frombuffer(IUPAC_LETTERS + IUPAC_LETTERS.lower(), np.uint8)] = _ANY
    table[[ord("U"), ord("u")]] = ord("T")
    return table


_AS_REF = _as_ref()
