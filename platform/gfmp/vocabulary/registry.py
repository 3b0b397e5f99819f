"""Which families exist, and what a vocabulary name stands for. Loud on every misfit.

A package enters by the entry point group `gfmp.vocabularies`. Each of its modules (names with a
leading underscore apart) is one family or several, in `FAMILIES: tuple[Family, ...]`.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from gfmp.errors import MissingInputError, VocabularyError
from gfmp.storage.documents import did_you_mean
from gfmp.vocabulary.family import Family, Recipe
from gfmp.vocabulary.recipes import load_recipe, recipe_files
from gfmp.vocabulary.tokenizer import Tokenizer
from gfmp.vocabulary.vocabulary import Vocabulary

ENTRY_POINT_GROUP = "gfmp.vocabularies"


@dataclass(frozen=True)
class FamilyRegistry:
    """Every family that was found.

    Attributes:
        families: Family name to family.
        origins: Family name to the module it comes from.
        recipe_folders: `recipes/` of each package.
    """

    families: Mapping[str, Family]
    origins: Mapping[str, str]
    recipe_folders: tuple[Path, ...]

    @classmethod
    def discover(cls) -> FamilyRegistry:
        """Find the families of all installed packages.

        Raises:
            VocabularyError: see `from_packages`.
        """
        points = importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)
        return cls.from_packages(tuple(sorted({point.module for point in points})))

    @classmethod
    def from_packages(cls, packages: Sequence[str]) -> FamilyRegistry:
        """Find the families of the packages of these names.

        Raises:
            VocabularyError: a package or module does not import, has no `FAMILIES`, or brings a
                family whose name is taken.
        """
        families: dict[str, Family] = {}
        origins: dict[str, str] = {}
        folders: list[Path] = []
        for package in map(_package, packages):
            folders.extend(Path(folder) / "recipes" for folder in package.__path__)
            for module in _modules(package):
                _admit(module, families, origins)
        return cls(families, origins, tuple(f for f in folders if f.is_dir()))

    def names(self) -> tuple[str, ...]:
        """Return the names of the families, sorted."""
        return tuple(sorted(self.families))

    def get(self, name: str) -> Family:
        """Return the family `name`.

        Raises:
            VocabularyError: no such family; lists those that exist.
        """
        if name not in self.families:
            raise VocabularyError(
                f"there is no family {name!r}",
                why=f"families are {_listed(self.names())}",
                fix=did_you_mean(name, self.names()) or "install the package that brings it",
            )
        return self.families[name]

    def tokenizer(self, vocabulary: Vocabulary) -> Tokenizer:
        """Return the tokenizer of a vocabulary, made by its family (see `get`)."""
        return self.get(vocabulary.family).tokenizer(vocabulary)

    def import_file(self, path: Path, name: str) -> Vocabulary:
        """Read a foreign tokenizer file with the first family that knows its kind.

        Raises:
            MissingInputError: there is no such file.
            VocabularyError: the file is broken, or no family knows its kind.
        """
        if not path.is_file():
            raise MissingInputError(
                f"there is no file {path.name!r}", where=str(path), fix="check the path"
            )
        for family in self.families.values():
            vocabulary = family.import_file(path, name)
            if vocabulary is not None:
                return vocabulary
        raise VocabularyError(
            "no family reads files of this kind",
            where=str(path),
            why=f"families are {_listed(self.names())}",
            fix="give a tokenizer.json with a BPE model, or a vocab.txt of k-mers",
        )


def find_recipe(name: str, families: FamilyRegistry, recipe_folders: Sequence[Path]) -> Recipe:
    """Return what `name` stands for: a recipe file first, else what a family reads in the name.

    Raises:
        MissingInputError: neither knows the name; lists the recipes and families that exist.
        VocabularyError: two families claim the name, or its family does not exist.
        SpecError: the recipe file is broken.
    """
    files = recipe_files(recipe_folders)
    if name in files:
        recipe = load_recipe(files[name])
        families.get(recipe.family)
        return recipe
    claims = [r for r in (f.recipe(name) for f in families.families.values()) if r is not None]
    if len(claims) > 1:
        raise VocabularyError(
            f"{name!r} means a vocabulary of {_listed([c.family for c in claims])}",
            why="a name stands for one recipe",
            fix=f"write a recipe file {name}.yaml that says which family",
        )
    if not claims:
        known = (*files, *families.names())
        raise MissingInputError(
            f"nothing is known of a vocabulary {name!r}",
            why=f"recipes are {_listed(sorted(files))}; families are {_listed(families.names())}",
            fix=did_you_mean(name, known) or f"write a recipe file {name}.yaml",
        )
    return claims[0]


def _package(name: str) -> ModuleType:
    module = _imported(name)
    if "__path__" not in vars(module):
        raise VocabularyError(
            f"{name} is a module, not a package",
            where=str(module.__file__),
            why=f"the entry point group {ENTRY_POINT_GROUP!r} names packages of families",
            fix="make it a folder with one module for each family",
        )
    return module


def _imported(name: str) -> ModuleType:
    # Whatever a third-party module raises while it loads is reported as that module's fault.
    try:
        return importlib.import_module(name)
    except Exception as fault:
        raise VocabularyError(
            f"{name} does not import: {type(fault).__name__}: {fault}",
            where=_location(name),
            why=f"every module of the entry point group {ENTRY_POINT_GROUP!r} must import",
            fix="repair that file, or remove the package that brings it",
        ) from fault


def _location(name: str) -> str:
    parent, _, leaf = name.rpartition(".")
    if not parent:
        return name
    folders = importlib.import_module(parent).__path__
    return str(Path(next(iter(folders))) / f"{leaf}.py")


def _modules(package: ModuleType) -> Iterator[ModuleType]:
    names = sorted(m.name for m in pkgutil.iter_modules(package.__path__))
    return (_imported(f"{package.__name__}.{n}") for n in names if not n.startswith("_"))


def _admit(module: ModuleType, families: dict[str, Family], origins: dict[str, str]) -> None:
    offered = vars(module).get("FAMILIES")
    if not isinstance(offered, tuple) or not all(map(_is_family, offered)):
        raise VocabularyError(
            f"{module.__name__} has no FAMILIES tuple of families",
            where=str(module.__file__),
            why=f"each module of a vocabulary package is a family; found {_listed(families)}",
            fix="define FAMILIES, or begin the module's name with an underscore",
        )
    for family in offered:
        if family.name in families:
            raise VocabularyError(
                f"the family {family.name!r} exists twice",
                where=str(module.__file__),
                why=f"{origins[family.name]} brings it already; found {_listed(families)}",
                fix="give one of them another name",
            )
        families[family.name] = family
        origins[family.name] = module.__name__


def _is_family(value: object) -> bool:
    return isinstance(value, Family) and not isinstance(value, type)


def _listed(names: Sequence[str] | Mapping[str, object]) -> str:
    return ", ".join(sorted(names)) or "none"
