"""Documents as properties: values round-trip, marks point at their text, limits are exact."""

from __future__ import annotations

import math
import string
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from gfmp.errors import GfmpError, MissingInputError, SpecError
from gfmp.storage.documents import (
    MAX_BYTES,
    Document,
    did_you_mean,
    document_text,
    leaves,
    load_document,
    parse_document,
    read_document,
)
from gfmp.storage.yaml_scalars import meaning
from gfmp.storage.yaml_values import MAX_DEPTH, MAX_VALUES

FILE = Path("job.yaml")
TEXTS = st.text(max_size=12) | st.sampled_from(
    ["1e-4", "no", "null", "~", "0x1f", "1_000", ".inf", "-", "a: b", "# x", "{", "- a", "=", "<<"]
)
SCALARS = st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
WORDS = st.text(string.ascii_lowercase, min_size=1, max_size=6)


def parsed(text: str) -> Document:
    return parse_document(text, FILE)


def sorted_repr(value: object) -> str:
    """The writer sorts keys, NaN differs from itself and 1 equals True; their words do not."""
    return repr(sorted((str(key), repr(leaf)) for key, leaf in leaves(value)))


def refused(text: str) -> tuple[str, str]:
    with pytest.raises(SpecError) as caught:
        parsed(text)
    problem = caught.value.problems[0]
    assert problem.fix
    assert problem.why.startswith("the rule is: ")
    return problem.where, problem.message


@settings(max_examples=80, deadline=None)
@example({"0\x1f\x1f\x1f\x1f\x1f\U00010000\U00010000\U00010000\U00010000": [False, "\x1f\x1f0 0"]})
@given(st.dictionaries(TEXTS, VALUES, min_size=1, max_size=4))
def test_any_value_reads_back_as_it_was_written(value: dict[str, object]) -> None:
    text = document_text(Document(FILE, value, {}))
    assert text.isascii()
    assert sorted_repr(parsed(text).value) == sorted_repr(value)


NESTED = st.recursive(
    WORDS,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3)
        | st.dictionaries(WORDS, inner, min_size=1, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(WORDS, NESTED, min_size=1, max_size=4))
def test_every_mark_points_at_the_words_it_stands_for(value: dict[str, object]) -> None:
    text = document_text(Document(FILE, value, {}))
    document, lines = parsed(text), text.splitlines()
    assert set(document.marks) >= {key for key, _ in leaves(value)}
    for key, leaf in leaves(document.value):
        line, column = document.marks[key]
        # a key of a mapping is marked by its name, a member of a list by itself
        shown = str(key[-1] if isinstance(key[-1], str) else leaf)
        found = lines[line - 1][column - 1 :].lstrip("'\"")
        assert found.startswith(shown), (key, line, column)
        assert document.where(key) == f"job.yaml:{line}:{column}"
        assert document.where((*key, "below", 3)) == document.where(key)


def test_members_of_nested_lists_have_marks_of_their_own() -> None:
    document = parsed("a:\n- [1, [2, 3]]\n-\n  - b: 4\n    c: 5\n")
    assert document.value == {"a": [[1, [2, 3]], [{"b": 4, "c": 5}]]}
    places = {
        ("a", 0, 0): "2:4",
        ("a", 0, 1): "2:7",
        ("a", 0, 1, 1): "2:11",
        ("a", 1, 0, "b"): "4:5",
        ("a", 1, 0, "c"): "5:5",
        ("a", 7): "1:1",
        ("zzz",): "1:1",
    }
    assert {key: document.where(key) for key in places} == {
        key: f"job.yaml:{place}" for key, place in places.items()
    }


