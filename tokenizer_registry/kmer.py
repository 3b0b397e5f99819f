"""Words of exactly k bases: `kmer6` reads every window, `kmer6s3` every third, `kmer6s6` steps k.

Overlapping windows as in DNABERT (Ji et al. 2021), words one after another as in Nucleotide
Transformer (Dalla-Torre et al. 2024); a stride between the two trades length for overlap.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from gfmp.errors import VocabularyError
from gfmp.vocabulary.family import Recipe, Setting
from gfmp.vocabulary.stock import Stock
from gfmp.vocabulary.tokenizer import Tokenizer
from gfmp.vocabulary.vocabulary import BASES, FIRST_WORD, Vocabulary
from tokenizer_registry._kmer_codes import MAX_K
from tokenizer_registry._kmer_tokenizers import OverlappingTokenizer, SuccessiveTokenizer

MIN_K = 2
MAX_FILE_BYTES = 4 << 20
# Fourteen 6-mers hide nine bases wholly, as in the code released with Ye et al.
_HIDDEN_BP = 9
# Ye et al., A.1.3: 6-mer windows of 70-510 bases, half of them of 510.
_MIN_BP, _MAX_BP, _FULL = 70, 510, 0.5
# Longer strides: 505 words, a rest of a few bases and 3 specials fit 512 tokens.
_MAX_WORDS = 505
_NAME = re.compile(r"kmer(\d{1,3})(?:s(\d{1,3}))?")
_SPECIAL = re.compile(r"\[.*\]|<.*>|N")


def _defaults(k: int, stride_bp: int) -> dict[str, Setting]:
    return {
        "k": k,
        "stride_bp": stride_bp,
        "mask_span_tokens": -(-(_HIDDEN_BP + k - stride_bp) // stride_bp) if stride_bp else 1,
        "window_min_bp": _MIN_BP,
        "window_max_bp": _longest_bp(k, stride_bp),
        "window_full_fraction": _FULL,
    }


def _longest_bp(k: int, stride_bp: int) -> int:
    if stride_bp == 1:
        return _MAX_BP
    # A window one base shorter has up to stride - 1 single bases in place of its last word.
    return k + stride_bp * (_MAX_WORDS - stride_bp) if stride_bp else _MAX_WORDS * k


class KmerFamily:
    """All 4^k words of k bases.

    Settings: `k` (2..8); `stride_bp`, 1 for every window, 2..k-1 for windows further apart, 0
    for words one after another. Except at a stride of 1 the four single bases are words too,
    for what is left over.
    """

    name = "kmer"
    needs_corpus = False

    def recipe(self, name: str) -> Recipe | None:
        """Return the recipe of `kmerK`, `kmerKsS` (overlapping) or `kmerKsK` (not), or None.

        Raises:
            VocabularyError: k is out of range, or the stride is not in 1..k.
        """
        match = _NAME.fullmatch(name)
        if match is None:
            return None
        k, stride = int(match[1]), int(match[2] or 1)
        if not MIN_K <= k <= MAX_K or not 1 <= stride <= k:
            raise VocabularyError(
                f"{name!r} asks for words of {k} bases at a stride of {stride}",
                why=f"k lies in {MIN_K}..{MAX_K} and the stride in 1..k",
                fix="choose kmer6, kmer6s3, or kmer6s6 for words that do not overlap",
            )
        return Recipe(name, self.name, _defaults(k, stride if stride < k else 0))

    def build(self, recipe: Recipe, sample: Sequence[bytes]) -> Vocabulary:
        """Make the vocabulary, words in lexicographic order; the sample is not read.

        Raises:
            VocabularyError: a setting is unknown or out of range.
        """
        k, stride_bp = self._shape(recipe)
        full = recipe.filled(_defaults(k, stride_bp))
        words = tuple(map("".join, itertools.product(BASES, repeat=k)))
        return Vocabulary(
            name=full.name,
            family=self.name,
            words=words if stride_bp == 1 else (*words, *BASES),
            stride_bp=stride_bp,
            mask_span_tokens=full.mask_span(),
            window=full.window(_shortest(k, stride_bp)),
            shortest_bp=_shortest(k, stride_bp),
            bp_per_token=float(stride_bp or k),
            payload={"k": k},
        )

    def tokenizer(self, vocabulary: Vocabulary) -> Tokenizer:
        """Return the tokenizer of a vocabulary of this family.

        Raises:
            VocabularyError: its words are not all the words of `payload["k"]` bases.
        """
        k = vocabulary.payload.get("k")
        if not isinstance(k, int) or not MIN_K <= k <= MAX_K:
            raise _broken(f"k is {k!r}", vocabulary.name)
        _require_complete(vocabulary.words, k, vocabulary.stride_bp == 1, vocabulary.name)
        if vocabulary.overlapping:
            return OverlappingTokenizer(vocabulary)
        return SuccessiveTokenizer(vocabulary, k)

    def stock(self, vocabulary: Vocabulary) -> Stock:
        """Return how the library `tokenizers` reads as this family does."""
        if vocabulary.overlapping:
            return Stock("WordLevel", spacing="windows")
        k = max(map(len, vocabulary.words))
        return Stock("WordLevel", (f"[ACGT]{{{k}}}|[ACGTN]",))

    def size_bounds(self, recipe: Recipe) -> tuple[int, int]:
        """Return the number of ids twice: it is known before the vocabulary is built."""
        k, stride_bp = self._shape(recipe)
        full = recipe.filled(_defaults(k, stride_bp))
        full.window(_shortest(k, stride_bp))
        full.mask_span()
        size = FIRST_WORD + 4**k + (0 if stride_bp == 1 else len(BASES))
        return size, size

    def import_file(self, path: Path, name: str) -> Vocabulary | None:
        """Read a vocab.txt: one token a line, specials anywhere; None unless it ends in .txt.

        Bracketed tokens and N are taken for specials. The words keep the order of the file.

        Raises:
            VocabularyError: a line is no k-mer or stands twice, or a k-mer is missing.
        """
        if path.suffix != ".txt":
            return None
        words = tuple(_read_words(path))
        k = max(map(len, words), default=0)
        if not MIN_K <= k <= MAX_K:
            raise _broken(f"the longest word has {k} bases", str(path))
        overlapping = min(map(len, words)) == k
        _require_complete(words, k, overlapping, str(path))
        settings = _defaults(k, int(overlapping))
        return replace(self.build(Recipe(name, self.name, settings), ()), words=words)

    def _shape(self, recipe: Recipe) -> tuple[int, int]:
        k = recipe.integer("k", MIN_K, MAX_K)
        # Without one words overlap by all but a base, as those of `kmer6` do.
        given = "stride_bp" in recipe.settings
        return k, recipe.integer("stride_bp", 0, k - 1) if given else 1


def _shortest(k: int, stride_bp: int) -> int:
    return k if stride_bp == 1 else 1


def _read_words(path: Path) -> Iterator[str]:
    data = path.read_bytes()[: MAX_FILE_BYTES + 1]
    if len(data) > MAX_FILE_BYTES:
        raise _broken(f"the file has more than {MAX_FILE_BYTES:,} bytes", str(path))
    first: dict[str, int] = {}
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), start=1):
        word, where = line.strip(), f"{path}:{number}"
        if word in first:
            raise _broken(f"the token {word!r} stands already in line {first[word]}", where)
        first[word] = number
        if _SPECIAL.fullmatch(word):
            continue
        if not word or word.strip(BASES):
            raise _broken(f"{word[:40]!r} is not a word over ACGT", where)
        yield word


def _require_complete(words: Sequence[str], k: int, every_window: bool, where: str) -> None:
    expected = {*map("".join, itertools.product(BASES, repeat=k))}
    expected |= set() if every_window else set(BASES)
    for word in words:
        if word not in expected:
            raise _broken(f"the word {word!r} does not belong to words of {k} bases", where)
    if missing := expected - set(words):
        raise _broken(f"the symbol {min(missing)!r} is missing", where)


def _broken(message: str, where: str) -> VocabularyError:
    return VocabularyError(
        message,
        where=where,
        why="a k-mer vocabulary has every word of one k (and the four bases but at a stride of 1)",
        fix="give a complete list, one token a line",
    )


FAMILIES = (KmerFamily(),)
