"""What `gfmp init` found and made."""

from __future__ import annotations

from pathlib import Path

from gfmp.cli.lab.labels import Labels
from gfmp.cli.lab.pages import VOCABULARY, Lab
from gfmp.cli.lab.sequences import Genome, hold_out
from gfmp.cli.render.text import counted, echo, wrapped


def show_lab(lab: Lab, folder: Path) -> None:
    """Print what was found in the files, what was decided for them, and what to type next.

    Args:
        lab: What was made.
        folder: The folder as it was typed.
    """
    if lab.genome:
        _show_genome(lab.genome)
    else:
        echo(wrapped(f"sequences: put a FASTA where specs/corpora/{lab.corpus}.yaml says", 4))
    if lab.labels:
        _show_labels(lab.labels)
    else:
        echo(wrapped(f"labels: put a table where specs/tasks/{lab.task}.yaml says", 4))
    echo()
    echo(f"{folder} is made; README.md there says what each file is. Next:")
    for command, what in (
        (f"cd {folder}", ""),
        ("gfmp doctor", "is this machine fit?"),
        ("gfmp plan jobs/pretrain.yaml", "every number; runs nothing"),
        ("gfmp submit jobs/pretrain.yaml", f"corpus, {VOCABULARY}, kmer6, pretraining"),
        (f"gfmp tasks check {lab.task}", "rows, classes, leaks between splits"),
        ("gfmp submit jobs/finetune.yaml", "a model for your labels"),
        ("gfmp sweep specs/sweep.yaml", "compared with baselines"),
    ):
        echo(f"  {command:<32}{what}".rstrip())


def _show_genome(genome: Genome) -> None:
    held = hold_out(genome.contigs)
    counts = genome.counts
    echo(f"sequences: {genome.bases:,} bases in {counted(len(genome.contigs), 'record')}")
    echo(f"    N {counts.n:,}, soft-masked {counts.soft_masked:,}, U {counts.uracil:,}")
    where = f"from base {held.start:,} on" if held.start else "whole"
    echo(wrapped(f"    held out: {held.contig}, {where}, {held.bases:,} bases", 8))


def _show_labels(labels: Labels) -> None:
    echo(f"labels: {labels.rows:,} rows; sequences in {labels.sequence!r}")
    classes = f", classes {', '.join(labels.classes[:12])}" if labels.classes else ""
    echo(wrapped(f"    to predict: {labels.label!r}, {labels.kind}{classes}", 8))
    if labels.empty:
        echo(f"    without a label, left out: {labels.empty:,} rows")
    if labels.split:
        how = f"as column {labels.split!r} says"
    elif labels.group:
        how = f"at random, groups of {labels.group!r} kept together"
    else:
        how = "at random; name a group_column where rows are nearly alike"
    echo(wrapped(f"    split: {how}", 8))
