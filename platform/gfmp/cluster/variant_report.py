"""The report of a variant-effect run, from its plan, its ledger and its results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from gfmp.errors import CorruptArtefactError, MissingInputError
from gfmp.inference.results import TABLE_FILE, VCF_FILE, column_words, read_agreements
from gfmp.ledger.run import Run
from gfmp.plan.variant_effect import PREFIX, RESULTS_FOLDER, EffectPlan
from gfmp.report.variants import EffectData, write_effect_report


def report(run: Run) -> tuple[Path, ...]:
    """Write the page and tables of a variant-effect run that scored everything; return the paths.

    Raises:
        MissingInputError: it has no results yet.
        CorruptArtefactError: plan or results are not as they were written.
    """
    return write_effect_report(data_of(run), run.path / "report")


def data_of(run: Run) -> EffectData:
    """Return what the report of a variant-effect run is made of; raises as `report` does."""
    plan = EffectPlan.from_json(run.plan_json(), str(run.plan_path))
    folder = run.path / RESULTS_FOLDER
    try:
        found = read_agreements(folder)
    except FileNotFoundError:
        raise MissingInputError(
            f"run {run.id} has no results yet",
            where=str(folder),
            why="they are written when every record is scored",
            fix=run.resume_command,
        ) from None
    except (KeyError, ValueError) as fault:
        raise CorruptArtefactError(
            f"the agreements are not as they were written: {fault}",
            where=str(folder),
            why="gfmp writes results whole and never edits them",
            fix=f"remove {folder} and {run.resume_command}",
        ) from fault
    fields = {PREFIX + name: words for name, words in column_words(plan)}
    return EffectData(
        name=plan.name,
        run_id=run.id,
        commands=(run.repeat_command, f"gfmp report {run.id}"),
        facts=dict(_facts(plan, run)),
        scores=fields,
        agreements=found,
        files=(str(folder / VCF_FILE), str(folder / TABLE_FILE)),
    )


def _facts(plan: EffectPlan, run: Run) -> Iterator[tuple[str, str]]:
    what = plan.what
    yield "Variants", f"{plan.where.variants_path} (sha256 {what.variants[:12]})"
    yield "Reference", f"{plan.where.reference_path} (sha256 {what.reference[:12]})"
    strands = "both strands, averaged" if what.both_strands else "forward strand"
    yield "Windows", f"{what.window_bp:,} bp, {strands}"
    surveyed = run.events("surveyed")
    for name, value in (surveyed[-1].fields if surveyed else {}).items():
        if isinstance(value, int | float):
            yield _label(name), f"{value:,}"
    yield from _rates(run.report() or {}, what.score_every)


def _rates(numbers: Mapping[str, object], score_every: int) -> Iterator[tuple[str, str]]:
    if score_every > 1:
        yield "Scored in full", f"1 record of {score_every:,}"
    rate, hours = numbers.get("alternates_per_second"), numbers.get("all_usable_hours")
    if isinstance(rate, int | float) and rate:
        yield "Scored a second", f"{rate:,.1f} alternates, all scores, in the last start"
    if isinstance(hours, int | float) and score_every > 1:
        yield "All of them would take", f"{hours:,.2f} h at that rate"


_LABELS: Mapping[str, str] = MappingProxyType(
    {
        "alleles": "Alternates",
        "multi_allelic": "Records with several alternates",
        "reference_only": "Records without an alternate",
        "unknown": "Windows with letters other than A, C, G, T",
        "cut": "Windows cut by the end of a contig",
        "survey_seconds": "Seconds to parse, check and window all",
    }
)


def _label(name: str) -> str:
    if name in _LABELS:
        return _LABELS[name]
    return name.replace("/", ": ").replace("_", " ").capitalize()
