"""A store after somebody touched it: each file, each way, and what stays usable beside it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gfmp.errors import CorruptArtefactError, ExistsError, GfmpError
from gfmp.vocabulary.family import Recipe
from gfmp.vocabulary.store import VocabularyStore
from gfmp.vocabulary.vocabulary import LengthLaw, Vocabulary

FILES = ("vocabulary.json", "recipe.json", "manifest.json")


def toy(name: str) -> Vocabulary:
    law = LengthLaw(1, 10, 0.5)
    return Vocabulary(name, "any", ("A", "C", "G", "T"), 0, 1, law, 1, 1.5, {"merges": []})


@pytest.fixture
def store(tmp_path: Path) -> VocabularyStore:
    made = VocabularyStore(tmp_path / "vocabularies")
    for name in ("toy", "other"):
        made.register(toy(name), Recipe(name, "any", {"k": 2}, sample_bp=7))
    return made


def remove(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def shorten(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 2)


def add_a_space(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"{", b"{ ", 1))


def add_a_key(path: Path) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | {"extra": 1}))


def become_a_list(path: Path) -> None:
    path.write_text(f"[{path.read_text()}]")


def become_binary(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00")


def become_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def become_the_others(path: Path) -> None:
    mine = path.parent
    other = next(p for p in mine.parent.iterdir() if p != mine)
    path.write_bytes((other / path.name).read_bytes())


# Spaces and further keys in the manifest change nothing that it promises.
HARMLESS = {("manifest.json", add_a_space), ("manifest.json", add_a_key)}
DAMAGES = (
    remove,
    empty,
    shorten,
    add_a_space,
    add_a_key,
    become_a_list,
    become_binary,
    become_a_folder,
    become_the_others,
)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_named_by_file_and_hits_one_vocabulary_only(
    store: VocabularyStore, name: str, damage: Callable[[Path], None]
) -> None:
    path = store.root / "objects" / toy("toy").fingerprint[:16] / name
    damage(path)
    assert store.get("other") == toy("other")
    if (name, damage) in HARMLESS:
        assert store.get("toy") == toy("toy")
        return
    for read in (
        lambda: store.get("toy"),
        lambda: store.recipe_json("toy"),
        lambda: store.register(toy("toy"), Recipe("toy", "any", {})),
    ):
        with pytest.raises(CorruptArtefactError) as caught:
            read()
        problem = caught.value.problems[0]
        # A manifest that lies is noticed at the file it lies about.
        assert Path(problem.where).parent == path.parent
        assert problem.why and problem.fix
    assert store.names() == ("other", "toy")


def test_an_object_whose_name_was_lost_is_adopted_again(store: VocabularyStore) -> None:
    (store.root / "names" / "toy.json").unlink()
    assert store.names() == ("other",)
    again = store.register(toy("toy"), Recipe("toy", "any", {"k": 9}))
    assert again.created
    assert store.get("toy") == toy("toy")
    assert store.recipe_json("toy")["settings"] == {"k": 2}, "the object is never rewritten"


def test_a_name_whose_object_was_lost_is_damage(store: VocabularyStore) -> None:
    shutil.rmtree(store.root / "objects" / toy("toy").fingerprint[:16])
    for attempt in (
        lambda: store.get("toy"),
        lambda: store.register(toy("toy"), Recipe("toy", "any", {})),
    ):
        with pytest.raises(CorruptArtefactError, match="it is missing"):
            attempt()


def test_a_damaged_object_without_a_name_is_not_adopted(store: VocabularyStore) -> None:
    (store.root / "names" / "toy.json").unlink()
    add_a_key(store.root / "objects" / toy("toy").fingerprint[:16] / "vocabulary.json")
    with pytest.raises(CorruptArtefactError, match="do not hash"):
        store.register(toy("toy"), Recipe("toy", "any", {}))
    assert store.names() == ("other",)


@pytest.mark.parametrize("length", [0, 15, 63, 65])
def test_a_fingerprint_of_another_length_is_damage(store: VocabularyStore, length: int) -> None:
    record = store.root / "names" / "toy.json"
    stored = json.loads(record.read_text())["fingerprint"]
    record.write_text(json.dumps({"name": "toy", "fingerprint": (stored * 2)[:length]}))
    with pytest.raises(CorruptArtefactError, match="not a sha256") as caught:
        store.get("toy")
    assert caught.value.problems[0].where == str(record)


def test_a_fingerprint_of_the_same_beginning_is_still_another(store: VocabularyStore) -> None:
    record = store.root / "names" / "toy.json"
    stored = json.loads(record.read_text())["fingerprint"]
    twin = stored[:16] + stored[16:][::-1]
    record.write_text(json.dumps({"name": "toy", "fingerprint": twin}))
    with pytest.raises(CorruptArtefactError, match=f"it hashes to {stored[:16]}"):
        store.get("toy")


@pytest.mark.parametrize(
    "change",
    [{"mask_span_tokens": 2}, {"bp_per_token": 1.6}, {"family": "kmer"}, {"payload": {}}],
)
def test_any_other_field_is_another_content(
    store: VocabularyStore, change: dict[str, object]
) -> None:
    other = replace(toy("toy"), **change)  # type: ignore[arg-type]
    with pytest.raises(ExistsError) as caught:
        store.register(other, Recipe("toy", "any", {}))
    problem = caught.value.problems[0]
    assert toy("toy").fingerprint[:16] in problem.message
    assert other.fingerprint[:16] in problem.message
    assert problem.where.endswith("toy.json")
    assert store.get("toy") == toy("toy")


def test_strangers_in_the_folders_are_no_vocabularies(store: VocabularyStore) -> None:
    names = store.root / "names"
    for stranger in ("README.md", ".hidden.json", "Upper.json", "-dash.json"):
        (names / stranger).write_text("{}")
    (store.root / "objects" / "notes").mkdir()
    assert store.names() == ("other", "toy")
    for name in store.names():
        assert store.get(name).name == name


def test_a_store_that_cannot_be_written_says_so_for_people(tmp_path: Path) -> None:
    (tmp_path / "vocabularies").write_text("a file where the folder should be")
    with pytest.raises(GfmpError) as caught:
        VocabularyStore(tmp_path / "vocabularies").register(toy("toy"), Recipe("toy", "any", {}))
    assert "vocabularies" in caught.value.problems[0].where
