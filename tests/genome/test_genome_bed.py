"""BED: what is an interval, what is passed over, what is refused with its line."""

from __future__ import annotations

import gzip

import pytest
from genome_samples import stream

from gfmp.errors import DataError
from gfmp.genome.bed import Peak, read_bed, read_peaks

BED = b"""\
browser position chr1:1-100
track name=conserved description="phastCons"
# a comment
chr1\t0\t7\tlod=24\t333

chr2 12 13
"""


@pytest.mark.parametrize(
    "data", [BED, gzip.compress(BED), BED.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + BED]
)
def test_intervals_come_as_they_stand(data: bytes) -> None:
    assert list(read_bed(stream(data), "x.bed")) == [("chr1", 0, 7), ("chr2", 12, 13)]


@pytest.mark.parametrize(
    ("line", "message", "fix"),
    [
        (b"chr1\t5\t5", "start 5 and end 5 hold no base", "correct the line"),
        (b"chr1\t9\t5", "start 9 and end 5 hold no base", "correct the line"),
        (b"chr1\t-1\t5", "start '-1' or end '5' is no number", "correct the line"),
        (b"chr1\t1.0\t5", "start '1.0' or end '5' is no number", "correct the line"),
        (b"585\tchr1\t5\t9", "start is 'chr1', and the first column is a number", "cut -f2-"),
        (b">chr1", "1 columns and looks like FASTA", "name a BED file"),
        (b"chr1\t5", "2 columns", "correct the line"),
    ],
)
def test_a_line_that_is_no_interval_is_named(line: bytes, message: str, fix: str) -> None:
    with pytest.raises(DataError) as caught:
        list(read_bed(stream(b"chr1\t0\t3\n" + line + b"\n"), "x.bed"))
    (problem,) = caught.value.problems
    assert problem.where == "x.bed:2"
    assert message in problem.message
    assert fix in problem.fix


def test_a_damaged_file_is_refused() -> None:
    with pytest.raises(DataError, match="the compressed file is damaged"):
        list(read_bed(stream(gzip.compress(BED * 200)[:-9]), "x.bed.gz"))


def test_peaks_have_a_summit_or_their_middle() -> None:
    lines = b"chr1\t100\t200\tp\t9\t.\t5.1\t3.2\t2.1\t30\n"
    lines += b"chr1\t300\t401\tp\t9\t.\t5.1\t3.2\t2.1\t-1\nchr2\t10\t20\n"
    for data in (lines, gzip.compress(lines)):
        found = list(read_peaks(stream(data), "x.narrowPeak"))
        assert found == [
            Peak("chr1", 100, 200, 130),
            Peak("chr1", 300, 401, 350),
            Peak("chr2", 10, 20, 15),
        ]


@pytest.mark.parametrize("summit", ["100", "x", "-2"])
def test_a_summit_outside_its_peak_is_refused(summit: str) -> None:
    line = f"chr1\t100\t200\tp\t9\t.\t5.1\t3.2\t2.1\t{summit}\n"
    with pytest.raises(DataError) as caught:
        list(read_peaks(stream(line.encode()), "x.bed"))
    assert caught.value.problems[0].where == "x.bed:1"
