"""From candidate regions to motifs: enriched words, their sites, matrices, merging, a ranking.

The steps of DNABERT-viz (Ji et al., 2021), which Ye et al. (Genomics-FM) use, with two of them done
otherwise. The unit that is counted is a word of fixed length inside the candidate regions, not the
text of a whole region, which hardly ever occurs twice. And a part of the rows is held out: words,
matrices and thresholds are chosen on the other part, the p-values that are reported come from rows
that chose nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from gfmp.genome.motifs import Motif, similarity
from gfmp.inference.motif_bases import (
    Sites,
    best_sites,
    counted,
    spelled,
)
from gfmp.inference.motif_words import (
    Side,
    Split,
    Words,
    enriched_words,
    within,
    words_of,
)
from gfmp.report.enrichment import Enrichment, log10_tail, q_values
from gfmp.spec.motifs import SearchLaw

# Places around a seed in which a motif may grow, and rounds in which it may change its sites.
_FLANK, _ROUNDS = 12, 6
# Thresholds of a matrix that are tried.
_THRESHOLDS = 60
# A place belongs to a motif when chance gives its counts so rarely ...
_PLACE_P = 1e-3
# ... and it may stand so many weak places away from the next that does.
_GAP = 2
# Motifs that agree so well over most of the narrower one are one motif.
_SAME = 0.85
_LN2 = float(np.log(2.0))


@dataclass(frozen=True)
class FoundMotif:
    """A motif and how it was found.

    Attributes:
        motif: Counts at its sites.
        sites: Its sites in the positive rows that were searched.
        threshold: Log-odds of a site at least, bits.
        seed: The word it began as.
        words: Enriched words that its sites explained, the seed first.
        searched: Its enrichment among the rows that chose it.
        tested: Its enrichment among the rows that were held out; the same rows where none were.
        q: False discovery rate of `tested` among the motifs of this search.
    """

    motif: Motif
    sites: Sites
    threshold: float
    seed: str
    words: tuple[str, ...]
    searched: Enrichment
    tested: Enrichment
    q: float = 1.0


def find_motifs(searched: Split, tested: Split, law: SearchLaw) -> tuple[FoundMotif, ...]:
    """Find motifs, the most enriched first.

    Args:
        searched: Rows that choose words, matrices and thresholds.
        tested: Rows that test them.
        law: What is a motif.
    """
    found: list[FoundMotif] = []
    left = searched
    for _ in range(law.max_motifs):
        grown = _next(left, searched, law)
        if grown is None:
            break
        left = _erased(left, grown, law)
        found.append(grown)
    merged = _merged(found, searched, law)
    return _ranked([_tested(one, tested, law) for one in merged])


def _next(left: Split, searched: Split, law: SearchLaw) -> FoundMotif | None:
    """Grow the next motif from the most enriched word that makes one."""
    words = enriched_words(left, law)
    for code in words.codes:
        grown = _grown(code, left, searched, law)
        if grown is not None:
            return replace(grown, words=_explained(grown, words, left, law))
    return None


def _grown(code: int, left: Split, searched: Split, law: SearchLaw) -> FoundMotif | None:
    """Turn a word into a motif; None when too few sites or places remain."""
    background = searched.positives.bases.background(law.both_strands)
    seed = spelled(code, law.word_bp)
    motif = Motif(seed, np.eye(4)[["ACGT".index(letter) for letter in seed]] * 10.0)
    # A seed's own sites are its exact copies: the log-odds of one mismatch are below this.
    threshold = float(motif.log_odds(background).max(axis=1).sum()) - 0.5
    sites = _sites(left.positives, motif, threshold, law)
    for _ in range(_ROUNDS):
        wide = Motif(seed, counted(left.positives.bases, sites, motif.width, _FLANK))
        core = _core(wide, background, law)
        if core is None or len(sites) < law.min_sites:
            return None
        motif = wide.part(*core)
        threshold = _threshold(motif, left, law)
        again = _sites(left.positives, motif, threshold, law)
        if _same_sites(again, sites):
            break
        sites = again
    if len(sites) < law.min_sites:
        return None
    motif = Motif(seed, counted(left.positives.bases, sites, motif.width, 0))
    threshold = _threshold(motif, left, law)
    sites = _sites(left.positives, motif, threshold, law)
    enrichment = _enrichment(motif, threshold, left, law)
    return FoundMotif(motif, sites, threshold, seed, (seed,), enrichment, enrichment)


def _same_sites(one: Sites, other: Sites) -> bool:
    return len(one) == len(other) and bool(
        (one.rows == other.rows).all() and (one.starts == other.starts).all()
    )


def _core(wide: Motif, background: NDArray[np.float64], law: SearchLaw) -> tuple[int, int] | None:
    """Return the places of a motif, first and one past the last; None where none is one.

    A place that says something has `min_bits` and counts that chance gives rarely: twice the
    log-likelihood ratio of S sites has a chi-squared distribution with 3 degrees of freedom.
    """
    bits, totals = wide.bits(background), wide.counts.sum(axis=1)
    speaks = (bits >= law.min_bits) & (chi2.sf(2.0 * totals * bits * _LN2, 3) < _PLACE_P)
    places = np.flatnonzero(speaks)
    if not len(places):
        return None
    breaks = np.flatnonzero(np.diff(places) > _GAP + 1)
    runs = np.split(places, breaks + 1)
    # The run that says most: the seed's own, or what it hangs on to.
    best = max(runs, key=lambda run: float(bits[run].sum()))
    return int(best[0]), int(best[-1]) + 1


def _threshold(motif: Motif, split: Split, law: SearchLaw) -> float:
    """Return the log-odds from which on a window is a site: the most enriched of a few dozen.

    It lies halfway down to the next score that any row has, so that rows which had no say in it
    are not lost by a hair.
    """
    background = split.positives.bases.background(law.both_strands)
    log_odds = motif.log_odds(background)
    here, there = (
        np.sort(best_sites(side.bases, log_odds, law.both_strands, None)[1])
        for side in (split.positives, split.negatives)
    )
    usable = here[here > 0]
    if not len(usable):
        return float(log_odds.max(axis=1).sum())
    tried = np.unique(np.quantile(usable, np.linspace(0, 1, _THRESHOLDS), method="nearest"))
    positives = len(here) - np.searchsorted(here, tried)
    negatives = len(there) - np.searchsorted(there, tried)
    logs = log10_tail(positives, positives + negatives, (len(here), len(there)))
    chosen = float(tried[int(np.argmin(logs))])
    below = [scores[scores < chosen].max(initial=0.0) for scores in (here, there)]
    return (chosen + float(max(below))) / 2


def _sites(side: Side, motif: Motif, threshold: float, law: SearchLaw) -> Sites:
    """Return the best site of each row whose log-odds reach the threshold, in its candidates."""
    log_odds = motif.log_odds(side.bases.background(law.both_strands))
    allowed = within(side.candidates, motif.width)
    sites, scores = best_sites(side.bases, log_odds, law.both_strands, allowed)
    return sites.take(scores >= threshold)


def _enrichment(motif: Motif, threshold: float, split: Split, law: SearchLaw) -> Enrichment:
    log_odds = motif.log_odds(split.positives.bases.background(law.both_strands))
    have = (
        best_sites(side.bases, log_odds, law.both_strands, None)[1] >= threshold
        for side in (split.positives, split.negatives)
    )
    return Enrichment.of(*have)


def _erased(left: Split, found: FoundMotif, law: SearchLaw) -> Split:
    """Return the rows without the windows that are sites of a motif, on both sides."""
    log_odds = found.motif.log_odds(left.positives.bases.background(law.both_strands))
    sides = []
    for side in (left.positives, left.negatives):
        scores = side.bases.scores(log_odds)
        if law.both_strands:
            scores = np.maximum(scores, side.bases.scores(log_odds[::-1, ::-1]))
        at = np.flatnonzero(scores >= found.threshold)
        rows = side.bases.rows[at]
        every = Sites(rows, at - side.bases.offsets[rows], np.ones(len(at), dtype=np.bool_))
        sides.append(side.without(every, found.motif.width))
    return Split(*sides)


def _explained(found: FoundMotif, words: Words, left: Split, law: SearchLaw) -> tuple[str, ...]:
    """Return the enriched words that lie in the motif's sites, the seed first."""
    side = left.positives
    codes, known = words_of(side.bases, law)
    inside = found.sites.covered(side.bases, found.motif.width)
    present = set(codes[known & within(inside, law.word_bp)].tolist())
    return tuple(spelled(code, law.word_bp) for code in words.codes if code in present)


