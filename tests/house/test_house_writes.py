"""Durable files are written by one protocol; whoever opens a file for writing says why here."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = sorted((ROOT / "platform" / "gfmp").rglob("*.py"))
# Calls that change what is on disk; `replace` and `rename` only of paths, not of words.
WRITING = {"write_text", "write_bytes", "truncate", "symlink_to", "hardlink_to"}
MODES = set("wax+")
# File and why it may: what it writes is no artefact, or is made durable by the protocol after.
ALLOWED = {
    "storage/atomic.py": "it is the protocol",
    "storage/exchange.py": "it is the protocol",
    "storage/download.py": "it appends to a part, which gets its name when its digest is right",
    "storage/locks.py": "a lock names its owner for people",
    "ledger/writer.py": "it appends, and syncs commits itself",
    "cluster/heartbeat.py": "a log of stacks, written when a process is about to end",
    "cluster/parcel.py": "copies for an upload, in a temporary folder",
    "training/tensors.py": "a share of a checkpoint, in a folder that is published whole",
    "mlflow_store/artifacts.py": "copies for an upload, in a temporary folder",
    "mlflow_store/server.py": "the log of a server",
}


def _mode(call: ast.Call) -> str:
    """Return the mode of a call of `open`, of a path or built in; empty for reading."""
    built_in = isinstance(call.func, ast.Name)
    words = [k.value for k in call.keywords if k.arg == "mode"]
    words += call.args[1:2] if built_in else call.args[:1]
    return next((str(w.value) for w in words if isinstance(w, ast.Constant)), "")


def writes(path: Path) -> list[int]:
    """Return the lines of a module that open a file for writing."""
    lines = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        name = node.func.id if isinstance(node.func, ast.Name) else name
        if name in WRITING or (name == "open" and MODES & set(_mode(node))):
            lines.append(node.lineno)
    return lines


def test_the_rule_sees_what_it_is_for(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_text("p.open('wb')\nopen(p, 'a')\np.write_text('x')\np.open('rb')\nopen(p)\n")
    assert writes(path) == [1, 2, 3]


@pytest.mark.parametrize("path", PRODUCT, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_are_written_by_the_protocol(path: Path) -> None:
    name = path.relative_to(ROOT / "platform" / "gfmp").as_posix()
    if name not in ALLOWED:
        assert not writes(path), "write through gfmp.storage.atomic, or give the reason above"


def test_no_reason_is_left_over() -> None:
    gone = [n for n in ALLOWED if not (ROOT / "platform" / "gfmp" / n).is_file()]
    assert not gone
