"""YAML documents: YAML 1.2 numbers, marks, and every rule with its error."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.errors import MissingInputError, SpecError
from gfmp.storage.documents import (
    did_you_mean,
    document_text,
    leaves,
    load_document,
    parse_document,
)

FILE = Path("job.yaml")


def test_numbers_and_words_are_what_people_mean() -> None:
    text = "a: 1e-4\nb: no\nc: [1, 2.5, true, null]\nd: {e: '3', f: 12:30:00, g: 2001-01-01}\n"
    value = parse_document(text, FILE).value
    assert value == {
        "a": 0.0001,
        "b": "no",
        "c": [1, 2.5, True, None],
        "d": {"e": "3", "f": "12:30:00", "g": "2001-01-01"},
    }


def test_marks_point_at_values() -> None:
    document = parse_document("a: 1\nb:\n  c: [x, y]\n", FILE)
    assert document.where(("b", "c")) == "job.yaml:3:3"
    assert document.where(("b", "c", 1)) == "job.yaml:3:10"
    assert document.where(("b", "missing")) == "job.yaml:2:1"


@pytest.mark.parametrize(
    ("text", "place", "word"),
    [
        ("a: &x 1\nb: *x\n", "job.yaml:1:4", "alias"),
        ("a: !!python/object/apply:os.system ['touch x']\n", "job.yaml:1:4", "tag"),
        ("a: 1\n---\nb: 2\n", "job.yaml:2:1", "second document"),
        ("\ta: 1\n", "job.yaml:1:1", "cannot start any token"),
        ("- 1\n", "job.yaml:1:1", "not a mapping"),
        ("", "job.yaml:1:1", "not a mapping"),
        ("a: [1,\nb: {", "job.yaml:2:5", "expected"),
        ("a: " + "[" * 40 + "]" * 40, "job.yaml:1:35", "levels deep"),
    ],
)
def test_each_rule_has_its_error(text: str, place: str, word: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_document(text, FILE)
    assert caught.value.problems[0].where == place
    assert word in caught.value.problems[0].message


def test_all_duplicate_keys_are_listed() -> None:
    with pytest.raises(SpecError) as caught:
        parse_document("a: 1\na: 2\nb:\n c: 1\n c: 2\n", FILE)
    assert [p.where for p in caught.value.problems] == ["job.yaml:2:1", "job.yaml:5:2"]


def test_a_missing_file_names_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "pretrain.yaml").write_text("a: 1\n")
    with pytest.raises(MissingInputError) as caught:
        load_document(tmp_path / "pretrian.yaml")
    assert "pretrain.yaml" in caught.value.problems[0].fix


def test_size_and_encoding_are_checked(tmp_path: Path) -> None:
    big = tmp_path / "big.yaml"
    big.write_bytes(b"a: " + b"x" * (1 << 20))
    with pytest.raises(SpecError, match="bytes"):
        load_document(big)
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"a: caf\xe9\n")
    with pytest.raises(SpecError, match="UTF-8"):
        load_document(latin)


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_a_document_or_a_spec_error(text: str) -> None:
    try:
        value = parse_document(text, FILE).value
    except SpecError as fault:
        assert fault.problems[0].where.startswith("job.yaml:")
    else:
        assert isinstance(value, dict)


def test_a_written_document_reads_as_the_same_value() -> None:
    text = "a: 0.0001\nb: 'no'\nc: [1, 2.5, true, null, '1e-4']\nd: {e: '3', f: 'x: y'}\n"
    document = parse_document(text, FILE)
    assert parse_document(document_text(document), FILE).value == document.value


def test_leaves_and_hints() -> None:
    assert list(leaves({"a": [1, {"b": 2}]})) == [(("a", 0), 1), (("a", 1, "b"), 2)]
    assert did_you_mean("lerning_rate", ["learning_rate", "steps"]) == (
        "did you mean 'learning_rate'?"
    )
    assert did_you_mean("zzz", ["learning_rate"]) == ""
