"""Overlapping 6-mers of DNA a second: gfmp, the way of DNABERT, and a widening copy as the limit.

DNABERT joins the 6-mers of a sequence with spaces and gives the text to the BertTokenizer of
`transformers`. Fresh sequences in every call; ids are compared first, with N and lower case.

    python tests/benchmarks/kmer_encoding.py
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from figure import Figure, interleaved, rate_over, timed

from gfmp.vocabulary.registry import FamilyRegistry, find_recipe
from gfmp.vocabulary.tokenizer import Tokenizer, encode_ids
from gfmp.vocabulary.vocabulary import SPECIALS
from tokenizer_registry._kmer_kernels import KERNELS

K = 6
PEER = "DNABERT path (transformers BertTokenizer)"
Encode = Callable[[list[bytes]], list[list[int]]]


def draw(count: int, length_bp: int, rng: np.random.Generator) -> list[bytes]:
    """Return random sequences; one in a hundred has lower case and N."""
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)[rng.integers(0, 4, (count, length_bp))]
    letters[::100, : length_bp // 2] |= 0x20
    letters[::100, length_bp // 3] = ord("N")
    return [row.tobytes() for row in letters]


def peer(tokenizer: Tokenizer, folder: Path) -> Encode | None:
    """Return the way of DNABERT, or None where `transformers` is not installed."""
    try:
        from transformers import BertTokenizer
    except ImportError:
        return None
    path = folder / "vocab.txt"
    path.write_text("\n".join((*SPECIALS, *tokenizer.vocabulary.words)) + "\n", encoding="ascii")
    bert = BertTokenizer(str(path), do_lower_case=False)

    def _encode(sequences: list[bytes]) -> list[list[int]]:
        upper = [sequence.decode("ascii").upper() for sequence in sequences]
        texts = [" ".join(s[i : i + K] for i in range(len(s) - K + 1)) for s in upper]
        found: list[list[int]] = bert(texts, add_special_tokens=False)["input_ids"]
        return found

    return _encode


def main() -> None:
    """Print the rates of all and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sequences", type=int, default=4096)
    parser.add_argument("--peer-sequences", type=int, default=256)
    options = parser.parse_args()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    families = FamilyRegistry.from_packages(("tokenizer_registry",))
    recipe = find_recipe("kmer6", families, families.recipe_folders)
    vocabulary = families.get(recipe.family).build(recipe, ())
    tokenizer = families.tokenizer(vocabulary)
    table = np.arange(vocabulary.size, dtype=np.uint16)
    rng, length_bp = np.random.default_rng(0), 510

    def _ours(compiled: bool) -> float:
        sequences = draw(options.sequences, length_bp, rng)
        KERNELS.pays_from(0 if compiled else 1 << 60)
        bases = options.sequences * length_bp
        return bases / 1e6 / timed(lambda: encode_ids(tokenizer, sequences, table))

    def _copy() -> float:
        letters = np.frombuffer(b"".join(draw(options.sequences, length_bp, rng)), dtype=np.uint8)
        return len(letters) / 1e6 / timed(lambda: letters.astype(np.uint16))

    with tempfile.TemporaryDirectory() as folder:
        theirs = peer(tokenizer, Path(folder))

    def _peer() -> float:
        sequences = draw(options.peer_sequences, length_bp, rng)
        return options.peer_sequences * length_bp / 1e6 / timed(lambda: theirs(sequences))

    variants = {"numpy": lambda: _ours(False), "compiled": lambda: _ours(True), "copy": _copy}
    if theirs is None:
        print("transformers is not installed: no peer")
    else:
        check(tokenizer, theirs, draw(200, length_bp, rng))
        variants["peer"] = _peer
    rates = interleaved(variants, options.rounds)
    named, base = (PEER if theirs else ""), rates.get("peer", 0.0)
    for way, work, goal in (
        ("compiled", "6-mer encoding", "ratio >= 2000, of limit >= 0.25"),
        ("numpy", "6-mer encoding, numpy alone", "ratio >= 200"),
    ):
        Figure(
            item="1",
            work=work,
            peer=named,
            peer_rate=base,
            our_rate=rates[way],
            unit="MB per CPU s",
            ratio=rate_over(base, rates[way]),
            goal=goal,
            limit="u8 to u16 copy",
            share_of_limit=rates[way] / rates["copy"],
        ).print()


def check(tokenizer: Tokenizer, theirs: Encode, sequences: list[bytes]) -> None:
    """Compare the ids of both, compiled and not."""
    expected = [i for row in theirs(sequences) for i in row]
    table = np.arange(tokenizer.vocabulary.size, dtype=np.uint16)
    for worth in (0, 1 << 60):
        KERNELS.pays_from(worth)
        assert encode_ids(tokenizer, sequences, table).ids.tolist() == expected, "ids differ"


if __name__ == "__main__":
    main()
