"""What became of the letters of a corpus and of the variants put into them, in words."""

from __future__ import annotations

from gfmp.genome.alphabet import IUPAC_LETTERS
from gfmp.genome.manifest import Manifest, SourceEntry
from gfmp.genome.variants import KINDS, VariantsEntry


def account_lines(manifest: Manifest) -> tuple[str, ...]:
    """Return the policy table with its counts, then a line per haplotype, then what was decided.

    Letters are counted as they stood in the files, and lines without a letter are left out.
    """
    return (
        *_letters(manifest),
        *(line for source in manifest.sources for line in _changes(source)),
        *(line for source in manifest.sources for line in _resolved(source)),
    )


def _letters(manifest: Manifest) -> list[str]:
    counts, policy = manifest.alphabet, manifest.policy
    codes = zip(IUPAC_LETTERS.decode(), counts.iupac, strict=True)
    named = ", ".join(f"{letter} {number:,}" for letter, number in codes if number)
    folded = "read as upper case" if policy.soft_mask == "upper" else "kept"
    gaps = f"runs of {policy.split_n_run_bp:,} or more end a piece and are left out"
    table = (
        (counts.upper, "A C G T", "as they are"),
        (counts.soft_masked, "a c g t (soft-masked)", folded),
        (counts.n, "N", gaps),
        (sum(counts.iupac), f"ambiguity codes ({named})", "became N"),
        (counts.uracil, "U", "became T"),
    )
    return [f"{number:>15,} {what}: {fate}" for number, what, fate in table if number]


def _changes(source: SourceEntry) -> list[str]:
    return [
        f"{source.species} {source.assembly}: {entry.applied:,} records of {entry.rule} applied, "
        f"{entry.reference:,} are the reference{_passed_over(entry)}"
        for entry in source.variants
    ]


def _resolved(source: SourceEntry) -> list[str]:
    """Return what a rule decided where the VCF does not say: phases, and places claimed twice."""
    name = f"{source.species} {source.assembly}"
    drawn = [f"{name}: {e.drawn:,} phases drawn" for e in source.variants if e.drawn]
    named = [
        f"{name}: the first of two was applied, not {', '.join(e.named)}"
        + (f" and {more:,} more" if (more := e.overlapping - len(e.named)) else "")
        for e in source.variants
        if e.overlapping
    ]
    return [*drawn, *named]


def _passed_over(entry: VariantsEntry) -> str:
    numbers = vars(entry)
    skipped = [(kind, numbers[kind]) for kind in KINDS[2:] if numbers[kind]]
    listed = ", ".join(f"{number:,} {kind.replace('_', '-')}" for kind, number in skipped)
    return f"; passed over: {listed}" if skipped else ""
