"""`gfmp init`: a folder with YAML for a person's own sequences and labels."""

from __future__ import annotations

import os
from pathlib import Path

import click

from gfmp.errors import UsageError


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--fasta",
    "genomes",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Sequences to pretrain on (.gz too); may be given several times.",
)
@click.option(
    "--labels",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Table of labelled sequences: .csv with commas, else tabs (.gz too).",
)
@click.option("--sequence-column", default="", metavar="NAME", help="Where the letters are.")
@click.option("--label-column", default="", metavar="NAME", help="What is to be predicted.")
@click.option("--species", default="", metavar="NAME", help="Scientific name, for records.")
def init(
    folder: Path,
    genomes: tuple[Path, ...],
    labels: Path | None,
    sequence_column: str,
    label_column: str,
    species: str,
) -> None:
    """Make FOLDER with commented YAML for your own sequences and labels.

    Files that are given are read: contigs, letters, columns and classes are filled in,
    and a part is chosen that is held out. Without them the YAML names files to put there.
    """
    from gfmp.cli.lab.labels import look_at as look_at_labels
    from gfmp.cli.lab.make import make
    from gfmp.cli.lab.pages import Lab
    from gfmp.cli.lab.sequences import look_at as look_at_genome
    from gfmp.cli.render.lab import show_lab

    if labels is None and (sequence_column or label_column):
        raise UsageError(
            "columns are named, but no table is given",
            why="--sequence-column and --label-column are columns of the table in --labels",
            fix="add --labels FILE",
        )
    genome = look_at_genome(genomes) if genomes else None
    table = look_at_labels(labels, sequence_column, label_column) if labels else None
    cores = len(os.sched_getaffinity(0))
    lab = Lab(folder.resolve(), species, genome, table, cores)
    make(lab)
    show_lab(lab, folder)
