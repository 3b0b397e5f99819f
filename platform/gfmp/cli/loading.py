"""Job files as the commands take them."""

from __future__ import annotations

from pathlib import Path

from gfmp.errors import SpecError
from gfmp.ledger.run import Run
from gfmp.spec.corpus import CorpusJobSpec
from gfmp.spec.load import load_spec, overridden, validate
from gfmp.spec.motifs import MotifsSpec
from gfmp.spec.pretrain import PretrainSpec
from gfmp.spec.sweep import FinetuneSpec, SweepSpec
from gfmp.spec.variant_effect import VariantEffectSpec
from gfmp.storage.documents import Document, load_document, parse_document

JobSpec = PretrainSpec | CorpusJobSpec | FinetuneSpec | SweepSpec | VariantEffectSpec | MotifsSpec
JOBS: dict[str, type[JobSpec]] = {
    "pretrain": PretrainSpec,
    "build_corpus": CorpusJobSpec,
    "finetune": FinetuneSpec,
    "variant_effect": VariantEffectSpec,
    "motifs": MotifsSpec,
}
SWEEPS: dict[str, type[JobSpec]] = {"sweep": SweepSpec}
KINDS = JOBS | SWEEPS


def load_job(
    path: Path, assignments: tuple[str, ...], kinds: dict[str, type[JobSpec]] = KINDS
) -> tuple[JobSpec, Document]:
    """Read a job file and apply `--set`.

    Raises:
        MissingInputError: there is no such file.
        SpecError: everything that is wrong with it.
    """
    spec, document = load_spec(path, KINDS)
    if spec.kind not in kinds:
        raise SpecError(
            f"kind: {spec.kind!r} is not known here",
            where=document.where(("kind",)),
            why=f"this command takes kind: {', '.join(sorted(kinds))}",
            fix=f"gfmp {'sweep' if spec.kind in SWEEPS else 'submit'} {path}",
        )
    if assignments:
        document = overridden(document, assignments)
        spec = validate(document, type(spec))
    return spec, document


def job_of_run(run: Run, assignments: tuple[str, ...]) -> Document:
    """Return the job a run was submitted with, with `--set` applied.

    Names in it are looked up from where the job file stood then.

    Raises:
        MissingInputError: the run was killed while it was created.
        SpecError: an assignment that cannot be applied.
    """
    from gfmp.cluster.inputs import RunInputs

    stood = RunInputs.job_path(run.path)
    document = load_document(run.spec_path)
    parsed = parse_document(run.spec_path.read_text(encoding="utf-8"), stood)
    assert parsed.value == document.value, "one text has one meaning"
    return overridden(parsed, assignments)
