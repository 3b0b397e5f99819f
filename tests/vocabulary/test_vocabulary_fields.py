"""Fields: each reader accepts its type only and names the place."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gfmp.errors import SpecError, VocabularyError
from gfmp.vocabulary.fields import Fields, json_place

VALUE: dict[str, object] = {
    "text": "a",
    "int": 1,
    "float": 0.5,
    "flag": True,
    "list": ["a", "b"],
    "mixed": ["a", 1],
    "map": {"x": 1},
}


@pytest.fixture
def fields() -> Fields:
    return Fields.of(VALUE, json_place("f.json"))


def test_readers_return_their_type(fields: Fields) -> None:
    assert fields.text("text") == "a"
    assert fields.integer("int") == 1
    assert fields.number("float") == 0.5
    assert fields.number("int") == 1.0
    assert fields.texts("list") == ("a", "b")
    assert fields.items("mixed") == ["a", 1]
    assert fields.fields("map").integer("x") == 1


@pytest.mark.parametrize(
    ("read", "where"),
    [
        (lambda f: f.text("int"), "$.int"),
        (lambda f: f.integer("flag"), "$.flag"),
        (lambda f: f.integer("float"), "$.float"),
        (lambda f: f.number("flag"), "$.flag"),
        (lambda f: f.texts("text"), "$.text"),
        (lambda f: f.texts("mixed"), "$.mixed[1]"),
        (lambda f: f.items("map"), "$.map"),
        (lambda f: f.fields("list"), "$.list"),
        (lambda f: f.fields("map").text("x"), "$.map.x"),
        (lambda f: f.only("text"), "$.int"),
    ],
)
def test_another_type_is_refused_at_its_place(
    fields: Fields, read: Callable[[Fields], object], where: str
) -> None:
    with pytest.raises(VocabularyError) as caught:
        read(fields)
    assert caught.value.problems[0].where == f"f.json:{where}"


def test_a_missing_key_suggests_the_nearest(fields: Fields) -> None:
    with pytest.raises(VocabularyError, match="'txt' is missing") as caught:
        fields.text("txt")
    assert "'text'" in caught.value.problems[0].fix


def test_the_top_must_be_a_mapping() -> None:
    with pytest.raises(VocabularyError, match="is not an object"):
        Fields.of([1], json_place("f.json"))


def test_the_error_class_is_the_callers() -> None:
    with pytest.raises(SpecError):
        Fields({}, json_place("f"), error=SpecError).text("a")


def test_long_values_are_cut() -> None:
    with pytest.raises(VocabularyError) as caught:
        Fields({"a": "x" * 500}, json_place("f")).integer("a")
    assert len(str(caught.value)) < 120
