"""The page of a motif job: motifs with their logos, rows base by base, what all of it means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gfmp.genome.motif_library import Match
from gfmp.report.enrichment import Enrichment
from gfmp.report.figures import Picture
from gfmp.report.motif_data import MotifEntry, MotifsData, RowEntry
from gfmp.report.page import (
    Datum,
    bullets,
    definitions,
    document,
    escaped,
    figure,
    heading,
    paragraph,
    shell,
    table,
)

# What each map is, said on the page because the head does not read [CLS].
MAPS: Final = {
    "rollout": "attention followed from what the head reads down through all blocks (rollout,"
    " Abnar and Zuidema 2020); the head reads the mean of each third of a row's words",
    "pooled": "attention of the last block in the rows that the head reads: the mean over the words"
    " of each third of a row",
    "cls": "attention of the last block in the row of [CLS] (DNABERT-viz, Ji et al. 2021); the head"
    " of this model does not read [CLS], so this map need not show what a prediction is made of",
    "integrated_gradients": "integrated gradients from the masked row to the row (Sundararajan et"
    " al. 2017), a word's share spread over its bases",
    "mutagenesis": "what the score loses on average when a base is replaced by another",
}
_WORDS_SHOWN: Final = 12
# Above it the rows that were held out do not bear a motif out.
CONFIRMED_Q: Final = 0.05
_TERMS: Final = (
    ("score of a row", "The model's output that is explained, in the unit given above."),
    (
        "candidate region",
        "A run of bases whose map is above the mean of its row by the deviations of the job; words"
        " are counted that stand in one.",
    ),
    (
        "p-value (held out)",
        "Hypergeometric: the chance that as many rows with the motif or more are positive, counted"
        " in rows that chose neither the motif nor its threshold.",
    ),
    ("q-value", "False discovery rate among the motifs of this page (Benjamini and Hochberg)."),
    (
        "focus",
        "Mean of the map at the sites of the motif over its mean in the rows that have one; 1 means"
        " that the model looks there as much as anywhere.",
    ),
    (
        "match",
        "A motif of the library, by the p-value of Tomtom (Gupta et al. 2007): how often a motif"
        " drawn from the library's places fits as well.",
    ),
)


def motifs_page(data: MotifsData, logos: Sequence[Picture], tracks: Sequence[Picture]) -> str:
    """Return the page.

    Args:
        data: The findings.
        logos: One for each motif.
        tracks: One for each row.
    """
    body = (
        f"<h1>Motifs: {escaped(data.name)}</h1>\n",
        _state(data),
        heading("Motifs"),
        _overview(data),
        *(_motif(entry, logo) for entry, logo in zip(data.motifs, logos, strict=True)),
        *([heading("Rows, base by base"), _completeness(data.rows)] if data.rows else []),
        *map(figure, tracks),
        heading("What to keep in mind"),
        bullets(_limits(data)),
        heading("To repeat it"),
        shell(data.commands),
        heading("Words"),
        definitions(_TERMS),
    )
    return document(f"{data.name} - motifs", "".join(body))


def _state(data: MotifsData) -> str:
    asked = f"Explained: {data.output} ({data.unit}). Map: {MAPS[data.map]}."
    return paragraph(asked) + table("What was asked", ("What", "Value"), data.facts)


def _overview(data: MotifsData) -> str:
    if not data.motifs:
        return paragraph(
            "No motif: no word in the candidate regions is in more positive rows than chance has"
            " it, at the false discovery rate of the job.",
            "warning",
        )
    header = ["Motif", "Consensus", "Sites", "Strand", "With it", "p (held out)", "q", "Focus"]
    header += ["Best match"] if data.library else []
    caption = "The most enriched first. `With it`: positive | negative rows that were held out."
    return table(caption, header, [_row(entry, data) for entry in data.motifs])


def _row(entry: MotifEntry, data: MotifsData) -> list[Datum | str]:
    row: list[Datum | str] = [
        entry.motif.name,
        Datum(entry.motif.consensus, bold=True),
        f"{len(entry.sites):,}",
        _strands(entry, data.both_strands),
        counts(entry.tested),
        p_text(entry.tested.log10_p),
        Datum(f"{entry.q:.2g}", tone="worse" if entry.q > CONFIRMED_Q else ""),
        f"{entry.focus:.2f}",
    ]
    if data.library:
        best = entry.matches[0] if entry.matches else None
        row.append(f"{best.target} (p {best.p:.1g})" if best else "none")
    return row


def _strands(entry: MotifEntry, both: bool) -> str:
    if not both:
        return "+ only"
    return f"{entry.num_forward:,} + | {len(entry.sites) - entry.num_forward:,} -"


def counts(found: Enrichment) -> str:
    """Return how many rows of each side have it."""
    here = f"{found.positives:,}/{found.num_positives:,}"
    return f"{here} | {found.negatives:,}/{found.num_negatives:,}"


def p_text(log10_p: float) -> str:
    """Return a p-value, however small."""
    return f"{10.0**log10_p:.2g}" if log10_p > -300 else f"1e{log10_p:.0f}"


def _motif(entry: MotifEntry, logo: Picture) -> str:
    words = ", ".join(entry.words[:_WORDS_SHOWN])
    more = len(entry.words) - _WORDS_SHOWN
    told = (
        f"Began as {entry.seed}; enriched words in its sites: {words}"
        f"{f' and {more} more' if more > 0 else ''}. In the rows that chose it: "
        f"{counts(entry.searched)}, p {p_text(entry.searched.log10_p)}. A site has at least "
        f"{entry.threshold:.1f} bits over the background."
    )
    parts = heading(f"{entry.motif.name}: {entry.motif.consensus}", 3) + figure(logo)
    return parts + paragraph(told) + _matches(entry.matches)


def _matches(matches: Sequence[Match]) -> str:
    if not matches:
        return ""
    rows = [
        (
            one.target,
            f"{one.p:.2g}",
            f"{one.q:.2g}",
            "-" if one.reverse else "+",
            str(one.shift),
            str(one.overlap),
        )
        for one in matches
    ]
    header = ("Known motif", "p", "q", "Strand", "Begins at its place", "Places shared")
    return table("Known motifs that fit best (Tomtom)", header, rows)


def _completeness(rows: Sequence[RowEntry]) -> str:
    body = [
        (
            row.origin,
            f"{row.score:.3f}",
            f"{row.completeness.baseline:.3f}",
            f"{row.completeness.gap:+.1e}",
            f"{100 * row.completeness.error:.2g} %",
            str(row.completeness.steps),
            Datum("yes") if row.completeness.complete else Datum("no", tone="worse"),
        )
        for row in rows
    ]
    caption = "Do integrated gradients add up to score - score of the masked row?"
    header = ("Row", "Score", "Masked", "Gap", "Error", "Steps", "Complete")
    return table(caption, header, body)


def _limits(data: MotifsData) -> list[str]:
    told = [
        "The map only says where words are looked for; that a word counts is decided by how many"
        " positive and negative rows have it. Focus says how much of the map is at the sites.",
        "Rows of one class may differ from the other by more than binding sites: composition,"
        " repeats. A motif that separates them need not be one.",
    ]
    if any(entry.q > CONFIRMED_Q for entry in data.motifs):
        told.append(
            f"Shaded: q above {CONFIRMED_Q}; the rows that were held out do not bear it out."
        )
    if data.held_out_fraction == 0:
        told.append("No rows were held out, so the p-values are of the rows that chose the motifs.")
    if data.library and data.library.few:
        told.append(
            f"{data.library.name} has {data.library.num_motifs} motifs: too few for p-values of"
            " matches that can be trusted, because chance is drawn from their places."
        )
    if data.library:
        told.append(f"Known motifs: {data.library.credit}; {data.library.num_motifs:,} motifs.")
    return told
