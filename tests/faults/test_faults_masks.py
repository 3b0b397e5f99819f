"""Masks that visible neighbours give away are refused; the law that is bare trains on them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fault_project import JOB, Project, tree_hash
from fault_seen import Seen
from numpy.typing import NDArray

from gfmp.plan.facts import VocabularyFacts
from gfmp.plan.masking import readable_fraction
from gfmp.spec.pretrain import Masking
from gfmp.vocabulary.masking import copy_oracle
from gfmp.vocabulary.registry import FamilyRegistry, find_recipe
from gfmp.vocabulary.tokenizer import Tokenizer
from gfmp.vocabulary.vocabulary import Vocabulary

SIX = "vocabularies: [{name: kmer6"


def _kmer6() -> tuple[Vocabulary, Tokenizer]:
    families = FamilyRegistry.discover()
    recipe = find_recipe("kmer6", families, families.recipe_folders)
    vocabulary = families.build(recipe, [])
    return vocabulary, families.tokenizer(vocabulary)


def _independent(num_tokens: int, share: float) -> NDArray[np.bool_]:
    """Mask as BERT's collators do: a coin for every token."""
    torch.manual_seed(0)
    drawn: NDArray[np.bool_] = torch.bernoulli(torch.full((num_tokens,), share)).bool().numpy()
    return drawn


@pytest.mark.ci
@pytest.mark.fault("Y2")
@pytest.mark.parametrize(("span", "share"), [(1, 99), (5, 77)])
def test_a_mask_that_hides_nothing_is_refused_with_what_leaks(
    empty: Project, seen: Seen, span: int, share: int
) -> None:
    text = JOB.replace(SIX[:-1] + "3", f"{SIX}, mask_span_tokens: {span}")
    assert text != JOB
    empty.job.write_text(text)
    before = tree_hash(empty.workspace)
    done = empty.run("submit", str(empty.job))
    assert done.status == 78, done.output
    said = " ".join(done.output.split())
    assert f"a masked span of kmer6 has {span} tokens and hides no base" in said
    found = said.split("targets readable from neighbours: ")[1].split(" ")[0]
    assert float(found.rstrip("%;")) > share
    assert "use a mask span of at least 6 tokens" in said
    assert tree_hash(empty.workspace) == before
    seen.exit(done.status)
    seen.outcome(f"span {span}: targets readable from neighbours {found.rstrip(';')}")
    seen.lost(runs=0)


@pytest.mark.ci
@pytest.mark.fault("Q10")
def test_independent_masks_are_read_off_and_ours_are_not(seen: Seen) -> None:
    vocabulary, tokenizer = _kmer6()
    letters = np.random.default_rng(3).choice(list("ACGT"), 510)
    encoded = tokenizer.encode(["".join(letters).encode()] * 40)
    bare = _independent(len(encoded.ids), 0.15)
    read = copy_oracle(encoded, bare, vocabulary)
    assert read.sum() / bare.sum() > 0.985, "the library's law gives its targets away"
    facts = VocabularyFacts.of(vocabulary)
    for law in ("spans", "centres"):
        assert readable_fraction(Masking(law=law), facts) == 0.0
    seen.outcome(f"bare: {read.sum() / bare.sum():.1%} of targets readable; gfmp: 0 %")
    seen.lost(targets=0)


@pytest.mark.fault("Q10")
def test_every_overlapping_vocabulary_hides_its_targets(seen: Seen) -> None:
    families = FamilyRegistry.discover()
    recipes = [path for folder in families.recipe_folders for path in folder.glob("*.yaml")]
    # Read as text: recipes of other families may ask for packages that are not installed.
    names = {path.stem for path in recipes if "family: kmer" in path.read_text()}
    checked = []
    for name in sorted(names):
        recipe = find_recipe(name, families, families.recipe_folders)
        facts = VocabularyFacts.of(families.build(recipe, []))
        if facts.overlapping:
            assert readable_fraction(Masking(), facts) == 0.0, name
            assert readable_fraction(Masking(law="centres"), facts) == 0.0, name
            checked.append(name)
    assert "kmer6" in checked
    seen.outcome(f"{len(checked)} overlapping vocabularies hide every target")
    seen.lost(targets=0)
