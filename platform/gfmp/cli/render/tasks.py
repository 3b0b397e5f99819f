"""Tasks: what there is, what one holds, and its leaks."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from gfmp.cli.render.text import WIDTH, as_json, echo, number, table, wrapped
from gfmp.tasks.audit import Audit, Overlap, Repeats
from gfmp.tasks.catalogue import TaskTarget
from gfmp.tasks.exposure import Exposure
from gfmp.tasks.fetching import where_files_are
from gfmp.tasks.leaks import TaskLeaks
from gfmp.tasks.prepare import describe_source
from gfmp.tasks.sparse import positive_counts
from gfmp.tasks.task import SPLITS, Rows, Split, Target, Task

_Counts = Mapping[Split, int]
_NOUNS = {"train": "train", "valid": "validation", "test": "test"}
_MOST_NAMES = 20
_FACTS = (
    "source",
    "split",
    "dropped",
    "left out",
    "train",
    "letters",
    "notes",
    "published",
    "unverified",
    "licence",
    "citation",
    "address",
)


def show_listing(tasks: Sequence[tuple[TaskTarget, _Counts]], json: bool) -> None:
    """Print one row per task; rows of splits only where the task is prepared."""
    if json:
        as_json([_summary(task, counts) for task, counts in tasks])
        return
    if not tasks:
        echo("There is no specs/tasks/ folder here or above.")
    else:
        table(
            ("NAME", "TRAIN", "VALID", "TEST", "OUTPUTS", "METRIC", "FILES"),
            [
                (
                    task.name,
                    *(f"{counts[split]:,}" if counts else "-" for split in SPLITS),
                    str(len(task.spec.target.names) or "-"),
                    task.spec.metric,
                    where_files_are(task),
                )
                for task, counts in tasks
            ],
        )
        echo()
        for task in [task for task, _ in tasks if where_files_are(task) == "here"]:
            echo(wrapped(f"{task.name}: {describe_source(task.spec)}", 4))
        if not all(counts for _, counts in tasks):
            echo("- not prepared yet; the first `gfmp tasks show NAME` or sweep does it.")
        if not all(where_files_are(task) == "here" for task, _ in tasks):
            echo("fetch, by hand: gfmp tasks fetch NAME gets the files, or says how to get them.")
    echo("A folder in the layout of GUE is a task too: gfmp tasks show FOLDER")


def _summary(task: TaskTarget, counts: _Counts) -> dict[str, object]:
    return {
        "name": task.name,
        "prepared": bool(counts),
        "rows": dict(counts),
        "target": task.spec.target.kind,
        "outputs": task.spec.target.names,
        "metric": task.spec.metric,
        "source": describe_source(task.spec),
        "files": where_files_are(task),
    }


def show_task(task: Task, json: bool) -> None:
    """Print one task: words, numbers and one training row."""
    if json:
        as_json(_task_json(task))
        return
    facts = dict(task.facts)
    echo(wrapped(f"{task.name}: {facts.pop('description', '')}", 4))
    echo()
    echo(wrapped(f"target: {_target_text(task.target)}", 4))
    echo(wrapped(f"metric: {task.metric}" + "".join(f", {name}" for name in task.also), 4))
    for name in _FACTS:
        if name in facts:
            echo(wrapped(f"{name}: {facts[name]}", 4))
    echo(f"fingerprint: {task.fingerprint[:12]}")
    echo()
    headings = ("SPLIT", "ROWS", "GROUPS", "SHORTEST", "MEDIAN", "LONGEST")
    table(headings, [_split_row(split, task.rows(split)) for split in SPLITS])
    echo()
    _show_targets(task)
    _show_example(task)


def _task_json(task: Task) -> dict[str, object]:
    return {
        "name": task.name,
        "fingerprint": task.fingerprint,
        "target": dataclasses.asdict(task.target),
        "metric": task.metric,
        "also": task.also,
        "facts": dict(task.facts),
        "splits": {
            split: {
                "rows": len(task.rows(split)),
                "groups": _num_groups(task.rows(split)),
                "lengths_bp": dict(zip(_LENGTHS, _lengths(task.rows(split)), strict=True)),
                "outputs": _output_json(task.target, task.rows(split)),
            }
            for split in SPLITS
        },
    }


_LENGTHS = ("shortest", "median", "longest")


def _lengths(rows: Rows) -> tuple[int, int, int]:
    lengths = np.array([len(sequence) for sequence in rows.sequences])
    return int(lengths.min()), int(np.median(lengths)), int(lengths.max())


def _num_groups(rows: Rows) -> int:
    return len(set(rows.groups) - {""})


def _split_row(split: Split, rows: Rows) -> tuple[str, ...]:
    groups = _num_groups(rows)
    numbers = (f"{bp:,}" for bp in _lengths(rows))
    return (_NOUNS[split], f"{len(rows):,}", f"{groups:,}" if groups else "-", *numbers)


def _target_text(target: Target) -> str:
    weight = f", positive weight {number(target.positive_weight)}"
    names = ", ".join(target.names[:_MOST_NAMES])
    more = f" and {len(target.names) - _MOST_NAMES} more" if len(target.names) > _MOST_NAMES else ""
    return f"{target.kind}: {names}{more}{weight if target.positive_weight != 1 else ''}"


def _output_json(target: Target, rows: Rows) -> dict[str, object]:
    return dict(zip(target.names, _outputs(target, rows), strict=True))


def _outputs(target: Target, rows: Rows) -> list[object]:
    """Return rows of each class, positive rows of each label, or mean and spread of values."""
    if target.classifies:
        counts = np.bincount(rows.targets[:, 0].astype(int), minlength=target.num_outputs)
        return [int(count) for count in counts]
    if target.kind == "multilabel":
        return [int(count) for count in positive_counts(rows.targets)]
    spread = zip(rows.matrix.mean(axis=0), rows.matrix.std(axis=0), strict=True)
    return [{"mean": float(mean), "deviation": float(deviation)} for mean, deviation in spread]


def _show_targets(task: Task) -> None:
    columns = [_outputs(task.target, task.rows(split)) for split in SPLITS]
    noun = {"multilabel": "POSITIVE", "regression": "MEAN +- SD"}.get(task.target.kind, "CLASS")
    shown = list(zip(task.target.names, *columns, strict=True))
    table(
        (noun, *(_NOUNS[split].upper() for split in SPLITS)),
        [(name[:30], *(_cell(value) for value in row)) for name, *row in shown[:_MOST_NAMES]],
    )
    if len(shown) > _MOST_NAMES:
        echo(f"... and {len(shown) - _MOST_NAMES} more; --json has all")


def _cell(value: object) -> str:
    if isinstance(value, dict):
        return f"{number(value['mean'])} +- {number(value['deviation'])}"
    assert isinstance(value, int), "classes and labels are counted"
    return f"{value:,}"


def _show_example(task: Task) -> None:
    rows = task.train
    echo()
    values = rows.targets[0]
    if task.target.classifies:
        label = task.target.names[int(values[0])]
    else:
        pairs = zip(task.target.names, values.tolist(), strict=True)
        label = ", ".join(f"{name} {number(value)}" for name, value in list(pairs)[:3])
    echo(wrapped(f"example: {rows.origins[0]}, {label}", 4))
    text = rows.sequences[0].decode("ascii")
    room = WIDTH - 4
    echo("    " + (text if len(text) <= room else f"{text[: room - 4]} ..."))


def show_audit(task: Task, audit: Audit, leaks: TaskLeaks, json: bool) -> None:
    """Print overlaps, repeats, rows that a corpus holds, and the verdict."""
    if json:
        as_json(
            {
                "name": task.name,
                "fingerprint": task.fingerprint,
                "leaks": audit.leaks,
                "refused": leaks.refused,
                "overlaps": [dataclasses.asdict(overlap) for overlap in audit.overlaps],
                "repeats": [dataclasses.asdict(repeats) for repeats in audit.repeats],
                "exposures": [dataclasses.asdict(exposure) for exposure in leaks.exposures],
            }
        )
        return
    echo(f"{task.name}: every row was read, {_all_rows(task):,} in all")
    echo()
    table(
        ("ROWS OF", "IN", "EXACT", "REVERSE COMPLEMENT", "NEAR", "OTHER LABEL"),
        [_overlap_row(overlap) for overlap in audit.overlaps],
    )
    echo()
    if leaks.exposures:
        headings = ("ROWS OF", "IN", "EXACT", "REVERSE COMPLEMENT", "NEAR")
        table(headings, [_exposure_row(exposure) for exposure in leaks.exposures])
        echo()
    table(
        ("SPLIT", "ROWS", "DISTINCT", "ON BOTH STRANDS", "SEVERAL LABELS"),
        [_repeats_row(repeats) for repeats in audit.repeats],
    )
    echo()
    for line in _verdict(audit):
        echo(wrapped(line, 4))


def _all_rows(task: Task) -> int:
    return sum(len(task.rows(split)) for split in SPLITS)


def _overlap_row(found: Overlap) -> tuple[str, ...]:
    numbers = (found.exact, found.reverse_complement, found.near, found.conflicting)
    return (_NOUNS[found.later], _NOUNS[found.earlier], *(f"{count:,}" for count in numbers))


def _exposure_row(found: Exposure) -> tuple[str, ...]:
    numbers = (found.exact, found.reverse_complement, found.near)
    return (_NOUNS[found.split], f"corpus {found.corpus}", *(f"{count:,}" for count in numbers))


def _repeats_row(found: Repeats) -> tuple[str, ...]:
    numbers = (found.rows, found.distinct, found.reverse_complement, found.conflicting)
    return (_NOUNS[found.split], *(f"{count:,}" for count in numbers))


def _verdict(audit: Audit) -> list[str]:
    lines = [
        f"verdict: LEAK: {found.leaks:,} of {found.rows:,} {_NOUNS[found.later]} rows "
        f"({found.leaks / found.rows:.1%}) occur in {_NOUNS[found.earlier]}"
        for found in audit.overlaps
        if found.leaks
    ]
    lines = lines or ["verdict: no leak; no row of validation or test occurs in an earlier split"]
    return lines + [
        f"near: {found.near:,} of {found.rows:,} {_NOUNS[found.later]} rows "
        f"({found.near / found.rows:.1%}) share a stretch of sequence with "
        f"{_NOUNS[found.earlier]}, such as {found.examples[-1].later}"
        for found in audit.overlaps
        if found.near
    ]
