"""Compiled functions: imported late, cached safely, done without where they do not run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gfmp.storage.compiled import Kernels, cache_root

TINY = '''
"""Two functions."""
from gfmp.storage.compiled import Kernels

def _double(number):
    return 2 * number

def twice(number):
    return _double(number) + 1

def total(numbers):
    found = 0
    for number in numbers:
        found += twice(number)
    return found

KERNELS = Kernels(
    __name__,
    {"_double": "i8(i8)", "twice": "i8(i8)", "total": "i8(i8[::1])"},
    worth=10,
)
'''
RUN = """
import json, sys, warnings
import numpy as np
warnings.simplefilter("ignore")
import tiny_kernels as tiny
before = "numba" in sys.modules
functions = tiny.KERNELS.now()
print(json.dumps([before, functions.twice(20), functions.total(np.arange(3))]))
"""
LIGHT = """
import importlib, pkgutil, sys
import gfmp.feed, gfmp.genome, gfmp.plan, gfmp.spec, gfmp.storage, gfmp.vocabulary
import tokenizer_registry
for package in (gfmp.feed, gfmp.genome, gfmp.plan, gfmp.spec, gfmp.storage, gfmp.vocabulary,
                tokenizer_registry):
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
print("numba" in sys.modules)
"""


def environment(folder: Path) -> dict[str, str]:
    """Return an environment whose cache and modules lie in a folder."""
    (folder / "tiny_kernels.py").write_text(TINY, encoding="ascii")
    path = ":".join((str(folder), *sys.path))
    kept = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    return kept | {"XDG_CACHE_HOME": str(folder / "cache"), "PYTHONPATH": path}


def start(folder: Path, code: str = RUN) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> object:
    out, err = process.communicate()
    assert process.returncode == 0, err
    return json.loads(out)


def kept(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in (folder / "cache").rglob("*.nb?")}


def test_importing_modules_loads_no_numba(tmp_path: Path) -> None:
    out, err = start(tmp_path, LIGHT).communicate()
    assert out == "False\n", err


def test_several_processes_compile_once_and_the_next_loads(tmp_path: Path) -> None:
    together = [start(tmp_path) for _ in range(3)]
    assert [finish(process) for process in together] == [[False, 41, 9]] * 3
    first = kept(tmp_path)
    assert len(first) == 6
    stamps = {path: Path(path).stat().st_mtime_ns for path in first}
    assert finish(start(tmp_path)) == [False, 41, 9]
    assert kept(tmp_path) == first
    assert stamps == {path: Path(path).stat().st_mtime_ns for path in first}


def test_a_damaged_cache_is_made_again(tmp_path: Path) -> None:
    finish(start(tmp_path))
    whole = kept(tmp_path)
    for path in whole:
        Path(path).write_bytes(b"torn")
    assert finish(start(tmp_path)) == [False, 41, 9]
    assert set(kept(tmp_path)) == set(whole)
    assert b"torn" not in kept(tmp_path).values()


def test_functions_run_without_a_place_for_them(tmp_path: Path) -> None:
    code = RUN.replace(
        "functions =", "import gfmp.storage.compiled as c; c.cache_root = lambda: None\nfunctions ="
    )
    assert finish(start(tmp_path, code)) == [False, 41, 9]
    assert not kept(tmp_path)


def test_without_numba_nothing_is_compiled_and_it_is_said_once(tmp_path: Path) -> None:
    code = """
import json, sys, warnings
sys.modules["numba"] = None
import tiny_kernels as tiny
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    found = [tiny.KERNELS.now(), tiny.KERNELS.after(1 << 40)]
print(json.dumps([found, [str(w.message) for w in said]]))
"""
    found, said = finish(start(tmp_path, code))  # type: ignore[misc]
    assert found == [None, None]
    assert len(said) == 1 and "numba does not load" in said[0]


def test_work_is_counted_before_anything_is_loaded() -> None:
    kernels = Kernels("no.such.module", {}, worth=10)
    assert kernels.after(4) is None
    assert kernels.after(5) is None
    with pytest.raises(ModuleNotFoundError):
        kernels.after(1)


def test_the_cache_lies_in_a_folder_of_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "own"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "own").mkdir()
    own = cache_root()
    assert own == tmp_path / "own" / "gfmp" / "kernels"
    assert own.stat().st_mode & 0o777 == 0o700
    own.chmod(0o777)
    spare = cache_root()
    assert spare == tmp_path / f"gfmp-cache-{os.geteuid()}" / "gfmp" / "kernels"
    spare.chmod(0o770)
    assert cache_root() is None
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "chosen"))
    assert cache_root() == tmp_path / "chosen" / "gfmp" / "kernels"


def test_functions_that_do_not_compile_are_done_without_and_it_is_said(tmp_path: Path) -> None:
    code = """
import json, sys, warnings
import tiny_kernels as tiny
tiny.Kernels.__init__(tiny.KERNELS, "tiny_kernels", {"total": "i8(unicode_type)"}, worth=1)
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    found = tiny.KERNELS.now()
print(json.dumps([found, [str(w.message) for w in said]]))
"""
    found, said = finish(start(tmp_path, code))  # type: ignore[misc]
    assert found is None
    assert len(said) == 1 and "numba does not compile tiny_kernels" in said[0]
