"""Built vocabularies on disk: content-addressed objects and names that never change.

`objects/<first 16 of fingerprint>/` holds `vocabulary.json`, `recipe.json` and `manifest.json`;
`names/<name>.json` says which object a name means.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gfmp.errors import CorruptArtefactError, ExistsError, MissingInputError, RefusedError
from gfmp.storage.atomic import (
    put_if_absent,
    read_json,
    remove_abandoned,
    staged_directory,
    write_json,
)
from gfmp.storage.documents import did_you_mean
from gfmp.storage.hashes import canonical_json, sha256_file
from gfmp.storage.locks import exclusive
from gfmp.storage.workspace import checked_name
from gfmp.vocabulary.family import Recipe
from gfmp.vocabulary.vocabulary import Vocabulary

LOCK_WAIT_SECONDS = 60.0
_FILES = ("vocabulary.json", "recipe.json")


@dataclass(frozen=True)
class Registered:
    """The outcome of a registration.

    Attributes:
        name: Name of the vocabulary.
        fingerprint: Its content hash.
        path: Folder of the object.
        created: False when the same vocabulary was there already.
    """

    name: str
    fingerprint: str
    path: Path
    created: bool


@dataclass(frozen=True)
class VocabularyStore:
    """Vocabularies below one folder (`Workspace.vocabularies`).

    Attributes:
        root: The folder; made by the first registration.
    """

    root: Path

    def register(self, vocabulary: Vocabulary, recipe: Recipe) -> Registered:
        """Publish a vocabulary under its name, once and for ever.

        Any number of processes may register at a time: one creates, the others find it there.

        Raises:
            ExistsError: the name belongs to another content; names both fingerprints.
            CorruptArtefactError: what is there under the name is damaged.
            RefusedError: a part of the registry is a symbolic link.
            LockedError: another process holds the store for a minute.
        """
        self._refuse_links(self._objects, self._names, self.root / "lock")
        with exclusive(self.root / "lock", wait_seconds=LOCK_WAIT_SECONDS):
            remove_abandoned(self._objects)
            remove_abandoned(self._names)
            return self._register_locked(vocabulary, recipe)

    def get(self, name: str) -> Vocabulary:
        """Return the vocabulary `name`, verified against its hashes.

        Raises:
            RefusedError: the name is not one a vocabulary can have, or a file of the
                registry is a symbolic link.
            MissingInputError: no vocabulary of this name is registered.
            CorruptArtefactError: a file is missing or changed.
        """
        record = self._record(checked_name(name, "vocabulary"))
        if not record.exists() and not record.is_symlink():
            raise MissingInputError(
                f"no vocabulary {name!r} is registered",
                where=str(self.root),
                why=f"registered are {', '.join(self.names()) or 'none'}",
                fix=did_you_mean(name, self.names()) or f"register {name!r} first",
            )
        return self._load(name)

    def names(self) -> tuple[str, ...]:
        """Return the names of all registered vocabularies, sorted."""
        return tuple(sorted(path.stem for path in self._names.glob("[a-z0-9]*.json")))

    def recipe_json(self, name: str) -> dict[str, object]:
        """Return the JSON values of the recipe `name` was built from (raises like `get`)."""
        return read_json(self._object(self.get(name).fingerprint) / "recipe.json")

    @property
    def _objects(self) -> Path:
        return self.root / "objects"

    @property
    def _names(self) -> Path:
        return self.root / "names"

    def _object(self, fingerprint: str) -> Path:
        return self._objects / fingerprint[:16]

    def _record(self, name: str) -> Path:
        return self._names / f"{name}.json"

    def _register_locked(self, vocabulary: Vocabulary, recipe: Recipe) -> Registered:
        name, fingerprint = vocabulary.name, vocabulary.fingerprint
        folder, record = self._object(fingerprint), self._record(name)
        if record.exists() or record.is_symlink():
            there = self._load(name).fingerprint
            if there != fingerprint:
                differences = recipe.differences(self.recipe_json(name))
                raise _taken(vocabulary, there, record, differences)
            return Registered(name, fingerprint, folder, created=False)
        if folder.exists() or folder.is_symlink():
            self._verified(folder, fingerprint)
        else:
            _publish(folder, vocabulary, recipe)
        text = canonical_json({"name": name, "fingerprint": fingerprint})
        created = put_if_absent(record, f"{text}\n".encode("ascii"))
        return Registered(name, fingerprint, folder, created)

    def _load(self, name: str) -> Vocabulary:
        record = self._record(name)
        self._refuse_links(self._objects, self._names, record)
        value = read_json(record)
        fingerprint = value.get("fingerprint")
        if value.get("name") != name or not isinstance(fingerprint, str):
            raise _damaged(record, "it is not the record of this name")
        if len(fingerprint) != 64 or not fingerprint.isalnum():
            raise _damaged(record, "its fingerprint is not a sha256")
        vocabulary = self._verified(self._object(fingerprint), fingerprint)
        if vocabulary.name != name:
            raise _damaged(record, f"it points at the vocabulary {vocabulary.name!r}")
        return vocabulary

    def _verified(self, folder: Path, fingerprint: str) -> Vocabulary:
        paths = [folder / name for name in (*_FILES, "manifest.json")]
        self._refuse_links(folder, *paths)
        for path in paths:
            if not path.is_file():
                raise _damaged(path, "it is missing")
        manifest = read_json(paths[-1])
        for path in paths[:-1]:
            if manifest.get(path.name) != sha256_file(path):
                raise _damaged(path, "its bytes do not hash to what the manifest says")
        vocabulary = Vocabulary.from_json(read_json(paths[0]), str(paths[0]))
        if vocabulary.fingerprint != fingerprint:
            raise _damaged(paths[0], f"it hashes to {vocabulary.fingerprint[:16]}")
        return vocabulary

    def _refuse_links(self, *paths: Path) -> None:
        for path in paths:
            if path.is_symlink():
                raise RefusedError(
                    "a part of the registry is a symbolic link",
                    where=str(path),
                    why="gfmp writes none, and what it points at could be changed unseen",
                    fix="remove the link, restore the file, or register the vocabulary again",
                )


def _publish(folder: Path, vocabulary: Vocabulary, recipe: Recipe) -> None:
    contents = (vocabulary.to_json(), recipe.to_json())
    with staged_directory(folder) as staging:
        for name, content in zip(_FILES, contents, strict=True):
            write_json(staging / name, content)
        hashes = {name: sha256_file(staging / name) for name in _FILES}
        write_json(staging / "manifest.json", hashes)


def _taken(
    vocabulary: Vocabulary, there: str, record: Path, differences: Sequence[str]
) -> ExistsError:
    how = (
        "; ".join(differences) or "the recipes say the same, so its corpus, file or family changed"
    )
    return ExistsError(
        f"the vocabulary {vocabulary.name!r} is {there[:16]}, and this one is "
        f"{vocabulary.fingerprint[:16]}: {how}",
        where=str(record),
        why="a registered vocabulary never changes, for checkpoints rely on it",
        fix="give the new one another name",
    )


def _damaged(path: Path, how: str) -> CorruptArtefactError:
    return CorruptArtefactError(
        f"the registered vocabulary is damaged: {how}",
        where=str(path),
        why="gfmp publishes vocabularies whole and never changes them",
        fix="restore the file, or remove the object and its name and register it again",
    )
