"""Recipe: settings are typed and bounded, and everything is in the fingerprint."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gfmp.errors import RefusedError, VocabularyError
from gfmp.vocabulary.family import Family, Recipe, Setting
from gfmp.vocabulary.registry import FamilyRegistry
from gfmp.vocabulary.vocabulary import LengthLaw

RECIPE = Recipe("r", "kmer", {"k": 6, "x": 0.5, "word": "a", "flag": True})


def test_integer_and_number_read_within_bounds() -> None:
    assert RECIPE.integer("k", 1, 8) == 6
    assert RECIPE.number("x", 0, 1) == 0.5
    assert RECIPE.number("k", 0, 10) == 6.0


@pytest.mark.parametrize("key", ["x", "word", "flag", "absent"])
def test_integer_refuses_other_types(key: str) -> None:
    with pytest.raises(VocabularyError, match=key) as caught:
        RECIPE.integer(key, 0, 10)
    assert caught.value.problems[0].where == "recipe 'r'"


@pytest.mark.parametrize("key", ["word", "flag", "absent"])
def test_number_refuses_other_types(key: str) -> None:
    with pytest.raises(VocabularyError, match=key):
        RECIPE.number(key, 0, 10)


def test_bounds_are_named() -> None:
    with pytest.raises(VocabularyError) as caught:
        RECIPE.integer("k", 7, 8)
    assert "from 7 to 8" in caught.value.problems[0].why
    with pytest.raises(VocabularyError):
        RECIPE.number("x", 0.6, 1.0)


def test_filled_adds_defaults_and_keeps_settings() -> None:
    defaults: dict[str, Setting] = {"k": 3, "x": 1.0, "word": "", "flag": False, "more": 2}
    filled = RECIPE.filled(defaults)
    assert filled.settings == {"k": 6, "x": 0.5, "word": "a", "flag": True, "more": 2}
    assert "more" not in RECIPE.settings


def test_filled_refuses_an_unknown_setting() -> None:
    with pytest.raises(VocabularyError, match="unknown setting 'k'") as caught:
        Recipe("r", "kmer", {"k": 6}).filled({"kk": 1})
    assert caught.value.problems[0].fix == "did you mean 'kk'?"


def test_window_and_span_come_from_settings() -> None:
    settings = {"window_min_bp": 5, "window_max_bp": 9, "window_full_fraction": 0.25}
    recipe = Recipe("r", "f", {**settings, "mask_span_tokens": 3})
    assert recipe.window(2) == LengthLaw(5, 9, 0.25)
    assert recipe.mask_span() == 3
    with pytest.raises(VocabularyError, match="window_min_bp"):
        recipe.window(6)


def test_every_field_is_in_the_fingerprint() -> None:
    changed = (
        replace(RECIPE, name="s"),
        replace(RECIPE, family="bpe"),
        replace(RECIPE, settings={}),
        replace(RECIPE, corpus="c"),
        replace(RECIPE, sample_bp=1),
        replace(RECIPE, seed=1),
    )
    assert len({RECIPE.fingerprint, *(r.fingerprint for r in changed)}) == 7


def test_recipe_names_are_checked() -> None:
    with pytest.raises(RefusedError):
        Recipe("../x", "kmer", {})


def test_built_in_families_keep_the_protocol(families: FamilyRegistry) -> None:
    assert all(isinstance(f, Family) for f in families.families.values())
    assert not isinstance(object(), Family)
