"""`--set`: one more way to write the same job, with the same checks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.errors import SpecError
from gfmp.spec.load import overridden, validate
from gfmp.spec.model import Architecture
from gfmp.spec.pretrain import PretrainSpec, VocabularyUse
from gfmp.storage.documents import Document, document_text, leaves, parse_document

JOB = """\
kind: pretrain
name: small
corpus: demo
vocabularies: [{name: kmer6}]
model: {layers: 2, width: 32, heads: 2, intermediate: 64}
steps: 10
sampling: {global_batch_sequences: 8}
optimiser: {learning_rate: 1e-3}
"""


@pytest.fixture
def document() -> Document:
    return parse_document(JOB, Path("job.yaml"))


def _spec(document: Document, *assignments: str) -> PretrainSpec:
    return validate(overridden(document, assignments), PretrainSpec)


def test_lists_and_blocks_can_be_set(document: Document) -> None:
    spec = _spec(
        document,
        "vocabularies=[{name: kmer3, weight: 2}, {name: bpe64}]",
        "optimiser.betas=[0.9, 0.95]",
        "compute={workers: 4, zero_stage: ddp}",
    )
    assert spec.vocabularies == (
        VocabularyUse(name="kmer3", weight=2.0),
        VocabularyUse(name="bpe64"),
    )
    assert spec.optimiser.betas == (0.9, 0.95)
    assert (spec.compute.workers, spec.compute.zero_stage) == (4, "ddp")


def test_a_union_can_change_its_kind(document: Document) -> None:
    assert _spec(document, "model=base").model == "base"
    changed = _spec(document, "model.layers=3").model
    assert changed == Architecture(layers=3, width=32, heads=2, intermediate=64)
    with pytest.raises(SpecError, match="cannot apply --set"):
        overridden(overridden(document, ("model=base",)), ("model.layers=3",))


def test_the_last_assignment_wins_and_the_document_stays_as_it_was(document: Document) -> None:
    before = json.dumps(document.value)
    assert _spec(document, "steps=3", "steps=4", "steps=5 # a comment").steps == 5
    assert json.dumps(document.value) == before


def test_a_value_may_hold_an_equals_sign(document: Document) -> None:
    assert overridden(document, ("corpus=a=b",)).value["corpus"] == "a=b"


@pytest.mark.parametrize(
    "assignment",
    [
        "steps",
        "",
        "=5",
        "a..b=1",
        ".steps=1",
        "steps.=1",
        "steps.x=1",
        "vocabularies.0.weight=2",
        # Everything behind the line break would be left out without a word.
        "steps=1\nseed: 3",
        "steps=1\nvalue: 2",
    ],
)
def test_what_is_no_assignment_is_refused_whole(document: Document, assignment: str) -> None:
    with pytest.raises(SpecError) as caught:
        overridden(document, (assignment,))
    (problem,) = caught.value.problems
    assert repr(assignment) in problem.message
    assert problem.fix.startswith("for example --set ")


@pytest.mark.parametrize(
    ("assignment", "word"),
    [
        ("steps=[1", "did not find expected"),
        ("name=a: b", "mapping values"),
        ("steps=!!int 3", "a YAML tag"),
        ("steps=*x", "an alias"),
        ("steps=0x_", "is no number"),
        ("compute={workers: 1, workers: 2}", "stands twice"),
    ],
)
def test_values_keep_the_rules_of_documents(document: Document, assignment: str, word: str) -> None:
    with pytest.raises(SpecError) as caught:
        overridden(document, (assignment,))
    assert word in caught.value.problems[0].message
    assert caught.value.problems[0].where.startswith("--set:1:")


def test_all_wrong_values_come_at_once(document: Document) -> None:
    with pytest.raises(SpecError) as caught:
        _spec(document, "steps=", "compute.workers=0", "optimiser.betas=[0.9]", "seed=true")
    assert {p.message for p in caught.value.problems} == {
        "steps: None is not allowed",
        "compute.workers: 0 is not allowed",
        "the key 'optimiser.betas.1' is missing",
        "seed: True is not allowed",
    }


_WORDS = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
_VALUES = (
    st.integers(-(10**6), 10**6)
    | st.booleans()
    | st.none()
    | _WORDS.filter(lambda word: word not in ("null", "true", "false"))
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.lists(_WORDS, min_size=1, max_size=3).map(tuple), _VALUES, max_size=4))
def test_setting_is_the_same_as_writing(wanted: dict[tuple[str, ...], object]) -> None:
    # Paths that go through each other's leaves have no meaning together.
    paths = sorted(wanted)
    clash = any(a != b and b[: len(a)] == a for a in paths for b in paths)
    assignments = tuple(f"{'.'.join(path)}={json.dumps(wanted[path])}" for path in paths)
    empty = parse_document("{}", Path("job.yaml"))
    if clash:
        with pytest.raises(SpecError):
            overridden(empty, assignments)
        return
    made = overridden(empty, assignments)
    assert dict(leaves(made.value)) == wanted
    # What is recorded with the run reads back as the same job.
    assert parse_document(document_text(made), Path("again.yaml")).value == made.value
