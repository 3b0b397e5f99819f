"""Published corpora after somebody touched them: each field, each file, each problem at once."""

from __future__ import annotations

import copy
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from genome_samples import Build, WriteFasta, local, random_dna
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.errors import CorruptArtefactError, DataError, SpecError
from gfmp.genome.alphabet import AlphabetCounts, AlphabetPolicy
from gfmp.genome.audit import audit_reports, audit_sources
from gfmp.genome.contigs import ContigsEntry, ContigSums, ContigTable, join_contigs
from gfmp.genome.corpus import Corpus
from gfmp.genome.ingest import assemble_manifest, ingest_source
from gfmp.genome.manifest import (
    Composition,
    Manifest,
    RowGroupEntry,
    ShardEntry,
    SourceEntry,
    SplitTotal,
    add_totals,
)
from gfmp.genome.shards import Row, footer_crc32, rows_crc32
from gfmp.genome.sources import IngestSettings, LocalFile, Region, Source

Json = dict[str, Any]
NUMBERS = st.integers(0, 2**53)
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12)
SHARDS = st.builds(
    ShardEntry,
    path=NAMES,
    split=st.sampled_from(["train", "valid"]),
    source=NUMBERS,
    bytes=NUMBERS,
    rows=NUMBERS,
    sha256=NAMES,
    footer_crc32=NUMBERS,
    row_groups=st.lists(
        st.builds(RowGroupEntry, NUMBERS, NUMBERS, NUMBERS, NUMBERS), max_size=2
    ).map(tuple),
)
CONTIGS = st.builds(ContigSums, *[NUMBERS] * 9)
TABLE = st.builds(ContigsEntry, NAMES, NUMBERS, NUMBERS, NAMES)
TOTALS = st.builds(
    SplitTotal,
    st.sampled_from(["train", "valid"]),
    NUMBERS,
    NUMBERS,
    NUMBERS,
    st.builds(Composition, *[NUMBERS] * 5),
)
MANIFESTS = st.builds(
    Manifest,
    name=NAMES,
    spec_fingerprint=NAMES,
    policy=st.builds(
        AlphabetPolicy,
        st.sampled_from(["upper", "keep"]),
        st.sampled_from(["n", "error"]),
        st.sampled_from(["t", "error"]),
        st.integers(1, 10**6),
    ),
    sources=st.lists(
        st.builds(
            SourceEntry,
            NUMBERS,
            *[NAMES] * 5,
            st.builds(AlphabetCounts, *[NUMBERS] * 4),
            CONTIGS,
        ),
        max_size=2,
    ).map(tuple),
    shards=st.lists(SHARDS, max_size=2).map(tuple),
    totals=st.lists(TOTALS, max_size=3).map(tuple),
    content_hash=NAMES,
    contigs=st.tuples(TABLE),
)


@given(MANIFESTS)
@settings(deadline=None, max_examples=40)
def test_any_manifest_comes_back_from_disk(
    tmp_path_factory: pytest.TempPathFactory, manifest: Manifest
) -> None:
    folder = tmp_path_factory.mktemp("manifest")
    manifest.write(folder)
    assert Manifest.read(folder) == manifest


