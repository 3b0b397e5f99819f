"""Mutagenesis reads every mutant anew."""

from __future__ import annotations

import numpy as np
import pytest
from motif_samples import CPU, PLANTED, model, planted_starts, planted_task, reading, untrained

from gfmp.inference.attribution_mutagenesis import importance, mutagenesis
from gfmp.inference.attribution_rows import RowReader
from gfmp.inference.attribution_target import Explained, row_scores

ROW = b"GATTACAGGCATNACCGGATATACC"


@pytest.mark.parametrize("name", ["kmer4", "bpe", "both"])
def test_changes_are_those_of_the_written_mutants(name: str) -> None:
    made = untrained(name)
    what = Explained(made.target, 1)
    changes = mutagenesis(made.model, RowReader(made), ROW, what, CPU)
    mutants = [ROW, b"C" + ROW[1:], ROW[:-1] + b"A", ROW[:12] + b"T" + ROW[13:]]
    scores = row_scores(made.model, reading(made, *mutants), what, CPU)
    found = [changes[0, 1], changes[-1, 0], changes[12, 3]]
    np.testing.assert_allclose(found, scores[1:] - scores[0], atol=1e-5)
    own = [b"ACGT".find(ROW[at]) for at in range(len(ROW))]
    assert all(changes[at, base] == 0 for at, base in enumerate(own) if base >= 0)
    assert (changes[12] != 0).all(), "every base in place of an N is another row"


def test_a_byte_pair_boundary_moves() -> None:
    made = untrained("bpe")
    reader = RowReader(made)
    before, after = (reader.read([row]).encoded[0] for row in (ROW, b"T" + ROW[1:]))
    assert before.starts.tolist() != after.starts.tolist() or len(before.ids) != len(after.ids)


def test_the_motif_is_what_must_not_be_mutated() -> None:
    made, task = model("kmer4"), planted_task()
    start = planted_starts()[1]
    what = Explained(made.target, 1)
    changes = mutagenesis(made.model, RowReader(made), task.test.sequences[1], what, CPU)
    lost = importance(changes)
    inside = np.zeros(len(lost), dtype=np.bool_)
    inside[start : start + len(PLANTED)] = True
    assert lost[inside].mean() > 5 * abs(lost[~inside].mean())
    assert start <= int(lost.argmax()) < start + len(PLANTED)


def test_importance_is_the_mean_loss() -> None:
    changes = np.array([[0.0, -3.0, -3.0, -3.0], [1.0, 2.0, 0.0, 0.0]])
    assert importance(changes).tolist() == [3.0, -1.0]
