"""Are the packages here, and within the bounds that gfmp was tested in?"""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from packaging.requirements import Requirement

from gfmp.cluster.doctor.findings import Finding, bad, note, ok
from gfmp.errors import MissingInputError

DISTRIBUTION = "gfmp"
# Told one by one; of the others only what is amiss.
_TOLD = ("torch", "ray", "deepspeed", "mlflow")
_HEAVY = "train"
_OPTIONAL = ("demo", "motifs", "readers")


@dataclass(frozen=True)
class Packages:
    """What gfmp asks for and what there is.

    Attributes:
        python: Version of the interpreter.
        needed: Requirements of each extra; those of gfmp itself under ''.
        installed: Name as the requirement has it -> version; absent ones are left out.
    """

    python: tuple[int, int]
    needed: Mapping[str, tuple[Requirement, ...]]
    installed: Mapping[str, str]


def gather() -> Packages:
    """Look at the metadata of installed packages; none is imported."""
    needed = {extra: _requirements(DISTRIBUTION, extra) for extra in ("", _HEAVY, *_OPTIONAL)}
    for requirement in needed[_HEAVY]:
        # `ray[default]` asks for more than `ray`.
        inner = [_requirements(requirement.name, extra) for extra in requirement.extras]
        needed[_HEAVY] += tuple(one for group in inner for one in group)
    names = {one.name for group in needed.values() for one in group}
    versions = {name: _version(name) for name in names}
    installed = {name: version for name, version in versions.items() if version}
    return Packages(sys.version_info[:2], needed, installed)


def judge(packages: Packages) -> Iterator[Finding]:
    """Say what is missing or of another version than gfmp was tested with."""
    found = ".".join(map(str, packages.python))
    if packages.python == (3, 11):
        yield ok("python", found)
    else:
        fix = "make the environment with python3.11"
        yield bad("python", f"{found}; gfmp is for 3.11", fix, MissingInputError)
    yield from _half(packages, "light half", packages.needed[""])
    heavy = packages.needed[_HEAVY]
    if not any(name in packages.installed for name in _TOLD):
        words = "not installed: specs, plans and corpora work, training does not"
        yield note("heavy half", words, "pip install 'gfmp[train]'")
    else:
        yield from _half(packages, "heavy half", heavy)
    for name in _TOLD:
        if name in packages.installed:
            yield ok(name, packages.installed[name])
    yield _extras(packages)


def _half(packages: Packages, name: str, needed: Sequence[Requirement]) -> Iterator[Finding]:
    wrong = [one for one in needed if not _fits(one, packages.installed)]
    if not needed:
        words = "gfmp itself is not installed, so what it needs is not known"
        yield note(name, words, "pip install -e '.[train]' where pyproject.toml is")
    elif not wrong:
        yield ok(name, f"{len(needed)} packages within their bounds")
    for one in wrong:
        there = packages.installed.get(one.name, "not installed")
        words = f"{one.name} is {there}; gfmp needs {one.name}{one.specifier}"
        fix = f"pip install '{one.name}{one.specifier}'"
        yield bad(name, words, fix, MissingInputError)


def _extras(packages: Packages) -> Finding:
    lacking = [
        extra
        for extra in _OPTIONAL
        if not all(_fits(one, packages.installed) for one in packages.needed[extra])
    ]
    if not lacking:
        return ok("extras", ", ".join(_OPTIONAL))
    fix = f"where you need them: pip install 'gfmp[{','.join(lacking)}]'"
    return note("extras", f"not installed: {', '.join(lacking)}", fix)


def _fits(requirement: Requirement, installed: Mapping[str, str]) -> bool:
    version = installed.get(requirement.name)
    return version is not None and requirement.specifier.contains(version, prereleases=True)


def _requirements(distribution: str, extra: str) -> tuple[Requirement, ...]:
    """Return what an extra asks for beside what is asked for without it."""
    try:
        lines = importlib.metadata.requires(distribution) or ()
    except importlib.metadata.PackageNotFoundError:
        return ()
    asked = [Requirement(line) for line in lines]
    return tuple(one for one in asked if _applies(one, extra) and _applies(one, "") == (not extra))


def _applies(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""
