"""Which code and which libraries produced a run; never a secret."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gfmp.storage.hashes import sha256_file

UNKNOWN = "unknown"
LIBRARIES = (
    "gfmp",
    "deepspeed",
    "mlflow",
    "numpy",
    "pyarrow",
    "pydantic",
    "ray",
    "safetensors",
    "tokenizers",
    "torch",
)
ENVIRONMENT = ("CUDA_VISIBLE_DEVICES", "DS_ACCELERATOR", "OMP_NUM_THREADS", "PYTHONHASHSEED")
LOCK_FILES = ("uv.lock", "requirements.lock", "requirements.txt")
REDACTED = "[redacted]"
_GIT_SECONDS = 5.0
# A password may hold `/` and `@`; a word without a colon before its `@` is a mere user.
_CREDENTIALS = re.compile(r"(?<=://)(?:[^/@:\s]*:\S*|[^/@\s]+)(?=@)")
# `token` alone: max_tokens and tokenizer are words of this field, not secrets.
_SECRET_WORDS = r"token(?![a-z])|secret|passwd|password|api[_-]?key|access[_-]?key|credential"
# A shorter value stands in too many words by chance, such as a mode or a number.
_SHORTEST_SECRET = 8
_SECRET_NAME = rf"[\w.-]*(?:{_SECRET_WORDS})[\w.-]*"
_SECRET_VALUE = re.compile(rf"(?i)({_SECRET_NAME}\s*[=:]\s*)([^\s&,;]+)")
_SECRET_FLAG = re.compile(rf"(?i)--?{_SECRET_NAME}")
_SECRET_ARGUMENT = re.compile(rf"(?is)\A((?:--?)?{_SECRET_NAME}=).*")


@dataclass(frozen=True)
class Git:
    """State of the source tree.

    Attributes:
        revision: Commit hash, or `unknown` outside a repository.
        state: `dirty` when tracked files differ from the commit.
    """

    revision: str
    state: Literal["clean", "dirty", "unknown"]


@dataclass(frozen=True)
class Provenance:
    """What produced a run.

    Attributes:
        git: The source tree gfmp was imported from.
        python: Version of the interpreter.
        platform: Operating system and machine.
        libraries: Version of each library of `LIBRARIES` that is installed.
        lock_hash: sha256 of the lock file beside the source tree, or `unknown`.
        command_line: Arguments, with secrets redacted.
        environment: The variables of `ENVIRONMENT` that are set; no others are ever read.
    """

    git: Git
    python: str
    platform: str
    libraries: Mapping[str, str]
    lock_hash: str
    command_line: tuple[str, ...]
    environment: Mapping[str, str]


def collect(command_line: Sequence[str]) -> Provenance:
    """Describe this process; starts git, which may be absent."""
    source = Path(__file__).resolve().parents[1]
    return Provenance(
        git=git_of(source / "__init__.py"),
        python=platform.python_version(),
        platform=platform.platform(),
        libraries=library_versions(),
        lock_hash=_lock_hash(source),
        command_line=redacted_arguments(command_line),
        environment={name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
    )


def git_of(path: Path) -> Git:
    """Return the state of the repository that tracks `path`.

    An installed copy inside somebody else's repository is not tracked by it, so its state is
    `unknown` and the version of gfmp speaks.
    """
    if _git(path.parent, "ls-files", "--error-unmatch", path.name) is None:
        return Git(UNKNOWN, "unknown")
    revision = _git(path.parent, "rev-parse", "HEAD")
    changes = _git(path.parent, "status", "--porcelain", "--untracked-files=no")
    if revision is None or changes is None:
        return Git(UNKNOWN, "unknown")
    return Git(revision, "dirty" if changes else "clean")


def _git(folder: Path, *arguments: str) -> str | None:
    command = ("git", "-C", str(folder), *arguments)
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_GIT_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def library_versions() -> dict[str, str]:
    """Return the installed versions of `LIBRARIES`; absent ones are left out."""
    versions: dict[str, str] = {}
    for name in LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _lock_hash(source: Path) -> str:
    folders = source.parents[:2]
    found = (folder / name for folder in folders for name in LOCK_FILES)
    lock = next((path for path in found if path.is_file()), None)
    return sha256_file(lock) if lock else UNKNOWN


def redacted(text: str) -> str:
    """Return `text` without credentials in URLs and without values of secret-looking names."""
    return _SECRET_VALUE.sub(rf"\g<1>{REDACTED}", _CREDENTIALS.sub(REDACTED, text))


def without_secrets(text: str, environment: Mapping[str, str]) -> str:
    """Return `text` as `redacted` does, and without the values of secrets in an environment.

    A trace or an address can hold a secret by its value alone.
    """
    values = {
        value
        for name, value in environment.items()
        if re.search(_SECRET_WORDS, name, re.IGNORECASE) and len(value) >= _SHORTEST_SECRET
    }
    for value in sorted(values, key=len, reverse=True):
        text = text.replace(value, REDACTED)
    return redacted(text)


def redacted_arguments(arguments: Sequence[str]) -> tuple[str, ...]:
    """Redact each argument, and the one that follows a bare `--token`-like option."""
    result: list[str] = []
    hide_next = False
    for argument in arguments:
        whole = _SECRET_ARGUMENT.sub(rf"\g<1>{REDACTED}", argument)
        result.append(REDACTED if hide_next else redacted(whole))
        hide_next = bool(_SECRET_FLAG.fullmatch(argument))
    return tuple(result)
