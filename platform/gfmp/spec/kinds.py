"""Every kind of YAML that gfmp reads: what it is called, where it lies and what takes it."""

from __future__ import annotations

from dataclasses import dataclass

from gfmp.errors import UsageError
from gfmp.spec.cluster import ClusterSpec
from gfmp.spec.corpus import CorpusJobSpec, CorpusSpec
from gfmp.spec.learner import LearnerSpec
from gfmp.spec.model import ModelSpec
from gfmp.spec.motifs import MotifsSpec
from gfmp.spec.pretrain import PretrainSpec
from gfmp.spec.sweep import FinetuneSpec, SweepSpec
from gfmp.spec.task import TaskSpec
from gfmp.spec.variant_effect import VariantEffectSpec
from gfmp.storage.documents import did_you_mean
from gfmp.vocabulary.family import Recipe


@dataclass(frozen=True)
class Kind:
    """One kind of document.

    Attributes:
        name: What its `kind:` key says; a recipe has no such key.
        model: What it is read as.
        place: Where files of it lie.
        command: What takes a file of it.
    """

    name: str
    model: type
    place: str
    command: str


_JOB = "gfmp submit FILE"
KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("pretrain", PretrainSpec, "jobs/", _JOB),
        Kind("finetune", FinetuneSpec, "jobs/", _JOB),
        Kind("sweep", SweepSpec, "specs/", "gfmp sweep FILE"),
        Kind("variant_effect", VariantEffectSpec, "jobs/", _JOB),
        Kind("motifs", MotifsSpec, "jobs/", _JOB),
        Kind("build_corpus", CorpusJobSpec, "jobs/", _JOB),
        Kind("corpus", CorpusSpec, "specs/corpora/", "corpus: NAME in a job"),
        Kind("task", TaskSpec, "specs/tasks/", "gfmp tasks show NAME"),
        Kind("model", ModelSpec, "specs/models/", "model: NAME in a job"),
        Kind("learner", LearnerSpec, "specs/learners/", "learner: NAME in a sweep"),
        Kind("cluster", ClusterSpec, "specs/clusters/", "cluster: NAME in a job"),
        Kind("recipe", Recipe, "specs/vocabularies/", "gfmp register-vocab NAME"),
    )
}


def find_kind(name: str) -> Kind:
    """Return the kind `name`.

    Raises:
        UsageError: there is no such kind; lists those there are.
    """
    if name not in KINDS:
        raise UsageError(
            f"{name!r} is no kind of document",
            why=f"the kinds are {', '.join(KINDS)}",
            fix=did_you_mean(name, KINDS) or "gfmp schema lists them",
        )
    return KINDS[name]
