"""Corpus ingest as a Ray Data pipeline: one task per source file, reports in canonical order."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import pyarrow as pa

from gfmp.genome.ingest import Job
from gfmp.genome.reports import SourceReport


def ray_mapper(job: Callable[[Job], SourceReport], jobs: Sequence[Job]) -> Iterator[SourceReport]:
    """Apply `job` to every (source, index) on the running Ray session, one task each.

    Shards land in the staging folder `job` knows, which every node must see. What a source's
    bytes become does not depend on which task reads them.
    """
    import ray.data

    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    rows = ray.data.from_items(
        [{"job": pickle.dumps(one)} for one in jobs], override_num_blocks=len(jobs)
    )
    reports = rows.map_batches(partial(_ingest, job=job), batch_size=1, num_cpus=1)
    for row in reports.iter_rows():
        # These bytes come from our own task a moment ago, never from a file.
        yield pickle.loads(row["report"])


def _ingest(
    batch: Mapping[str, Sequence[bytes]], *, job: Callable[[Job], SourceReport]
) -> pa.Table:
    made = [pickle.dumps(job(pickle.loads(one))) for one in batch["job"]]
    return pa.table({"report": pa.array(made, pa.binary())})
