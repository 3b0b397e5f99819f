"""Plain functions compiled to machine code on first need, and kept in a folder of the user.

A module of kernels holds functions over arrays that read as Python and run as Python. Numba is
imported when so much work was asked for that it pays, never before; without it callers go on with
what they have. Machine code is compiled once per user, machine type and version: the first process
compiles under a lock, all others load what it left, checked by its digests.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import shutil
import stat
import sys
import tempfile
import threading
import types
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

from gfmp.errors import GfmpError
from gfmp.storage.atomic import read_json, write_json
from gfmp.storage.hashes import fingerprint, sha256_bytes, sha256_file
from gfmp.storage.locks import exclusive

Compiled = types.SimpleNamespace
_READY = "ready.json"
_LOCK = "lock"
_WAIT_SECONDS = 300.0
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_one_at_a_time = threading.Lock()


class Kernels:
    """The functions of one module, compiled when it pays.

    Args:
        module: Name of the module; its functions call only one another.
        signatures: Numba signatures by name of function, a function before its callers. They are
            fixed, so every process compiles the same code and may write the same files.
        worth: Units of work (bases, tokens) beyond which compiling costs less than it saves.
    """

    def __init__(self, module: str, signatures: Mapping[str, str], worth: int) -> None:
        self._module = module
        self._signatures = dict(signatures)
        self._worth = worth
        self._asked = 0

    def after(self, work: int) -> Compiled | None:
        """Count work of this process; return the functions once it pays, None until then.

        None as well where numba does not run, said once in a warning.
        """
        self._asked += work
        return self.now() if self._asked >= self._worth else None

    def pays_from(self, worth: int) -> None:
        """Count anew, and compile after so much work: 0 for at once."""
        self._worth, self._asked = worth, 0

    def now(self) -> Compiled | None:
        """Return the compiled functions, or None where numba does not run."""
        return self._functions

    @functools.cached_property
    def _functions(self) -> Compiled | None:
        if not _numba_runs():
            return None
        from numba.core.errors import NumbaError

        module = importlib.import_module(self._module)
        try:
            with _one_at_a_time:
                return _loaded(module, self._signatures)
        except NumbaError as fault:
            _warn(f"numba does not compile {self._module} ({type(fault).__name__})")
            return None


def cache_root() -> Path | None:
    """Return the folder compiled functions are kept in, or None where none is safe.

    `NUMBA_CACHE_DIR` where it is set, else `gfmp/kernels` in the user's cache folder, else a folder
    of the user among the temporary files. What lies there is run, so only a folder counts that is
    the user's own and that nobody else may write to.
    """
    home = os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    places = [Path(home), Path(tempfile.gettempdir(), f"gfmp-cache-{os.geteuid()}")]
    if chosen := os.environ.get("NUMBA_CACHE_DIR"):
        places.insert(0, Path(chosen))
    return next(filter(_is_private, (place / "gfmp" / "kernels" for place in places)), None)


def _is_private(path: Path) -> bool:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
        found = [path.lstat(), path.parent.lstat()]
    except OSError:
        return False
    own = all(s.st_uid == os.geteuid() and not s.st_mode & _OTHERS_WRITE for s in found)
    return own and all(stat.S_ISDIR(s.st_mode) for s in found) and os.access(path, os.W_OK)


@functools.cache
def _numba_runs() -> bool:
    """Tell whether numba is here and switched on; warn once where it is not."""
    try:
        from numba import config
    except ImportError as fault:
        _warn(f"numba does not load ({fault})")
        return False
    return not config.DISABLE_JIT


def _warn(reason: str) -> None:
    warnings.warn(
        f"{reason}: tokens are made and masked without compiled functions, alike but several times "
        "slower; install numba>=0.68",
        RuntimeWarning,
        stacklevel=3,
    )


def _loaded(module: types.ModuleType, signatures: Mapping[str, str]) -> Compiled:
    """Return functions from the cache, compiled into it first where they are not there yet."""
    root = cache_root()
    if root is None:
        return _compiled(module, signatures, None)
    folder = root / f"{module.__name__.rpartition('.')[2]}-{_digest(module, signatures)}"
    try:
        if not _is_ready(folder):
            _fill(module, signatures, folder)
        return _compiled(module, signatures, folder)
    except (OSError, GfmpError):
        # A full or read-only disk, or an owner of the lock that never ends: slower, not wrong.
        return _compiled(module, signatures, None)


def _fill(module: types.ModuleType, signatures: Mapping[str, str], folder: Path) -> None:
    with exclusive(folder.with_name(f"{folder.name}.{_LOCK}"), wait_seconds=_WAIT_SECONDS):
        if _is_ready(folder):
            return
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        _compiled(module, signatures, folder)
        write_json(folder / _READY, dict(_contents(folder)))


def _is_ready(folder: Path) -> bool:
    """Tell whether the folder holds what was compiled, whole."""
    try:
        return read_json(folder / _READY) == dict(_contents(folder))
    except (OSError, GfmpError):
        return False


def _contents(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != _READY:
            yield path.relative_to(folder).as_posix(), sha256_file(path)


def _digest(module: types.ModuleType, signatures: Mapping[str, str]) -> str:
    """Name everything that decides the machine code: sources, versions, processor."""
    import llvmlite
    import numba
    from llvmlite import binding

    sources = [Path(str(path)).read_bytes() for path in (module.__file__, __file__)]
    parts = [
        *map(sha256_bytes, sources),
        dict(signatures),
        [numba.__version__, llvmlite.__version__, sys.version],
        [binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten()],
    ]
    return fingerprint(parts)[:16]


def _compiled(
    module: types.ModuleType, signatures: Mapping[str, str], folder: Path | None
) -> Compiled:
    """Compile copies of the functions that see one another's compiled forms."""
    import numba

    names: dict[str, object] = dict(vars(module))
    with _numba_caching(folder):
        for name, signature in signatures.items():
            plain = vars(module)[name]
            copy = types.FunctionType(plain.__code__, names, name, plain.__defaults__)
            copy.__module__, copy.__qualname__ = plain.__module__, plain.__qualname__
            options = {"nogil": True, "error_model": "numpy", "cache": folder is not None}
            names[name] = numba.njit(signature, **options)(copy)
    return Compiled(**{name: names[name] for name in signatures})


@contextlib.contextmanager
def _numba_caching(folder: Path | None) -> Iterator[None]:
    from numba import config

    before = config.CACHE_DIR
    config.CACHE_DIR = str(folder) if folder else before
    try:
        yield
    finally:
        config.CACHE_DIR = before
