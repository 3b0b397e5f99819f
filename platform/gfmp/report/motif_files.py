"""The files of a motif job: page, figures, tables, and motifs in a format that others read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gfmp.genome.motif_files import meme_text
from gfmp.report.logos import logo_picture, row_picture
from gfmp.report.motif_data import MotifEntry, MotifsData
from gfmp.report.motif_page import motifs_page
from gfmp.report.published import publish

_MOTIFS = (
    "motif",
    "consensus",
    "width",
    "sites",
    "forward_sites",
    "positives",
    "num_positives",
    "negatives",
    "num_negatives",
    "log10_p_held_out",
    "q",
    "log10_p_searched",
    "focus",
    "threshold_bits",
    "words",
)
_MATCHES = ("motif", "target", "p", "q", "shift", "reverse", "overlap")
_SITES = ("motif", "origin", "start", "end", "strand", "sequence")
_TRACKS = ("row", "origin", "position", "base", "track", "score")


def write_motifs(data: MotifsData, folder: Path) -> tuple[Path, ...]:
    """Write the files of a motif job; equal findings give equal bytes.

    Returns:
        The files: report.html first, then motifs.meme, motifs.tsv, matches.tsv, sites.tsv,
        tracks.tsv and figures/*.png, *.svg. Positions are 0-based, half-open, in the row as the
        model read it.

    Raises:
        StorageError: the disk refused.
    """
    return publish(motif_files(data), folder)


def motif_files(data: MotifsData) -> dict[str, bytes]:
    """Return the files by their path in the folder, report.html first."""
    logos = [logo_picture(entry) for entry in data.motifs]
    tracks = [row_picture(entry, number) for number, entry in enumerate(data.rows, start=1)]
    return {
        "report.html": motifs_page(data, logos, tracks).encode("utf-8"),
        "motifs.meme": meme_text([entry.motif for entry in data.motifs]).encode("utf-8"),
        "motifs.tsv": _table(_MOTIFS, [_motif_row(entry) for entry in data.motifs]),
        "matches.tsv": _table(_MATCHES, _match_rows(data.motifs)),
        "sites.tsv": _table(_SITES, _site_rows(data.motifs)),
        "tracks.tsv": _table(_TRACKS, _track_rows(data)),
        **{
            f"figures/{picture.name}.{ending}": content
            for picture in (*logos, *tracks)
            for ending, content in picture.files.items()
        },
    }


def _table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> bytes:
    lines = ["\t".join(header), *("\t".join(map(_text, row)) for row in rows)]
    return ("\n".join(lines) + "\n").encode("utf-8")


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float | np.floating) else str(value)


def _motif_row(entry: MotifEntry) -> tuple[object, ...]:
    tested = entry.tested
    return (
        entry.motif.name,
        entry.motif.consensus,
        entry.motif.width,
        len(entry.sites),
        entry.num_forward,
        tested.positives,
        tested.num_positives,
        tested.negatives,
        tested.num_negatives,
        tested.log10_p,
        entry.q,
        entry.searched.log10_p,
        entry.focus,
        entry.threshold,
        ",".join(entry.words),
    )


def _match_rows(motifs: Sequence[MotifEntry]) -> list[tuple[object, ...]]:
    return [
        (entry.motif.name, m.target, m.p, m.q, m.shift, m.reverse, m.overlap)
        for entry in motifs
        for m in entry.matches
    ]


def _site_rows(motifs: Sequence[MotifEntry]) -> list[tuple[object, ...]]:
    return [
        (entry.motif.name, site.origin, site.start, site.end, site.strand, site.sequence)
        for entry in motifs
        for site in entry.sites
    ]


def _track_rows(data: MotifsData) -> list[tuple[object, ...]]:
    return [
        (number, row.origin, position, row.sequence[position], name, float(score))
        for number, row in enumerate(data.rows, start=1)
        for name, scores in row.tracks.items()
        for position, score in enumerate(scores)
    ]
