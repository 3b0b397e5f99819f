"""Indels in haplotypes: letters and positions against strings that are spliced by hand."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from genome_samples import Build, contigs, local, random_dna
from hypothesis import given, settings
from hypothesis import strategies as st
from test_genome_haplotypes import blocks, vcf

from gfmp.errors import CorruptArtefactError, DataError, SpecError
from gfmp.genome.accounts import account_lines
from gfmp.genome.corpus import Corpus, Piece
from gfmp.genome.haplotypes import substituted
from gfmp.genome.lifts import Lift, read_lifts
from gfmp.genome.selection import PinnedFile, Selection
from gfmp.genome.sources import IngestSettings, LocalFile, Region
from gfmp.genome.variants import VariantCounts, Variants

OTHER = str.maketrans("ACGTacgt", "CGTACGTA")


@dataclass(frozen=True)
class Edit:
    """A record: REF at `start` becomes `alt`; the first `anchored` letters of both are one base."""

    start: int
    ref: str
    alt: str
    anchored: int

    def row(self, call: str = "1") -> str:
        """Return it as a row of `vcf`."""
        return f"c {self.start + 1} {self.ref.upper()} {self.alt} {call}"


def spliced(letters: str, edits: Sequence[Edit]) -> tuple[str, list[int | None]]:
    """Return the haplotype and, for each of its bases, the base of the reference it is, if any."""
    places: list[int | None] = list(range(len(letters)))
    for edit in reversed(edits):
        end = edit.start + len(edit.ref)
        letters = letters[: edit.start] + edit.alt + letters[end:]
        new = len(edit.alt) - edit.anchored
        kept: list[int | None] = list(range(edit.start, edit.start + edit.anchored))
        places[edit.start : end] = [*kept, *([None] * new)]
    return letters, places


@st.composite
def edits_of(draw: st.DrawFn, letters: str) -> list[Edit]:
    """Draw substitutions, insertions, deletions and replacements that keep apart."""
    edits, position = [], draw(st.integers(0, 3))
    while position < len(letters):
        longest = min(6, len(letters) - position)
        ref = letters[position : position + draw(st.integers(1, longest))]
        new = draw(st.text("ACGT", min_size=1, max_size=5))
        kind = draw(st.sampled_from(["letter", "insertion", "deletion", "replacement"]))
        if kind == "letter":
            # One base by another keeps its place.
            edits.append(Edit(position, ref[0], ref[0].translate(OTHER), 1))
        elif kind == "insertion":
            edits.append(Edit(position, ref[0], ref[0] + new, 1))
        elif kind == "deletion" and len(ref) > 1:
            edits.append(Edit(position, ref, ref[0], 1))
        elif len(new) != len(ref):
            ends = ref[0].translate(OTHER), ref[-1].translate(OTHER)
            alt = ends[0] if len(new) == 1 else ends[0] + new[1:-1] + ends[1]
            if alt[-1] != ref[-1]:
                edits.append(Edit(position, ref, alt, 0))
        position += len(ref) + draw(st.integers(0, 4))
    return edits


def haplotype(rule: Variants, letters: str, length: int) -> str:
    """Return the letters of a haplotype, read in blocks of `length` letters."""
    return contigs(substituted(blocks({"c": letters}, length), rule, VariantCounts()))["c"]


def applied(file: PinnedFile, sample: str = "", which: int = 1) -> Variants:
    """Return the rule that applies indels."""
    return Variants(file, sample, which, indels="apply")


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_letters_and_positions_are_those_of_a_spliced_string(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    letters = data.draw(st.text("ACGT", min_size=1, max_size=60))
    edits = data.draw(edits_of(letters))
    file = vcf(tmp_path_factory.mktemp("v"), *(edit.row() for edit in edits))
    wanted, places = spliced(letters, edits)
    assert haplotype(applied(file), letters, data.draw(st.integers(1, 65))) == wanted
    lift = read_lifts(applied(file)).get("c", Lift.none())
    assert lift.moved_bp == len(wanted) - len(letters)
    # Every base that is one of the reference says which, and is it unless it was substituted.
    substituted_at = {e.start for e in edits if len(e.ref) == len(e.alt) == 1}
    known = [(at, place) for at, place in enumerate(places) if place is not None]
    for at, place in known:
        assert lift.to_reference(at, at + 1) == (place, place + 1)
        assert (wanted[at] == letters[place]) == (place not in substituted_at)
    # A window between two such bases stands for all of the reference between them.
    for (at, first), (end, last) in itertools.pairwise(known):
        assert lift.to_reference(at, end + 1) == (first, last + 1)
    if known:
        (at, first), (end, last) = known[0], known[-1]
        assert lift.to_reference(at, end + 1) == (first, last + 1)
    # Windows inside new letters lie between the bases around them.
    for at, origin in enumerate(places):
        if origin is None:
            first, last = lift.to_reference(at, at + 1)
            before = [p for p in places[:at] if p is not None]
            after = [p for p in places[at:] if p is not None]
            assert (before[-1] if before else -1) < first <= last
            assert last <= (after[0] if after else len(letters))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_borders_part_the_haplotype_as_they_part_the_reference(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    letters = data.draw(st.text("ACGT", min_size=1, max_size=60))
    edits = data.draw(edits_of(letters))
    file = vcf(tmp_path_factory.mktemp("v"), *(edit.row() for edit in edits))
    wanted, places = spliced(letters, edits)
    lift = read_lifts(applied(file)).get("c", Lift.none())
    borders = [lift.border(position) for position in range(len(letters) + 1)]
    assert borders == sorted(borders)
    assert borders[0] == 0
    assert borders[-1] <= len(wanted)
    for position, border in enumerate(borders):
        assert all(p is None or p < position for p in places[:border])
        assert all(p is None or p >= position for p in places[border:])


def _change(start: int, ref: str, alt: str) -> tuple[int, int, str]:
    while ref and alt and ref[0] == alt[0]:
        start, ref, alt = start + 1, ref[1:], alt[1:]
    while ref and alt and ref[-1] == alt[-1]:
        ref, alt = ref[:-1], alt[:-1]
    return start, start + len(ref), alt


def _apart(one: tuple[int, int, str], other: tuple[int, int, str]) -> bool:
    """Return True where no base is in both, no insertion within, and not two at one point."""
    points = [set(range(2 * s, 2 * e - 1)) if s < e else {2 * s - 1} for s, e, _ in (one, other)]
    return not points[0] & points[1]


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_of_records_that_meet_the_first_wins_whatever_they_are(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    letters = data.draw(st.text("ACGT", min_size=4, max_size=30))
    starts = sorted(data.draw(st.lists(st.integers(0, len(letters) - 1), max_size=10)))
    rows, kept = [], list[tuple[int, int, str]]()
    lost = 0
    for start in starts:
        ref = letters[start : start + data.draw(st.integers(1, 4))]
        alt = data.draw(st.text("ACGT", min_size=1, max_size=4))
        alt = alt if alt != ref else alt.translate(OTHER)
        rows.append(f"c {start + 1} {ref} {alt}")
        change = _change(start, ref, alt)
        if all(_apart(change, other) for other in kept):
            kept.append(change)
        else:
            lost += 1
    wanted = letters
    for start, end, alt in sorted(kept, reverse=True):
        wanted = wanted[:start] + alt + wanted[end:]
    counts = VariantCounts()
    rule = Variants(vcf(tmp_path_factory.mktemp("v"), *rows), indels="apply", overlaps="first")
    length = data.draw(st.integers(1, 35))
    assert contigs(substituted(blocks({"c": letters}, length), rule, counts))["c"] == wanted
    assert counts.by_kind["overlapping"] == lost
    assert counts.by_kind["applied"] == len(kept)
    assert len(counts.named) == min(lost, 8)


@pytest.mark.parametrize("length", [1, 2, 3, 100])
def test_case_follows_the_letter_before_and_lines_stay(tmp_path: Path, length: int) -> None:
    rows = ("c 1 A AGG", "c 4 T TCC", "c 6 CGT C", "c 10 C CT")
    assert haplotype(applied(vcf(tmp_path, *rows)), "ACGtaCGTAc", length) == "AGGCGtccaCAct"
    rows = ("c 1 A GGA", "c 3 GT GAAA", "c 5 A CGA", "c 6 CG TTT")
    assert haplotype(applied(vcf(tmp_path, *rows)), "ACGtaCGTAc", length) == "GGACGaaacgaTTTTAc"
    file = vcf(tmp_path, "c 1 A AGG", "c 6 CGT C")
    rule = applied(file)
    (block,) = substituted(blocks({"c": "ACGTACGTAC"}, 100), rule, VariantCounts())
    assert block.raw == b"AGGCG\nTAC\nA\nC\n"
    assert block.locate(5) == "x.fa:2:1"


@pytest.mark.parametrize(
    ("rows", "letters", "kinds"),
    [
        # An overlapping deletion is in the letters already, or was not applied.
        (["c 2 CGT C", "c 3 G *"], "ACACGTAC", {"applied": 1, "spanned": 1}),
        (["c 2 CGT C q10", "c 3 G *"], "ACGTACGTAC", {"filtered": 1, "symbolic": 1}),
        (["c 2 CGT C", "c 5 A *"], "ACACGTAC", {"applied": 1, "symbolic": 1}),
        # The base that an indel is anchored at is free for another record; its own are not.
        (["c 2 C G", "c 2 CGT C"], "AGACGTAC", {"applied": 2}),
        (["c 2 C G", "c 2 C CTT"], "AGTTGTACGTAC", {"applied": 2}),
        (["c 2 CGT C", "c 3 G A"], "ACACGTAC", {"applied": 1, "overlapping": 1}),
        (["c 2 C CA", "c 2 C CT"], "ACAGTACGTAC", {"applied": 1, "overlapping": 1}),
        # What replaces the first letter of a block, and what is inserted before it.
        (["c 3 GT GAC", "c 4 T CT"], "ACGCACACGTAC", {"applied": 2}),
        (["c 2 CGTA C,CGTAA 2", "c 3 G T"], "ACTTAACGTAC", {"applied": 2}),
    ],
)
def test_records_at_one_place(
    tmp_path: Path, rows: list[str], letters: str, kinds: dict[str, int]
) -> None:
    full = [row if row.split()[-1] == "2" else f"{row} 1".replace("q10 1", "1 q10") for row in rows]
    file = vcf(tmp_path, *full)
    rule = Variants(file, "s", unusable="skip", indels="apply", overlaps="first")
    counts = VariantCounts()
    made = contigs(substituted(blocks({"c": "ACGTACGTAC"}, 3), rule, counts))
    assert made == {"c": letters}
    assert {kind: number for kind, number in counts.by_kind.items() if number} == kinds


def test_overlaps_are_refused_unless_asked_for_and_the_later_is_named(tmp_path: Path) -> None:
    file = vcf(tmp_path, "c 2 CGT C", "c 3 G A")
    with pytest.raises(DataError, match="already changed by") as caught:
        haplotype(applied(file), "ACGTACGTAC", 4)
    (problem,) = caught.value.problems
    assert problem.where == f"{tmp_path / 'x.vcf'}:4"
    assert "overlaps: first" in problem.fix
    counts = VariantCounts()
    rule = Variants(file, indels="apply", overlaps="first")
    list(substituted(blocks({"c": "ACGTACGTAC"}, 4), rule, counts))
    assert counts.named == ["c:3 G>A (line 4 meets line 3)"]


def test_split_records_of_one_site_compare_with_the_reference(tmp_path: Path) -> None:
    file = vcf(tmp_path, "c 2 C G 1|0", "c 2 C T 0|1")
    for which, wanted in ((1, "AGGT"), (2, "ATGT")):
        assert haplotype(applied(file, "s", which), "ACGT", 9) == wanted


@pytest.mark.parametrize("row", ["c 2 CGT C", "c 4 TAG T"])
def test_ref_is_compared_in_indels_too(tmp_path: Path, row: str) -> None:
    file = vcf(tmp_path, row.replace("CGT", "CAT"))
    with pytest.raises(DataError, match=r"field REF: '[AG]' at position") as caught:
        haplotype(applied(file), "ACGTACGTAC", 3)
    assert "same assembly" in caught.value.problems[0].fix


def _phases(file: PinnedFile, num: int, seed: int) -> list[str]:
    """Return the letters of both haplotypes at every record."""
    rules = [Variants(file, "s", which, unphased="draw", seed=seed) for which in (1, 2)]
    pair = [haplotype(rule, "A" * num, 50) for rule in rules]
    return ["".join(letters) for letters in zip(*pair, strict=True)]


def test_a_drawn_phase_belongs_to_the_position_and_every_allele_goes_once(tmp_path: Path) -> None:
    num = 400
    many = vcf(tmp_path, *(f"c {i + 1} A C,G {i % 3}/{(i + 1) % 3}" for i in range(num)))
    drawn = _phases(many, num, 7)
    for i, pair in enumerate(drawn):
        assert sorted(pair) == sorted("ACG"[i % 3] + "ACG"[(i + 1) % 3])
    first = sum(pair[0] == "ACG"[i % 3] for i, pair in enumerate(drawn))
    assert abs(first - num / 2) < 5 * (num / 4) ** 0.5, "a fair coin"
    assert _phases(many, num, 7) == drawn
    assert _phases(many, num, 8) != drawn
    # A row alone gets what it got among others.
    for i in (3, 250):
        alone = vcf(tmp_path, f"c {i + 1} A C,G {i % 3}/{(i + 1) % 3}")
        assert _phases(alone, num, 7)[i] == drawn[i]


def test_split_records_of_one_site_get_one_phase(tmp_path: Path) -> None:
    for position in range(1, 9):
        file = vcf(tmp_path, f"c {position} A C 0/1", f"c {position} A G 1/0")
        assert sorted(_phases(file, 8, 1)[position - 1]) == ["C", "G"]


def test_what_needs_no_draw_gets_none_and_what_is_missing_is_not_guessed(tmp_path: Path) -> None:
    calls = ("0/1", "1/1", "0|1", "1", "./.", "./1", ".", "0/0")
    file = vcf(tmp_path, *(f"c {i + 1} A C {call}" for i, call in enumerate(calls)))
    rule = Variants(file, "s", unphased="draw", unusable="skip")
    counts = VariantCounts()
    letters = contigs(substituted(blocks({"c": "A" * 8}, 8), rule, counts))["c"]
    assert letters[1:] == "CACAAAA"
    assert counts.drawn == 1
    assert counts.by_kind["missing"] == 3
    with pytest.raises(DataError, match=r"'\./\.' is missing"):
        list(substituted(blocks({"c": "A" * 8}, 8), replace(rule, unusable="error"), counts))


@pytest.mark.parametrize("which", [1, 2])
def test_a_haploid_call_is_the_only_one_whichever_is_asked_for(tmp_path: Path, which: int) -> None:
    """X outside its ends in males, Y and MT: ploidy 1, written as one allele."""
    file = vcf(tmp_path, "c 2 C CTT 1", "c 5 A G 0", "c 7 GT G,GTT 2")
    assert haplotype(applied(file, "s", which), "ACGTACGTAC", 4) == "ACTTGTACGTTAC"


LETTERS = random_dna(6_000, 11)


def _corpus(
    tmp_path: Path, build: Build, selection: Selection | None = None
) -> tuple[Corpus, str, list[int | None]]:
    """Build a corpus of a haplotype with an indel or a letter about every 25 bases."""
    edits, position = [], 5
    for size in (i % 19 + 1 for i in range(10_000)):
        if position + size + 1 >= len(LETTERS):
            break
        base = LETTERS[position]
        deleted = LETTERS[position : position + 1 + size]
        choices = (
            Edit(position, base, base + random_dna(size, position), 1),
            Edit(position, deleted, base, 1),
            Edit(position, base, base.translate(OTHER), 1),
        )
        edits.append(choices[size % 3])
        position += len(edits[-1].ref) + 7 + size
    (tmp_path / "one.fa").write_text(f">c\n{LETTERS}\n")
    file = vcf(tmp_path, *(edit.row() for edit in edits))
    source = replace(
        local(tmp_path / "one.fa"),
        valid=(Region("c", 2_000, 3_000),),
        exclude=(Region("c", 4_000, 4_500), Region("c", 5_900, 6_000)),
        variants=applied(file),
        selection=selection,
    )
    made = build(IngestSettings("hap", sources=(source,), piece_bp=700, halo_bp=150))
    return made, *spliced(LETTERS, edits)


def _pieces(corpus: Corpus) -> dict[str, list[Piece]]:
    return {
        split: [piece for group in corpus.row_groups(split) for piece in corpus.read(group)]
        for split in ("train", "valid")
    }


def _split(place: int) -> str:
    if 4_000 <= place < 4_500 or place >= 5_900:
        return "excluded"
    return "valid" if 2_000 <= place < 3_000 else "train"


def test_a_corpus_of_a_haplotype_holds_out_the_bases_of_the_reference(
    tmp_path: Path, build: Build
) -> None:
    corpus, letters, places = _corpus(tmp_path, build)
    lift = corpus.lift("Testus one", "t1", "c")
    assert len(lift.reference) > 100
    seen = []
    for split, pieces in _pieces(corpus).items():
        for piece in pieces:
            end = piece.start + len(piece.sequence)
            assert piece.sequence.decode() == letters[piece.start : end]
            known = [place for place in places[piece.start : end] if place is not None]
            assert {_split(place) for place in known} == {split}
            first, last = lift.to_reference(piece.start, end)
            assert first <= known[0] and known[-1] < last
            seen += [p for p in places[piece.start : piece.start + piece.bases] if p is not None]
    wanted = [place for place in places if place is not None and _split(place) != "excluded"]
    assert sorted(seen) == wanted, "every base of the reference that is left is in one core"
    (entry,) = corpus.manifest.sources
    assert entry.contigs.length_bp == len(letters)
    corpus.verify()


def test_windows_that_overlap_by_100_bases_lose_none_of_the_haplotype(
    tmp_path: Path, build: Build
) -> None:
    """Sequences overlap by 100 nucleotides (Ye et al., Genomics-FM, A.2)."""
    corpus, _, _ = _corpus(tmp_path, build)
    for pieces in _pieces(corpus).values():
        ordered = sorted(pieces, key=lambda piece: piece.start)
        joined = 0
        for piece, following in itertools.pairwise(ordered):
            # Behind the end of a split or of a held-out region nothing follows.
            if piece.start + piece.bases == following.start:
                joined += 1
                shared = piece.sequence[piece.bases : piece.bases + 100]
                assert shared == following.sequence[: len(shared)]
                assert len(shared) == min(100, len(following.sequence))
        assert joined


def test_intervals_are_said_of_the_reference(tmp_path: Path, build: Build) -> None:
    (tmp_path / "x.bed").write_text("c\t500\t900\nc\t2900\t3400\nc\t5000\t5300\n")
    selection = Selection("bed", files=(PinnedFile(LocalFile(str(tmp_path / "x.bed"))),))
    corpus, _, places = _corpus(tmp_path, build, selection=selection)
    found = {
        place
        for pieces in _pieces(corpus).values()
        for piece in pieces
        for place in places[piece.start : piece.start + piece.bases]
        if place is not None
    }
    wanted = {*range(500, 900), *range(2_900, 3_400), *range(5_000, 5_300)}
    assert found == wanted & set(places)


@pytest.mark.parametrize(("end", "fits"), [(6_000, True), (6_001, False)])
def test_regions_end_where_the_reference_ends(
    tmp_path: Path, build: Build, end: int, fits: bool
) -> None:
    (tmp_path / "one.fa").write_text(f">c\n{LETTERS}\n")
    for row in (f"c 9 {LETTERS[8:30]} {LETTERS[8]}", f"c 9 {LETTERS[8]} {LETTERS[8] + 'ACGT'}"):
        source = replace(
            local(tmp_path / "one.fa"),
            exclude=(Region("c", 5_000, end),),
            variants=Variants(vcf(tmp_path, row), indels="apply"),
        )
        plan = IngestSettings(f"end{len(row)}", sources=(source,))
        if fits:
            assert build(plan).manifest.sources[0].contigs.excluded_bp == 1_000
        else:
            with pytest.raises(SpecError, match="beyond the contig's end at 6000"):
                build(plan)


def test_damaged_coordinates_are_told(tmp_path: Path, build: Build) -> None:
    corpus, _, _ = _corpus(tmp_path, build)
    (entry,) = corpus.manifest.sources[0].coordinates
    path = corpus.path / entry.path
    whole = path.read_bytes()
    path.write_bytes(whole[:40] + bytes([whole[40] ^ 1]) + whole[41:])
    for look in (corpus.verify, lambda: corpus.lift("Testus one", "t1", "c")):
        with pytest.raises(CorruptArtefactError, match=r"coordinates|sha256|checksum"):
            look()
    path.write_bytes(whole[:-1])
    with pytest.raises(CorruptArtefactError, match="the table of coordinates"):
        Corpus.open(corpus.path)


def test_what_was_decided_is_said(tmp_path: Path, build: Build) -> None:
    (tmp_path / "one.fa").write_text(f">c\n{LETTERS[:900]}\n")
    base, second = LETTERS[99], LETTERS[100]
    rows = (
        f"c 100 {base}{second} {base} 1|0",
        f"c 101 {second} {second.translate(OTHER)} 1|1",
        f"c 200 {LETTERS[199]} {LETTERS[199].translate(OTHER)} 0/1",
    )
    rule = Variants(vcf(tmp_path, *rows), "s", 1, "error", (), "apply", "first", "draw")
    corpus = build(
        IngestSettings("h", sources=(replace(local(tmp_path / "one.fa"), variants=rule),))
    )
    lines = account_lines(corpus.manifest)
    assert "Testus one t1: 1 phases drawn" in lines
    named = f"c:101 {second}>{second.translate(OTHER)} (line 4 meets line 3)"
    assert f"Testus one t1: the first of two was applied, not {named}" in lines
    assert any("1 overlapping" in line for line in lines)


# Read off before haplotypes could have indels: whatever was built from them stays valid.
BEFORE = (
    (None, "03ad62f9a262f2a6b534b3e9a9f021e43c38154c202cf025174324712ac38d6d"),
    ((), "445e3db0e94f2581840649b776c21f927da0cab176bdd3b964b2b1a7e3656781"),
    (
        ("s", 2, "skip", (("1", "c"),)),
        "558d600b540c1e29a38d2f060333a63708b1777125ae0fe3966e91d2932c89de",
    ),
)


def test_fingerprints_are_what_they_were_and_every_rule_changes_them() -> None:
    file = PinnedFile(LocalFile("/a.vcf"), "ab")
    plain = replace(local(Path("/x/one.fa"), "S"), assembly="A", sha256="cd")

    def made(variants: Variants | None) -> str:
        return IngestSettings("n", sources=(replace(plain, variants=variants),)).fingerprint

    for arguments, fingerprint in BEFORE:
        rule = None if arguments is None else Variants(file, *arguments)
        assert made(rule) == fingerprint
    rules = [
        Variants(file, "s"),
        Variants(file, "s", seed=5),
        Variants(file, "s", indels="apply"),
        Variants(file, "s", overlaps="first"),
        Variants(file, "s", unphased="draw"),
        Variants(file, "s", unphased="draw", seed=5),
    ]
    # A seed that draws nothing changes nothing.
    assert len({made(rule) for rule in rules}) == len(rules) - 1
