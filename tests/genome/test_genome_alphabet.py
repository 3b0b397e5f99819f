"""Letters: what the policy keeps, changes, counts and refuses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.errors import SpecError
from gfmp.genome.alphabet import (
    IUPAC_LETTERS,
    AlphabetCounts,
    AlphabetPolicy,
    reverse_complement,
    translate,
)

LETTERS = st.text("ACGTNacgtnRYSWKMBDHVryswkmbdhv", max_size=200).map(str.encode)


def test_every_letter_is_counted_once() -> None:
    got = translate(b"ACGTacgtNnRrYU", AlphabetPolicy(uracil="t"))
    counts = got.counts
    assert (counts.upper, counts.soft_masked, counts.n, counts.uracil) == (4, 4, 2, 1)
    assert dict(zip(IUPAC_LETTERS.decode(), counts.iupac, strict=True))["R"] == 2
    assert sum(counts.iupac) == 3


@pytest.mark.parametrize(
    ("policy", "text", "expected"),
    [
        (AlphabetPolicy(), b"acgtnry", b"ACGTNNN"),
        (AlphabetPolicy(soft_mask="keep"), b"acgtACGTnryRY", b"acgtACGTNNNNN"),
        (AlphabetPolicy(uracil="t"), b"ACGUacgu", b"ACGTACGT"),
        (AlphabetPolicy(uracil="t", soft_mask="keep"), b"ACGUacgu", b"ACGTacgt"),
    ],
)
def test_policy_decides_what_letters_become(
    policy: AlphabetPolicy, text: bytes, expected: bytes
) -> None:
    got = translate(text, policy)
    assert got.bases == expected
    assert got.refused == len(text)


@pytest.mark.parametrize(
    ("policy", "text", "index"),
    [
        (AlphabetPolicy(), b"ACGU", 3),
        (AlphabetPolicy(), b"AC-T", 2),
        (AlphabetPolicy(), b"*ACGT", 0),
        (AlphabetPolicy(), b"AC\x00GT", 2),
        (AlphabetPolicy(), b"ACGT\xc3", 4),
        (AlphabetPolicy(), b"A1C2", 1),
        (AlphabetPolicy(iupac="error"), b"ACGTNRY", 5),
    ],
)
def test_first_refused_letter_is_found(policy: AlphabetPolicy, text: bytes, index: int) -> None:
    assert translate(text, policy).refused == index


@given(LETTERS, LETTERS)
@settings(deadline=None, max_examples=50)
def test_translation_does_not_depend_on_blocks(left: bytes, right: bytes) -> None:
    policy = AlphabetPolicy()
    whole, first, second = (translate(x, policy) for x in (left + right, left, right))
    assert whole.bases == first.bases + second.bases
    assert whole.counts == first.counts + second.counts
    assert set(whole.bases) <= set(b"ACGTN")


@given(st.binary(max_size=300))
@settings(deadline=None, max_examples=50)
def test_any_bytes_are_either_refused_or_become_dna(text: bytes) -> None:
    got = translate(text, AlphabetPolicy(uracil="t"))
    assert set(got.bases[: got.refused]) <= set(b"ACGTN")


@given(LETTERS)
@settings(deadline=None, max_examples=50)
def test_reverse_complement_is_an_involution(text: bytes) -> None:
    seq = np.frombuffer(text, np.uint8)
    np.testing.assert_array_equal(reverse_complement(reverse_complement(seq)), seq)


def test_reverse_complement_keeps_case_and_n() -> None:
    got = reverse_complement(np.frombuffer(b"AACgtNnRk", np.uint8))
    assert got.tobytes() == b"mYnNacGTT"


def test_counts_start_at_zero_and_add() -> None:
    one = AlphabetCounts(1, 2, 3, 4, tuple(range(10)))
    assert AlphabetCounts() + one == one


def test_policies_differ_in_fingerprint() -> None:
    policies = (
        AlphabetPolicy(),
        AlphabetPolicy(soft_mask="keep"),
        AlphabetPolicy(iupac="error"),
        AlphabetPolicy(uracil="t"),
        AlphabetPolicy(split_n_run_bp=51),
    )
    assert len({policy.fingerprint for policy in policies}) == len(policies)


def test_split_n_run_below_one_is_refused() -> None:
    with pytest.raises(SpecError, match="split_n_run_bp is 0"):
        AlphabetPolicy(split_n_run_bp=0)
