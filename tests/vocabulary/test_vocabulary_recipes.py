"""Recipe files: strict keys, types, names."""

from __future__ import annotations

from pathlib import Path

import pytest

from gfmp.errors import MissingInputError, SpecError
from gfmp.vocabulary.recipes import load_recipe, recipe_files

GOOD = "name: mine\nfamily: kmer\nsettings:\n  k: 6\n  x: 0.5\n  word: abc\n"


def write(folder: Path, text: str, name: str = "mine.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_recipe_is_read_with_defaults(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, GOOD))
    assert recipe.settings == {"k": 6, "x": 0.5, "word": "abc"}
    assert (recipe.name, recipe.family) == ("mine", "kmer")
    assert (recipe.corpus, recipe.sample_bp, recipe.seed) == ("", 0, 0)


def test_all_fields_are_read(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, GOOD + "corpus: yeast\nsample_bp: 5000\nseed: 3\n"))
    assert (recipe.corpus, recipe.sample_bp, recipe.seed) == ("yeast", 5000, 3)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (GOOD + "sead: 1\n", 7),
        (GOOD + "seed: -1\n", 7),
        (GOOD + "seed: 1.5\n", 7),
        (GOOD + "sample_bp: 999999999999\n", 7),
        (GOOD.replace("mine", "other"), 1),
        (GOOD.replace("kmer", "[kmer]"), 2),
        (GOOD.replace("0.5", "true"), 5),
        (GOOD.replace("0.5", "[1]"), 5),
        ("name: mine\nfamily: kmer\nsettings: 3\n", 3),
        ("name: mine\nname: mine\n", 2),
    ],
)
def test_mistakes_are_refused_at_their_line(tmp_path: Path, text: str, line: int) -> None:
    with pytest.raises(SpecError) as caught:
        load_recipe(write(tmp_path, text))
    assert f"mine.yaml:{line}:" in caught.value.problems[0].where


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"gone\.yaml"):
        load_recipe(tmp_path / "gone.yaml")


def test_two_folders_must_not_share_a_name(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
        write(folder, GOOD)
    assert recipe_files((one,)) == {"mine": one / "mine.yaml"}
    with pytest.raises(SpecError, match="exists twice"):
        recipe_files((one, two))
