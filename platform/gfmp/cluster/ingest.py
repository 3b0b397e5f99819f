"""Corpus ingest as a Ray Data pipeline: one task per source file, reports in canonical order."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import pyarrow as pa

from gfmp.cluster.pipeline import rows_in_order
from gfmp.genome.ingest import Job
from gfmp.genome.reports import SourceReport


def ray_mapper(job: Callable[[Job], SourceReport], jobs: Sequence[Job]) -> Iterator[SourceReport]:
    """Apply `job` to every (source, index) on the running Ray session, one task each.

    Shards land in the staging folder `job` knows, which every node must see. What a source's
    bytes become does not depend on which task reads them.
    """
    rows = [{"job": pickle.dumps(one)} for one in jobs]
    for row in rows_in_order(rows, partial(_ingest, job=job), num_cpus=1):
        # These bytes come from our own task a moment ago, never from a file.
        yield pickle.loads(row["report"])


def _ingest(
    batch: Mapping[str, Sequence[bytes]], *, job: Callable[[Job], SourceReport]
) -> pa.Table:
    made = [pickle.dumps(job(pickle.loads(one))) for one in batch["job"]]
    return pa.table({"report": pa.array(made, pa.binary())})
