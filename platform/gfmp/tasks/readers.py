"""Reading the rows of a task's source, every one of them, before they are split.

One reader for each format; a new format is a source in `spec.task_formats` and a line here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gfmp.spec.task import TargetSpec, TaskSpec
from gfmp.tasks.derive import derive
from gfmp.tasks.formats.arrays import read_arrays
from gfmp.tasks.formats.class_files import read_class_files
from gfmp.tasks.formats.fasta import read_aligned_fastas, read_fastas, read_labelled_fastas
from gfmp.tasks.formats.genes import read_genes
from gfmp.tasks.formats.intervals import read_intervals
from gfmp.tasks.formats.measured import read_measured
from gfmp.tasks.formats.peaks import read_peak_sets
from gfmp.tasks.formats.profiles import read_profiles
from gfmp.tasks.formats.tabular import read_folder, read_tables
from gfmp.tasks.inputs import InputFile, anchored, input_files
from gfmp.tasks.pool import Pool, by_context

# The source of a reader is of its own class, which its format names.
Reader = Callable[[Any, Sequence[InputFile], TargetSpec], Pool]
_READERS: dict[str, Reader] = {
    "csv": read_tables,
    "tsv": read_tables,
    "parquet": read_tables,
    "folder": read_folder,
    "fasta": read_fastas,
    "aligned_fasta": read_aligned_fastas,
    "labelled_fasta": read_labelled_fastas,
    "class_files": read_class_files,
    "intervals": read_intervals,
    "peaks": read_peak_sets,
    "profiles": read_profiles,
    "arrays": read_arrays,
    "measured_variants": read_measured,
    "genes": read_genes,
}


def read_pool(spec: TaskSpec, base: Path) -> Pool:
    """Read every row of a task.

    Args:
        spec: The task as asked for.
        base: The folder that relative paths start from.

    Raises:
        MissingInputError: a file, package or library is not there.
        DataError: a file is damaged or a row is wrong; names file, line, column and value.
    """
    source = spec.source
    if source.format == "derived":
        rows = derive(anchored(source, base))
        contigs = tuple(origin.rsplit(":", 2)[0] for origin in rows.origins)
        return Pool(rows, contigs, ("",) * len(rows))
    pool = _READERS[source.format](source, input_files(spec, base), spec.target)
    return by_context(pool, spec.target.columns) if spec.target.by_context else pool
