"""The error for a letter that the alphabet policy does not let in."""

from __future__ import annotations

from gfmp.errors import DataError
from gfmp.genome.alphabet import IUPAC_LETTERS, AlphabetPolicy, byte_histogram
from gfmp.genome.blocks import Block

# Amino acid letters that no nucleotide code uses.
_PROTEIN_ONLY = b"EFILPQZefilpqz"
_PROTEIN_FRACTION = 0.1


def refused_letter(block: Block, index: int, policy: AlphabetPolicy) -> DataError:
    """Build the error for the letter at `index` of `block.bases`, with what to do about it."""
    letter = block.bases[index]
    shown = f"{chr(letter)!r} (0x{letter:02x})" if 32 < letter < 127 else f"byte 0x{letter:02x}"
    if letter == 0:
        shown = "a NUL byte: the file is binary or damaged"
    return DataError(
        f"record {block.contig!r} holds {shown}",
        where=block.locate(index),
        why=f"letters are A C G T N, iupac is {policy.iupac!r}, uracil is {policy.uracil!r}",
        fix=_remedy(block, letter),
    )


def _remedy(block: Block, letter: int) -> str:
    upper = bytes([letter]).upper()
    histogram = byte_histogram(block.bases)
    num_protein = sum(int(histogram[c]) for c in _PROTEIN_ONLY)
    if num_protein >= _PROTEIN_FRACTION * len(block.bases):
        return "this looks like a protein sequence: name the genome file instead"
    if upper == b"U":
        return "set alphabet.uracil: t to turn U into T, if this RNA is what you mean"
    if upper in (bytes([c]) for c in IUPAC_LETTERS):
        return "set alphabet.iupac: n to turn ambiguity codes into N"
    if upper == b"-":
        return "this looks like an alignment: remove the gaps, or name the genome file"
    return "correct the file, or fetch it again"
