"""The files of a run that MLflow keeps a copy of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from gfmp.ledger.run import Run
from gfmp.mlflow_store.client import Tracked
from gfmp.storage.hashes import fingerprint, sha256_file

_HASH_CHARACTERS = 16
Files = dict[str, Path]


def collect_files(run: Run, report: Mapping[str, object] | None, scratch: Path) -> Files:
    """Return name in MLflow -> file; what has no file in the run's folder goes to `scratch`."""
    environment = scratch / "environment.json"
    _write_json(environment, run.header.to_json()["provenance"])
    files = {"environment.json": environment}
    for path in (run.spec_path, run.plan_path):
        if path.is_file():
            files[path.name] = path
    for path in sorted(run.figures_path.glob("*.png")):
        files[f"figures/{path.name}"] = path
    if report is not None:
        _write_json(scratch / "report.json", report)
        (scratch / "report.md").write_text(report_markdown(run.id, report), encoding="utf-8")
        files |= {name: scratch / name for name in ("report.json", "report.md")}
    return files


def _write_json(path: Path, value: object) -> None:
    # NaN and Infinity are no JSON, but every reader in Python and pandas knows the words.
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=True)
    path.write_text(text + "\n", encoding="ascii")


def upload(tracked: Tracked, files: Files) -> int:
    """Copy the files whose content MLflow does not have; return how many."""
    num_sent = 0
    for name, path in files.items():
        tag = f"gfmp.artifact.{name}"
        content = sha256_file(path)[:_HASH_CHARACTERS]
        if tracked.tags.get(tag) != content:
            folder = name.rpartition("/")[0]
            tracked.send_artifact(path, folder)
            tracked.send_tags({tag: content})
            num_sent += 1
    return num_sent


def upload_folder(tracked: Tracked, folder: Path, name: str) -> int:
    """Copy a folder when anything in it is new; return how many files were sent.

    One tag holds the hash of all its files. Hidden files are those still being written.
    """
    found = sorted(p for p in folder.rglob("*") if p.is_file()) if folder.is_dir() else []
    files = {path.relative_to(folder): path for path in found}
    files = {at: path for at, path in files.items() if not _hidden(at)}
    hashes = {str(at): sha256_file(path) for at, path in files.items()}
    content, tag = fingerprint(hashes)[:_HASH_CHARACTERS], f"gfmp.artifact.{name}"
    if not files or tracked.tags.get(tag) == content:
        return 0
    for at, path in files.items():
        tracked.send_artifact(path, (Path(name) / at.parent).as_posix())
    tracked.send_tags({tag: content})
    return len(files)


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def report_markdown(run_id: str, report: Mapping[str, object]) -> str:
    """Return a report as a page: checks first, then the numbers."""
    lines = [f"# Report of {run_id}", ""]
    checks = report.get("checks")
    if isinstance(checks, Sequence) and checks:
        lines += ["| check | result | detail |", "|---|---|---|", *map(_check_row, checks), ""]
    lines += ["| number | value |", "|---|---|"]
    lines += [
        f"| {name} | {_shown(value)} |"
        for name, value in sorted(report.items())
        if isinstance(value, (int, float, str))
    ]
    return "\n".join(lines) + "\n"


def _check_row(check: object) -> str:
    if not isinstance(check, Mapping):
        return f"| {check} | | |"
    rest = ", ".join(f"{k} {_shown(v)}" for k, v in check.items() if k not in ("name", "passed"))
    passed = "passed" if check.get("passed") else "**failed**"
    return f"| {check.get('name', '')} | {passed} | {rest} |"


def _shown(value: object) -> str:
    return f"{value:,.6g}" if isinstance(value, float) else str(value)
