"""A digest inside a JSON document over all the rest of it: a changed digit does not pass."""

from __future__ import annotations

from collections.abc import Mapping

from gfmp.storage.hashes import fingerprint

SEAL = "sha256"


def sealed(body: Mapping[str, object]) -> dict[str, object]:
    """Return `body` with its digest."""
    assert SEAL not in body, f"{SEAL!r} is the name of the seal"
    return {**body, SEAL: fingerprint(dict(body))}


def unsealed(value: Mapping[str, object]) -> dict[str, object]:
    """Return a document without its seal, which must fit; one that has no seal stays as it is.

    Raises:
        ValueError: the document differs from what was sealed.
    """
    body = {name: inner for name, inner in value.items() if name != SEAL}
    if SEAL in value and value[SEAL] != fingerprint(body):
        raise ValueError("its content differs from its checksum")
    return body
