"""The lock file holds what pyproject.toml asks for, each with hashes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pytestmark = pytest.mark.ci

ROOT = Path(__file__).parents[2]
# Its build depends on the machine; the head of the lock file says how to install it.
NOT_LOCKED = {"torch"}


def _locked() -> dict[str, str]:
    """Return the locked version of each package."""
    text = (ROOT / "requirements.lock").read_text()
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+) \\$", text, re.MULTILINE))


def _asked() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    words = [*project["dependencies"], *(word for extra in extras for word in extra)]
    # An extra may name others of this package.
    return [Requirement(word) for word in words if not word.startswith("gfmp[")]


def test_the_lock_file_holds_every_requirement_within_its_bounds() -> None:
    locked = _locked()
    for requirement in _asked():
        name = canonicalize_name(requirement.name)
        if name not in NOT_LOCKED:
            assert locked[name] in requirement.specifier, name
    assert not NOT_LOCKED & set(locked)


def test_every_locked_package_has_hashes_and_nothing_names_a_host() -> None:
    text = (ROOT / "requirements.lock").read_text()
    pins = re.split(r"^(?=[a-z0-9-]+==)", text, flags=re.MULTILINE)[1:]
    assert len(pins) == len(_locked()) > 100
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", pin) for pin in pins)
    assert "://" not in text
