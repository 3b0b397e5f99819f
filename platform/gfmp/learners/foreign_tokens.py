"""The tokenizer of a foreign model folder: its vocabulary as one of ours, and the ids it used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gfmp.errors import MissingInputError, VocabularyError
from gfmp.vocabulary.fields import Fields, json_place
from gfmp.vocabulary.registry import FamilyRegistry
from gfmp.vocabulary.vocabulary import SPECIALS, Vocabulary

BPE_FILE, LIST_FILE = "tokenizer.json", "vocab.txt"
# Genomics-FM says with a token which vocabulary a row is in; DNABERT-2 knows one only.
_PROMPTS = {BPE_FILE: "[BPE]", LIST_FILE: "[KMER]"}


@dataclass(frozen=True)
class ForeignTokens:
    """The tokens of a folder.

    Attributes:
        path: The file they were read from.
        vocabulary: The words, as a family of ours reads them.
        ids: Row of the folder's embedding table for each word and special.
        prompt: The token that begins every row; empty where there is none.
    """

    path: Path
    vocabulary: Vocabulary
    ids: Mapping[str, int]
    prompt: str


def read_tokens(folder: Path, name: str) -> ForeignTokens:
    """Read tokenizer.json (BPE) where there is one, else vocab.txt (all words of one k).

    Args:
        folder: The model's folder.
        name: Name of the vocabulary.

    Raises:
        MissingInputError: there is neither file.
        VocabularyError: the file is not understood, or a special token is missing.
    """
    path = next((folder / f for f in _PROMPTS if (folder / f).is_file()), None)
    if path is None:
        raise MissingInputError(
            "there is no tokenizer",
            where=str(folder),
            why=f"words are read from {BPE_FILE}, or from {LIST_FILE} with all words of one k",
            fix="copy the tokenizer's file of the model into its folder",
        )
    vocabulary = _vocabulary(path, name)
    ids = _listed(path) if path.name == LIST_FILE else _numbered(path)
    if lost := [special for special in SPECIALS if special not in ids]:
        raise VocabularyError(
            f"the token {', '.join(lost)} is missing",
            where=str(path),
            why=f"rows are written with {', '.join(SPECIALS)}",
            fix="use a model whose tokenizer has them under these names",
        )
    prompt = _PROMPTS[path.name]
    return ForeignTokens(path, vocabulary, ids, prompt if prompt in ids else "")


def _vocabulary(path: Path, name: str) -> Vocabulary:
    try:
        return FamilyRegistry.discover().import_file(path, name)
    except VocabularyError as fault:
        if path.name == BPE_FILE:
            raise
        raise VocabularyError(
            f"{LIST_FILE} is not a list of all words of one k ({fault})",
            where=str(path),
            why="a union of BPE words and k-mers, as Genomics-FM has it, does not say how its "
            "words are merged",
            fix=f"put the {BPE_FILE} of its BPE words beside it",
        ) from fault


def _listed(path: Path) -> dict[str, int]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return {line.strip(): row for row, line in enumerate(lines)}


def _numbered(path: Path) -> dict[str, int]:
    """Return the ids of a tokenizer.json that was read as a vocabulary before."""
    document = Fields.of(json.loads(path.read_text(encoding="utf-8")), json_place(str(path)))
    words = document.fields("model").fields("vocab")
    ids = {word: words.integer(word) for word in words.value}
    if isinstance(document.value.get("added_tokens"), list):
        for item in document.items("added_tokens"):
            added = Fields.of(item, document.place)
            ids[added.text("content")] = added.integer("id")
    return ids
