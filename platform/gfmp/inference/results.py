"""What a variant-effect job leaves: the VCF with scores in INFO, a table, the agreements."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gfmp.genome.vcf_info import InfoField, declared, extended
from gfmp.inference.difference_head import HeadRows, predicted
from gfmp.inference.effects import NOT_DUE
from gfmp.inference.shards import FEATURES, Shards
from gfmp.inference.survey import VariantFile
from gfmp.plan.variant_effect import HEAD_COLUMN, PREFIX, EffectPlan
from gfmp.report.agreement import Agreement, agreements
from gfmp.spec.variant_effect import (
    AnyScorer,
    DifferenceHead,
    LikelihoodScorer,
    ProfileScorer,
)
from gfmp.storage.atomic import read_json, streamed_write, write_json
from gfmp.storage.exchange import replaced_directory
from gfmp.storage.seals import sealed, unsealed

VCF_FILE, TABLE_FILE, AGREEMENTS_FILE = "scores.vcf", "scores.parquet", "agreements.json"
_SKIPPED = "skipped"
_NONE = "."


class Results:
    """Joins the shards of a finished job.

    Args:
        plan: Of the job.
        shards: All of them are there.
    """

    def __init__(self, plan: EffectPlan, shards: Shards) -> None:
        self._plan, self._shards = plan, shards
        head = plan.what.head
        self._head = self._predicted(head) if head else None

    def write(self, folder: Path, file: VariantFile) -> tuple[Agreement, ...]:
        """Write all files into `folder`, which appears whole; return the agreements.

        Raises:
            StorageError: the disk refused.
            CorruptArtefactError: a shard is damaged.
        """
        found = self._agreements()
        with replaced_directory(folder) as staging:
            self._write_table(staging / TABLE_FILE)
            self._write_vcf(staging / VCF_FILE, file)
            body = {"format_version": 1, "agreements": [one.to_json() for one in found]}
            write_json(staging / AGREEMENTS_FILE, sealed(body))
        return found

    def _predicted(self, head: DifferenceHead) -> NDArray[np.float64]:
        """Return the head's prediction for every alternate; NaN where it has none."""
        tables = list(self._shards.tables())
        known = [_features(table) for table in tables]
        width = max((part.shape[1] for part in known), default=0)
        features = np.concatenate(
            [
                part if part.shape[1] else np.full((len(part), width), np.nan, np.float32)
                for part in known
            ]
        )
        joined = pa.concat_tables(
            [table.select(["effect", "compared", "group", "start"]) for table in tables]
        )
        effects = np.where(_flags(joined), _numbers(joined, "effect"), np.nan)
        usable = np.isfinite(features).all(axis=1) & (width > 0)
        rows = HeadRows(
            features[usable],
            effects[usable],
            [g for g, ok in zip(joined.column("group").to_pylist(), usable, strict=True) if ok],
            joined.column("start").to_numpy()[usable],
        )
        found = np.full(len(usable), np.nan)
        found[usable] = predicted(rows, head)
        return found

    def _parts(self) -> Iterator[pa.Table]:
        """Yield the shards without features, with the column of the head."""
        first = 0
        for table in self._shards.tables():
            if FEATURES in table.column_names:
                table = table.drop_columns([FEATURES])
            if self._head is not None:
                part = self._head[first : first + table.num_rows]
                table = table.append_column(HEAD_COLUMN, pa.array(part, pa.float64()))
            first += table.num_rows
            yield table.replace_schema_metadata(None)

    def _write_table(self, path: Path) -> None:
        writer: pq.ParquetWriter | None = None
        with streamed_write(path) as out:
            for table in self._parts():
                if writer is None:
                    writer = pq.ParquetWriter(
                        out, table.schema, compression="zstd", write_page_checksum=True
                    )
                writer.write_table(table)
            assert writer is not None, "a VCF without alternates is refused"
            writer.close()

    def _write_vcf(self, path: Path, file: VariantFile) -> None:
        what = self._plan.what
        fields = tuple(_fields(self._plan))
        note = f"gfmp_variant_effect={json.dumps(what.fingerprint[:16])}"
        rows = _by_record(self._parts())
        waiting = next(rows, None)
        with streamed_write(path) as out:
            for line in declared(file.header().lines, fields, note):
                out.write(f"{line}\n".encode())
            for index, record in file.records():
                line = record.text
                if waiting is not None and waiting[0] == index:
                    line = extended(record, _info(waiting[1], what.columns))
                    waiting = next(rows, None)
                out.write(f"{line}\n".encode())

    def _agreements(self) -> tuple[Agreement, ...]:
        if self._plan.what.measured is None:
            return ()
        wanted = ["effect", "group", "compared", *self._plan.what.columns]
        parts = [part.select(wanted).filter(part.column("compared")) for part in self._parts()]
        table = pa.concat_tables(parts)
        columns = {name: _numbers(table, name) for name in self._plan.what.columns}
        groups = table.column("group").to_pylist()
        return tuple(agreements(columns, _numbers(table, "effect"), groups))


