"""Seals: a document that was changed anywhere does not pass."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.storage.seals import SEAL, sealed, unsealed

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
BODIES = st.dictionaries(
    st.text(max_size=5).filter(lambda name: name != SEAL),
    st.one_of(NUMBERS, st.integers(), st.text(max_size=5), st.lists(NUMBERS, max_size=3)),
    max_size=4,
)


@given(BODIES)
@settings(deadline=None, max_examples=60)
def test_a_document_comes_back_through_json(body: dict[str, object]) -> None:
    assert unsealed(json.loads(json.dumps(sealed(body)))) == body


@given(NUMBERS, NUMBERS)
@settings(deadline=None, max_examples=60)
def test_another_number_does_not_pass(old: float, new: float) -> None:
    changed = sealed({"metrics": {"test/mcc": old}}) | {"metrics": {"test/mcc": new}}
    if repr(old) == repr(new):
        assert unsealed(changed) == {"metrics": {"test/mcc": new}}
        return
    with pytest.raises(ValueError, match="differs from its checksum"):
        unsealed(changed)


def test_a_document_of_before_has_no_seal() -> None:
    assert unsealed({"a": 1}) == {"a": 1}
