"""Byte-pair encoding of real DNA: gfmp and `encode_batch` of `tokenizers`.

100 sequences of 2,300 bases, cut anew in every call from yeast, fly and E. coli. Ids are compared
first, on 3,000 sequences of random length with N and lower case.

    python tests/benchmarks/bpe_encoding.py
"""

from __future__ import annotations

import argparse
import os

import numpy as np
from figure import Figure, interleaved, timed
from genomes import every_genome

from gfmp.vocabulary.registry import FamilyRegistry, find_recipe
from gfmp.vocabulary.tokenizer import encode_ids, upper_dna
from tokenizer_registry._bpe_encoding_kernels import KERNELS
from tokenizer_registry._bpe_tokenizer import BpeTokenizer

PEER = "tokenizers encode_batch"


def random_lengths(dna: bytes, rng: np.random.Generator) -> list[bytes]:
    """Return 3,000 pieces of random length, with N and lower case in some."""
    pieces = []
    for number in range(3_000):
        begin = int(rng.integers(0, len(dna) - 3_000))
        piece = bytearray(dna[begin : begin + int(rng.integers(1, 3_000))])
        if number % 3 == 0:
            piece[int(rng.integers(0, len(piece)))] = ord("N")
        pieces.append(bytes(piece).lower() if number % 5 == 0 else bytes(piece))
    return pieces


def main() -> None:
    """Print the rates and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--sequences", type=int, default=100)
    parser.add_argument("--bases", type=int, default=8_000_000, help="learnt from")
    options = parser.parse_args()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    dna, rng, length_bp = every_genome(), np.random.default_rng(0), 2_300
    families = FamilyRegistry.from_packages(("tokenizer_registry",))
    recipe = find_recipe("bpe4096", families, families.recipe_folders)
    vocabulary = families.get("bpe").build(recipe, [dna[: options.bases]])
    tokenizer = families.tokenizer(vocabulary)
    assert isinstance(tokenizer, BpeTokenizer)
    table = np.arange(vocabulary.size, dtype=np.uint16)
    library = tokenizer._model

    def _cut() -> list[bytes]:
        begins = rng.integers(0, len(dna) - length_bp, options.sequences).tolist()
        return [dna[begin : begin + length_bp] for begin in begins]

    def _ours() -> float:
        sequences = _cut()
        bases = options.sequences * length_bp
        return bases / 1e6 / timed(lambda: encode_ids(tokenizer, sequences, table))

    def _theirs() -> float:
        texts = [upper_dna(sequence) for sequence in _cut()]
        bases = options.sequences * length_bp
        return bases / 1e6 / timed(lambda: library.encode_batch(texts, add_special_tokens=False))

    KERNELS.pays_from(0)
    sequences = random_lengths(dna, rng)
    expected = library.encode_batch([upper_dna(s) for s in sequences], add_special_tokens=False)
    found = encode_ids(tokenizer, sequences, table)
    assert found.ids.tolist() == [i for row in expected for i in row.ids], "ids differ"
    rates = interleaved({"ours": _ours, "peer": _theirs}, options.rounds)
    Figure(
        item="3",
        work="BPE encoding",
        peer=PEER,
        peer_rate=rates["peer"],
        our_rate=rates["ours"],
        unit="MB per CPU s",
        ratio=rates["ours"] / rates["peer"],
        goal="ratio >= 12",
    ).print()


if __name__ == "__main__":
    main()
