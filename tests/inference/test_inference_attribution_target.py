"""Which number is explained."""

from __future__ import annotations

import pytest
import torch

from gfmp.inference.attribution_target import Explained
from gfmp.tasks.task import Target

BINARY = Target("binary", ("no", "yes"))
CLASSES = Target("multiclass", ("donor", "acceptor", "decoy"))
LABELS = Target("multilabel", ("a", "b"))
VALUES = Target("regression", ("on", "off"))


def test_log_odds_of_a_class_are_those_of_its_probability() -> None:
    outputs = torch.tensor([[0.3, -1.2, 2.0], [4.0, 0.0, 0.1]])
    for index in range(3):
        p = outputs.softmax(1)[:, index]
        found = Explained(CLASSES, index).scores(outputs)
        torch.testing.assert_close(found, (p / (1 - p)).log())


def test_labels_and_values_are_explained_as_they_are() -> None:
    outputs = torch.tensor([[0.3, -1.2]])
    for target in (LABELS, VALUES):
        assert Explained(target, 1).scores(outputs).tolist() == pytest.approx([-1.2])
    units = {Explained(target, 0).unit for target in (BINARY, LABELS, VALUES)}
    assert len(units) == 3
