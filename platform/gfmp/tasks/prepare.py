"""From a spec to a task: read every row, split, check, and note what was done to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gfmp.genome.alphabet import AlphabetCounts
from gfmp.spec.task import FileSource, FolderSource, TaskSpec
from gfmp.storage.hashes import fingerprint
from gfmp.tasks.context_table import with_contexts
from gfmp.tasks.inputs import InputFile, input_files
from gfmp.tasks.readers import read_pool
from gfmp.tasks.splitting import SplitRows, split_rows
from gfmp.tasks.strata import contents_digest
from gfmp.tasks.task import SPLITS, Rows, Split, Target, Task


@dataclass(frozen=True)
class Outline:
    """A task without its rows.

    Attributes:
        name: What specs and tables call it.
        target: What is predicted.
        metric: The one that decides.
        also: Metrics reported beside it.
    """

    name: str
    target: Target
    metric: str
    also: tuple[str, ...]

    @classmethod
    def of(cls, name: str, spec: TaskSpec, labels: tuple[str, ...]) -> Outline:
        """Return the outline of a task as asked for, with the labels its source found."""
        names = labels or spec.target.names
        target = Target(spec.target.kind, names, spec.target.positive_weight)
        return cls(name, target, spec.metric, spec.also)


def build(name: str, spec: TaskSpec, base: Path) -> Task:
    """Read and split a task; nothing is stored.

    Args:
        name: What specs and tables call it.
        spec: The task as asked for.
        base: The folder that relative paths of the spec start from.

    Raises:
        MissingInputError: a source file or package is not there.
        DataError: a source is wrong; names the place.
        SpecError: the split asks for something the rows do not have.
    """
    pool = with_contexts(read_pool(spec, base), spec, base)
    outline = Outline.of(name, spec, pool.labels)
    parts = split_rows(pool, outline.target, spec.split)
    facts = {
        "source": describe_source(spec),
        "split": _split_text(spec, parts),
        "dropped": _dropped_text(parts),
        "letters": _letters_text(pool.counts),
        "left out": "; ".join(pool.left_out),
        "notes": "; ".join(pool.notes),
    }
    if isinstance(spec.source, FolderSource):
        facts["train"] = _train_text(input_files(spec, base))
    by_name: dict[Split, Rows] = {"train": parts.train, "valid": parts.valid, "test": parts.test}
    kept = {key: text for key, text in facts.items() if text}
    return assemble(outline, by_name, kept | words_of(spec))


def assemble(outline: Outline, parts: Mapping[Split, Rows], facts: Mapping[str, str]) -> Task:
    """Make a task of rows that are split; its fingerprint is of everything but name and facts."""
    target = outline.target
    contents = {
        "target": [target.kind, list(target.names), target.positive_weight],
        "metrics": [outline.metric, *outline.also],
        "rows": [contents_digest(parts[split]) for split in SPLITS],
    }
    return Task(
        name=outline.name,
        target=target,
        metric=outline.metric,
        also=outline.also,
        train=parts["train"],
        valid=parts["valid"],
        test=parts["test"],
        fingerprint=fingerprint(contents),
        facts=facts,
    )


def words_of(spec: TaskSpec) -> dict[str, str]:
    """Return what a spec tells people about its task."""
    words = {
        "description": spec.description,
        "licence": spec.licence,
        "citation": spec.citation,
        "address": spec.public.address if spec.public else "",
    }
    return {key: text for key, text in words.items() if text}


def published_words(spec: TaskSpec, rows: Mapping[Split, int]) -> dict[str, str]:
    """Compare the rows of a prepared task with those its authors state.

    Without a published number of validation rows they are counted with train, for they were
    taken from it. What is known second-hand only is told until all rows are as published.
    """
    if spec.public is None:
        return {}
    stated = spec.public.rows.given()
    found: dict[str, int] = {split: rows[split] for split in SPLITS}
    if "valid" not in stated:
        found["train"] += found.pop("valid")
    wrong = [
        f"{found[split]:,} rows of {split}, and {count:,} are published"
        for split, count in stated.items()
        if found[split] != count
    ]
    if stated and not wrong:
        return {"published": "the rows are as many as published"}
    return {
        key: text
        for key, text in (("published", "; ".join(wrong)), ("unverified", spec.public.unverified))
        if text
    }


def describe_source(spec: TaskSpec) -> str:
    """Name the source of a task in a few words."""
    source = spec.source
    if isinstance(source, FileSource):
        return f"{source.format} {source.described()}"
    packages = dict.fromkeys(genome.package or "local files" for genome in source.genomes)
    return f"{source.rule} of {', '.join(packages)}"


def _split_text(spec: TaskSpec, parts: SplitRows) -> str:
    text = f"by {spec.split.by}"
    if parts.carved:
        text += (
            f"; {parts.carved:,} validation rows were taken from train "
            f"({spec.split.valid_fraction:g}, seed {spec.split.seed})"
        )
    return text


def _dropped_text(parts: SplitRows) -> str:
    reasons = (
        (parts.straddling, "lie across the border of a region"),
        (parts.torn, "belong to a group of a held-out split"),
    )
    return "; ".join(f"{count:,} rows {why}" for count, why in reasons if count)


def _letters_text(counts: AlphabetCounts) -> str:
    changes = (
        (counts.soft_masked, "lower-case letters folded"),
        (counts.uracil, "U read as T"),
        (sum(counts.iupac), "IUPAC codes read as N"),
    )
    return "; ".join(f"{count:,} {what}" for count, what in changes if count)


def _train_text(files: tuple[InputFile, ...]) -> str:
    (train,) = (file.path.name for file in files if file.role == "train")
    return "" if train.startswith("train") else f"there is no train file: {train} is learned from"
