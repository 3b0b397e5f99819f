"""Corpus specs: what a person writes becomes exactly what the genome room reads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.errors import GfmpError, MissingInputError, SpecError
from gfmp.genome.sources import IngestSettings, LocalFile, PackageFile, Region
from gfmp.spec.corpus import CorpusJobSpec, CorpusSpec, ingest_settings
from gfmp.spec.load import load_spec, validate
from gfmp.storage.documents import parse_document

SPEC = """\
kind: corpus
name: mixed
alphabet: {soft_mask: keep, iupac: error, uracil: t, split_n_run_bp: 7}
piece_bp: 5000
halo_bp: 0
shortest_bp: 5
sources:
  - species: Prima
    assembly: P1
    strain_group: both
    format: fasta
    files: [{path: one.fa}, {path: deep/two.fa}]
    valid: [{contig: c1, start: 10, end: 20}, {contig: c2}]
    exclude: [{contig: c1, start: 15}]
  - species: Secunda
    assembly: S1
    format: genbank
    package: pack-age==1.0rc2
    archive: pack/all.zip
    files: [{path: chr1.gb, sha256: SHA}]
  - species: Tertia
    assembly: T1
    format: parquet
    package: other==2
    sequence_column: dna
    contig_column: id
    files: [{path: other/data}]
