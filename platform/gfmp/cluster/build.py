"""Build what a job names and the workspace lacks: corpora and vocabularies."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from gfmp.cluster.session import ray_session
from gfmp.genome.accounts import account_lines
from gfmp.genome.corpus import Corpus
from gfmp.genome.ingest import build_corpus
from gfmp.genome.region_shares import region_lines
from gfmp.genome.sample import sample_sequences
from gfmp.plan.survey import CorpusTarget
from gfmp.storage.workspace import Workspace
from gfmp.vocabulary.contract import check
from gfmp.vocabulary.family import Recipe
from gfmp.vocabulary.registry import FamilyRegistry
from gfmp.vocabulary.store import Registered, VocabularyStore

# Chunks of this length cost the BPE trainer least; its time grows with the square of the length.
_CHUNK_BP = 1000
Say = Callable[[str], None]


@dataclass(frozen=True)
class Builder:
    """Builds into one workspace, telling the person what it does.

    Attributes:
        workspace: Where artefacts go.
        say: Shows one line of progress.
    """

    workspace: Workspace
    say: Say

    def corpus(self, target: CorpusTarget, *, in_session: bool = False) -> Corpus:
        """Return the corpus, building it first when it is not there.

        Args:
            target: Spec and folder of the corpus.
            in_session: True when the caller already runs a Ray session.
        """
        if target.built:
            return build_corpus(target.settings, target.path)
        num_sources = len(target.settings.sources)
        self.say(f"building corpus {target.settings.name}: {num_sources} files")
        if num_sources == 1:
            # One file is one task: there is nothing to spread, and Ray takes ten seconds to start.
            corpus = build_corpus(target.settings, target.path)
        else:
            from gfmp.cluster.ingest import ray_mapper

            with contextlib.nullcontext() if in_session else ray_session(workers=1):
                corpus = build_corpus(target.settings, target.path, ray_mapper)
        totals = {s: sum(g.bases for g in corpus.row_groups(s)) for s in ("train", "valid")}
        self.say(
            f"built corpus {target.settings.name}: {totals['train']:,} bases to train, "
            f"{totals['valid']:,} held out"
        )
        for line in account_lines(corpus.manifest):
            self.say(f"  {line}")
        for line in region_lines(corpus):
            self.say(f"  {line}")
        return corpus

    def vocabulary(self, recipe: Recipe, corpus: Callable[[], Corpus]) -> Registered:
        """Build, check and register one vocabulary.

        Args:
            recipe: How it is made.
            corpus: Opens the corpus to sample; called only by families that need one.

        Raises:
            VocabularyError: the result breaks the contract.
        """
        families = FamilyRegistry.discover()
        family = families.get(recipe.family)
        self.say(f"building vocabulary {recipe.name} ({recipe.family})")
        sample: list[bytes] = []
        if family.needs_corpus:
            sample = sample_sequences(corpus(), recipe.sample_bp, _CHUNK_BP, recipe.seed)
        vocabulary = families.build(recipe, sample)
        check(vocabulary, families.tokenizer(vocabulary), recipe.seed)
        return VocabularyStore(self.workspace.vocabularies).register(vocabulary, recipe)
