"""`--set key=value` of `register-vocab`: a recipe with other settings, checked like a file."""

from __future__ import annotations

from pathlib import Path

from gfmp.errors import MissingInputError, SpecError
from gfmp.spec.load import overridden
from gfmp.spec.project import named_folders
from gfmp.storage.documents import Document, Key
from gfmp.vocabulary.family import Recipe
from gfmp.vocabulary.fields import Fields
from gfmp.vocabulary.recipes import recipe_of
from gfmp.vocabulary.registry import FamilyRegistry, find_recipe

# Enough to learn words from: those of fifty million bases hardly differ.
DEFAULT_SAMPLE_BP = 8_000_000
# Fields of a recipe that may be set beside the settings of its family, and those given elsewhere.
_FIELDS = ("sample_bp", "seed")
_ELSEWHERE = {
    "corpus": "the corpus is given by --corpus",
    "name": "the name is the argument of register-vocab",
    "settings": "settings are given one by one",
}


def asked_recipe(name: str, assignments: tuple[str, ...], families: FamilyRegistry) -> Recipe:
    """Return the recipe `name` stands for, with `key=value` assignments applied.

    `family=...` makes a recipe for a name that nobody knows. Every setting is checked by the
    family before any corpus is read.

    Raises:
        MissingInputError: nobody knows the name and no family is given.
        SpecError: an assignment is not of the form key=value, or of a wrong type.
        SettingError: the family has no such setting, or refuses its value.
    """
    values = _split(assignments)
    recipe = _named(name, values.pop("family", ""), families)
    if values:
        paths = (f"{k if k in _FIELDS else f'settings.{k}'}={v}" for k, v in values.items())
        document = overridden(Document(Path("--set"), recipe.to_json(), {}), tuple(paths))
        recipe = recipe_of(Fields(document.value, _place, error=SpecError))
    families.size_bounds(recipe)
    return recipe


def _split(assignments: tuple[str, ...]) -> dict[str, str]:
    values: dict[str, str] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals or not key.isidentifier() or key in values or key in _ELSEWHERE:
            rule = _ELSEWHERE.get(key, "an assignment is key=value, each key once")
            raise SpecError(
                f"cannot apply --set {assignment!r}",
                where=f"--set {key}",
                why=rule,
                fix="for example --set k=5, or --set sample_bp=1000000",
            )
        values[key] = value
    return values


def _named(name: str, family: str, families: FamilyRegistry) -> Recipe:
    try:
        own = named_folders("vocabularies", Path.cwd())
        known = find_recipe(name, families, (*families.recipe_folders, *own))
    except MissingInputError:
        if not family:
            raise
        learns = families.get(family).needs_corpus
        return Recipe(name, family, {}, sample_bp=DEFAULT_SAMPLE_BP if learns else 0)
    if family not in ("", known.family):
        raise SpecError(
            f"{name!r} is a vocabulary of the family {known.family!r}, not {family!r}",
            where="--set family",
            why="a family is given to a name that nobody knows yet",
            fix="choose another name, or leave the family out",
        )
    return known


def _place(key: Key) -> str:
    return f"--set {key[-1]}" if key else "--set"