def places(value: object, key: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of every value below `value`."""
    items = value.items() if isinstance(value, dict) else enumerate(value)  # type: ignore[arg-type]
    for name, inner in items:
        yield (*key, name)
        if isinstance(inner, (dict, list)):
            yield from places(inner, (*key, name))


def changed(value: Json, key: tuple[str | int, ...], to: object) -> Json:
    """Return a copy of `value` with the value at `key` replaced, or left out when `to` is ..."""
    result = copy.deepcopy(value)
    inner: Any = result
    for step in key[:-1]:
        inner = inner[step]
    if to is ...:
        del inner[key[-1]]
    else:
        inner[key[-1]] = to
    return result


def test_every_field_of_a_manifest_is_guarded(corpus: Corpus) -> None:
    path = corpus.path / "manifest.json"
    good = json.loads(path.read_text())
    tried = 0
    for key in places(good):
        damages = [{"no": "such"}, 1.5] + ([...] if isinstance(key[-1], str) else [])
        for damage in damages:
            path.write_text(json.dumps(changed(good, key, damage)))
            with pytest.raises(CorruptArtefactError, match="not a corpus manifest") as caught:
                Manifest.read(corpus.path)
            assert caught.value.problems[0].where == str(path)
            tried += 1
    assert tried > 300
    path.write_text(json.dumps(good))
    assert Manifest.read(corpus.path) == corpus.manifest


def test_values_that_no_policy_allows_are_damage_too(corpus: Corpus) -> None:
    path = corpus.path / "manifest.json"
    good = json.loads(path.read_text())
    path.write_text(json.dumps(changed(good, ("policy", "split_n_run_bp"), 0)))
    with pytest.raises(CorruptArtefactError, match="split_n_run_bp is 0"):
        Manifest.read(corpus.path)


@pytest.mark.parametrize("text", ["", "[]", "null", '{"format_version": 1', "\x00", '"x"'])
def test_what_is_no_object_is_a_damaged_manifest(corpus: Corpus, text: str) -> None:
    (corpus.path / "manifest.json").write_text(text)
    with pytest.raises(CorruptArtefactError):
        Corpus.open(corpus.path)


def remove(shard: Path) -> None:
    shard.unlink()


def shorten(shard: Path) -> None:
    os.truncate(shard, shard.stat().st_size - 1)


def lengthen(shard: Path) -> None:
    with shard.open("ab") as handle:
        handle.write(b"\0")


def become_a_folder(shard: Path) -> None:
    shard.unlink()
    shard.mkdir()


def become_a_link(shard: Path) -> None:
    target = shard.parent.parent.parent / f"moved-{shard.name}"
    shutil.move(shard, target)
    shard.symlink_to(target)


def swap_with_another(shard: Path) -> None:
    others = sorted(p for p in shard.parent.glob("*.parquet") if p != shard)
    shard.write_bytes(others[0].read_bytes())


DAMAGES: dict[Callable[[Path], None], str] = {
    remove: "the shard is missing",
    shorten: "the shard has",
    lengthen: "the shard has",
    become_a_folder: "the shard is missing",
    become_a_link: "a symbolic link does not belong",
    swap_with_another: "the shard",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_preflight_names_each_damaged_shard_and_no_other(
    corpus: Corpus, damage: Callable[[Path], None]
) -> None:
    shards = [corpus.path / shard.path for shard in corpus.manifest.shards]
    for shard in shards:
        folder = shutil.copytree(corpus.path, corpus.path.parent / f"copy-{shard.stem}")
        victim = folder / shard.relative_to(corpus.path)
        damage(victim)
        with pytest.raises(CorruptArtefactError) as caught:
            Corpus.open(folder)
        assert {p.where for p in caught.value.problems} == {str(victim)}
        assert DAMAGES[damage] in caught.value.problems[0].message
        assert all(p.why and p.fix for p in caught.value.problems)


def test_preflight_lists_everything_in_one_error(corpus: Corpus) -> None:
    shards = [corpus.path / shard.path for shard in corpus.manifest.shards]
    assert len(shards) >= 3
    remove(shards[0])
    shorten(shards[1])
    lengthen(shards[2])
    (corpus.path / "extra.parquet").write_bytes(b"PAR1")
    with pytest.raises(CorruptArtefactError) as caught:
        Corpus.open(corpus.path)
    wheres = [p.where for p in caught.value.problems]
    assert sorted(wheres) == sorted([str(corpus.path / "extra.parquet"), *map(str, shards[:3])])


def test_footers_are_refused_whatever_their_length_says(corpus: Corpus) -> None:
    shard = corpus.path / corpus.manifest.shards[0].path
    good = shard.read_bytes()
    for length in (0, len(good), len(good) - 8, 2**32 - 1):
        shard.write_bytes(good[:-8] + length.to_bytes(4, "little") + good[-4:])
        with pytest.raises(ValueError, match="does not end like Parquet"):
            footer_crc32(shard)
    for size in range(12):
        shard.write_bytes(good[-size:] if size else b"")
        with pytest.raises(ValueError, match="does not end like Parquet"):
            footer_crc32(shard)


ROWS = st.lists(
    st.builds(
        Row,
        st.text("ab", min_size=1, max_size=3),
        st.text("ab", min_size=1, max_size=3),
        st.text("ab", min_size=1, max_size=3),
        st.sampled_from(["train", "valid"]),
        st.integers(0, 30),
        st.integers(1, 30),
        st.integers(0, 30),
        st.binary(min_size=1, max_size=6),
    ),
    max_size=4,
)


@given(ROWS, ROWS)
@settings(deadline=None, max_examples=60)
def test_rows_share_a_checksum_only_when_they_are_equal(left: list[Row], right: list[Row]) -> None:
    assert (rows_crc32(left) == rows_crc32(right)) == (left == right)


@given(st.lists(TOTALS, max_size=6))
@settings(deadline=None, max_examples=40)
def test_totals_add_up_in_any_order(totals: list[SplitTotal]) -> None:
    expected = add_totals(totals)
    assert add_totals(reversed(totals)) == expected
    assert add_totals(expected) == expected
    assert [t.split for t in expected] == sorted({t.split for t in totals})
    for name in ("rows", "bases", "contigs"):
        assert sum(asdict(t)[name] for t in expected) == sum(asdict(t)[name] for t in totals)


def member(name: str, group: str, valid: int = 0, exclude: int = 0, assembly: str = "") -> Source:
    """A source of a strain group with a number of regions; no file is read."""
    return Source(
        "Testus one",
        assembly or name,
        "fasta",
        LocalFile(f"/nowhere/{name}.fa"),
        strain_group=group,
        valid=tuple(Region("c", 100 * i, 100 * i + 50) for i in range(valid)),
        exclude=tuple(Region("c", 100 * i + 50, 100 * i + 100) for i in range(exclude)),
    )


def test_strain_groups_are_judged_apart_and_all_reported() -> None:
    sources = [
        member("a", "one", valid=1),
        member("b", "one"),
        member("c", "two", exclude=1),
        member("d", "two", valid=1),
        member("e", "three"),
        member("f", "three"),
        member("g", "", valid=1),
        member("h", "four", valid=2, exclude=1),
        member("i", "four", valid=1, exclude=3),
    ]
    with pytest.raises(SpecError) as caught:
        audit_sources(sources)
    found = [p.message.partition(" regions")[0] for p in caught.value.problems]
    assert found == [
        "strain_group 'one': 'valid'",
        "strain_group 'two': 'valid'",
        "strain_group 'two': 'exclude'",
    ]
    assert all("homologous" in p.fix for p in caught.value.problems)
    audit_sources([s for s in sources if s.strain_group not in ("one", "two")])


def test_files_of_one_assembly_hold_out_for_each_other() -> None:
    """A region in any file counts for its assembly, so one chromosome may hold it alone."""
    files = [member("chr1", "g", valid=1, assembly="s1"), member("chr2", "g", assembly="s1")]
    audit_sources([*files, member("other", "g", valid=1)])
    with pytest.raises(SpecError, match="none in Testus one s2"):
        audit_sources([*files, member("other", "g", assembly="s2")])


def test_every_missed_region_is_reported_once(write_fasta: WriteFasta, tmp_path: Path) -> None:
    path = write_fasta("a.fa", ("chr1", random_dna(300, 1)), ("chr2", random_dna(200, 2)))
    bad = (Region("chr1", 300), Region("chr2", 0, 201), Region("chrX"))
    good = (Region("chr1", 299), Region("chr2", 0, 200))
    source = replace(local(path), valid=(*bad, *good), exclude=bad)
    plan = IngestSettings("s", sources=(source,))
    report = ingest_source(source, 0, plan, tmp_path)
    with pytest.raises(SpecError) as caught:
        assemble_manifest(plan, [report], tmp_path)
    assert [p.message.split()[1] for p in caught.value.problems] == [str(r) for r in bad]
    assert {p.where for p in caught.value.problems} == {str(path)}


def test_contigs_twice_are_all_reported(write_fasta: WriteFasta, tmp_path: Path) -> None:
    letters = [random_dna(300, seed) for seed in range(3)]
    one = local(write_fasta("a.fa", *((f"c{i}", text) for i, text in enumerate(letters))))
    two = local(write_fasta("b.fa", *((f"c{i}", text) for i, text in enumerate(letters[:2]))))
    plan = IngestSettings("s", sources=(one, two))
    reports = [ingest_source(s, i, plan, tmp_path) for i, s in enumerate(plan.sources)]
    contigs = ContigTable(tmp_path / join_contigs(tmp_path, 2).path)
    with pytest.raises(DataError) as caught:
        audit_reports(plan.sources, reports, contigs)
    kinds = [p.message.split(" is also")[0] for p in caught.value.problems]
    assert kinds == [
        f"the {what} of contig 'c{i}'" for what in ("name", "sequence") for i in (0, 1)
    ]
    assert all(p.where.endswith("b.fa") and "a.fa" in p.message for p in caught.value.problems)


def test_books_that_do_not_balance_are_caught(write_fasta: WriteFasta, tmp_path: Path) -> None:
    source = local(write_fasta("a.fa", ("a", random_dna(900, 1))))
    plan = IngestSettings("s", sources=(source,))
    report = ingest_source(source, 0, plan, tmp_path)
    contigs = ContigTable(tmp_path / join_contigs(tmp_path, 1).path)
    sums = replace(report.source.contigs, train_bp=899)
    lies = (
        replace(report, totals=()),
        replace(report, shards=()),
        replace(report, source=replace(report.source, contigs=sums)),
    )
    for lie in lies:
        with pytest.raises(AssertionError, match=r"a\.fa: train shards hold"):
            audit_reports(plan.sources, [lie], contigs)


def test_names_of_one_contig_may_differ_between_assemblies(
    write_fasta: WriteFasta, build: Build
) -> None:
    files = [write_fasta(f"{i}.fa", ("chr1", random_dna(300, i))) for i in range(3)]
    sources = tuple(replace(local(f), assembly=f"t{i}") for i, f in enumerate(files))
    corpus = build(IngestSettings("s", sources=sources))
    pieces = [p for g in corpus.row_groups("train") for p in corpus.read(g)]
    assert sorted((p.assembly, p.contig) for p in pieces) == [(f"t{i}", "chr1") for i in range(3)]
