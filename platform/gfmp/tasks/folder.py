"""A folder in the layout of GUE as a task: its target is read off its labels."""

from __future__ import annotations

from pathlib import Path

from gfmp.errors import DataError
from gfmp.spec.task import FolderSource, SplitSpec, TargetKind, TargetSpec, TaskSpec
from gfmp.tasks.inputs import InputFile, folder_files
from gfmp.tasks.tables import read_table

_LABEL = "label"
_MOST_CLASSES = 1000


def folder_spec(folder: Path) -> TaskSpec:
    """Return the task of a folder.

    Labels 0, 1 make a binary task, 0 .. K-1 one of K classes, both scored by MCC; any other
    numbers make a regression scored by Pearson r.

    Raises:
        MissingInputError: the folder lacks its files.
        DataError: a file lacks the columns `sequence` and `label`, or labels are no numbers.
    """
    files = folder_files(folder)
    labels = {label for file in files for label in _labels(file)}
    target = _target(labels, files[0].path)
    by_class = target.kind != "regression"
    return TaskSpec(
        kind="task",
        description=f"Rows of {folder.parent.name}/{folder.name}, a folder in the layout of GUE.",
        source=FolderSource(format="folder", path=str(folder)),
        target=target,
        metric="mcc" if by_class else "pearson_r",
        also=("accuracy", "macro_f1", "auroc") if by_class else ("spearman_r",),
        split=SplitSpec(by="given"),
    )


def _labels(file: InputFile) -> set[str]:
    table = read_table(file.path, ("sequence", _LABEL), ",")
    return {cell.strip() for cell in table.columns[_LABEL]}


def _target(labels: set[str], path: Path) -> TargetSpec:
    if all(label.isascii() and label.isdigit() for label in labels) and labels:
        num_classes = max(2, 1 + max(int(label) for label in labels))
        if len(labels) == num_classes <= _MOST_CLASSES or labels <= {"0", "1"}:
            kind: TargetKind = "binary" if num_classes == 2 else "multiclass"
            names = tuple(str(i) for i in range(num_classes))
            return TargetSpec(kind=kind, columns=(_LABEL,), names=names)
    try:
        for label in labels:
            float(label)
    except ValueError:
        raise DataError(
            f"column {_LABEL!r} holds {label[:40]!r}",
            where=str(path),
            why="a folder without a YAML has labels 0 .. K-1, or numbers to predict",
            fix="write a task YAML with source.format: folder that lists target.names",
        ) from None
    return TargetSpec(kind="regression", columns=(_LABEL,), names=(_LABEL,))
