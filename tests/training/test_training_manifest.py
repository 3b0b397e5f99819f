"""The damage matrix of a checkpoint: whatever is missing, short or changed is named."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import fields as fields_of
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from training_ranks import Stand
from training_world import Shape, World

from gfmp.errors import CorruptArtefactError, MissingInputError, StorageError
from gfmp.storage.atomic import read_json, write_json
from gfmp.storage.hashes import fingerprint
from gfmp.training.manifest import (
    Cursor,
    Manifest,
    StoredFile,
    directory_name,
    read_manifest,
    verify,
    what_differs,
    write_manifest,
)
from gfmp.training.processes import Group
from gfmp.training.restore import clear_rejected, find_newest, restore

ORDER = "cd" * 32
FILES = ("ensemble.json", "model.safetensors", "moments-00000-of-00001.safetensors")
FIELDS = [field.name for field in fields_of(Manifest)]


@pytest.fixture(scope="module")
def stand(world: World, group: Group) -> Stand:
    return Stand(world, world.plan(Shape()), group)


@pytest.fixture(scope="module")
def pristine(stand: Stand, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Whole checkpoints of steps 1 and 2, to be copied and harmed."""
    folder = tmp_path_factory.mktemp("pristine")
    engine = stand.build()
    for step in (1, 2):
        stand.store(folder).commit(engine, Cursor(step, ORDER), heldout_loss=float(step))
    return folder


@pytest.fixture
def folder(pristine: Path, tmp_path: Path) -> Path:
    shutil.copytree(pristine, tmp_path / "checkpoints")
    return tmp_path / "checkpoints"


def reseal(path: Path, body: dict[str, object]) -> None:
    """Write a manifest whose own hash is right, whatever it says."""
    body.pop("sha256", None)
    write_json(path / "manifest.json", {**body, "sha256": fingerprint(body)})


def _remove(path: Path) -> None:
    path.unlink()


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def _rename(path: Path) -> None:
    path.rename(path.with_name(f"{path.name}.old"))


def _replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


HARMS: list[tuple[Callable[[Path], None], str]] = [
    (_remove, "missing or unknown files: {name}"),
    (_rename, "missing or unknown files: {name}, {name}.old"),
    (_cut, "{name} has "),
    (_empty, "{name} has 0 bytes instead of "),
    (_lengthen, "{name} has "),
    (_replace_by_folder, "{name} has "),
    (_flip, "{name} does not match its sha256"),
    (_zero, "{name} does not match its sha256"),
]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(("harm", "reason"), HARMS, ids=lambda v: getattr(v, "__name__", ""))
def test_every_harm_to_every_file_is_named_and_the_one_before_is_found(
    folder: Path, name: str, harm: Callable[[Path], None], reason: str
) -> None:
    newest = folder / directory_name(2)
    harm(newest / name)
    with pytest.raises(CorruptArtefactError) as caught:
        verify(newest)
    problem = caught.value.problems[0]
    assert problem.message.startswith(reason.format(name=name))
    assert problem.where == str(newest)
    assert problem.why == "a checkpoint is used whole or not at all"
    assert "resume from an older one" in problem.fix
    found = find_newest(folder)
    assert found.path == folder / directory_name(1)
    assert [(item.path, item.reason) for item in found.rejected] == [(newest, problem.message)]
    assert newest.is_dir(), "looking changes nothing"


def _not_json(path: Path) -> None:
    path.write_text("step 2")


def _a_list(path: Path) -> None:
    path.write_text("[1, 2]")


def _not_text(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00")


def _no_number(path: Path) -> None:
    path.write_text(path.read_text().replace('"heldout_loss": 2.0', '"heldout_loss": NaN'))


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (_remove, "no manifest.json"),
        (_replace_by_folder, "no manifest.json"),
        (_empty, "not a JSON object"),
        (_not_json, "not a JSON object"),
        (_a_list, "not a JSON object"),
        (_not_text, "not a JSON object"),
        (_no_number, "does not match its own sha256"),
    ],
    ids=lambda v: getattr(v, "__name__", ""),
)
def test_every_harm_to_the_manifest_is_named(
    folder: Path, harm: Callable[[Path], None], reason: str
) -> None:
    before = (folder / directory_name(2) / "manifest.json").read_bytes()
    harm(folder / directory_name(2) / "manifest.json")
    path = folder / directory_name(2) / "manifest.json"
    assert not path.is_file() or path.read_bytes() != before
    found = find_newest(folder)
    assert found.path == folder / directory_name(1)
    assert [reason in item.reason for item in found.rejected] == [True]


@pytest.mark.parametrize("field", [*FIELDS, "format_version"])
def test_a_missing_field_is_named_with_and_without_the_right_hash(folder: Path, field: str) -> None:
    path = folder / directory_name(2)
    body = read_json(path / "manifest.json")
    del body[field]
    write_json(path / "manifest.json", body)
    with pytest.raises(CorruptArtefactError, match="does not match its own sha256"):
        read_manifest(path)
    reseal(path, body)
    with pytest.raises(CorruptArtefactError, match=f"not understood.*{field}|version is None"):
        read_manifest(path)


@pytest.mark.parametrize("field", [*FIELDS, "format_version", "sha256"])
def test_a_changed_field_is_found(folder: Path, field: str) -> None:
    path = folder / directory_name(2)
    body = read_json(path / "manifest.json")
    for value in ("", 7, None, [body[field]]):
        write_json(path / "manifest.json", {**body, field: value})
        with pytest.raises(CorruptArtefactError, match="does not match its own sha256"):
            read_manifest(path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cursor", {"step": "two", "order_hash": ORDER}),
        ("cursor", {"step": 2}),
        ("heldout_loss", "low"),
        ("files", {"model.safetensors": {"bytes": 3}}),
        ("what", None),
        ("written_by", {"ranks": [1]}),
    ],
)
def test_a_field_of_another_type_is_not_understood(folder: Path, field: str, value: object) -> None:
    path = folder / directory_name(2)
    reseal(path, {**read_json(path / "manifest.json"), field: value})
    with pytest.raises(CorruptArtefactError, match=f"not understood.*'{field}'"):
        read_manifest(path)


