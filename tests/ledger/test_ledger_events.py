"""Events keep every number through their line of JSON."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.errors import CorruptArtefactError
from gfmp.ledger.events import COMMIT_KINDS, LIFECYCLE_KINDS, Event, decode, encode

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


def event(**fields: object) -> Event:
    return Event(3, 1.5, 1, "rank0", "step", fields)


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(st.text(max_size=8), VALUES, max_size=4))
def test_what_is_written_is_read_back(fields: dict[str, object]) -> None:
    line = encode(event(**{f"x{k}": v for k, v in fields.items()}))
    assert line.count(b"\n") == 1
    assert line.isascii()
    # repr, because NaN differs from itself
    assert repr(decode(line).fields) == repr({f"x{k}": v for k, v in fields.items()})


def test_numbers_that_are_not_finite_keep_their_meaning_in_strict_json() -> None:
    line = encode(event(loss=math.nan, best=math.inf, worst=[-math.inf]))
    json.loads(line, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    fields = decode(line).fields
    assert math.isnan(float(str(fields["loss"])))
    assert fields["best"] == math.inf
    assert fields["worst"] == [-math.inf]


def test_a_mapping_that_only_looks_like_such_a_number_stays_a_mapping() -> None:
    fields = {"a": {"nonfinite": 2}, "b": {"nonfinite": "nan", "c": 1}}
    assert decode(encode(event(**fields))).fields == fields


@pytest.mark.parametrize("line", [b"", b"{", b"[1]", b'{"kind": "step"}', b"3"])
def test_other_lines_are_no_events(line: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        decode(line)


def test_an_event_with_fields_of_another_kind_is_refused() -> None:
    line = before(encode(event())).replace(b'"fields":{}', b'"fields":[1]')
    with pytest.raises(ValueError, match="no mapping"):
        decode(line)


def before(line: bytes) -> bytes:
    """Return a line as gfmp wrote it before lines had checksums."""
    body, _, _ = line.rpartition(b',"crc32":')
    return body + b"}\n"


def test_a_line_of_before_is_read() -> None:
    written = event(loss=0.25, crc32=7)
    assert decode(before(encode(written))) == written == decode(encode(written))


def test_no_other_digit_passes_for_the_one_that_was_written() -> None:
    line = encode(event(loss=0.1234, step=17))
    for place, byte in enumerate(line):
        for other in b"0123456789":
            if chr(byte).isdigit() and other != byte:
                changed = line[:place] + bytes([other]) + line[place + 1 :]
                with pytest.raises(ValueError, match=r"checksum|no event|not an event|JSON|Expect"):
                    decode(changed)


@pytest.mark.parametrize("step", [None, "7", 1.0, True])
def test_a_step_that_is_no_whole_number_names_the_line(step: object) -> None:
    with pytest.raises(CorruptArtefactError, match="step") as caught:
        _ = event(step=step).step
    assert caught.value.problems[0].where == "001-rank0.jsonl:4"


def test_what_json_has_no_word_for_is_refused_at_once() -> None:
    with pytest.raises(TypeError):
        encode(event(loss=object()))


def test_every_lifecycle_event_is_a_commit_and_steps_are_not() -> None:
    assert LIFECYCLE_KINDS < COMMIT_KINDS
    assert {"checkpoint", "report"} <= COMMIT_KINDS
    assert not {"step", "evaluation"} & COMMIT_KINDS
