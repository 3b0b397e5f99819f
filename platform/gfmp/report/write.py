"""Writing a report: a pure function of the sweep's cells, published as one artefact."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gfmp.errors import CorruptArtefactError, Problem
from gfmp.report.advised import advised_tables
from gfmp.report.analysis import analyse
from gfmp.report.bootstrap import NUM_REPLICATES
from gfmp.report.comparisons import Findings
from gfmp.report.data import SweepData
from gfmp.report.figures import pictures
from gfmp.report.html import report_page
from gfmp.report.markdown import report_markdown
from gfmp.report.tables import (
    comparisons_table,
    reduction_table,
    results_table,
    vocabularies_table,
)
from gfmp.report.transfer_page import transfer_pictures, transfer_tables
from gfmp.storage.atomic import atomic_write, read_json, write_json
from gfmp.storage.exchange import replaced_directory
from gfmp.storage.hashes import sha256_bytes
from gfmp.storage.seals import sealed, unsealed

FORMAT_VERSION = 1
MANIFEST_NAME = "manifest.json"


def write_report(
    data: SweepData, folder: Path, num_replicates: int = NUM_REPLICATES
) -> tuple[Path, ...]:
    """Write the report of a sweep, finished or not; equal cells give equal bytes.

    An older report stays until the new one is whole; a reader never finds parts of both.

    Returns:
        The files: report.html first, then report.md, results.parquet, results.csv,
        vocabularies.csv, reduction.csv, comparisons.csv, advice.csv, advice.parquet and
        advice_share.csv where advice can be judged, transfer.csv where models were scored on other
        tasks, figures/*.png, *.svg, and manifest.json with the digest of each.

    Raises:
        CorruptArtefactError: a cell's predictions do not fit its task.
        StorageError: the disk refused.
    """
    contents = report_files(data, num_replicates)
    with replaced_directory(folder) as staging:
        for name, content in contents.items():
            atomic_write(staging / name, content)
        write_json(staging / MANIFEST_NAME, sealed(_manifest(data, contents)))
    return tuple(folder / name for name in (*contents, MANIFEST_NAME))


def _manifest(data: SweepData, contents: Mapping[str, bytes]) -> dict[str, object]:
    return {
        "format_version": FORMAT_VERSION,
        "run": data.run_id,
        "cells": sorted(cell.fingerprint for cell, _ in data.finished),
        "unfinished": sorted(cell.fingerprint for cell in data.unfinished),
        "files": {name: sha256_bytes(content) for name, content in contents.items()},
    }


def check_report(folder: Path) -> None:
    """Check that a report is as it was written.

    Raises:
        CorruptArtefactError: a file is missing or differs, or was added; lists them all.
        FileNotFoundError: there is no report, or one of a gfmp that wrote no manifest.
    """
    path = folder / MANIFEST_NAME
    try:
        listed = unsealed(read_json(path))["files"]
        assert isinstance(listed, dict), "sealed by this module"
    except (KeyError, ValueError) as fault:
        raise CorruptArtefactError.of([_problem(path, str(fault))]) from fault
    found = {
        entry.relative_to(folder).as_posix(): entry
        for entry in folder.rglob("*")
        if entry.is_file()
    }
    problems = [_problem(folder / name, "is missing") for name in sorted(listed.keys() - found)]
    problems += [
        _problem(entry, "differs from the manifest")
        for name, entry in sorted(found.items())
        if name != MANIFEST_NAME and listed.get(name) != sha256_bytes(entry.read_bytes())
    ]
    if problems:
        raise CorruptArtefactError.of(problems)


def _problem(path: Path, what: str) -> Problem:
    return Problem(
        f"the report is not as it was written: this file {what}",
        where=str(path),
        why="a report is made from the cells of its sweep and never edited",
        fix="gfmp report RUN writes it again",
    )


def report_files(data: SweepData, num_replicates: int = NUM_REPLICATES) -> dict[str, bytes]:
    """Return the files of a report by their path in its folder, report.html first.

    Raises:
        CorruptArtefactError: a cell's predictions do not fit its task.
    """
    findings = Findings.of(analyse(data, num_replicates))
    drawn = (*transfer_pictures(findings), *pictures(findings))
    results = results_table(findings)
    return {
        "report.html": report_page(findings, drawn).encode("utf-8"),
        "report.md": report_markdown(findings).encode("utf-8"),
        "results.parquet": results.parquet(),
        "results.csv": results.csv(),
        "vocabularies.csv": vocabularies_table(findings).csv(),
        "reduction.csv": reduction_table(findings).csv(),
        "comparisons.csv": comparisons_table(findings).csv(),
        **advised_tables(findings),
        **transfer_tables(findings),
        **{
            f"figures/{picture.name}.{ending}": content
            for picture in drawn
            for ending, content in picture.files.items()
        },
    }
