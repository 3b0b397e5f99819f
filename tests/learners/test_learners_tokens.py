"""A task is encoded whole, once, row by row as its tokenizer would."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
from learner_samples import NUM_TEST, NUM_TRAIN, NUM_VALID, tokenizer, vocabulary

from gfmp.errors import DataError
from gfmp.learners.tokens import TaskTokens
from gfmp.tasks.task import SPLITS, Task


def test_every_row_is_what_its_tokenizer_says(task: Task, tokens: TaskTokens) -> None:
    for split in SPLITS:
        rows, found = task.rows(split), tokens.split(split)
        assert len(found) == len(rows)
        for index in range(0, len(rows), 11):
            alone = tokenizer().encode(rows.sequences[index : index + 1])
            assert found.row(index).tolist() == alone.ids.tolist()


def test_lengths_and_counts_agree(tokens: TaskTokens) -> None:
    assert [len(tokens.split(split)) for split in SPLITS] == [NUM_TRAIN, NUM_VALID, NUM_TEST]
    assert tokens.num_tokens == sum(int(tokens.split(s).lengths.sum()) for s in SPLITS)
    assert tokens.train.ids.dtype == np.uint16
    assert tokens.fingerprint == vocabulary().fingerprint


def test_long_rows_are_never_cut(task: Task) -> None:
    long = replace(task.train, sequences=(b"ACGT" * 2_000, *task.train.sequences[1:]))
    found = TaskTokens.encode(replace(task, train=long), tokenizer())
    assert found.train.lengths[0] == 8_000 - 2


def test_tokens_survive_a_pickle(tokens: TaskTokens) -> None:
    again: TaskTokens = pickle.loads(pickle.dumps(tokens))
    assert again.name == tokens.name
    assert np.array_equal(again.test.ids, tokens.test.ids)


def test_a_short_row_is_named_by_its_origin(task: Task) -> None:
    rows = replace(
        task.valid, sequences=(*task.valid.sequences[:5], b"AC", *task.valid.sequences[6:])
    )
    with pytest.raises(DataError) as caught:
        TaskTokens.encode(replace(task, valid=rows), tokenizer())
    (problem,) = caught.value.problems
    assert problem.where == task.valid.origins[5]
    assert "2 bases" in problem.message
    assert "at least 3" in problem.why
