"""What `register-vocab` and `vocab list` do, apart from printing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from gfmp.cli.recipe_settings import asked_recipe
from gfmp.cli.vocabularies import DEFAULT_CORPUS
from gfmp.errors import ExistsError, UsageError
from gfmp.spec.project import named_folders
from gfmp.storage.workspace import Workspace, checked_name
from gfmp.vocabulary.contract import check
from gfmp.vocabulary.family import Recipe
from gfmp.vocabulary.recipes import recipe_files
from gfmp.vocabulary.registry import FamilyRegistry
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
    folders = (*families.recipe_folders, *named_folders("vocabularies", Path.cwd()))
    recipes = set(recipe_files(folders)) - set(store.names())
    return Listing(registered, tuple(sorted(recipes)), families.names())


def register(
    name: str, corpus: str | None, assignments: tuple[str, ...], workspace: Workspace
) -> Registered:
    """Build the vocabulary `name` and store it.

    A name that is registered already is not built again: the recipe it was made with is compared
    with the one asked for.

    Args:
        name: Of the vocabulary.
        corpus: Corpus to learn from; None for the one of the recipe.
        assignments: `key=value` for each setting to change.
        workspace: Where vocabularies and corpora are.

    Raises:
        RefusedError: the name is not allowed.
        MissingInputError: nothing knows how to build it.
        SpecError, SettingError: an assignment is broken, or its family refuses it.
        ExistsError: the name is taken by another recipe.
    """
    checked_name(name, "vocabulary")
    families = FamilyRegistry.discover()
    store = VocabularyStore(workspace.vocabularies)
    recipe = asked_recipe(name, assignments, families)
    if families.get(recipe.family).needs_corpus:
        recipe = replace(recipe, corpus=corpus or recipe.corpus or DEFAULT_CORPUS)
    if name in store.names():
        stored = store.recipe_json(name)
        _refuse_other(recipe, stored, bool(corpus or assignments))
        if stored == recipe.to_json():
            return store.register(store.get(name), recipe)
    return _build(recipe, workspace)


def _refuse_other(recipe: Recipe, stored: dict[str, object], asked: bool) -> None:
    """Refuse settings that were asked for and are not those of the registered vocabulary.

    Without any, the vocabulary is built and its content compared: a recipe may gain a setting
    between two versions of a family and still mean the same words.
    """
    if not stored.get("corpus"):
        # It was learnt from the corpus of a job, whose name the recipe does not hold.
        stored = stored | {"corpus": recipe.corpus}
    differences = recipe.differences(stored)
    if asked and differences:
        raise ExistsError(
            f"{recipe.name!r} is registered with other settings: {'; '.join(differences)}",
            where=recipe.name,
            why="a registered vocabulary never changes, for checkpoints rely on it",
            fix="give the new one a name of its own: "
            f"gfmp register-vocab NAME --set family={recipe.family} ...",
        )


def import_vocabulary(name: str, source: Path, settings: bool, workspace: Workspace) -> Registered:
    """Read the vocabulary `name` from a foreign file, check it and store it.

    Raises:
        UsageError: `settings`, which a file does not take, were given.
        MissingInputError: there is no such file.
        VocabularyError: the file is broken, or its vocabulary does not keep the contract.
        ExistsError: the name is taken by another content.
    """
    checked_name(name, "vocabulary")
    if settings:
        raise UsageError(
            "--corpus and --set do not go with --from",
            why="a file holds a vocabulary that is already made",
            fix="leave them out, or leave out --from",
        )
    families = FamilyRegistry.discover()
    vocabulary = families.import_file(source, name)
    check(vocabulary, families.tokenizer(vocabulary), seed=0)
    recipe = Recipe(name, vocabulary.family, {})
    return VocabularyStore(workspace.vocabularies).register(vocabulary, recipe)


def _build(recipe: Recipe, workspace: Workspace) -> Registered:
    from gfmp.cli.progress import shown
    from gfmp.cluster.build import Builder
    from gfmp.plan.survey import find_corpus

    with shown(workspace) as console:
        builder = Builder(workspace, console.say)
        return builder.vocabulary(
            recipe, lambda: builder.corpus(find_corpus(recipe.corpus, Path.cwd(), workspace))
        )
