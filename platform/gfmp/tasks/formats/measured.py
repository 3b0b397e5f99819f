"""Variants with measured effects: VCF of saturation mutagenesis, and the workbook of CAGI5."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from gfmp.errors import DataError, MissingInputError
from gfmp.genome.vcf import VcfFile, is_bases
from gfmp.spec.task import TargetSpec
from gfmp.spec.task_formats import MeasuredVariantsSource
from gfmp.tasks.formats.reference import Contig, contigs_of, naming_notes
from gfmp.tasks.inputs import InputFile
from gfmp.tasks.labels import finite
from gfmp.tasks.pool import Pool
from gfmp.tasks.task import Rows

_ALL = "all"
_COLUMNS = ("#Chrom", "Pos", "Ref", "Alt")


@dataclass(frozen=True)
class MeasuredVariant:
    """One allele and its measured effect.

    Attributes:
        element: What was mutated, such as a promoter.
        contig: Contig of the reference.
        start: 0-based position of the first letter of `ref`.
        ref: Letters of the reference, upper case.
        alt: Letters that replace them.
        effect: As measured.
        where: Line that names it.
    """

    element: str
    contig: str
    start: int
    ref: bytes
    alt: bytes
    effect: float
    where: str

    @property
    def origin(self) -> str:
        """`element:position:REF>ALT`, 0-based."""
        return f"{self.element}:{self.start}:{self.ref.decode()}>{self.alt.decode()}"


@dataclass(frozen=True)
class MeasuredVariants:
    """All variants of a source.

    Attributes:
        variants: In the order of the files.
        left_out: What was not taken and why, for people.
    """

    variants: tuple[MeasuredVariant, ...]
    left_out: tuple[str, ...]


def read_measured(
    source: MeasuredVariantsSource, files: Sequence[InputFile], target: TargetSpec
) -> Pool:
    """Return a row for each variant: the reference around it with the alternate allele.

    Raises:
        MissingInputError: a workbook is named and openpyxl is not installed.
        DataError: a file is wrong, a REF differs from the reference, or a contig is missing.
    """
    found = measured_variants(source, files)
    reference = next(file.path for file in files if file.role == "reference")
    windows, renamed = dict[int, bytes](), dict[str, str]()
    for contig in contigs_of(reference, {variant.contig for variant in found.variants}):
        if contig.own_name != contig.name:
            renamed[contig.own_name] = contig.name
        for i, variant in enumerate(found.variants):
            if variant.contig == contig.name:
                windows[i] = with_allele(variant, contig, source.window_bp, reference)
    effects = np.array([[v.effect] for v in found.variants], dtype=np.float32)
    rows = Rows(
        tuple(windows[i] for i in range(len(found.variants))),
        effects.reshape(-1, 1),
        tuple(variant.origin for variant in found.variants),
        tuple(variant.element for variant in found.variants),
    )
    return Pool(
        rows,
        tuple(variant.contig for variant in found.variants),
        ("",) * len(rows),
        left_out=found.left_out,
        notes=naming_notes(reference, renamed),
    )


def measured_variants(
    source: MeasuredVariantsSource, files: Sequence[InputFile]
) -> MeasuredVariants:
    """Read the variants of every file.

    Raises:
        MissingInputError: a workbook is named and openpyxl is not installed.
        DataError: a file is damaged, or a variant has no effect; names file and line.
    """
    out: Counter[str] = Counter()
    variants: list[MeasuredVariant] = []
    for file in (one for one in files if one.role.startswith("variants ")):
        element = file.role.removeprefix("variants ")
        if file.path.suffix == ".xlsx":
            for name in source.elements or (element,):
                variants += _of_sheet(file.path, name, source)
        else:
            variants += _of_vcf(file.path, element, source, out)
    if not variants:
        raise DataError(
            "there is no measured variant",
            where=next(str(f.path) for f in files if f.role.startswith("variants ")),
            why=", ".join(f"{n:,} {why}" for why, n in out.items()) or "the files hold no record",
            fix="name the right files, or change source.keep_filters",
        )
    left_out = tuple(f"{count:,} variants {why}" for why, count in out.items())
    return MeasuredVariants(tuple(variants), left_out)


def with_allele(
    variant: MeasuredVariant, contig: Contig, window_bp: int | None, reference: Path
) -> bytes:
    """Return the contig, or a window of it, with the alternate allele in place.

    Raises:
        DataError: REF is not what the reference holds there.
    """
    bases, end = contig.bases, variant.start + len(variant.ref)
    if bases[variant.start : end] != variant.ref:
        there = bases[variant.start : end].decode("ascii") or "nothing"
        raise DataError(
            f"REF is {variant.ref.decode()}, and {contig.name}:{variant.start}-{end} is {there}",
            where=variant.where,
            why=f"coordinates and alleles are those of {reference.name}",
            fix="name the assembly that the variants were called on",
        )
    left = 0 if window_bp is None else max(0, variant.start - window_bp // 2)
    right = len(bases)
    if window_bp is not None:
        right = max(end, variant.start - window_bp // 2 + window_bp)
    return bases[left : variant.start] + variant.alt + bases[end:right]


def _of_vcf(
    path: Path, element: str, source: MeasuredVariantsSource, out: Counter[str]
) -> Iterator[MeasuredVariant]:
    with path.open("rb") as stream:
        for record in VcfFile(stream, str(path)).records():
            status = record.failed or "PASS"
            if source.keep_filters and status not in source.keep_filters:
                out[f"whose FILTER is {status}"] += 1
                continue
            if len(record.alts) != 1 or not is_bases(record.alts[0]):
                raise record.fault(
                    "ALT",
                    f"{','.join(record.alts) or '.'!r} is not one allele of letters",
                    "an effect was measured for one alternate allele",
                    "split the record: bcftools norm -m-",
                )
            info = dict(item.partition("=")[::2] for item in record.info.split(";"))
            name = record.contig if element == _ALL else element
            yield MeasuredVariant(
                name,
                record.contig,
                record.start,
                record.ref,
                record.alts[0].upper().encode("ascii"),
                finite(info.get(source.value, ""), f"INFO {source.value}", record.where),
                record.where,
            )


def _of_sheet(
    path: Path, element: str, source: MeasuredVariantsSource
) -> Iterator[MeasuredVariant]:
    """Yield the variants of one sheet: #Chrom, Pos (from 1), Ref, Alt and the effect."""
    name = source.sheet.replace("{element}", element)
    rows = _sheet(path, name, source.skip_rows)
    header = [str(cell or "").strip() for cell in next(rows, ())]
    wanted = (*_COLUMNS, source.value)
    missing = [column for column in wanted if column not in header]
    if missing:
        raise DataError(
            f"sheet {name!r} has no column {missing[0]!r}",
            where=f"{path}!{name}:{source.skip_rows + 1}",
            why=f"the columns are {', '.join(filter(None, header)) or 'none'}",
            fix="correct source.value or source.skip_rows",
        )
    picked = [header.index(column) for column in wanted]
    for number, row in enumerate(rows, start=source.skip_rows + 2):
        chrom, pos, ref, alt, effect = (str("" if row[i] is None else row[i]) for i in picked)
        if chrom:
            where = f"{path}!{name}:{number}"
            start = int(finite(pos, "Pos", where)) - 1
            alleles = (_allele(ref, where), _allele(alt, where))
            yield MeasuredVariant(
                element, chrom, start, *alleles, finite(effect, source.value, where), where
            )


def _allele(cell: str, where: str) -> bytes:
    """Return an allele; `-` is a deleted base."""
    text = cell.strip().upper().removeprefix("-")
    if text and not is_bases(text):
        raise DataError(
            f"{cell!r} is no allele",
            where=where,
            why="alleles are A, C, G, T, or - for nothing",
            fix="correct the cell",
        )
    return text.encode("ascii")


def _sheet(path: Path, name: str, skip_rows: int) -> Iterator[Sequence[Any]]:
    if find_spec("openpyxl") is None:
        raise MissingInputError(
            "openpyxl is not installed",
            where=str(path),
            why="this workbook is read by openpyxl",
            fix="pip install 'gfmp[readers]'",
        )
    from openpyxl import load_workbook

    book = load_workbook(path, read_only=True, data_only=True)
    if name not in book.sheetnames:
        raise DataError(
            f"the workbook has no sheet {name!r}",
            where=str(path),
            why=f"its sheets are {', '.join(book.sheetnames[:20])}",
            fix="correct source.sheet or source.elements",
        )
    yield from book[name].iter_rows(min_row=skip_rows + 1, values_only=True)
    book.close()