def test_a_place_is_shown_from_where_the_person_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "jobs" / "a.yaml"
    path.parent.mkdir()
    path.write_text("a: 1\n")
    monkeypatch.chdir(tmp_path)
    assert load_document(path).where(("a",)) == "jobs/a.yaml:1:1"
    monkeypatch.chdir(path.parent)
    assert load_document(path).where(("a",)) == "a.yaml:1:1"
    monkeypatch.chdir("/")
    (elsewhere := tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(elsewhere)
    assert load_document(path).where(("a",)) == f"{path}:1:1"


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("{x: ", "}")])
def test_the_depth_limit_is_exact(opening: str, closing: str) -> None:
    def nested(depth: int) -> str:  # the document itself is the first level
        return f"a: {opening * (depth - 1)}1{closing * (depth - 1)}\n"

    assert [leaf for _, leaf in leaves(parsed(nested(MAX_DEPTH)).value)] == [1]
    where, message = refused(nested(MAX_DEPTH + 1))
    assert message == "nested 33 levels deep"
    assert where == f"job.yaml:1:{4 + len(opening) * (MAX_DEPTH - 1)}"


def test_the_size_limit_is_exact(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    head = b"a: 1\n# "
    path.write_bytes(head + b"x" * (MAX_BYTES - len(head)))
    assert path.stat().st_size == 1_048_576
    assert load_document(path).value == {"a": 1}
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(SpecError, match="1,048,577 bytes") as caught:
        load_document(path)
    assert "1 MiB" in caught.value.problems[0].why


@pytest.mark.parametrize(
    ("text", "place", "word"),
    [
        ("%YAML 1.1\n---\na: no\n", "1:1", "directive"),
        ("%TAG ! tag:example.org,2002:\n---\na: 1\n", "1:1", "directive"),
        ("? [x, y]\n: 1\n", "1:3", "as a key"),
        ("a:\n  ? {x: 1}\n  : 2\n", "2:5", "as a key"),
        ("a: *nobody\n", "1:4", "alias"),
        ("a: &x\n  b: 1\n", "1:4", "alias"),
        ("a: !x 1\n", "1:4", "tag"),
        ("a: 1\n...\nb: 2\n", "3:1", "second document"),
        ("a: 'open\n", "2:1", "end of stream"),
        ("a: 1\n b: 2\n", "2:3", "not allowed"),
        ("a: \x07\n", "1:4", "special characters"),
        ("just words\n", "1:1", "not a mapping"),
        ("# only a comment\n", "1:1", "not a mapping"),
        ("a: 0x_\n", "1:4", "no number"),
        ("a: [1, -_]\n", "1:8", "no number"),
        (f"a: {'1' * 5000}\n", "1:4", "no number"),
    ],
)
def test_each_rule_names_its_place(text: str, place: str, word: str) -> None:
    where, message = refused(text)
    assert where == f"job.yaml:{place}"
    assert word in message


def test_duplicates_of_every_level_are_told_with_their_first_place() -> None:
    with pytest.raises(SpecError) as caught:
        parsed("a:\n  x: 1\n  y: 2\n  x: 3\nb: [{k: 1, k: 2}]\na: 4\n'b': 5\n")
    told = [(p.where, p.message, p.why) for p in caught.value.problems]
    assert told == [
        ("job.yaml:4:3", "the key 'x' stands twice", "it stands first in line 2"),
        ("job.yaml:5:12", "the key 'k' stands twice", "it stands first in line 5"),
        ("job.yaml:6:1", "the key 'a' stands twice", "it stands first in line 1"),
        ("job.yaml:7:1", "the key 'b' stands twice", "it stands first in line 5"),
    ]


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("010", 10),
        ("0o10", 8),
        ("1_000", 1000),
        ("-0", 0),
        ("1E3", 1000.0),
        (".5", 0.5),
        ("-.inf", -math.inf),
        ("yes", "yes"),
        ("On", "On"),
        ("True", True),
        ("NULL", None),
        ("", None),
        ("1:30", "1:30"),
        ("2026-11-22", "2026-11-22"),
        ("1e", "1e"),
    ],
)
def test_words_mean_what_yaml_1_2_says(word: str, value: object) -> None:
    found = parsed(f"a: {word}\n").value["a"]
    assert (found, type(found)) == (value, type(value))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=80))
def test_any_bytes_in_a_file_are_a_document_or_a_spec_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any-bytes.yaml"
    path.write_bytes(data)
    try:
        value = load_document(path).value
    except GfmpError as fault:
        assert isinstance(fault, SpecError)
        assert fault.problems[0].where.startswith(f"{path}:")
    else:
        assert isinstance(value, dict)
    finally:
        path.unlink()


