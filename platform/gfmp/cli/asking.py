"""`gfmp predict` and `gfmp embed`: a file of sequences for a trained model."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gfmp.cli.completing import complete_runs
from gfmp.cli.options import Command, in_use, json_option, workspace_option
from gfmp.storage.workspace import Workspace

if TYPE_CHECKING:
    from gfmp.inference.answers import Answers
    from gfmp.inference.found import Found
    from gfmp.inference.loaded import Loaded
    from gfmp.inference.questions import Asked, Question
    from gfmp.inference.states import Per, Pool

_PATH, _COUNT = click.Path(path_type=Path), click.IntRange(min=0)


@dataclass(frozen=True)
class AskOptions:
    """What both commands are given; see their options."""

    run: str
    file: Path
    out: Path | None
    reference: Path | None
    sequence_column: str
    name_column: str
    window_bp: int
    step_bp: int
    longest_bp: int
    device: str
    threads: int
    as_json: bool
    workspace: Workspace

    def target(self, ending: str) -> Path:
        """Return the file that is written: the given one, or one named after the sequences."""
        stem = self.file.name.removesuffix(".gz").rsplit(".", 1)[0]
        return self.out or Path(f"{stem}.{ending}.parquet")


def shared_options(command: Command) -> Command:
    """Add what both commands take; a command receives it as keywords."""
    options = (
        click.argument("run", shell_complete=complete_runs),
        click.argument("file", type=_PATH),
        click.option("--out", "-o", type=_PATH, help="File to write; its suffix says the format."),
        click.option("--reference", type=_PATH, help="FASTA that a BED file stands on."),
        click.option("--sequence-column", default="", help="Of a table. [default: sequence, seq]"),
        click.option("--name-column", default="", help="Of a table. [default: name, id, or line]"),
        click.option(
            "--window-bp",
            type=_COUNT,
            default=0,
            help="Cut sequences into windows. [default: whole]",
        ),
        click.option(
            "--step-bp",
            type=_COUNT,
            default=0,
            help="From window to window. [default: --window-bp]",
        ),
        click.option(
            "--longest-bp", type=_COUNT, default=0, help="Refuse longer ones. [default: by memory]"
        ),
        click.option(
            "--device",
            type=click.Choice(["auto", "cpu", "cuda"]),
            default="auto",
            show_default=True,
            help="Where to compute; auto takes a GPU where there is one.",
        ),
        click.option("--threads", type=_COUNT, default=0, help="CPU threads. [default: all cores]"),
        json_option,
        workspace_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@shared_options
@click.option("--no-calibration", is_flag=True, help="Say nothing of how sure the model is.")
def predict(no_calibration: bool, **shared: Any) -> None:  # noqa: ANN401 - what click gives
    """Predict every sequence of FILE with a fine-tuned RUN.

    FILE is FASTA, CSV, TSV, Parquet, or BED with --reference; .gz too. RUN is the name or id of
    a fine-tuning run, or a model's folder. Writes Parquet or TSV: probabilities, and confidence
    calibrated on the validation rows of the model's task. Killed, it goes on where it was when
    it is given again.
    """
    from gfmp.inference.questions import predict_question

    options = AskOptions(**shared)
    asked = _asked(options)
    question = predict_question(asked, calibrated=not no_calibration)

    def _answers() -> Answers:
        from gfmp.inference.answers import PredictAnswers
        from gfmp.inference.predicting import calibration_of

        loaded = _loaded(asked.found, options)
        return PredictAnswers(loaded, calibration_of(loaded) if question.calibrated else None)

    _answer(question, options, "predictions", _answers)


@click.command()
@shared_options
@click.option(
    "--per",
    type=click.Choice(["sequence", "token", "base"]),
    default="sequence",
    show_default=True,
    help="One vector for each of these.",
)
@click.option("--layer", type=int, multiple=True, help="Depth; 0 is the embedding. [default: -1]")
@click.option(
    "--pool",
    type=click.Choice(["mean", "thirds"]),
    default="mean",
    show_default=True,
    help="Per sequence: mean over its words, or over each third of them.",
)
@click.option("--vocabulary", default="", help="In which vocabulary. [default: the only one]")
def embed(
    layer: tuple[int, ...],
    vocabulary: str,
    per: Per,
    pool: Pool,
    **shared: Any,  # noqa: ANN401 - what click gives
) -> None:
    """Write the hidden states of a pretrained or fine-tuned RUN for every sequence of FILE.

    FILE is as for `gfmp predict`. Writes Parquet with a column for each layer (a vector for each
    sequence, or a list of vectors for its tokens or bases), or npy of shape (sequences, width).
    Killed, it goes on where it was when it is given again.
    """
    from gfmp.inference.questions import embed_question

    options = AskOptions(**shared)
    asked = _asked(options)
    question = embed_question(
        asked, vocabulary=vocabulary, layers=layer or (-1,), per=per, pool=pool
    )

    def _answers() -> Answers:
        from gfmp.inference.answers import EmbedAnswers

        loaded = _loaded(asked.found, options)
        return EmbedAnswers(loaded, question.vocabulary, question.wanted)

    _answer(question, options, "embeddings", _answers)


def _asked(options: AskOptions) -> Asked:
    """Find model and file, and decide how one becomes rows for the other."""
    from gfmp.inference.found import find
    from gfmp.inference.questions import Asked, CutRequest, resolve_cut
    from gfmp.inference.row_files import RowFile
    from gfmp.learners.compute import Compute

    columns = (options.sequence_column, options.name_column)
    file = RowFile.of(options.file, options.reference, *columns)
    found = find(options.run, options.workspace)
    request = CutRequest(options.window_bp, options.step_bp, options.longest_bp)
    device = Compute.of(options.device, 1).device.type
    return Asked(found, file, resolve_cut(request, found), device)


def _loaded(found: Found, options: AskOptions) -> Loaded:
    from gfmp.inference.loaded import Loaded
    from gfmp.learners.compute import Compute

    return Loaded.of(found, Compute.of(options.device, options.threads or os.cpu_count() or 1))


def _answer(
    question: Question, options: AskOptions, ending: str, load: Callable[[], Answers]
) -> None:
    """Answer a question and show what was written."""
    from gfmp.cli.asking_progress import shown
    from gfmp.cli.render.asking import show_answered
    from gfmp.inference.asking import Asking
    from gfmp.learners.compute import Compute

    asking = Asking(question, options.target(ending), options.workspace)
    threads = options.threads or os.cpu_count() or 1
    engaged = Compute.of(question.device, threads).engaged()
    with in_use(options.workspace), shown() as watcher, engaged:
        answered = asking.run(load, watcher)
    show_answered(answered, options.as_json)
