"""A task as the tokens of one vocabulary: encoded once, shared by every cell that reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gfmp.errors import DataError, Problem
from gfmp.tasks.task import Rows, Split, Task
from gfmp.vocabulary.tokenizer import Tokenizer
from gfmp.vocabulary.vocabulary import Vocabulary

_UINT16_IDS = 2**16
_MOST_SHOWN = 20


@dataclass(frozen=True)
class SplitTokens:
    """The tokens of the N rows of a split, one row after another; C tokens.

    Attributes:
        ids: Local ids without specials, uint16 where the vocabulary fits, shape (C,).
        offsets: Row n holds ids[offsets[n]:offsets[n + 1]]; int64, shape (N+1,).
    """

    ids: NDArray[np.integer]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each row, specials not counted, shape (N,)."""
        return np.diff(self.offsets)

    def row(self, index: int) -> NDArray[np.integer]:
        """Return the local ids of one row, a view."""
        return self.ids[self.offsets[index] : self.offsets[index + 1]]


@dataclass(frozen=True)
class TaskTokens:
    """The tokens of a task in one vocabulary; plain arrays, so it pickles without copies.

    Attributes:
        name: Name of the vocabulary.
        fingerprint: Fingerprint of the vocabulary.
        train: Tokens of `task.train`, row by row.
        valid: Tokens of `task.valid`.
        test: Tokens of `task.test`.
    """

    name: str
    fingerprint: str
    train: SplitTokens
    valid: SplitTokens
    test: SplitTokens

    @classmethod
    def encode(cls, task: Task, tokenizer: Tokenizer) -> TaskTokens:
        """Encode every row of a task whole; nothing is cut, however long.

        Raises:
            DataError: rows are shorter than the vocabulary's shortest sequence; names their
                origins.
        """
        vocabulary = tokenizer.vocabulary
        _check_lengths(task, vocabulary)
        return cls(
            vocabulary.name,
            vocabulary.fingerprint,
            _encoded(task.train, tokenizer),
            _encoded(task.valid, tokenizer),
            _encoded(task.test, tokenizer),
        )

    def split(self, split: Split) -> SplitTokens:
        """Return the tokens of a split."""
        return {"train": self.train, "valid": self.valid, "test": self.test}[split]

    @property
    def num_tokens(self) -> int:
        """Tokens of all splits, specials not counted."""
        return sum(len(part.ids) for part in (self.train, self.valid, self.test))


def _encoded(rows: Rows, tokenizer: Tokenizer) -> SplitTokens:
    encoded = tokenizer.encode(rows.sequences)
    small = tokenizer.vocabulary.size <= _UINT16_IDS
    ids = encoded.ids.astype(np.uint16) if small else encoded.ids
    return SplitTokens(ids, encoded.cu_tokens.astype(np.int64))


def _check_lengths(task: Task, vocabulary: Vocabulary) -> None:
    short = [
        (len(sequence), origin)
        for rows in (task.train, task.valid, task.test)
        for sequence, origin in zip(rows.sequences, rows.origins, strict=True)
        if len(sequence) < vocabulary.shortest_bp
    ]
    if short:
        raise DataError.of(_problems(short, task.name, vocabulary))


def _problems(short: Sequence[tuple[int, str]], task: str, vocabulary: Vocabulary) -> list[Problem]:
    return [
        Problem(
            f"a row of task {task!r} has {length} bases ({len(short):,} rows are too short)",
            origin,
            f"{vocabulary.name!r} encodes sequences of at least {vocabulary.shortest_bp} bases",
            "drop such rows from the task, or choose a vocabulary of shorter words",
        )
        for length, origin in short[:_MOST_SHOWN]
    ]