@pytest.mark.parametrize(
    ("present", "wanted", "fix"),
    [
        (["pretrain.yaml"], "pretrain.yml", "did you mean 'pretrain.yaml'?"),
        (["notes.txt"], "notes.yaml", "check the path"),
        ([], "anything.yaml", "check the path"),
    ],
)
def test_a_missing_file_has_a_remedy(
    tmp_path: Path, present: list[str], wanted: str, fix: str
) -> None:
    for name in present:
        (tmp_path / name).touch()
    for path in (tmp_path / wanted, tmp_path / "absent" / wanted):
        with pytest.raises(MissingInputError) as caught:
            load_document(path)
        problem = caught.value.problems[0]
        assert (problem.where, wanted in problem.message) == (str(path), True)
        assert problem.fix == (fix if path.parent == tmp_path else "check the path")


@settings(max_examples=60, deadline=None)
@given(WORDS, st.sets(WORDS, max_size=6))
def test_a_hint_is_a_known_word_and_the_word_itself_when_it_is_known(
    word: str, known: set[str]
) -> None:
    hint = did_you_mean(word, known)
    assert hint in {"", *(f"did you mean {name!r}?" for name in known)}
    assert did_you_mean(word, sorted(known, reverse=True)) == hint
    assert did_you_mean(word, known | {word}) == f"did you mean {word!r}?"


PLAIN = st.text("0123456789+-._eExob~aAfFnNtTuUlLiI", min_size=1, max_size=8)
PLAIN = PLAIN.filter(lambda word: word != "-")  # alone it begins a list


@settings(max_examples=400, deadline=None)
@example("0o")
@example("-_")
@example("_1")
@example("1_e3")
@example(".1e5")
@example("-.NaN")
@example("0b12")
@given(PLAIN)
def test_a_plain_word_means_what_another_library_of_yaml_1_2_reads(word: str) -> None:
    def read(reader: Callable[[str], object]) -> object:
        try:
            return reader(word)
        except ValueError:
            return ValueError

    assert repr(read(meaning)) == repr(read(lambda w: YAML(typ="safe").load(f"a: {w}\n")["a"]))


@pytest.mark.parametrize(
    "text",
    [
        "a: [" + "1," * 400_000 + "1]\n",
        "".join(f"k{i}: {i}\n" for i in range(80_000)),
        "a: " + "x" * 1_000_000 + "\n",
        "a: " + "7" * 1_000_000 + "\n",
        'a: "' + "\\n" * 500_000 + '"\n',
        "a: |\n" + "  x\n" * 250_000,
        "a: " + "[" * 500_000,
        "? " * 500_000,
    ],
)
def test_no_mebibyte_takes_more_than_a_second(text: str) -> None:
    began = time.process_time()
    try:
        parsed(text)
    except SpecError as fault:
        assert fault.problems[0].where.startswith("job.yaml:")
    assert time.process_time() - began < 2  # the margin is for a busy machine


def test_the_limit_of_values_is_exact() -> None:
    # the document, its key and the list are three of them
    assert len(parsed("a: [" + "1," * (MAX_VALUES - 3) + "]").value) == 1
    where, message = refused("a: [" + "1," * (MAX_VALUES - 2) + "]")
    assert "more keys and values" in message
    assert where == f"job.yaml:1:{5 + 2 * (MAX_VALUES - 3)}"


def test_a_byte_order_mark_at_the_start_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "marked.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert load_document(path).value == {"a": 1}
    assert load_document(path).where(("a",)).endswith(":1:1")
    assert refused("a: 1\n\ufeffb: 2\n")[0] == "job.yaml:2:1"


def test_duplicates_can_be_told_with_everything_else(tmp_path: Path) -> None:
    path = tmp_path / "twice.yaml"
    path.write_text("a: 1\na: [2, {b: c}]\nd: 3\n")
    draft = read_document(path)
    assert draft.value == {"a": 1, "d": 3}
    assert [p.where for p in draft.problems] == [f"{path}:2:1"]
    with pytest.raises(SpecError, match="'a' stands twice"):
        load_document(path)
