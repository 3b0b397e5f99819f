"""A vocabulary as a `tokenizer.json`, which the library `tokenizers` reads without gfmp.

A family says in a few words how its vocabularies read (`Stock`); this module writes the file. Its
ids are rows of an ensemble, so that a model's embedding table is indexed by them as they come.
Letters but ACGT become N, one [UNK] each, and lower case reads as upper case, as everywhere.

Overlapping words, and codons, whose frame depends on the whole sequence, are more than that
library can cut out of a text. Their files read words with white space between them, as those of
DNABERT do (Ji et al. 2021), and `Stock.spacing` says how such a text is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from gfmp.vocabulary.ensemble import Ensemble
from gfmp.vocabulary.registry import FamilyRegistry
from gfmp.vocabulary.vocabulary import CLS, SEP, SPECIALS, UNK, Vocabulary

# How a sequence becomes the text that the file reads: as it is; every window of `word_bp` at the
# stride and single bases behind the last; the codons of the frame that reads on longest; or in a
# way that only its own family knows.
Spacing = Literal["none", "windows", "codons", "words"]
StockModel = Literal["BPE", "WordLevel", "WordPiece", "Unigram"]
# `tokenizers` reads a WordPiece longer than this as unknown.
_LONGEST_WORD = 1 << 40
# What every letter but ACGT is read as.
UNKNOWN_LETTER = "N"


@dataclass(frozen=True)
class Stock:
    """How a vocabulary reads, in the terms of the library.

    Attributes:
        model: Model of the library.
        pieces: Regular expressions; a text is cut so that each match is a piece of its own.
        merges: Pairs "left right" of BPE, in the order they were learnt.
        costs: Cost of each word of Unigram.
        spacing: What is done to a sequence before.
    """

    model: StockModel
    pieces: tuple[str, ...] = ()
    merges: tuple[str, ...] = ()
    costs: tuple[int, ...] = ()
    spacing: Spacing = "none"


@runtime_checkable
class StockFamily(Protocol):
    """A family that can say how its vocabularies read; others are written as words alone."""

    def stock(self, vocabulary: Vocabulary) -> Stock:
        """Return how a vocabulary of this family reads."""
        ...


def stock_of(vocabulary: Vocabulary, families: FamilyRegistry) -> Stock:
    """Return how a vocabulary reads; `words` where its family does not say.

    Raises:
        VocabularyError: no installed package brings its family.
    """
    family = families.get(vocabulary.family)
    if isinstance(family, StockFamily):
        return family.stock(vocabulary)
    return Stock("WordLevel", spacing="words")


def tokenizer_json(
    ensemble: Ensemble, index: int, stock: Stock, *, prompted: bool
) -> dict[str, object]:
    """Return the content of a tokenizer.json for one vocabulary of an ensemble.

    It lays rows out as [CLS] [PROMPT] words [SEP].

    Args:
        ensemble: Whose rows are the ids.
        index: Place of the vocabulary in it.
        stock: How the vocabulary reads.
        prompted: Whether rows begin with the prompt of the vocabulary.
    """
    prompt = (ensemble.tokens[ensemble.prompt(index)],) if prompted else ()
    row = {token: place for place, token in enumerate(ensemble.tokens)}
    specials = (*SPECIALS, *prompt)
    lead = (SPECIALS[CLS], *prompt)
    words = ensemble.vocabularies[index].words
    known = {token: row[token] for token in (*specials, *words)}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added(row[token], token) for token in specials],
        "normalizer": _normalizer(stock),
        "pre_tokenizer": _pre_tokenizer(stock),
        "post_processor": _template(lead, row),
        "decoder": None if stock.spacing == "windows" else {"type": "Fuse"},
        "model": _model(stock, known, words, ensemble.size),
    }


def _added(row: int, token: str) -> dict[str, object]:
    off = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": row, "content": token, **off, "special": True}


def _normalizer(stock: Stock) -> dict[str, object]:
    steps = [_replaced({"String": base.lower()}, base) for base in "ACGT"]
    kept = "ACGT" if stock.spacing == "none" else r"ACGT\s"
    steps.append(_replaced({"Regex": f"[^{kept}]"}, UNKNOWN_LETTER))
    return {"type": "Sequence", "normalizers": steps}


def _replaced(pattern: dict[str, str], content: str) -> dict[str, object]:
    return {"type": "Replace", "pattern": pattern, "content": content}


def _pre_tokenizer(stock: Stock) -> dict[str, object] | None:
    if stock.spacing != "none":
        return {"type": "WhitespaceSplit"}
    cuts = [
        {"type": "Split", "pattern": {"Regex": piece}, "behavior": "Isolated", "invert": False}
        for piece in stock.pieces
    ]
    return {"type": "Sequence", "pretokenizers": cuts} if cuts else None


def _template(lead: Sequence[str], row: dict[str, int]) -> dict[str, object]:
    def _special(token: str) -> dict[str, object]:
        return {"SpecialToken": {"id": token, "type_id": 0}}

    end = SPECIALS[SEP]
    single = [*map(_special, lead), {"Sequence": {"id": "A", "type_id": 0}}, _special(end)]
    pair = [*single, {"Sequence": {"id": "B", "type_id": 0}}, _special(end)]
    named = {t: {"id": t, "ids": [row[t]], "tokens": [t]} for t in (*lead, end)}
    return {
        "type": "TemplateProcessing",
        "single": single,
        "pair": pair,
        "special_tokens": named,
    }


def _model(
    stock: Stock, known: dict[str, int], words: Sequence[str], num_rows: int
) -> dict[str, object]:
    unknown = SPECIALS[UNK]
    if stock.model == "Unigram":
        return _unigram(stock, known, words, num_rows)
    common: dict[str, object] = {"type": stock.model, "vocab": known, "unk_token": unknown}
    if stock.model == "WordPiece":
        return common | {
            "continuing_subword_prefix": "",
            "max_input_chars_per_word": _LONGEST_WORD,
        }
    if stock.model == "BPE":
        off = dict.fromkeys(("fuse_unk", "byte_fallback", "ignore_merges"), False)
        pairs = [merge.split(" ") for merge in stock.merges]
        nothing = dict.fromkeys(
            ("dropout", "continuing_subword_prefix", "end_of_word_suffix"), None
        )
        return common | off | nothing | {"merges": pairs}
    return common


def _unigram(
    stock: Stock, known: dict[str, int], words: Sequence[str], num_rows: int
) -> dict[str, object]:
    # Its ids are places in a list, so rows of other vocabularies need something to stand there
    # that no text can spell.
    pieces: list[list[object]] = [[f"<row {row}>", 0.0] for row in range(num_rows)]
    for token, row in known.items():
        pieces[row] = [token, 0.0]
    for word, cost in zip(words, stock.costs, strict=True):
        pieces[known[word]] = [word, -float(cost)]
    return {"type": "Unigram", "unk_id": UNK, "vocab": pieces, "byte_fallback": False}
