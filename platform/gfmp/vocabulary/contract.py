"""The contract every vocabulary keeps, checked by what its tokenizer does, not by what it says.

`check` encodes random DNA and hostile text and raises when a rule is broken; its findings are
the evidence that each rule was tried.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gfmp.errors import VocabularyError
from gfmp.vocabulary.tokenizer import Encoded, Tokenizer, is_word
from gfmp.vocabulary.vocabulary import BASES, FIRST_WORD, UNK, Vocabulary

NUM_RANDOM = 10_000
EXTRA_BP = 60
_READ_AS_BASES = frozenset(f"{BASES}{BASES.lower()}".encode("ascii"))
HOSTILE = (
    b"[MASK]",
    b"[CLS]",
    b"[SEP]",
    b"[PAD]",
    b"[UNK]",
    b"</s><mask>",
    b"NNNNNNNN",
    b"URYSWKMBDHVN.-*",
    b"0123456789",
    bytes(range(256)),
)


@dataclass(frozen=True)
class Finding:
    """One rule of the contract that was tried and holds.

    Attributes:
        rule: The rule in words.
        evidence: What was tried, with counts.
    """

    rule: str
    evidence: str


def check(vocabulary: Vocabulary, tokenizer: Tokenizer, seed: int) -> tuple[Finding, ...]:
    """Try every rule on random DNA and hostile text.

    Args:
        vocabulary: The vocabulary that is promised.
        tokenizer: What encodes and decodes for it.
        seed: Seed of the random sequences.

    Raises:
        VocabularyError: a rule is broken; names the first symbol, sequence or id that breaks it.
    """
    rng = np.random.default_rng(seed)
    sample = _random_dna(vocabulary.shortest_bp, rng)
    return (
        _same_vocabulary(vocabulary, tokenizer),
        _covers_bases(tokenizer),
        _round_trips(tokenizer, sample),
        _folds_case(tokenizer, sample),
        _specials_unreachable(tokenizer, sample, rng),
        _batch_free(tokenizer, sample[:50]),
    )


def _random_dna(shortest_bp: int, rng: np.random.Generator) -> list[bytes]:
    letters = np.frombuffer(BASES.encode("ascii"), dtype=np.uint8)
    lengths = rng.integers(shortest_bp, shortest_bp + EXTRA_BP, NUM_RANDOM)
    flat = letters[rng.integers(0, len(letters), int(lengths.sum()))].tobytes()
    cuts = np.concatenate(([0], np.cumsum(lengths))).tolist()
    return [flat[a:b] for a, b in itertools.pairwise(cuts)]


def _same_vocabulary(vocabulary: Vocabulary, tokenizer: Tokenizer) -> Finding:
    again = Vocabulary.from_json(json.loads(json.dumps(vocabulary.to_json())))
    same = again == vocabulary and again.fingerprint == vocabulary.fingerprint
    if not same or tokenizer.vocabulary != vocabulary:
        raise _broken(vocabulary, "its fingerprint changes when it is written and read again")
    return Finding(
        "ids are dense and the fingerprint is stable",
        f"{vocabulary.size:,} ids, {vocabulary.fingerprint[:16]}",
    )


def _covers_bases(tokenizer: Tokenizer) -> Finding:
    vocabulary = tokenizer.vocabulary
    for base in BASES:
        ids = tokenizer.encode([base.encode("ascii") * vocabulary.shortest_bp]).ids
        if not is_word(ids).all():
            shown = f"the symbol {base!r} (0x{ord(base):02x}) is not covered"
            raise _broken(vocabulary, shown, "add it to the words of the vocabulary")
    return Finding("every base is covered", f"{len(BASES)} bases")


def _round_trips(tokenizer: Tokenizer, sample: Sequence[bytes]) -> Finding:
    vocabulary = tokenizer.vocabulary
    encoded = tokenizer.encode(sample)
    _check_shape(vocabulary, encoded, sample)
    known = is_word(encoded.ids) & (encoded.ids < vocabulary.size)
    if not known.all():
        i = int(encoded.rows[~known][0])
        raise _broken(vocabulary, f"{_shown(sample[i])} is not covered")
    rows, starts, ends = encoded.rows.tolist(), encoded.starts.tolist(), encoded.ends.tolist()
    for row, word, start, end in zip(rows, encoded.ids.tolist(), starts, ends, strict=True):
        if vocabulary.words[word - FIRST_WORD].encode() != sample[row][start:end]:
            raise _broken(vocabulary, f"the offsets {start}:{end} of {_shown(sample[row])} lie")
    for row, sequence in enumerate(sample):
        if tokenizer.decode(_of(encoded, row)) != sequence:
            raise _broken(vocabulary, f"{_shown(sequence)} does not decode to itself")
    return Finding(
        "DNA decodes to itself and offsets are true",
        f"{len(sample):,} random sequences, {len(rows):,} tokens",
    )


def _check_shape(vocabulary: Vocabulary, encoded: Encoded, sample: Sequence[bytes]) -> None:
    lengths = np.array([len(s) for s in sample])
    first, last = encoded.cu_tokens[:-1], encoded.cu_tokens[1:] - 1
    if len(lengths) != encoded.num_sequences or (last < first).any():
        raise _broken(vocabulary, "a sequence has no tokens")
    inner = np.diff(encoded.rows) == 0
    advance = np.diff(encoded.starts)[inner]
    expected = vocabulary.stride_bp
    steps = encoded.ends[:-1][inner] - encoded.starts[:-1][inner] if expected == 0 else expected
    tiles = (encoded.starts[first] == 0).all() and (encoded.ends[last] == lengths).all()
    if not tiles or (advance != steps).any():
        raise _broken(vocabulary, "tokens do not tile their sequences at the stated stride")


def _folds_case(tokenizer: Tokenizer, sample: Sequence[bytes]) -> Finding:
    upper = tokenizer.encode(sample)
    lower = tokenizer.encode([s.lower() for s in sample])
    if not _equal(upper, lower):
        raise _broken(tokenizer.vocabulary, "lower case does not encode as upper case")
    return Finding("lower case reads as upper case", f"{len(sample):,} sequences")


def _specials_unreachable(
    tokenizer: Tokenizer, sample: Sequence[bytes], rng: np.random.Generator
) -> Finding:
    vocabulary = tokenizer.vocabulary
    texts = [_inserted(s, HOSTILE[i % len(HOSTILE)], rng) for i, s in enumerate(sample[:500])]
    encoded = tokenizer.encode(texts)
    _check_shape(vocabulary, encoded, texts)
    injected = (encoded.ids < 0) | (encoded.ids >= vocabulary.size)
    injected |= (encoded.ids < FIRST_WORD) & (encoded.ids != UNK)
    if injected.any():
        i = int(encoded.rows[injected][0])
        raise _broken(vocabulary, f"the text {_shown(texts[i])} encodes to a special token")
    foreign = [[letter not in _READ_AS_BASES for letter in text] for text in texts]
    for row, start, end, word in zip(
        encoded.rows.tolist(),
        encoded.starts.tolist(),
        encoded.ends.tolist(),
        is_word(encoded.ids).tolist(),
        strict=True,
    ):
        if word == any(foreign[row][start:end]):
            symbol = texts[row][start:end]
            raise _broken(vocabulary, f"the symbol {symbol!r} is not [UNK], or a base is")
    return Finding(
        "any letter but ACGT is [UNK] and no text yields another special",
        f"{len(texts):,} hostile texts",
    )


def _inserted(sequence: bytes, text: bytes, rng: np.random.Generator) -> bytes:
    at = int(rng.integers(0, len(sequence) + 1))
    return sequence[:at] + text + sequence[at:]


def _batch_free(tokenizer: Tokenizer, sample: Sequence[bytes]) -> Finding:
    together = tokenizer.encode(sample)
    if not _equal(together, tokenizer.encode(sample)):
        raise _broken(tokenizer.vocabulary, "encoding twice gives two results")
    for row, sequence in enumerate(sample):
        if not np.array_equal(tokenizer.encode([sequence]).ids, _of(together, row)):
            raise _broken(tokenizer.vocabulary, f"{_shown(sequence)} depends on its neighbours")
    return Finding("a sequence encodes alike alone, again and in a batch", f"{len(sample)} times")


def _of(encoded: Encoded, row: int) -> NDArray[np.int32]:
    return encoded.ids[encoded.cu_tokens[row] : encoded.cu_tokens[row + 1]]


def _equal(one: Encoded, two: Encoded) -> bool:
    pairs = (
        (one.ids, two.ids),
        (one.starts, two.starts),
        (one.ends, two.ends),
        (one.cu_tokens, two.cu_tokens),
    )
    return all(np.array_equal(a, b) for a, b in pairs)


def _shown(sequence: bytes) -> str:
    return repr(sequence if len(sequence) <= 40 else sequence[:40] + b"...")


def _broken(
    vocabulary: Vocabulary, message: str, fix: str = "repair its family's tokenizer"
) -> VocabularyError:
    return VocabularyError(
        message,
        where=f"vocabulary {vocabulary.name!r}",
        why="every vocabulary keeps the contract of gfmp.vocabulary.contract",
        fix=fix,
    )
