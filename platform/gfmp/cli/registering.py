"""What `register-vocab` and `vocab list` do, apart from printing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from gfmp.cli.vocabularies import DEFAULT_CORPUS
from gfmp.storage.workspace import Workspace, checked_name
from gfmp.vocabulary.family import Recipe
from gfmp.vocabulary.recipes import recipe_files
from gfmp.vocabulary.registry import FamilyRegistry, find_recipe
from gfmp.vocabulary.store import Registered, VocabularyStore
from gfmp.vocabulary.vocabulary import Vocabulary


@dataclass(frozen=True)
class Listing:
    """Vocabularies that are registered, and names that can be built."""

    registered: tuple[Vocabulary, ...]
    recipes: tuple[str, ...]
    families: tuple[str, ...]


def listing(workspace: Workspace) -> Listing:
    """Gather what `gfmp vocab list` shows."""
    store = VocabularyStore(workspace.vocabularies)
    families = FamilyRegistry.discover()
    registered = tuple(store.get(name) for name in store.names())
    recipes = set(recipe_files(families.recipe_folders)) - set(store.names())
    return Listing(registered, tuple(sorted(recipes)), families.names())


def register(
    name: str, corpus: str | None, source: Path | None, workspace: Workspace
) -> Registered:
    """Build or import the vocabulary `name` and store it.

    A name that is registered already is not built again: the recipe it was made with is compared
    with the one asked for.

    Raises:
        RefusedError: the name is not allowed.
        MissingInputError: nothing knows how to build it.
        ExistsError: the name is taken by another recipe.
    """
    checked_name(name, "vocabulary")
    families = FamilyRegistry.discover()
    store = VocabularyStore(workspace.vocabularies)
    if source is not None:
        vocabulary = families.import_file(source, name)
        return store.register(vocabulary, Recipe(name, vocabulary.family, {}))
    recipe = find_recipe(name, families, families.recipe_folders)
    family = families.get(recipe.family)
    if family.needs_corpus:
        recipe = replace(recipe, corpus=corpus or recipe.corpus or DEFAULT_CORPUS)
    if name in store.names() and store.recipe_json(name) == recipe.to_json():
        vocabulary = store.get(name)
        return store.register(vocabulary, recipe)
    return _build(recipe, workspace)


def _build(recipe: Recipe, workspace: Workspace) -> Registered:
    from gfmp.cli.progress import shown
    from gfmp.cluster.build import Builder
    from gfmp.plan.survey import find_corpus

    with shown(workspace) as console:
        builder = Builder(workspace, console.say)
        return builder.vocabulary(
            recipe, lambda: builder.corpus(find_corpus(recipe.corpus, Path.cwd(), workspace))
        )
