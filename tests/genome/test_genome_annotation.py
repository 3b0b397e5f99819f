"""GFF3 features: coordinates, joins, introns on both strands, genes by parent, loud faults."""

from __future__ import annotations

import gzip
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.errors import DataError
from gfmp.genome.annotation import Feature, gaps, merged, spliced, with_genes
from gfmp.genome.annotation_gff import read_gff

HEAD = "##gff-version 3\n"
GENES = HEAD + "\n".join(
    (
        "# two genes",
        "c1\ttest\tgene\t11\t100\t.\t+\t.\tID=g1;Name=alpha%2C1",
        "c1\ttest\tmRNA\t11\t100\t.\t+\t.\tID=t1;Parent=g1",
        "c1\ttest\tmRNA\t11\t100\t.\t+\t.\tID=t2;Parent=g1",
        "c1\ttest\texon\t11\t30\t.\t+\t.\tID=e1;Parent=t1,t2",
        "c1\ttest\texon\t81\t100\t.\t+\t.\tID=e2;Parent=t1",
        "c1\ttest\texon\t61\t100\t.\t+\t.\tID=e3;Parent=t2",
        "c1\ttest\tCDS\t91\t100\t.\t+\t0\tID=p1;Parent=t1",
        "c1\ttest\tCDS\t21\t30\t.\t+\t0\tID=p1;Parent=t1",
        "c2\ttest\tgene\t1\t50\t.\t-\t.\tID=g2;gene=beta",
        "c2\ttest\texon\t31\t50\t.\t-\t.\tParent=t3;gene=beta",
        "c2\ttest\texon\t1\t10\t.\t-\t.\tParent=t3;gene=beta",
        "c2\ttest\tmatch\t1\t10\t.\t?\t.\t.",
        "##FASTA",
        ">c1",
        "ACGT",
    )
)


def features(text: str) -> tuple[Feature, ...]:
    return with_genes(tuple(read_gff(io.BytesIO(text.encode()), "x.gff")))


def test_coordinates_become_zero_based_and_half_open() -> None:
    gene = features(GENES)[0]
    assert (gene.contig, gene.start, gene.end, gene.strand, gene.line) == ("c1", 10, 100, "+", 3)
    assert gene.name == "alpha,1"


def test_parents_name_the_gene() -> None:
    found = features(GENES)
    assert {f.gene for f in found if f.contig == "c1"} == {"alpha,1"}
    assert {f.gene for f in found if f.type == "exon" and f.contig == "c2"} == {"beta"}
    assert found[-1].gene == ""


def test_exons_join_by_transcript_and_lines_of_one_id_by_id() -> None:
    found = features(GENES)
    first, second, reverse = spliced(found, "exon")
    assert (first.introns, second.introns) == (((30, 80),), ((30, 60),))
    assert (reverse.strand, reverse.introns) == ("-", ((10, 30),))
    (coding,) = spliced(found, "CDS")
    assert coding.parts == ((20, 30), (90, 100))


def test_parts_on_both_strands_have_no_strand() -> None:
    parts = [Feature("c", "CDS", s, ((a, a + 5),), id="p") for s, a in (("+", 0), ("-", 9))]
    assert spliced(parts, "CDS")[0].strand == "."


def test_parents_in_a_circle_end() -> None:
    text = HEAD + "".join(
        f"c\t.\tmRNA\t1\t9\t.\t+\t.\tID={a};Parent={b}\n" for a, b in (("a", "b"), ("b", "a"))
    )
    assert len(features(text)) == 2


def test_gzip_crlf_and_byte_order_mark_change_nothing() -> None:
    changed = gzip.compress(b"\xef\xbb\xbf" + GENES.replace("\n", "\r\n").encode())
    assert with_genes(tuple(read_gff(io.BytesIO(changed), "x"))) == features(GENES)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("c1\ttest\tgene\t1\t5", "5 columns"),
        ("c1\t.\tgene\tone\t5\t.\t+\t.\t.", "no number"),
        ("c1\t.\tgene\t0\t5\t.\t+\t.\t.", "hold no base"),
        ("c1\t.\tgene\t6\t5\t.\t+\t.\t.", "hold no base"),
        ("c1\t.\tgene\t1\t5\t.\tplus\t.\t.", "strand"),
        ('c1\t.\tgene\t1\t5\t.\t+\t.\tgene_id "a";', "no value"),
    ],
)
def test_a_broken_line_is_named(line: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        features(HEAD + "# fine\n" + line + "\n")
    assert caught.value.problems[0].where == "x.gff:3"


def test_files_that_are_not_gff_are_named() -> None:
    with pytest.raises(DataError, match="looks like FASTA"):
        features(">c1\nACGT\n")
    with pytest.raises(DataError, match="not UTF-8"):
        list(read_gff(io.BytesIO(HEAD.encode() + b"\xff\xfe\n"), "x"))
    with pytest.raises(DataError, match="longer than"):
        list(read_gff(io.BytesIO(HEAD.encode() + b"c" * (3 << 20)), "x"))
    cut = gzip.compress(GENES.encode())[:-20]
    with pytest.raises(DataError, match="damaged"):
        list(read_gff(io.BytesIO(cut), "x"))


SPANS = st.lists(st.tuples(st.integers(-5, 60), st.integers(1, 20)), max_size=12)


@given(SPANS)
@settings(deadline=None, max_examples=60)
def test_merged_and_gaps_share_out_the_contig(pairs: list[tuple[int, int]]) -> None:
    spans = [(start, start + length) for start, length in pairs]
    covered = {i for start, end in spans for i in range(start, end)}
    assert {i for start, end in merged(spans) for i in range(start, end)} == covered
    free = {i for start, end in gaps(spans, 50) for i in range(start, end)}
    assert free == set(range(50)) - covered
