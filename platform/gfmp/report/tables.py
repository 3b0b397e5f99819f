"""Tables as bytes: CSV and Parquet with fixed formatting, so that equal cells give equal files."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gfmp.report.analysis import Analysis, Point
from gfmp.report.bootstrap import Estimate
from gfmp.report.comparisons import Findings

Value = str | int | float | bool
Row = Mapping[str, Value]

# Digits after the point in files; far below what bootstrap noise leaves meaningful.
_DECIMALS: Final = 6
_TYPES: Final = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


@dataclass(frozen=True)
class Table:
    """Named columns of one type each.

    Attributes:
        columns: Type by name, in order.
        rows: One value for each column.
    """

    columns: Mapping[str, type]
    rows: tuple[tuple[Value, ...], ...]

    @classmethod
    def of(cls, columns: Mapping[str, type], rows: Sequence[Row]) -> Table:
        """Collect rows given by column name."""
        return cls(columns, tuple(tuple(row[name] for name in columns) for row in rows))

    def csv(self) -> bytes:
        """Return the table as CSV: UTF-8, LF, numbers with six digits, empty when undefined."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows([_text(value) for value in row] for row in self.rows)
        return text.getvalue().encode("utf-8")

    def parquet(self) -> bytes:
        """Return the table as Parquet, rounded like the CSV, null when undefined."""
        arrays = {
            name: pa.array([_rounded(row[place]) for row in self.rows], _TYPES[kind])
            for place, (name, kind) in enumerate(self.columns.items())
        }
        sink = io.BytesIO()
        pq.write_table(pa.table(arrays), sink, compression="zstd", write_page_checksum=True)
        return sink.getvalue()


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{_zero(value):.{_DECIMALS}f}" if np.isfinite(value) else ""
    text = str(value)
    # A spreadsheet would run such a text as a formula.
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text


def _rounded(value: Value) -> Value | None:
    if not isinstance(value, float):
        return value
    return round(_zero(value), _DECIMALS) if np.isfinite(value) else None


def _zero(value: float) -> float:
    """Return 0 for what would print as a negative zero."""
    return 0.0 if abs(value) < 0.5 * 10.0**-_DECIMALS else value


def percent_text(percent: float) -> str:
    """Return a share of labels as people write it: 0.5, 1, 31.3, 100."""
    return f"{percent:.3g}"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: `1 seed`, `3 seeds`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


_ESTIMATE: Final[Mapping[str, type]] = {
    "num_seeds": int,
    "num_test_rows": int,
    "value": float,
    "ci_low": float,
    "ci_high": float,
    "resampled": str,
    "num_undefined_replicates": int,
}


def _estimate(estimate: Estimate) -> dict[str, Value]:
    return {
        "num_seeds": estimate.num_seeds,
        "num_test_rows": estimate.num_test,
        "value": estimate.value,
        "ci_low": estimate.low,
        "ci_high": estimate.high,
        "resampled": "seeds and test rows" if estimate.num_seeds > 1 else "test rows only",
        "num_undefined_replicates": estimate.num_undefined,
    }


_POINT: Final[Mapping[str, type]] = {
    "task": str,
    "metric": str,
    "model": str,
    "method": str,
    "vocabulary": str,
    "initial": str,
    "label_percent": float,
    "num_train_rows": int,
}


def _point(point: Point, metric: str) -> dict[str, Value]:
    return {
        "task": point.task,
        "metric": metric,
        "model": point.model.name,
        "method": point.model.method,
        "vocabulary": point.model.vocabulary,
        "initial": point.model.initial,
        "label_percent": float(point.percent),
        "num_train_rows": point.num_rows,
    }


def _metric(analysis: Analysis, task: str) -> str:
    return analysis.data.tasks[task].metric


def results_table(findings: Findings) -> Table:
    """Return task x model x percent x metric, each number with its interval, seeds and rows."""
    columns = {**_POINT, "decides": bool, **_ESTIMATE, "seeds": str}
    rows: list[Row] = []
    for point in findings.analysis.points:
        deciding = _metric(findings.analysis, point.task)
        seeds = " ".join(str(seed) for seed in point.seeds)
        rows += [
            {
                **_point(point, metric),
                "decides": metric == deciding,
                **_estimate(replicates.estimate()),
                "seeds": seeds,
            }
            for metric, replicates in point.scores.items()
        ]
    return Table.of(columns, rows)


def vocabularies_table(findings: Findings) -> Table:
    """Return task x vocabulary for each method, initial model and percent."""
    lead = {"difference_to_best_other": float, "difference_low": float, "difference_high": float}
    columns = {**_POINT, **_ESTIMATE, "num_other_vocabularies": int, **lead, "best": bool}
    nothing = float("nan")
    analysis = findings.analysis
    rows: list[Row] = []
    for group in findings.vocabularies:
        metric = _metric(analysis, group.setting.task)
        for one in group.scores:
            ahead = (one.lead.value, one.lead.low, one.lead.high) if one.lead else (nothing,) * 3
            rows.append(
                {
                    **_point(one.point, metric),
                    **_estimate(analysis.main(one.point).estimate()),
                    "num_other_vocabularies": one.rivals,
                    **dict(zip(lead, ahead, strict=True)),
                    "best": one.best,
                }
            )
    return Table.of(columns, rows)


def comparisons_table(findings: Findings) -> Table:
    """Return the paired differences of pretrained models to scratch and baselines."""
    names = {"task": str, "metric": str, "model": str, "reference": str, "label_percent": float}
    rows: list[Row] = [
        {
            "task": one.task,
            "metric": _metric(findings.analysis, one.task),
            "model": one.model.name,
            "reference": one.reference.name,
            "label_percent": float(one.percent),
            **_estimate(one.difference),
            "verdict": one.verdict,
        }
        for one in findings.comparisons
    ]
    return Table.of({**names, **_ESTIMATE, "verdict": str}, rows)


def reduction_table(findings: Findings) -> Table:
    """Return the annotation-reduction factors; text columns say what a factor of 0 means."""
    columns: dict[str, type] = {"task": str, "metric": str, "model": str, "reference": str}
    numbers = ("reference_percent", "model_smallest_percent", "model_largest_percent")
    factors = ("factor", "ci_low", "ci_high", "largest_visible_factor", "not_reached_fraction")
    columns |= dict.fromkeys((*numbers, *factors), float)
    columns |= {"factor_text": str, "ci_text": str}
    rows: list[Row] = []
    for one in findings.reductions:
        found = one.reduction
        rows.append(
            {
                "task": one.task,
                "metric": _metric(findings.analysis, one.task),
                "model": one.model.name,
                "reference": one.reference.name,
                "reference_percent": found.reference_percent,
                "model_smallest_percent": found.model_percents[0],
                "model_largest_percent": found.model_percents[1],
                "factor": found.factor,
                "ci_low": found.low,
                "ci_high": found.high,
                "largest_visible_factor": found.ceiling,
                "not_reached_fraction": found.not_reached_fraction,
                "factor_text": found.words(found.factor),
                "ci_text": f"{found.words(found.low)} to {found.words(found.high)}",
            }
        )
    return Table.of(columns, rows)
