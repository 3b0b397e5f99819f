"""Exported folders and registered models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gfmp.cli.render.text import echo, number, table

if TYPE_CHECKING:
    from gfmp.mlflow_store.models import Registered

_PORT = 5001
_EXAMPLE = '{"dataframe_split": {"columns": ["sequence"], "data": [["ACGTTGCA"]]}}'


def show_folder(folder: Path) -> None:
    """Print the files of an exported folder."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    rows = [(str(path.relative_to(folder)), number(path.stat().st_size)) for path in files]
    table(("FILE", "BYTES"), rows)
    echo()
    echo(f"Exported to {folder}; README.md in it says how it is read.")


def show_registered(registered: Registered) -> None:
    """Print a registered model and how it is served and asked."""
    state = "registered" if registered.is_new else "there already, with the same content"
    echo(f"{registered.uri} is {state}.")
    echo()
    echo("Serve it on this machine, and ask it:")
    echo(f"  {registered.serve_command(_PORT)}")
    echo(f"  curl http://127.0.0.1:{_PORT}/invocations -H 'Content-Type: application/json' \\")
    echo(f"    -d '{_EXAMPLE}'")