def _merged(found: Sequence[FoundMotif], split: Split, law: SearchLaw) -> list[FoundMotif]:
    """Join motifs that are the same one, read from another place or with other letters."""
    kept: list[FoundMotif] = []
    for one in found:
        for place, first in enumerate(kept):
            if _are_same(first.motif, one.motif, law):
                kept[place] = replace(first, words=(*first.words, *one.words))
                break
        else:
            kept.append(one)
    return [_oriented(one, split, law) for one in kept]


def _are_same(one: Motif, other: Motif, law: SearchLaw) -> bool:
    least = max(law.word_bp - 1, (2 * min(one.width, other.width)) // 3)
    alike, _, reverse = similarity(one, other, least)
    return alike >= _SAME and (law.both_strands or not reverse)


def _oriented(one: FoundMotif, split: Split, law: SearchLaw) -> FoundMotif:
    """Return the motif as most of its sites are read; of a tie the alphabetically lesser."""
    forward = int(one.sites.forward.sum())
    backward = len(one.sites) - forward
    other = one.motif.reverse_complement()
    tie = forward == backward and other.consensus < one.motif.consensus
    if not law.both_strands or not (backward > forward or tie):
        return one
    return replace(one, motif=other, sites=one.sites.turned())


def _tested(one: FoundMotif, tested: Split, law: SearchLaw) -> FoundMotif:
    return replace(one, tested=_enrichment(one.motif, one.threshold, tested, law))


def _ranked(found: Sequence[FoundMotif]) -> tuple[FoundMotif, ...]:
    """Number motifs by their p-value on the rows that tested them."""
    qs = q_values(np.array([one.tested.log10_p for one in found]))
    pairs = sorted(
        zip(found, qs.tolist(), strict=True),
        key=lambda pair: (pair[0].tested.log10_p, pair[0].searched.log10_p),
    )
    return tuple(
        replace(one, motif=one.motif.named(f"motif-{place}"), q=q)
        for place, (one, q) in enumerate(pairs, start=1)
    )


def folds(num_rows: int, held_out_fraction: float, seed: int) -> Iterator[NDArray[np.int64]]:
    """Yield the rows that are searched and those that test; all twice where none are held out.

    Which rows are held out is a function of seed and row.
    """
    num_out = round(num_rows * held_out_fraction)
    order = np.argsort(np.random.Philox(key=seed).random_raw(num_rows), kind="stable")
    yield np.sort(order[num_out:])
    yield np.sort(order[:num_out] if num_out else order)