def test_flipped_bits_of_a_manifest_never_pass_for_another_one(folder: Path) -> None:
    path = folder / directory_name(2) / "manifest.json"
    whole, expected = path.read_bytes(), read_manifest(path.parent)
    passed = 0
    for place in random.Random(1).sample(range(len(whole) * 8), 300):
        broken = bytearray(whole)
        broken[place // 8] ^= 1 << place % 8
        path.write_bytes(broken)
        try:
            # White space means nothing in JSON: turning one kind into another is no change.
            assert read_manifest(path.parent) == expected
            assert json.loads(broken) == json.loads(whole)
            passed += 1
        except CorruptArtefactError:
            continue
    assert passed < 20


def test_a_file_in_place_of_a_checkpoint_is_set_aside(folder: Path, stand: Stand) -> None:
    (folder / directory_name(3)).write_text("not a folder")
    loaded, rejected = restore(stand.store(folder), stand.build())
    assert loaded is not None
    assert loaded.cursor.step == 2
    assert ["no manifest.json" in item.reason for item in rejected] == [True]
    (aside,) = folder.glob(".rejected-*")
    assert aside.read_text() == "not a folder"


def test_setting_aside_never_overwrites(folder: Path) -> None:
    for _ in range(3):
        (folder / directory_name(3)).mkdir()
        clear_rejected(folder, find_newest(folder).rejected)
    assert len(list(folder.glob(f".rejected-{directory_name(3)}-*"))) == 3
    assert find_newest(folder).rejected == ()


def test_all_reasons_are_told_when_nothing_is_whole(folder: Path) -> None:
    _remove(folder / directory_name(2) / "manifest.json")
    _flip(folder / directory_name(1) / "model.safetensors")
    with pytest.raises(MissingInputError) as caught:
        find_newest(folder)
    problem = caught.value.problems[0]
    assert "step-000000002: it has no manifest.json" in problem.message
    assert "step-000000001: model.safetensors does not match" in problem.message
    assert problem.where == str(folder)
    assert "never starts again from step 0" in problem.why


def test_a_folder_that_cannot_be_made_is_a_storage_error(stand: Stand, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(StorageError, match="cannot write") as caught:
        stand.store(tmp_path / "taken").commit(stand.build(), Cursor(1, ORDER), None)
    assert caught.value.problems[0].where == str(tmp_path / "taken" / directory_name(1))
    assert (tmp_path / "taken").read_text() == "a file"


def test_a_checkpoint_of_another_shape_is_a_bug_not_a_half_loaded_model(
    folder: Path, stand: Stand
) -> None:
    what = stand.plan.what
    deeper = what.architecture.model_copy(update={"layers": 3})
    other = replace(stand, plan=replace(stand.plan, what=replace(what, architecture=deeper)))
    with pytest.raises(AssertionError, match=r"has no tensor 'encoder\.blocks\.2\."):
        restore(stand.store(folder), other.build())


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(max_size=8)
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), NUMBERS, TEXT)
TREES = st.recursive(LEAVES, lambda inner: st.dictionaries(TEXT, inner, max_size=3), max_leaves=6)
MANIFESTS = st.builds(
    Manifest,
    cursor=st.builds(Cursor, st.integers(0, 2**40), TEXT),
    what_fingerprint=TEXT,
    what=st.dictionaries(TEXT, TREES, max_size=4),
    ensemble_fingerprint=TEXT,
    heldout_loss=st.one_of(st.none(), NUMBERS),
    written_by=st.dictionaries(TEXT, TEXT, max_size=3),
    files=st.dictionaries(TEXT, st.builds(StoredFile, st.integers(0, 2**50), TEXT), max_size=3),
)


@settings(
    deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(manifest=MANIFESTS)
def test_any_manifest_comes_back_as_it_was(tmp_path: Path, manifest: Manifest) -> None:
    write_manifest(tmp_path, manifest)
    assert read_manifest(tmp_path) == manifest
    assert manifest.num_bytes == sum(file.bytes for file in manifest.files.values())


def leaves(tree: dict[str, object], at: str = "") -> dict[str, object]:
    """Flatten nested dictionaries to `a.b.c`."""
    flat: dict[str, object] = {}
    for key, value in tree.items():
        flat |= leaves(value, f"{at}{key}.") if isinstance(value, dict) else {f"{at}{key}": value}
    return flat


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_differences_are_those_of_the_flattened_plans(data: st.DataObject) -> None:
    number = st.integers(0, 2)
    shape = st.fixed_dictionaries(
        {"a": number, "b": st.fixed_dictionaries({"c": number, "d": number}), "e": number}
    )
    old, new = data.draw(shape), data.draw(shape)
    before, after = leaves(old), leaves(new)
    expected = [f"{k}: {before[k]} -> {after[k]}" for k in before if before[k] != after[k]]
    assert sorted(what_differs(old, new)) == sorted(expected)
    assert len(what_differs(new, old)) == len(expected)
    assert what_differs(old, old) == []


@settings(deadline=None, max_examples=40)
@given(steps=st.lists(st.integers(0, 10**9 - 1), min_size=2, max_size=6))
def test_names_sort_by_step(steps: list[int]) -> None:
    assert sorted(map(directory_name, steps)) == [directory_name(step) for step in sorted(steps)]
