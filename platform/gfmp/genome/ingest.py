"""Sequence files become a corpus: each source on its own, then one manifest, then one rename.

`ingest_source` is pure file work and may run anywhere that sees the staging folder; its report
is small and picklable. Nothing is visible until every source went through and was audited.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from gfmp.errors import ExistsError
from gfmp.genome.audit import audit_reports, audit_sources
from gfmp.genome.audit_regions import audit_regions
from gfmp.genome.contigs import ContigTable, join_contigs
from gfmp.genome.coordinates import write_coordinates
from gfmp.genome.corpus import Corpus
from gfmp.genome.locations import Location, describe, digest
from gfmp.genome.manifest import Manifest, SourceEntry, add_totals, content_hash
from gfmp.genome.regions import read_regions
from gfmp.genome.reports import SourceReport
from gfmp.genome.source_book import SHARDS_FOLDER, SourceBook
from gfmp.genome.sources import IngestSettings, Source, open_source, source_digest
from gfmp.genome.variants import VariantCounts
from gfmp.storage.atomic import remove_abandoned, staged_directory, storage_faults
from gfmp.storage.locks import exclusive

Job = tuple[Source, int]
Mapper = Callable[[Callable[[Job], SourceReport], Sequence[Job]], Iterable[SourceReport]]

# Another process that builds the same corpus is waited for: its result is ours.
WAIT_SECONDS = 24 * 3600.0


def ingest_source(source: Source, index: int, plan: IngestSettings, staging: Path) -> SourceReport:
    """Read one source and write its shards under `staging/shards`.

    Doing it again gives the same files, so a worker that died may be replaced.

    Args:
        source: What to read.
        index: Position of the source in the corpus; part of the shard names.
        plan: Settings of the corpus.
        staging: Folder that is not yet published.

    Raises:
        DataError: the file is not what it claims to be, or holds a letter the policy refuses.
        MissingInputError: the file, package or archive member does not exist.
    """
    sha256 = source_digest(source)
    folder = staging / SHARDS_FOLDER
    with storage_faults(folder):
        folder.mkdir(parents=True, exist_ok=True)
    regions = read_regions(source)
    book = SourceBook(source, index, plan, staging, regions)
    counts = VariantCounts()
    for block in open_source(source, counts):
        book.add(block)
    booked = book.end()
    entry = SourceEntry(
        index=index,
        species=source.species,
        assembly=source.assembly,
        strain_group=source.strain_group,
        origin=source.origin,
        sha256=sha256,
        alphabet=booked.alphabet,
        contigs=booked.contigs,
        regions=regions.entry,
        variants=(counts.entry(source.variants),) if source.variants else (),
        coordinates=write_coordinates(staging, index, regions.lifts),
    )
    return SourceReport(entry, booked.shards, booked.totals)


def assemble_manifest(
    settings: IngestSettings, reports: Iterable[SourceReport], staging: Path
) -> Manifest:
    """Join the reports of all sources, which may come in any order, and their contigs.

    Args:
        settings: What is built.
        reports: One per source.
        staging: Folder with what the sources wrote; it gets the table of all contigs.

    Raises:
        SpecError: a region misses its contig.
        DataError: the same contig is in two sources, or nothing is left to train on.
    """
    ordered = sorted(reports, key=lambda report: report.source.index)
    found = [report.source.index for report in ordered]
    assert found == list(range(len(settings.sources))), f"reports of sources {found} came back"
    joined = join_contigs(staging, len(ordered))
    contigs = ContigTable(staging / joined.path)
    sources = tuple(report.source for report in ordered)
    audit_regions(settings.sources, sources, contigs)
    audit_reports(settings.sources, ordered, contigs)
    shards = [shard for report in ordered for shard in report.shards]
    return Manifest(
        name=settings.name,
        spec_fingerprint=settings.fingerprint,
        policy=settings.policy,
        sources=sources,
        shards=tuple(sorted(shards, key=lambda s: (s.split, s.source, s.path))),
        totals=add_totals(total for report in ordered for total in report.totals),
        content_hash=content_hash(sources, contigs),
        contigs=(joined,),
    )


def build_corpus(
    settings: IngestSettings,
    destination: Path,
    run: Mapper = map,
    wait_seconds: float = WAIT_SECONDS,
) -> Corpus:
    """Build a corpus, or open it when the same one is already there.

    Args:
        settings: What to build.
        destination: Folder to publish; nothing appears there before the corpus is complete.
        run: Applies a picklable function to every (source, index) and gives back all reports,
            in any order: `map`, or a mapper that spreads the jobs over machines.
        wait_seconds: How long to wait for another process that builds beside `destination`.

    Raises:
        ExistsError: `destination` holds a corpus of other settings or of other file contents.
        LockedError: another process was still building after `wait_seconds`.
        SpecError, DataError, MissingInputError: see `ingest_source` and `assemble_manifest`.
    """
    audit_sources(settings.sources)
    with exclusive(destination.parent / ".lock", wait_seconds=wait_seconds):
        if destination.exists():
            return _reopened(settings, destination)
        remove_abandoned(destination.parent)
        with staged_directory(destination) as staging:
            job = functools.partial(_ingest_job, settings, staging)
            jobs = [(source, index) for index, source in enumerate(settings.sources)]
            reports = list(run(job, jobs))
            assemble_manifest(settings, reports, staging).write(staging)
    return Corpus.open(destination)


def _ingest_job(settings: IngestSettings, staging: Path, job: Job) -> SourceReport:
    source, index = job
    return ingest_source(source, index, settings, staging)


def _reopened(settings: IngestSettings, destination: Path) -> Corpus:
    corpus = Corpus.open(destination)
    if corpus.manifest.spec_fingerprint != settings.fingerprint:
        raise ExistsError(
            f"another corpus is here: {corpus.manifest.name!r}",
            where=str(destination),
            why="its settings differ, and published artefacts never change",
            fix="choose another destination",
        )
    for source, entry in zip(settings.sources, corpus.manifest.sources, strict=True):
        # A pinned digest is part of the fingerprint; an unpinned file may have changed since.
        if not source.sha256:
            _check_same(source.location, entry.sha256, destination)
        files = source.selection.files if source.selection else ()
        then = [sha256 for regions in entry.regions for sha256 in regions.sha256]
        for file, expected in zip(files, then, strict=True):
            if not file.sha256:
                _check_same(file.location, expected, destination)
    return corpus


def _check_same(location: Location, expected: str, destination: Path) -> None:
    if digest(location) != expected:
        raise ExistsError(
            f"the corpus here was built from another content of {describe(location)}",
            where=str(destination),
            why=f"the file had sha256 {expected} then",
            fix="pin sha256 in the corpus spec, or choose another destination",
        )
