"""Motifs against a library of known ones: Tomtom's p-values, by memelite.

Tomtom (Gupta et al., 2007) asks how often a motif of the library, drawn place by place, would fit
as well in its best ungapped alignment on either strand. memelite (Schreiber, tomtom-lite, 2025)
computes it; it comes with the extra `motifs`.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import false_discovery_control

from gfmp.errors import MissingInputError
from gfmp.genome.motif_library import EXTRA, Match, MotifLibrary
from gfmp.genome.motifs import Motif

PACKAGE = "memelite"
# The null distribution is made of the library's own places: few motifs make a poor one.
FEW_MOTIFS = 25
_SMALLEST_P = 1e-300


def require_matcher() -> None:
    """Make sure that memelite is installed.

    Raises:
        MissingInputError: it is not.
    """
    if importlib.util.find_spec(PACKAGE) is None:
        raise MissingInputError(
            f"the package {PACKAGE} is not installed",
            where="library",
            why="it computes how well motifs fit those of a library",
            fix=f'pip install "gfmp[{EXTRA}]", or leave `library` out',
        )


def best_matches(
    motifs: Sequence[Motif], library: MotifLibrary, most: int
) -> tuple[tuple[Match, ...], ...]:
    """Return for each motif the motifs of a library that fit best, the best first.

    The first call on a machine compiles for about a minute; the package keeps the result.

    Args:
        motifs: Motifs.
        library: Known motifs.
        most: Matches of each.

    Raises:
        MissingInputError: memelite is not installed.
    """
    require_matcher()
    if not motifs:
        return ()
    from memelite import tomtom

    queries, targets = ([one.frequencies.T.copy() for one in s] for s in (motifs, library.motifs))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # said by whoever shows matches: see `FEW_MOTIFS`
        p, _, offsets, overlaps, strands = tomtom(queries, targets, n_jobs=1)
    p = np.clip(np.asarray(p, dtype=np.float64), _SMALLEST_P, 1.0)
    return tuple(
        _sorted(library, p[i], (offsets[i], overlaps[i], strands[i]), most)
        for i in range(len(motifs))
    )


def _sorted(
    library: MotifLibrary,
    p: NDArray[np.float64],
    placed: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    most: int,
) -> tuple[Match, ...]:
    offsets, overlaps, strands = placed
    q = false_discovery_control(p, method="bh")
    return tuple(
        Match(
            library.motifs[at].name,
            float(p[at]),
            float(q[at]),
            int(offsets[at]),
            bool(strands[at]),
            int(overlaps[at]),
        )
        for at in np.argsort(p, kind="stable")[:most].tolist()
    )
