"""The paper's correlations with measured effects, element by element (Tables S1-S5)."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from importlib.resources import files
from types import MappingProxyType

# By what a column of ours ends in: number of the table, and what it holds. The text of the paper
# gives the averages of Table S1 for zero-shot prediction, so that the captions of S1 and S2 are
# read as exchanged.
TABLES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "euclidean": ("s01", "Table S1, zero-shot, Euclidean"),
        "manhattan": ("s03", "Table S3, zero-shot, Manhattan"),
        "cosine": ("s04", "Table S4, zero-shot, cosine"),
        "dot": ("s05", "Table S5, zero-shot, dot product"),
        "head": ("s02", "Table S2, supervised"),
    }
)
_MODELS = MappingProxyType({"Genomics-FM 7w5": "Genomics-FM 75k"})


def kind_of(column: str) -> str:
    """Return the kind of table a score of ours belongs to; empty where the paper has none."""
    end = column.rpartition("_")[2]
    return end if end in TABLES else ""


def paper_rows(kind: str) -> Mapping[str, Mapping[str, float]]:
    """Return element -> model -> correlation as printed; empty for a kind without a table."""
    if kind not in TABLES:
        return {}
    text = files("gfmp.paper").joinpath(f"tables/{TABLES[kind][0]}.csv").read_text("utf-8")
    rows = csv.DictReader(text.splitlines())
    return {
        row["element"]: {_MODELS.get(k, k): float(v) for k, v in row.items() if k != "element"}
        for row in rows
    }


def paper_name(element: str, known: Iterable[str]) -> str:
    """Return what the paper calls an element of ours; empty when it has none.

    `PKLR-24h` is one of two time points of the paper's `PKLR`.
    """
    names = set(known)
    stem = element.rpartition("-")[0]
    return element if element in names else stem if stem in names else ""