def read_agreements(folder: Path) -> tuple[Agreement, ...]:
    """Read what `Results.write` found.

    Raises:
        ValueError: the file was changed.
        FileNotFoundError: there is none.
    """
    found = unsealed(read_json(folder / AGREEMENTS_FILE))["agreements"]
    assert isinstance(found, list), "sealed by this module"
    return tuple(Agreement.from_json(one) for one in found)


def _features(table: pa.Table) -> NDArray[np.float32]:
    if FEATURES not in table.column_names:
        return np.zeros((table.num_rows, 0), dtype=np.float32)
    column = table.column(FEATURES).combine_chunks()
    flat: NDArray[np.float32] = column.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(table.num_rows, -1)


def _flags(table: pa.Table) -> NDArray[np.bool_]:
    flags: NDArray[np.bool_] = table.column("compared").to_numpy()
    return flags


def _numbers(table: pa.Table, name: str) -> NDArray[np.float64]:
    numbers: NDArray[np.float64] = table.column(name).to_numpy()
    return numbers


def _by_record(parts: Iterator[pa.Table]) -> Iterator[tuple[int, list[dict[str, object]]]]:
    """Yield record number and rows of its alternates."""
    index, rows = -1, list[dict[str, object]]()
    for part in parts:
        for row in part.to_pylist():
            if row["record"] != index and rows:
                yield index, rows
                rows = []
            index = row["record"]
            rows.append(row)
    if rows:
        yield index, rows


def _info(
    rows: Sequence[Mapping[str, object]], columns: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """Return the INFO fields of a record: one value for each alternate."""
    fields = {PREFIX + name: tuple(_shown(row[name]) for row in rows) for name in columns}
    reasons = tuple(str(row["skipped"]) or _NONE for row in rows)
    told = tuple(_NONE if reason == NOT_DUE else reason for reason in reasons)
    return {**fields, PREFIX + _SKIPPED: told}


def _shown(value: object) -> str:
    if not isinstance(value, float) or not math.isfinite(value):
        return _NONE
    return f"{value:.6g}"


def column_words(plan: EffectPlan) -> Iterator[tuple[str, str]]:
    """Yield every score of a plan with what it is."""
    for one in plan.what.scorers:
        said = _words(one.settings)
        for column in one.columns:
            distance = column.removeprefix(one.name).lstrip("_")
            words = f"{said}, {distance}" if distance else said
            text = f"{words}; {one.model.name}, {one.model.fingerprint[:12]}"
            yield column, text
    if head := plan.what.head:
        text = f"Effect predicted by a ridge regression on the difference of {head.scorer}"
        yield HEAD_COLUMN, f"{text}, never from the variant itself"


def _fields(plan: EffectPlan) -> Iterator[InfoField]:
    for column, text in column_words(plan):
        yield InfoField(PREFIX + column, "Float", text)
    yield InfoField(PREFIX + _SKIPPED, "String", "Why the alternate was not scored")


def _words(settings: AnyScorer) -> str:
    if isinstance(settings, LikelihoodScorer):
        return "Log-likelihood of the alternate less that of the reference, nats"
    if isinstance(settings, ProfileScorer):
        return f"Distance of predicted profiles ({settings.space})"
    return f"Distance of embeddings ({settings.pool})"