""".replace("SHA", "0f" * 32)
SHORT = """\
kind: corpus
name: small
sources:
  - species: Synthetica prima
    assembly: S1
    format: fasta
    files: [{path: one.fa}]
    valid: [{contig: c, start: 90}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deep").mkdir()
    for name in ("one.fa", "deep/two.fa"):
        (tmp_path / name).write_text(">c1\nACGT\n")
    return tmp_path


def _settings(folder: Path, text: str) -> IngestSettings:
    path = folder / "corpus.yaml"
    path.write_text(text)
    spec, document = load_spec(path, {"corpus": CorpusSpec})
    return ingest_settings(spec, document)


def _refused(text: str) -> dict[str, str]:
    """Load a corpus spec that is wrong; return message and rule by `line:column`."""
    with pytest.raises(SpecError) as caught:
        validate(parse_document(text, Path("corpus.yaml")), CorpusSpec)
    problems = caught.value.problems
    assert all(p.where.startswith("corpus.yaml:") for p in problems)
    return {p.where.split(":", 1)[1]: f"{p.message} | {p.why} | {p.fix}" for p in problems}


def test_every_word_of_a_spec_arrives(folder: Path) -> None:
    made = _settings(folder, SPEC)
    assert (made.name, made.piece_bp, made.halo_bp, made.shortest_bp) == ("mixed", 5000, 0, 5)
    policy = made.policy
    assert (policy.soft_mask, policy.iupac, policy.uracil) == ("keep", "error", "t")
    assert policy.split_n_run_bp == 7
    one, two, zipped, table = made.sources
    assert one.location == LocalFile(str(folder / "one.fa"))
    assert two.location == LocalFile(str(folder / "deep" / "two.fa"))
    assert zipped.location == PackageFile("pack-age", "1.0rc2", "pack/all.zip", "chr1.gb")
    assert table.location == PackageFile("other", "2", "other/data", "")
    assert one.valid == two.valid == (Region("c1", 10, 20), Region("c2", 0, None))
    assert one.exclude == (Region("c1", 15, None),)
    assert (zipped.sha256, one.sha256) == ("0f" * 32, "")
    assert [source.strain_group for source in made.sources] == ["both", "both", "", ""]
    assert (table.sequence_column, table.contig_column) == ("dna", "id")


def test_what_is_left_out_is_what_the_genome_room_means_by_default(folder: Path) -> None:
    made = _settings(folder, SHORT)
    plain = IngestSettings(made.name, sources=made.sources)
    assert made == plain
    assert made.fingerprint == plain.fingerprint


def test_local_paths_do_not_depend_on_the_current_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _settings(folder, SHORT)
    monkeypatch.chdir(folder / "deep")
    assert _settings(folder, SHORT).fingerprint == before.fingerprint
    assert ingest_settings(*load_spec(Path("../corpus.yaml"), {"corpus": CorpusSpec})) == before


def test_comments_and_order_of_keys_change_nothing(folder: Path) -> None:
    lines = SHORT.splitlines()
    other = "\n".join(["# a comment", lines[1], lines[0] + "  # another", "", *lines[2:], ""])
    assert _settings(folder, other).fingerprint == _settings(folder, SHORT).fingerprint


def test_missing_files_come_all_at_once_with_their_places(folder: Path) -> None:
    (folder / "deep" / "two.fa").rename(folder / "deep" / "tow.fa")
    (folder / "one.fa").unlink()
    with pytest.raises(MissingInputError) as caught:
        _settings(folder, SPEC.replace("package: other==2\n    ", ""))
    places = [p.where.rsplit(":", 2)[1:] for p in caught.value.problems]
    assert [int(line) for line, _ in places] == [12, 12, 26]
    text = SPEC.splitlines()[11]
    assert [int(column) for _, column in places][:2] == [
        found.start() + 1 for found in re.finditer("path", text)
    ]
    assert [p.fix for p in caught.value.problems] == [
        "correct the path",
        "did you mean 'tow.fa'?",
        "correct the path",
    ]
    assert str(folder / "one.fa") in caught.value.problems[0].message


def test_files_of_packages_are_not_looked_for_before_they_are_read(folder: Path) -> None:
    text = SHORT.replace("format: fasta", "format: fasta\n    package: not-installed==9")
    (source,) = _settings(folder, text).sources
    assert source.origin == "not-installed==9:one.fa"


@pytest.mark.parametrize(
    ("old", "new", "place", "word"),
    [
        ("start: 90", "start: 90, end: 90", "8:13", "ends at 90, not after its start 90"),
        ("start: 90", "start: 90, end: 0", "8:36", "greater than or equal to 1"),
        ("start: 90", "start: -1", "8:25", "greater than or equal to 0"),
        ("start: 90", "start: 1.5", "8:25", "valid integer"),
        ("contig: c,", "contg: c,", "8:14", "did you mean 'contig'?"),
        ("path: one.fa", "pth: one.fa", "7:14", "did you mean 'path'?"),
        ("path: one.fa", "path: one.fa, sha265: ab", "7:28", "did you mean 'sha256'?"),
        ("path: one.fa", "path: one.fa, sha256: abc", "7:28", "match pattern"),
        ("path: one.fa", "path: one.fa, sha256: " + "AB" * 32, "7:28", "match pattern"),
        ("[{path: one.fa}]", "[]", "7:5", "at least 1 item"),
        ("[{path: one.fa}]", "one.fa", "7:5", "valid array"),
        ("format: fasta", "format: fastq", "6:5", "'fasta', 'genbank' or 'parquet'"),
        ("format: fasta", "format: fasta\n    package: x=1", "7:5", "match pattern"),
        ("format: fasta", "format: fasta\n    archive: a.zip", "4:5", "no package is given"),
        ("assembly: S1", "assembly: ''", "5:5", "at least 1 character"),
        ("assembly: S1", "assembly: 1", "5:5", "valid string"),
        ("name: small", "name: Small", "2:1", "match pattern"),
        ("name: small", "name: small\nalphabet: {soft_msk: keep}", "3:12", "'soft_mask'?"),
        ("name: small", "name: small\nalphabet: {iupac: N}", "3:12", "'n' or 'error'"),
        ("name: small", "name: small\npiece_bp: 0", "3:1", "greater than or equal to 1"),
        ("name: small", "name: small\nhalo_bp: -1", "3:1", "greater than or equal to 0"),
        ("name: small", "name: small\nshortest: 3", "3:1", "did you mean 'shortest_bp'?"),
    ],
)
def test_a_wrong_spec_names_place_rule_and_remedy(
    old: str, new: str, place: str, word: str
) -> None:
    found = _refused(SHORT.replace(old, new))
    assert word in found[place], found


def test_lengths_that_do_not_go_together_are_a_spec_error(folder: Path) -> None:
    with pytest.raises(SpecError, match="shortest_bp 70"):
        _settings(folder, SHORT.replace("name: small", "name: small\npiece_bp: 69"))
    with pytest.raises(SpecError, match="Parquet"):
        text = SHORT.replace("format: fasta", "format: parquet\n    package: a==1\n    archive: z")
        _settings(folder, text)


@settings(max_examples=30, deadline=None)
@given(start=st.integers(0, 200), length=st.integers(-200, 200))
def test_a_region_is_taken_exactly_when_it_holds_a_base(start: int, length: int) -> None:
    text = SHORT.replace("start: 90", f"start: {start}, end: {start + length}")
    document = parse_document(text, Path("corpus.yaml"))
    if length >= 1:
        (region,) = validate(document, CorpusSpec).sources[0].valid
        assert (region.start, region.end) == (start, start + length)
    else:
        with pytest.raises(SpecError):
            validate(document, CorpusSpec)


def test_a_corpus_job_takes_a_name_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "corpus.yaml"
    kinds = {"build_corpus": CorpusJobSpec}
    path.write_text("kind: build_corpus\ncorpus: demo\n")
    assert load_spec(path, kinds)[0].corpus == "demo"
    path.write_text("kind: build_corpus\ncorpus: demo\nsteps: 3\n")
    with pytest.raises(SpecError, match="unknown key 'steps'"):
        load_spec(path, kinds)
    path.write_text("kind: corpus\nname: x\n")
    with pytest.raises(SpecError) as caught:
        load_spec(path, kinds)
    assert caught.value.problems[0].why == "this command takes kind: build_corpus"


@settings(max_examples=60, deadline=None)
@given(
    key=st.sampled_from(["name", "piece_bp", "sources", "alphabet", "kind"]),
    value=st.recursive(
        st.sampled_from(["~", "true", "3", "-1", "1e999", "0x_", "9" * 5000, "'x'", "''", ".nan"]),
        lambda inner: (
            st.lists(inner, max_size=2).map(lambda items: f"[{', '.join(items)}]")
            | inner.map(lambda item: f"{{path: {item}}}")
        ),
        max_leaves=3,
    ),
)
def test_any_value_anywhere_is_a_spec_or_an_error_for_people(key: str, value: str) -> None:
    text = re.sub(rf"^{key}:.*$", f"{key}: {value}", SPEC, flags=re.MULTILINE)
    if key == "sources":
        text = text[: text.index("sources:")] + f"sources: {value}\n"
    try:
        validate(parse_document(text, Path("corpus.yaml")), CorpusSpec)
    except GfmpError as fault:
        assert all(p.message and p.where and p.why and p.fix for p in fault.problems)
