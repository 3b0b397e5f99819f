"""What is built is used; what is not built is built once, with the same result every time."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cluster_world import Lines, World, make_world

from gfmp.cluster.build import Builder
from gfmp.errors import ExistsError, UsageError, VocabularyError
from gfmp.genome.corpus import Corpus
from gfmp.plan.survey import find_corpus
from gfmp.storage.workspace import Workspace
from gfmp.vocabulary.family import Recipe
from gfmp.vocabulary.registry import FamilyRegistry, find_recipe
from gfmp.vocabulary.store import VocabularyStore


def _recipe(name: str) -> Recipe:
    families = FamilyRegistry.discover()
    return find_recipe(name, families, families.recipe_folders)


def _no_corpus() -> Corpus:
    raise AssertionError("this family needs no corpus")


def test_a_built_corpus_is_opened_without_a_word(world: World) -> None:
    lines = Lines()
    target = find_corpus("small", world.job, world.workspace)
    assert target.built
    before = {p: p.stat().st_mtime_ns for p in target.path.rglob("*")}
    corpus = Builder(world.workspace, lines.say).corpus(target)
    assert corpus.path == target.path
    assert not lines.said
    assert {p: p.stat().st_mtime_ns for p in target.path.rglob("*")} == before
    assert "ray.data" not in sys.modules or not sys.modules["ray"].is_initialized()


def test_a_corpus_whose_file_changed_since_is_refused(own_world: World) -> None:
    target = find_corpus("small", own_world.job, own_world.workspace)
    genome = own_world.folder / "specs" / "corpora" / "0.fa"
    genome.write_text(genome.read_text().replace("A", "C", 1))
    with pytest.raises(ExistsError, match=r"0\.fa"):
        Builder(own_world.workspace, Lines().say).corpus(target)


def test_a_family_without_a_corpus_never_opens_one(tmp_path: Path) -> None:
    workspace, lines = Workspace(tmp_path), Lines()
    builder = Builder(workspace, lines.say)
    assert builder.vocabulary(_recipe("kmer3"), _no_corpus).created
    assert lines.said == ["building vocabulary kmer3 (kmer)"]
    assert VocabularyStore(workspace.vocabularies).get("kmer3").size == 5 + 64


def test_learning_depends_on_the_bases_of_the_train_split_alone(
    world: World, tmp_path: Path
) -> None:
    learnt = VocabularyStore(world.workspace.vocabularies).get("bpe64")
    same = make_world(tmp_path / "same")
    for i in range(4):
        genome = same.folder / "specs" / "corpora" / f"{i}.fa"
        text = genome.read_text()
        genome.write_text(text[:7000] + "G" * 2000 + "\n")  # held out from base 6,000 on
    corpus = same.corpus()
    assert corpus.fingerprint != world.corpus().fingerprint
    builder = Builder(Workspace(tmp_path / "one"), Lines().say)
    assert builder.vocabulary(_recipe("bpe64"), lambda: corpus).fingerprint == learnt.fingerprint
    other = make_world(tmp_path / "other", seed=5).corpus()
    builder = Builder(Workspace(tmp_path / "two"), Lines().say)
    assert builder.vocabulary(_recipe("bpe64"), lambda: other).fingerprint != learnt.fingerprint


def test_of_many_builders_one_creates(tmp_path: Path) -> None:
    builder = Builder(Workspace(tmp_path), Lines().say)
    with ThreadPoolExecutor(3) as pool:
        made = list(pool.map(lambda _: builder.vocabulary(_recipe("kmer2"), _no_corpus), range(3)))
    assert [r.created for r in made].count(True) == 1
    assert len({r.fingerprint for r in made}) == 1


def test_a_name_with_another_content_is_refused(world: World, tmp_path: Path) -> None:
    builder = Builder(Workspace(tmp_path), Lines().say)
    builder.vocabulary(_recipe("kmer3"), _no_corpus)
    narrow = Recipe("kmer3", "kmer", {"k": 3, "stride_bp": 1, "window_max_bp": 300})
    with pytest.raises(ExistsError, match="kmer3"):
        builder.vocabulary(narrow, _no_corpus)


@pytest.mark.parametrize(
    ("recipe", "error", "word"),
    [
        (Recipe("x", "kmers", {}), VocabularyError, "did you mean 'kmer'?"),
        (Recipe("x", "kmer", {"k": 99, "stride_bp": 1}), VocabularyError, "k is 99"),
        (
            Recipe("x", "bpe", {"size": 60_000}, sample_bp=8_000_000),
            VocabularyError,
            "59,995 asked for",
        ),
        (Recipe("x", "bpe", {"size": 64}), UsageError, "cannot draw 0 bp"),
    ],
)
def test_a_recipe_that_cannot_be_built_registers_nothing(
    world: World, tmp_path: Path, recipe: Recipe, error: type[Exception], word: str
) -> None:
    workspace = Workspace(tmp_path)
    with pytest.raises(error) as caught:
        Builder(workspace, Lines().say).vocabulary(recipe, world.corpus)
    problem = caught.value.problems[0]  # type: ignore[attr-defined]
    assert word in f"{problem.message} {problem.why} {problem.fix}"
    assert VocabularyStore(workspace.vocabularies).names() == ()
