"""The files of a new workspace folder, as text made from what was found in a person's files."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

from gfmp.cli.lab.labels import Labels
from gfmp.cli.lab.sequences import Genome, HeldOut, hold_out
from gfmp.spec.schema import header
from gfmp.spec.task_target import fitting_metrics

_TEMPLATES = Path(__file__).parent / "templates"
SCHEMAS = "schemas"
VOCABULARY = "my-bpe"
# Below so many bases 4,096 byte pairs are words that occur a handful of times.
_LARGE_BP = 4_000_000
_SAMPLE_BP = 8_000_000
_HIDDEN_BASES = 50_000
_HIDDEN_FRACTION = 0.1


@dataclass(frozen=True)
class Lab:
    """A folder that is to be made.

    Attributes:
        folder: Absolute path.
        species: Scientific name; empty when it is not told.
        genome: What is in the FASTA files; None while there are none.
        labels: What is in the table; None while there is none.
        cores: CPU cores of this machine.
    """

    folder: Path
    species: str
    genome: Genome | None
    labels: Labels | None
    cores: int

    @property
    def name(self) -> str:
        """Name of the pretraining run."""
        return _name(self.folder.name, "lab")

    @property
    def corpus(self) -> str:
        """Name of the corpus: that of its first file."""
        return _name(_stem(self.genome.paths[0]), "genome") if self.genome else "genome"

    @property
    def task(self) -> str:
        """Name of the task: that of its table."""
        return _name(_stem(self.labels.path), "labels") if self.labels else "labels"


def pages(lab: Lab) -> dict[str, str]:
    """Return path below the folder -> text of every file, apart from the schemas."""
    words = {**_names(lab), **_of_genome(lab), **_of_labels(lab)}
    placed = {
        "jobs/pretrain.yaml": ("pretrain", "jobs/pretrain.yaml"),
        "jobs/finetune.yaml": ("finetune", "jobs/finetune.yaml"),
        "specs/sweep.yaml": ("sweep", "specs/sweep.yaml"),
        "specs/models/small.yaml": ("model", "specs/models/small.yaml"),
        f"specs/vocabularies/{VOCABULARY}.yaml": ("recipe", "specs/vocabularies/vocabulary.yaml"),
        f"specs/corpora/{lab.corpus}.yaml": ("corpus", "specs/corpora/corpus.yaml"),
        f"specs/tasks/{lab.task}.yaml": ("task", "specs/tasks/task.yaml"),
    }
    made = {
        path: f"{_header(kind, lab.folder, path)}\n{_filled(template, words)}"
        for path, (kind, template) in placed.items()
    }
    return {**made, "README.md": _filled("README.md", words), ".gitignore": "workspace/\n"}


def _header(kind: str, folder: Path, path: str) -> str:
    return header(kind, folder / path, folder / SCHEMAS)


def _filled(template: str, words: Mapping[str, str]) -> str:
    text = (_TEMPLATES / template).read_text(encoding="ascii")
    return Template(text).substitute(words)


def _names(lab: Lab) -> dict[str, str]:
    return {
        "title": lab.folder.name,
        "run": lab.name,
        "corpus": lab.corpus,
        "task": lab.task,
        "vocabulary": VOCABULARY,
        "workers": str(min(2, lab.cores)),
    }


def _of_genome(lab: Lab) -> dict[str, str]:
    genome = lab.genome
    bases = genome.bases if genome else _LARGE_BP
    held = hold_out(genome.contigs) if genome else HeldOut("NAME-OF-A-RECORD", 0, bases // 10)
    paths = genome.paths if genome else (lab.folder / "data" / "genome.fa.gz",)
    place = lab.folder / "specs" / "corpora"
    if genome:
        told = f"Found: {bases:,} bases in {len(genome.contigs):,} records."
    else:
        told = "Put a FASTA where `path` says, or correct `path`."
    start = f", start: {held.start}" if held.start else ""
    return {
        "corpus_told": told,
        "species": _quoted(lab.species or "unknown"),
        "assembly": _quoted(_stem(paths[0])),
        "uracil": "t" if genome and genome.counts.uracil else "error",
        "files": "\n".join(f"      - {{path: {_quoted(_path(p, place))}}}" for p in paths),
        "valid": f"{{contig: {_quoted(held.contig)}{start}}}   # {held.bases:,} bases",
        "size": "4096" if bases >= _LARGE_BP else "1024",
        "sample_bp": str(min(_SAMPLE_BP, bases - held.bases)),
        "hidden_bases": str(min(_HIDDEN_BASES, max(1000, int(held.bases * _HIDDEN_FRACTION)))),
    }


def _of_labels(lab: Lab) -> dict[str, str]:
    found = lab.labels or Labels(
        lab.folder / "data" / "labels.csv", "csv", 0, "sequence", "label", "binary", ("0", "1"), 0
    )
    told = f"Found: {found.rows:,} rows." if lab.labels else "Put a table where `path` says."
    values = found.kind == "regression"
    metrics = fitting_metrics(found.kind)
    metric = "pearson_r" if values else "mcc"
    also = ("spearman_r",) if values else ("accuracy", "macro_f1", "auroc")
    assert {metric, *also} <= set(metrics), "the metrics fit the target"
    return {
        "task_told": told,
        "description": _quoted(f"A sequence of {found.path.name}; its {found.label}"),
        "format": found.format,
        "path": _quoted(_path(found.path, lab.folder / "specs" / "tasks")),
        "sequence": _quoted(found.sequence),
        "columns": "\n".join(_columns(found)) + "\n",
        "kind": found.kind,
        "label": _quoted(found.label),
        "names": "\n".join(_classes(found)) + "\n",
        "metric": metric,
        "also": ", ".join(also),
        "split": "\n".join(_split(found)),
    }


def _columns(found: Labels) -> Iterator[str]:
    if found.split:
        yield f"  split_column: {_quoted(found.split)}"
    if found.group:
        yield f"  group_column: {_quoted(found.group)}   # what a split does not tear apart"
    else:
        yield "  # group_column: gene      # what a split must not tear apart"
    if found.empty:
        yield f"  incomplete: drop         # {found.empty:,} rows have no label"


def _classes(found: Labels) -> Iterator[str]:
    if found.kind == "regression":
        yield "  # log10_offset: 1         # learns log10(value + 1): for counts and loads"
        return
    names = ", ".join(map(_quoted, found.classes))
    last = "   # the positive class is the last" if found.kind == "binary" else ""
    yield f"  names: [{names}]{last}"


def _split(found: Labels) -> Iterator[str]:
    if found.split:
        yield "  by: given                # the table says it"
        return
    yield f"  by: {'group' if found.group else 'random'}"
    yield "  test_fraction: 0.2"
    yield "  valid_fraction: 0.1       # of what is left: chooses epochs and penalties"
    if not found.group:
        yield "  # rows that are nearly alike are better split by group or contig"


def _path(path: Path, place: Path) -> str:
    """Return a path as a YAML in `place` writes it: relative where both are in one project."""
    project = place.parents[1]
    near = path.is_relative_to(project) or path.is_relative_to(project.parent)
    return os.path.relpath(path, place) if near else str(path)


def _quoted(text: str) -> str:
    """Return a text as YAML writes it in a flow: plain where that can mean nothing else."""
    plain = re.fullmatch(r"[A-Za-z_./][A-Za-z0-9_./-]*", text) and text.lower() not in _WORDS
    return text if plain else json.dumps(text)


_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n", ".", ".."}) | {
    ".nan",
    ".inf",
}


def _stem(path: Path) -> str:
    name = path.name.removesuffix(".gz")
    return name.rpartition(".")[0] or name


def _name(text: str, otherwise: str) -> str:
    """Return a text as a name: a-z 0-9 . _ -, beginning with a letter or digit."""
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")[:50] or otherwise
