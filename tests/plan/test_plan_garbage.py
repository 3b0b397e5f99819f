"""Nothing that is needed goes, everything else does, and any moment of it leaves a whole."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.plan.garbage import Thing, garbage, reachable


def thing(key: str, *refers_to: str, kept: str = "") -> Thing:
    return Thing(key, "cell", f"/{key}", 1, frozenset(refers_to), kept, "nobody wants it")


@st.composite
def workspaces(draw: st.DrawFn) -> tuple[Thing, ...]:
    """Graphs without circles, some references to what is not there, in any order."""
    number = draw(st.integers(0, 12))
    made = []
    for place in range(number):
        later = [str(other) for other in range(place + 1, number + 2)]
        refers = draw(st.lists(st.sampled_from(later), max_size=4)) if later else []
        kept = draw(st.sampled_from(("", "", "it is finished")))
        made.append(thing(str(place), *refers, kept=kept))
    return tuple(draw(st.permutations(made)))


def needed(things: tuple[Thing, ...]) -> set[str]:
    """Return what is reached by the definition: the smallest set closed under references."""
    keys = {one.key for one in things}
    found = {one.key for one in things if one.kept}
    while True:
        more = {key for one in things if one.key in found for key in one.refers_to & keys}
        if more <= found:
            return found
        found |= more


@settings(deadline=None, max_examples=200)
@given(workspaces())
def test_what_is_needed_stays_and_all_else_goes(things: tuple[Thing, ...]) -> None:
    stays = needed(things)
    assert reachable(things) == stays
    gone = [one.key for one in garbage(things)]
    assert len(set(gone)) == len(gone)
    assert set(gone) == {one.key for one in things} - stays


@settings(deadline=None, max_examples=200)
@given(workspaces(), st.data())
def test_a_stop_anywhere_leaves_no_reference_into_nothing(
    things: tuple[Thing, ...], data: st.DataObject
) -> None:
    order = garbage(things)
    keys = {one.key for one in things}
    stop = data.draw(st.integers(0, len(order)))
    gone = {one.key for one in order[:stop]}
    left = tuple(one for one in things if one.key not in gone)
    assert all(not one.refers_to & gone for one in left)
    # The next time takes away what this one did not come to, and nothing else.
    assert {one.key for one in garbage(left)} == {one.key for one in order[stop:]}
    assert needed(left) == needed(things) <= keys


@settings(deadline=None, max_examples=100)
@given(workspaces())
def test_to_keep_more_never_lets_more_go(things: tuple[Thing, ...]) -> None:
    before = {one.key for one in garbage(things)}
    for place, one in enumerate(things):
        kept = Thing(one.key, one.noun, one.path, 1, one.refers_to, "I like it")
        after = {x.key for x in garbage((*things[:place], kept, *things[place + 1 :]))}
        assert after <= before


def test_two_things_of_one_name_and_circles_are_our_own_mistakes() -> None:
    with pytest.raises(AssertionError, match="a key of its own"):
        garbage((thing("a"), thing("a")))
    with pytest.raises(AssertionError, match="circle"):
        garbage((thing("a", "b"), thing("b", "a")))


def test_a_circle_that_is_kept_is_nobodys_concern() -> None:
    assert garbage((thing("a", "b", kept="yes"), thing("b", "a"))) == ()
