"""What `gfmp export` does with a model that was found."""

from __future__ import annotations

import tempfile
from pathlib import Path

from gfmp.cli.render.export import show_folder, show_registered
from gfmp.inference.export import write_folder
from gfmp.inference.origins import Trained
from gfmp.storage.workspace import Workspace, checked_name


def export_folder(found: Trained, out: Path | None) -> None:
    """Write a folder and say what is in it.

    Raises:
        ExistsError: the folder is there.
        VocabularyError: a written tokenizer reads otherwise than its vocabulary.
    """
    folder = out or Path(f"{found.model.name}-hf")
    write_folder(found.model, found.lineage, folder)
    show_folder(folder)


def export_registered(found: Trained, name: str, workspace: Workspace) -> None:
    """Register a model in MLflow and say how it is served.

    Raises:
        RefusedError: the name is not safe.
        ServiceError: the store cannot be reached or refuses.
    """
    from gfmp.mlflow_store.models import NewModel, register_model

    called = name or found.name
    checked_name(called, "model")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "folder"
        write_folder(found.model, found.lineage, folder)
        new = NewModel(folder, called, found.name, found.lineage.origin)
        show_registered(register_model(new, workspace))
