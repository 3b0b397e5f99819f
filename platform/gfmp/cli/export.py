"""`gfmp export`: a trained model for programs that know nothing of gfmp."""

from __future__ import annotations

from pathlib import Path

import click

from gfmp.cli.completing import complete_runs
from gfmp.cli.options import workspace_option
from gfmp.errors import UsageError
from gfmp.storage.workspace import Workspace


@click.command()
@click.argument("run", shell_complete=complete_runs)
@click.option(
    "--to",
    "form",
    type=click.Choice(["hf", "mlflow"]),
    required=True,
    help="hf: a folder for transformers; mlflow: a registered model that can be served.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Where the folder goes (hf).  [default: ./NAME-hf]",
)
@click.option("--name", default="", help="Name of the registered model.  [default: of the run]")
@click.option("--cell", default="", metavar="HASH", help="Which model, of a run that kept several.")
@workspace_option
def export(
    run: str, form: str, out: Path | None, name: str, cell: str, workspace: Workspace
) -> None:
    """Write the model of RUN for other programs.

    RUN is the name or id of a pretraining or fine-tuning run. With a / in it, it is a folder: a
    kept model, or weights in the layout of DNABERT-2 and Genomics-FM.

    \b
    hf      model.safetensors with the names of MosaicBERT's public code,
            config.json, a tokenizer.json for each vocabulary, code in plain
            torch and for transformers (trust_remote_code=True), README.md
            with the lineage.
    mlflow  the same folder in MLflow's registry, with a signature; serving
            it needs torch, safetensors and tokenizers, not gfmp.
    """  # noqa: D301 - click keeps the lines after a backspace as they are
    from gfmp.cli.exporting import export_folder, export_registered
    from gfmp.inference.origins import Asked, find_trained
    from gfmp.learners.compute import Compute

    _refuse_idle(form, out, name)
    found = find_trained(Asked(run, cell), workspace, Compute.of("cpu", 1))
    if form == "hf":
        export_folder(found, out)
    else:
        export_registered(found, name, workspace)


def _refuse_idle(form: str, out: Path | None, name: str) -> None:
    """Refuse an option that the chosen form would not read."""
    idle = "--out" if form == "mlflow" and out is not None else ""
    idle = "--name" if form == "hf" and name else idle
    if idle:
        raise UsageError(
            f"{idle} does not go with --to {form}",
            why="--out is the folder of hf, --name the registered model of mlflow",
            fix=f"leave {idle} out",
        )
