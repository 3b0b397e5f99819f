"""Record names of one file."""

from __future__ import annotations

import pytest

from gfmp.errors import DataError
from gfmp.genome.record_names import RecordNames


def test_the_last_complete_record_is_remembered() -> None:
    names = RecordNames("x")
    seen = []
    for line, name in enumerate((b"a", b"b", b"c"), start=1):
        names.begin(name, line)
        seen.append((names.current, names.last_complete))
        names.saw(1)
    names.end()
    names.end()
    assert seen == [("a", ""), ("b", "a"), ("c", "b")]
    assert (names.current, names.last_complete) == ("", "c")


@pytest.mark.parametrize("name", [b"", b"a\tb", b"\xff", b"a\x7f"])
def test_unusable_names_are_refused(name: bytes) -> None:
    with pytest.raises(DataError, match="is not allowed"):
        RecordNames("x").begin(name, 1)


def test_an_empty_record_does_not_count_as_complete() -> None:
    names = RecordNames("x.fa")
    names.begin(b"a", 4)
    with pytest.raises(DataError, match="record 'a' has no sequence") as caught:
        names.begin(b"b", 5)
    assert caught.value.problems[0].where == "x.fa:4"
    assert names.last_complete == ""
