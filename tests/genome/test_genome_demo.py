"""The demo corpus: pinned files, the split numbers, and held-out regions that stay held out."""

from __future__ import annotations

import importlib.metadata
import itertools
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from ruamel.yaml import YAML

from gfmp.genome.alphabet import AlphabetPolicy, translate
from gfmp.genome.corpus import Corpus
from gfmp.genome.ingest import build_corpus
from gfmp.genome.markov import MarkovModel
from gfmp.genome.sources import (
    IngestSettings,
    PackageFile,
    Region,
    Source,
    open_source,
    source_digest,
)
from gfmp.genome.splits import Split, split_contig

SPEC_PATH = Path(__file__).parents[2] / "specs" / "corpora" / "demo.yaml"
WORD_BP = 31
Words = NDArray[np.uint64]


def expanded(entry: dict[str, Any]) -> Iterator[Source]:
    """Turn one entry of `sources:` into one source per file, as the grammar says."""
    distribution, version = entry["package"].split("==")
    regions = {
        kind: tuple(Region(**region) for region in entry.get(kind, ()))
        for kind in ("valid", "exclude")
    }
    for file in entry["files"]:
        archive = entry.get("archive")
        place = (archive, file["path"]) if archive else (file["path"], "")
        yield Source(
            entry["species"],
            entry["assembly"],
            entry["format"],
            PackageFile(distribution, version, *place),
            entry.get("strain_group", ""),
            file["sha256"],
            valid=regions["valid"],
            exclude=regions["exclude"],
        )


@pytest.fixture(scope="module")
def demo() -> IngestSettings:
    value = YAML(typ="safe").load(SPEC_PATH.read_text(encoding="ascii"))
    return IngestSettings(
        value["name"],
        AlphabetPolicy(**value["alphabet"]),
        tuple(source for entry in value["sources"] for source in expanded(entry)),
        value["piece_bp"],
        value["halo_bp"],
        value["shortest_bp"],
    )


@pytest.fixture(scope="module")
def installed(demo: IngestSettings) -> IngestSettings:
    """Return the demo settings when its packages are here."""
    for source in demo.sources:
        assert isinstance(source.location, PackageFile)
        name = source.location.distribution
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            pytest.skip(f"{name} is not installed: pip install 'gfmp[demo]'")
    return demo


@pytest.fixture(scope="module")
def demo_corpus(installed: IngestSettings, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return build_corpus(installed, tmp_path_factory.mktemp("demo") / "corpus")


def test_the_spec_names_ten_species_and_pins_every_file(demo: IngestSettings) -> None:
    assert len({source.species for source in demo.sources}) == 10
    assert len({(source.species, source.assembly) for source in demo.sources}) == 11
    assert all(len(source.sha256) == 64 for source in demo.sources)
    assert len(demo.sources) == len({source.sha256 for source in demo.sources}) == 26


def test_one_real_file_is_ingested(installed: IngestSettings, tmp_path: Path) -> None:
    (mikatae,) = (s for s in installed.sources if s.species == "Saccharomyces mikatae")
    corpus = build_corpus(IngestSettings("one", sources=(mikatae,)), tmp_path / "c")
    ((_, contig),) = corpus.contigs()
    assert (contig.name, contig.length_bp, contig.train_bp) == ("NC_079256.1", 248_052, 248_052)
    assert corpus.manifest.alphabet.soft_masked == 29_702
    assert corpus.manifest.alphabet.upper == 218_350


def test_the_split_numbers_are_the_documented_ones(demo_corpus: Corpus) -> None:
    contigs = [contig for _, contig in demo_corpus.contigs()]
    assert sum(c.length_bp for c in contigs) == 29_591_255
    assert sum(c.train_bp for c in contigs) == 22_976_188
    assert sum(c.valid_bp for c in contigs) == 2_076_977
    assert sum(c.excluded_bp for c in contigs) == 4_537_990
    assert sum(c.gap_bp + c.short_bp for c in contigs) == 100
    whole = {c.name for c in contigs if c.excluded_bp == c.length_bp}
    assert whole == {"BK006937.2", "BK006946.2", "BK006949.2"}
    assert {c.name for c in contigs if c.valid_bp == c.length_bp} == {"BK006940.2", "BK006944.2"}


def test_context_predicts_the_held_out_bases_better_than_composition(demo_corpus: Corpus) -> None:
    held_out = [p for g in demo_corpus.row_groups("valid") for p in demo_corpus.read(g)]
    flat, deep = (
        np.concatenate([model.bits(p.sequence[: p.bases]) for p in held_out]).mean()
        for model in (MarkovModel.fit(demo_corpus, k, max_bp=2_000_000) for k in (0, 5))
    )
    assert flat == pytest.approx(1.973, abs=0.005)
    assert deep == pytest.approx(1.952, abs=0.005)


def words_of(letters: bytes) -> Words:
    """Return the distinct strand-free words of `letters`, two bits per base; N is skipped."""
    lookup = np.full(256, 4, np.uint64)
    lookup[np.frombuffer(b"ACGT", np.uint8)] = range(4)
    codes = lookup[np.frombuffer(letters, np.uint8)]
    count = len(codes) - WORD_BP + 1
    forward, backward = np.zeros(count, np.uint64), np.zeros(count, np.uint64)
    two = np.uint64(2)
    for i in range(WORD_BP):
        digit = codes[i : i + count] & np.uint64(3)
        forward = (forward << two) | digit
        backward |= (np.uint64(3) - digit) << np.uint64(2 * i)
    unknown = np.concatenate([[0], np.cumsum(codes == 4)])
    words = np.minimum(forward, backward)[unknown[WORD_BP:] == unknown[:-WORD_BP]]
    words.sort()
    distinct: Words = words[np.concatenate([[True], words[1:] != words[:-1]])]
    return distinct


def fraction_in(words: Words, others: Words) -> float:
    """Return the share of `words` that are in `others`; both sorted."""
    nearest = np.minimum(np.searchsorted(others, words), len(others) - 1)
    return float((others[nearest] == words).mean())


def words_by_split(source: Source) -> dict[Split, Words]:
    """Collect the words of each split of a source, straight from its file."""
    contig = b"".join(translate(b.bases, AlphabetPolicy()).bases for b in open_source(source))
    name = next(open_source(source)).contig
    letters: defaultdict[Split, bytes] = defaultdict(bytes)
    for interval in split_contig(name, source.valid, source.exclude).intervals:
        letters[interval.split] += contig[interval.start : interval.end] + b"N"
    return {split: words_of(text) for split, text in letters.items()}


# What remains are repeats (insertion elements; transposons of the fly's chromosome 4), which
# no choice of regions can separate.
@pytest.mark.parametrize(
    ("group", "ceiling"), [("escherichia-coli", 0.02), ("melanogaster-subgroup", 0.04)]
)
def test_training_bases_of_a_strain_are_not_the_held_out_bases_of_another(
    installed: IngestSettings, group: str, ceiling: float
) -> None:
    members = [s for s in installed.sources if s.strain_group == group]
    words = {source.assembly: words_by_split(source) for source in members}
    for one, other in itertools.permutations(words, 2):
        train = words[one]["train"]
        for split, held_out in words[other].items():
            if split != "train":
                shared = fraction_in(held_out, train)
                assert shared < ceiling, f"{one} trains on {shared:.1%} of {split} {other}"


def test_the_pins_hold(installed: IngestSettings) -> None:
    for source in installed.sources:
        assert source_digest(source) == source.sha256
