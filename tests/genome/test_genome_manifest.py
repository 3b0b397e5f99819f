"""Sums and digests of the manifest."""

from __future__ import annotations

import itertools
from dataclasses import replace

from gfmp.genome.alphabet import AlphabetCounts, AlphabetPolicy
from gfmp.genome.manifest import (
    Composition,
    ContigEntry,
    Manifest,
    SourceEntry,
    SplitTotal,
    add_totals,
    content_hash,
)

CONTIG = ContigEntry("c1", 100, 70, 10, 10, 5, 5, 2, "a" * 64, "b" * 64)
SOURCE = SourceEntry(
    0, "Testus one", "t1", "", "/x.fa", "f" * 64, AlphabetCounts(upper=5), (CONTIG,)
)


def test_totals_of_one_split_add_up() -> None:
    train = SplitTotal("train", 1, 10, 1, Composition(1, 2, 3, 4, 0))
    valid = SplitTotal("valid", 2, 5, 1, Composition(n=5))
    got = add_totals([valid, train, train])
    assert got == (SplitTotal("train", 2, 20, 2, Composition(2, 4, 6, 8, 0)), valid)
    assert add_totals([]) == ()


def test_an_absent_split_has_no_bases() -> None:
    total = SplitTotal("train", 1, 10, 1, Composition())
    manifest = Manifest("s", "0", AlphabetPolicy(), (SOURCE, SOURCE), (), (total,), "0")
    assert (manifest.bases("train"), manifest.bases("valid")) == (10, 0)
    assert manifest.alphabet.upper == 10


def test_content_hash_follows_names_and_pieces_only() -> None:
    expected = content_hash([SOURCE])
    same = (
        replace(SOURCE, index=9, origin="/y.fa", sha256="0" * 64, strain_group="g"),
        replace(SOURCE, contigs=(replace(CONTIG, letters_sha256="c" * 64, gap_bp=9),)),
    )
    other = (
        replace(SOURCE, species="Testus two"),
        replace(SOURCE, assembly="t2"),
        replace(SOURCE, contigs=(replace(CONTIG, name="c2"),)),
        replace(SOURCE, contigs=(replace(CONTIG, pieces_sha256="c" * 64),)),
    )
    assert {content_hash([s]) for s in same} == {expected}
    assert len({expected, *(content_hash([s]) for s in other)}) == 5


def test_content_hash_ignores_order_and_contigs_without_pieces() -> None:
    sources = [replace(SOURCE, assembly=f"t{i}") for i in range(3)]
    assert len({content_hash(order) for order in itertools.permutations(sources)}) == 1
    empty = replace(CONTIG, name="unused", num_pieces=0)
    assert content_hash([replace(SOURCE, contigs=(CONTIG, empty))]) == content_hash([SOURCE])
