"""The random variants of a benchmark fit their contig."""

from __future__ import annotations

from random_variants import variants


def test_every_ref_is_what_the_contig_has_and_every_alt_another() -> None:
    letters = "N" * 40 + "ACGTTGCAAC" * 200 + "N" * 40
    found = list(variants(letters, 1500))
    assert [place for place, _, _ in found] == sorted({place for place, _, _ in found})
    assert all(letters[place : place + len(ref)] == ref != alt for place, ref, alt in found)
    assert not any("N" in ref + alt for _, ref, alt in found)
    kinds = [(len(ref) > 1) - (len(alt) > 1) for _, ref, alt in found]
    assert kinds.count(0) > 1200 and kinds.count(1) > 30 and kinds.count(-1) > 30
    assert found == list(variants(letters, 1500))
