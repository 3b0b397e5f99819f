"""A stored plan after somebody touched it: never taken for the plan that was made."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from plan_examples import BPE, CORPUS, KMER, LAPTOP, NODE, known, spec
from pydantic import ValidationError

from gfmp.errors import CorruptArtefactError
from gfmp.plan.facts import Known, Machine
from gfmp.plan.resolve import resolve
from gfmp.plan.values import FORMAT_VERSION, Plan

PLAN = resolve(spec(), known())
Key = tuple[str | int, ...]


def stored() -> dict[str, Any]:
    value: dict[str, Any] = json.loads(json.dumps(PLAN.to_json()))
    return value


def places(value: object, key: Key = ()) -> Iterator[Key]:
    """Yield the path of every value below `value`."""
    items = value.items() if isinstance(value, dict) else enumerate(value)  # type: ignore[arg-type]
    for name, inner in items:
        yield (*key, name)
        if isinstance(inner, (dict, list)):
            yield from places(inner, (*key, name))


def changed(key: Key, to: object) -> dict[str, Any]:
    """Return the stored plan with the value at `key` replaced, or left out when `to` is ..."""
    result = copy.deepcopy(stored())
    inner: Any = result
    for step in key[:-1]:
        inner = inner[step]
    if to is ...:
        del inner[key[-1]]
    else:
        inner[key[-1]] = to
    return result


def other(value: object) -> object:
    """Return another value of the same type that the field still admits."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value / 2 if value else 0.25
    return f"{value}0"


def value_at(key: Key) -> object:
    inner: Any = stored()
    for step in key:
        inner = inner[step]
    return inner


IDENTITY = list(places(stored()["what"], ("what",)))


@pytest.mark.parametrize("key", IDENTITY, ids=lambda key: ".".join(map(str, key)))
def test_no_change_of_the_identity_passes(key: Key) -> None:
    value = value_at(key)
    damages: list[object] = [None, "x"]
    if not isinstance(value, (dict, list)):
        damages.append(other(value))
    for damage in damages:
        with pytest.raises((CorruptArtefactError, ValidationError)):
            Plan.from_json(changed(key, damage))
    # A field left out means its default; it passes only where the default is what it was.
    with contextlib.suppress(CorruptArtefactError, ValidationError):
        assert Plan.from_json(changed(key, ...)) == PLAN


@pytest.mark.parametrize("key", ["name", "what", "where", "derived", "to_build"])
def test_a_part_that_is_missing_or_of_another_type_never_passes(key: str) -> None:
    for damage in (..., None, 7):
        with pytest.raises((CorruptArtefactError, ValidationError)):
            Plan.from_json(changed((key,), damage))


def test_the_place_may_change_without_the_identity() -> None:
    """A resume moves a run: `where` is no part of the fingerprint."""
    value = changed(("where", "workers"), 5)
    moved = Plan.from_json(value)
    assert moved.where == replace(PLAN.where, workers=5)
    assert moved.what == PLAN.what


@pytest.mark.parametrize("version", [0, 2, 99, "1", None, ...])
def test_another_version_is_named(version: object) -> None:
    with pytest.raises(CorruptArtefactError, match="plan has format version") as caught:
        Plan.from_json(changed(("format_version",), version))
    problem = caught.value.problems[0]
    assert problem.why == f"this gfmp reads version {FORMAT_VERSION}"
    assert problem.fix


@pytest.mark.parametrize("fingerprint", ["", "0" * 64, None, 3, ...])
def test_another_fingerprint_is_named(fingerprint: object) -> None:
    with pytest.raises(CorruptArtefactError, match="hashes to") as caught:
        Plan.from_json(changed(("what_fingerprint",), fingerprint))
    assert PLAN.what.fingerprint[:12] in str(caught.value)
    assert "start a new run" in caught.value.problems[0].fix


def test_reading_leaves_the_document_as_it_was() -> None:
    value = stored()
    before = copy.deepcopy(value)
    Plan.from_json(value)
    assert value == before


def test_a_plan_is_complete_exactly_when_nothing_is_to_build() -> None:
    unbuilt_corpus = replace(CORPUS, content_hash="", train_bases=0, valid_bases=0, how="22 files")
    unbuilt = {"ensemble_fingerprint": "", "ensemble_rows": (5000, 7266)}
    for corpus, vocabularies, missing in (
        (CORPUS, (BPE, KMER), []),
        (unbuilt_corpus, (BPE, KMER), ["demo"]),
        (CORPUS, (replace(BPE, built=False), KMER), ["bpe4096"]),
        (CORPUS, (BPE, replace(KMER, built=False)), ["kmer6"]),
        (unbuilt_corpus, (replace(BPE, built=False), KMER), ["demo", "bpe4096"]),
    ):
        changes: dict[str, Any] = {} if vocabularies == (BPE, KMER) else unbuilt
        plan = resolve(spec(), known(corpus=corpus, vocabularies=vocabularies, **changes))
        assert [part.name for part in plan.to_build] == missing
        assert plan.complete == (not missing)
        again = Plan.from_json(json.loads(json.dumps(plan.to_json())))
        assert again == plan


@pytest.mark.parametrize("machine", [LAPTOP, NODE])
def test_what_is_to_build_does_not_depend_on_the_machine(machine: Machine) -> None:
    offered: Known = known(
        machine=machine,
        vocabularies=(replace(BPE, built=False, how="recipe bpe4096"), KMER),
        ensemble_fingerprint="",
        ensemble_rows=(5000, 7266),
    )
    (part,) = resolve(spec(), offered).to_build
    assert (part.noun, part.name, part.how) == ("vocabulary", "bpe4096", "recipe bpe4096")
