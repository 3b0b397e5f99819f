"""Fields are found by what people type, and told with their type, default and rules."""

from __future__ import annotations

import pytest

from gfmp.errors import UsageError
from gfmp.spec.fields import Block, Field, all_blocks
from gfmp.spec.kinds import KINDS
from gfmp.spec.lookup import find

BLOCKS = all_blocks()


def _paths(text: str) -> list[str]:
    return [found.path for found in find(text, BLOCKS)]


def _field(text: str) -> Field:
    (found,) = find(text, BLOCKS)
    assert found.field is not None
    return found.field


@pytest.mark.parametrize(
    "text",
    [
        "pretrain.optimiser.learning_rate",
        "optimiser.learning_rate",
        "pretrain.optimiser.lr",
        "pretrain.opt.lr",
        " pretrain.optimiser.learning_rate ",
    ],
)
def test_one_field_has_many_names(text: str) -> None:
    assert _paths(text) == ["pretrain.optimiser.learning_rate"]


def test_every_field_says_what_it_is() -> None:
    for field in (field for block in BLOCKS for field in block.fields):
        assert field.meaning and field.type, field.path
        assert field.required == (field.default == ""), field.path


@pytest.mark.parametrize("block", BLOCKS[::4], ids=lambda b: f"{b.path}-{b.variant}")
def test_a_field_is_found_by_its_path(block: Block) -> None:
    field = block.fields[-1]
    assert any(field.path in (one.path, *one.also) for one in find(field.path, BLOCKS))


def test_positions_in_lists_and_chosen_names_are_passed_over() -> None:
    assert _paths("sweep.arms.0.max_train_rows") == ["sweep.arms.max_train_rows"]
    assert _paths("sweep.arms.search.space.scale") == ["sweep.arms.search.space.NAME.scale"]


def test_a_whole_path_is_preferred_to_the_end_of_others() -> None:
    assert _paths("model") == ["model"]
    assert "pretrain.seed" in _paths("seed")


def test_one_class_at_several_places_is_told_once() -> None:
    (found,) = find("layers", BLOCKS)
    assert found.path == "pretrain.model.layers"
    assert "model.architecture.layers" in found.also


def test_types_defaults_and_rules_are_in_words() -> None:
    assert _field("pretrain.compute.stall_seconds").type == "an integer from 1 to 3600"
    assert _field("pretrain.optimiser.betas").type == "a list of 2, each a number from 0 to 1"
    assert _field("pretrain.optimiser.betas").default == "[0.9, 0.98]"
    assert _field("pretrain.seed").type == "an integer, 0 or more and below 2^63"
    assert _field("pretrain.masking").default == "those of its keys"
    assert _field("pretrain.steps").required
    assert "missing" not in _field("pretrain.model").rules
    assert any("does not score" in rule for rule in _field("task.metric").rules)


def test_blocks_say_by_which_key_they_are_chosen() -> None:
    variants = [b.variant for b in BLOCKS if b.path == "task.source"]
    assert "format: csv | tsv | parquet" in variants and "rule: species" in variants
    assert [b.variant for b in BLOCKS if b.path == "corpus.sources"] == [""]


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_a_block_of_its_own(kind: str) -> None:
    (found,) = find(kind, BLOCKS)
    assert found.field is None and found.block.path == kind


@pytest.mark.parametrize(("text", "near"), [("pretrain.optimizer.learning_rate", "optimiser"),
                                            ("lerning_rate", "learning_rate"), ("", "gfmp schema"),
                                            ("zzzzzz", "gfmp schema")])  # fmt: skip
def test_what_is_not_there_is_told_with_what_is_near(text: str, near: str) -> None:
    with pytest.raises(UsageError) as caught:
        find(text, BLOCKS)
    assert near in caught.value.problems[0].fix
