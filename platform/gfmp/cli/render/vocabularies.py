"""Vocabularies, encodings and contract findings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

from gfmp.cli.registering import Listing
from gfmp.cli.render.text import as_json, echo, number, table, wrapped
from gfmp.vocabulary.findings import Finding
from gfmp.vocabulary.store import Registered
from gfmp.vocabulary.tokenizer import Encoded
from gfmp.vocabulary.vocabulary import SPECIALS, Vocabulary

_SHOWN_WORDS = 12


def show_registered(registered: Registered, vocabulary: Vocabulary) -> None:
    """Say whether the vocabulary is new or was there."""
    state = "registered" if registered.created else "is already there:"
    echo(
        f"{vocabulary.name} {state} {vocabulary.size:,} rows, "
        f"{number(vocabulary.bp_per_token)} bases per token, "
        f"fingerprint {vocabulary.fingerprint[:12]}"
    )


def show_listing(listing: Listing, json: bool) -> None:
    """Print registered vocabularies and what could be built."""
    if json:
        rows = [_summary(vocabulary) for vocabulary in listing.registered]
        as_json({"registered": rows, "recipes": listing.recipes, "families": listing.families})
        return
    if listing.registered:
        table(
            ("NAME", "FAMILY", "ROWS", "BP/TOKEN", "SPAN", "FINGERPRINT"),
            [
                (
                    v.name,
                    v.family,
                    f"{v.size:,}",
                    f"{v.bp_per_token:.2f}",
                    str(v.mask_span_tokens),
                    v.fingerprint[:12],
                )
                for v in listing.registered
            ],
        )
    else:
        echo("No vocabulary is registered yet.")
    names = ", ".join(listing.recipes) or "none"
    built = f"Recipes that are not built: {names}. Build one: gfmp register-vocab NAME"
    echo(wrapped(built, 4))
    echo(wrapped(f"Families: {', '.join(listing.families)}", 4))


def _summary(vocabulary: Vocabulary) -> dict[str, object]:
    return {
        "name": vocabulary.name,
        "family": vocabulary.family,
        "rows": vocabulary.size,
        "bp_per_token": vocabulary.bp_per_token,
        "mask_span_tokens": vocabulary.mask_span_tokens,
        "stride_bp": vocabulary.stride_bp,
        "fingerprint": vocabulary.fingerprint,
    }


def show_vocabulary(vocabulary: Vocabulary, recipe: dict[str, object], json: bool) -> None:
    """Print one vocabulary."""
    value = _summary(vocabulary) | {"recipe": recipe}
    if json:
        as_json(value | {"words": vocabulary.words})
        return
    for name, entry in value.items():
        echo(wrapped(f"{name}: {entry}", 4))
    law = vocabulary.window
    echo(f"windows: {law.min_bp}-{law.max_bp} bp, {law.full_fraction:.0%} of them {law.max_bp} bp")
    some = ", ".join(vocabulary.words[:_SHOWN_WORDS])
    echo(wrapped(f"words: {some}, ... ({len(vocabulary.words):,} in all)", 4))


def show_encoded(vocabulary: Vocabulary, encoded: Encoded, json: bool) -> None:
    """Print one row per token: word, local id, bases it stands for."""
    words = (*SPECIALS, *vocabulary.words)
    rows = [
        (words[int(i)], int(i), int(start), int(end))
        for i, start, end in zip(encoded.ids, encoded.starts, encoded.ends, strict=True)
    ]
    if json:
        as_json([dict(zip(("token", "id", "start", "end"), row, strict=True)) for row in rows])
        return
    table(("TOKEN", "ID", "START", "END"), [tuple(map(str, row)) for row in rows])


def show_findings(findings: Iterable[Finding], json: bool) -> None:
    """Print the rules of the contract that hold, as they are tried, and how each was tried."""
    if json:
        as_json([asdict(finding) for finding in findings])
        return
    for finding in findings:
        mark = "note" if finding.note else "ok"
        echo(wrapped(f"{mark:<6}{finding.rule}", 6))
        echo(wrapped(f"      {finding.evidence}", 6))
