"""Rows D1 to D3: letters are counted or refused, other files are named, bombs are cut short."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path

import pytest
from fault_measured import Measured, Worst, measured
from fault_project import Project
from fault_seen import Seen

SPEC = """\
kind: corpus
name: fault
alphabet: ALPHABET
sources:
  - species: Faulta una
    assembly: F1
    format: fasta
    files: [{path: fault.fa}]
"""
DNA = "ACGTTGCAAC" * 20
GOOD = f">a\n{DNA}\n>b\n{DNA[::-1]}\n"
PEAK_MIB = 256


def submitted(
    project: Project, data: bytes | str, alphabet: str = "{}", workspace: Path | None = None
) -> Measured:
    """Build the corpus `fault` from a file with this content, with the real command."""
    raw = data.encode() if isinstance(data, str) else data
    (project.corpora / "fault.fa").write_bytes(raw)
    (project.corpora / "fault.yaml").write_text(SPEC.replace("ALPHABET", alphabet))
    job = project.folder / "jobs" / "fault.yaml"
    job.write_text("kind: build_corpus\ncorpus: fault\n")
    return measured(project, "submit", str(job), "--workspace", str(workspace or project.workspace))


def published(project: Project) -> list[Path]:
    """Return the corpora that a reader would see, and everything that was left behind."""
    return sorted((project.workspace / "corpora").glob("*/[!.]*")) + project.leftovers()


def manifest(workspace: Path) -> dict[str, object]:
    """Read the manifest of the only corpus."""
    (path,) = (workspace / "corpora").glob("fault/*/manifest.json")
    value: dict[str, object] = json.loads(path.read_text())
    return value


@pytest.mark.ci
@pytest.mark.fault("D1")
def test_every_letter_is_counted_and_its_fate_is_printed(empty: Project, seen: Seen) -> None:
    letters = "ACGT" * 30 + "acgtn" * 7 + "N" * 60 + "RYSWKM" + "r" + "UU" + "ACGT" * 30
    done = submitted(empty, f">a\n{letters}\n", "{uracil: t}")
    assert done.status == 0, done.output
    for words in (
        "240 A C G T: as they are",
        "28 a c g t (soft-masked): read as upper case",
        "67 N: runs of 50 or more end a piece and are left out",
        "7 ambiguity codes (R 2, Y 1, S 1, W 1, K 1, M 1): became N",
        "2 U: became T",
    ):
        assert words in done.output, done.output
    (source,) = manifest(empty.workspace)["sources"]  # type: ignore[misc] # parsed JSON
    kept = source["contigs"]
    assert kept["length_bp"] == len(letters)
    parts = ("train_bp", "valid_bp", "excluded_bp", "gap_bp", "short_bp")
    assert sum(kept[name] for name in parts) == len(letters), "every letter is accounted for"
    seen.exit(done.status)
    seen.outcome("5 classes of letters printed with counts; every letter is in one sum")
    seen.lost(letters=0)


REFUSED_LETTERS = {
    "U": ("holds 'U' (0x55)", "set alphabet.uracil: t"),
    "u": ("holds 'u' (0x75)", "set alphabet.uracil: t"),
    "-": ("holds '-' (0x2d)", "remove the gaps"),
    "*": ("holds '*' (0x2a)", "correct the file"),
    "7": ("holds '7' (0x37)", "correct the file"),
    "[MASK]": ("holds '[' (0x5b)", "correct the file"),
    "\0": ("a NUL byte", "correct the file"),
    "\x1a": ("byte 0x1a", "correct the file"),
}


@pytest.mark.ci
@pytest.mark.fault("D1")
def test_letters_outside_the_alphabet_are_refused_at_their_place(
    empty: Project, seen: Seen
) -> None:
    for letter, (message, fix) in REFUSED_LETTERS.items():
        done = submitted(empty, f">a\n{DNA}\nACGT{letter}ACGT\n")
        assert done.status == 65, done.output
        assert "fault.fa:3:5" in done.output, (letter, done.output)
        assert message in done.output, (letter, done.output)
        assert fix in done.output, (letter, done.output)
        seen.exit(done.status)
    done = submitted(empty, f">a\n{DNA}\nACGTR\n", "{iupac: error}")
    assert done.status == 65
    assert "fault.fa:3:5" in done.output
    assert "set alphabet.iupac: n" in done.output
    assert published(empty) == []
    seen.outcome(f"{len(REFUSED_LETTERS) + 1} refused with line, column and remedy")
    seen.lost(files=len(published(empty)))


@pytest.mark.fault("D1")
def test_rna_among_dna_is_refused_from_inside_ray_too(empty: Project, seen: Seen) -> None:
    # Two files make two tasks, which Ray runs in processes of its own.
    with (empty.corpora / "two.fa").open("a") as handle:
        handle.write(">rna\nACGUACGU\n")
    lines = (empty.corpora / "two.fa").read_text().splitlines()
    job = empty.folder / "jobs" / "both.yaml"
    job.write_text("kind: build_corpus\ncorpus: small\n")
    done = measured(empty, "submit", str(job))
    assert done.status == 65, done.output
    assert f"two.fa:{len(lines)}:4" in done.output
    assert "set alphabet.uracil: t" in done.output
    assert published(empty) == []
    seen.exit(done.status)
    seen.outcome("the file with U is named by its line, though a Ray task met it")
    seen.lost(files=len(published(empty)))


PROTEIN = ">p\nMKVLAAGIVGLLLAQWERTYIPFEDQLPEEFIPLLQ\n"
FASTQ = "@read\nACGT\n+\nIIII\n"
VCF = "##fileformat=VCFv4.3\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
OTHER_FILES: dict[str, tuple[bytes, str]] = {
    "protein": (PROTEIN.encode(), "this looks like a protein sequence"),
    "fastq": (FASTQ.encode(), "it looks like FASTQ"),
    "vcf": (VCF.encode(), "it looks like VCF variants"),
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(64), "it looks like a PNG image"),
    "utf-16": (GOOD.encode("utf-16"), "it looks like UTF-16 text"),
    "binary": (b"abc\0def" * 9, "the file is binary"),
    "html": (b"<!doctype html><p>404", "error page"),
    "twice": (gzip.compress(gzip.compress(GOOD.encode())), "gzip compressed twice"),
    "empty": (b"", "the file is empty"),
    "blank": (b" \r\n\n", "the file is blank"),
    "bare": (DNA.encode(), "bare sequence without a '>' line"),
    "no letters": (f">a\n>b\n{DNA}\n".encode(), "record 'a' has no sequence --> "),
    "no letters at the end": (f">a\n{DNA}\n>b\n".encode(), "record 'b' has no sequence"),
    "same name": (f">a\n{DNA}\n>b\nAC\n>a\nGT\n".encode(), "named 'a': lines 1 and 5"),
    "no name": (f">\n{DNA}\n".encode(), "record name '' is not allowed"),
    "header": (b">" + b"x" * (1 << 21), "a header line is longer than 65,536 bytes"),
}


@pytest.mark.ci
@pytest.mark.fault("D2")
def test_other_files_and_broken_records_are_named(empty: Project, seen: Seen) -> None:
    for name, (data, words) in OTHER_FILES.items():
        done = submitted(empty, data)
        assert done.status == 65, (name, done.output)
        assert words in done.output, (name, done.output)
        assert "fault.fa:" in done.output
        seen.exit(done.status)
    assert published(empty) == []
    seen.outcome(f"{len(OTHER_FILES)} files named as what they are, with their line")
    seen.lost(files=len(published(empty)))


@pytest.mark.ci
@pytest.mark.fault("D2")
def test_layout_does_not_change_the_content(empty: Project, seen: Seen) -> None:
    layouts = {
        "lf": GOOD.encode(),
        "crlf": GOOD.replace("\n", "\r\n").encode(),
        "no final newline": GOOD.rstrip().encode(),
        "byte order mark": b"\xef\xbb\xbf" + GOOD.encode(),
        "blank lines": GOOD.replace(">b", "\n\n>b").encode(),
        "gzip": gzip.compress(GOOD.encode()),
    }
    hashes = set()
    for number, (name, data) in enumerate(layouts.items()):
        workspace = empty.folder / f"workspace-{number}"
        done = submitted(empty, data, workspace=workspace)
        assert done.status == 0, (name, done.output)
        hashes.add(manifest(workspace)["content_hash"])
    assert len(hashes) == 1
    # A corpus that is there is never replaced by one of other bytes, even of equal letters.
    done = submitted(empty, layouts["lf"], workspace=workspace)
    assert done.status == 73, done.output
    assert "another content" in done.output
    seen.exit(0)
    seen.outcome(f"{len(layouts)} layouts, one content hash")
    seen.lost(letters=0)


def _bomb(members: int) -> bytes:
    """Return gzip of one line of 64 MiB for each member: 65 kB each."""
    packer = zlib.compressobj(9, wbits=31)
    member = packer.compress(b"A" * (64 << 20)) + packer.flush()
    return gzip.compress(b">bomb\n") + member * members


@pytest.mark.ci
@pytest.mark.fault("D3")
def test_a_gzip_bomb_is_cut_short(empty: Project, seen: Seen) -> None:
    bomb = _bomb(32)
    assert len(bomb) < 2_200_000, "2 GiB in 2 MB"
    worst = Worst()
    done = submitted(empty, bomb)
    worst.add(done)
    assert done.status == 65, done.output
    assert "inflate to more than" in done.output
    assert "compression bomb" in done.output
    assert worst.cpu_seconds < 10, worst
    assert worst.peak_mib < PEAK_MIB, worst
    assert published(empty) == []
    seen.exit(done.status)
    seen.outcome(f"2 GiB in 2 MB refused at the ratio cap; {worst}")
    seen.lost(files=len(published(empty)))


@pytest.mark.ci
@pytest.mark.fault("D3")
def test_a_cut_or_changed_gzip_names_how_far_it_was_whole(empty: Project, seen: Seen) -> None:
    packed = gzip.compress(f">first\n{DNA}\n>second\n{DNA * 3000}\n".encode(), mtime=0)
    cuts = {len(packed) - 1: "first", len(packed) // 2: "first", 30: ""}
    for size, record in cuts.items():
        done = submitted(empty, packed[:size])
        assert done.status == 65, done.output
        assert f"the gzip stream ends early, after {size:,} bytes" in done.output
        whole = f"the last complete record is '{record}'" if record else "no record is complete"
        assert whole in done.output
        seen.exit(done.status)
    flipped = bytearray(packed)
    flipped[-6] ^= 1  # a bit of the checksum
    done = submitted(empty, bytes(flipped))
    assert done.status == 65, done.output
    assert "the compressed file is damaged" in done.output
    assert published(empty) == []
    seen.outcome("offset and last whole record told; a changed bit is noticed")
    seen.lost(files=len(published(empty)))
