"""A trained model as a person works with it in Python: `gfmp.load`; no Ray, nothing to configure.

>>> import gfmp
>>> model = gfmp.load(FINETUNED, workspace=WORKSPACE)
>>> model
TrainedModel('calls-...', finetuned, reads kmer3, 2 layers of width 16, predicts low, high)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gfmp.errors import UsageError
from gfmp.inference.attribution_attention import AttentionMap, attention_maps
from gfmp.inference.bars import bar
from gfmp.inference.found import Found, find
from gfmp.inference.loaded import Loaded, chosen, depths_of
from gfmp.inference.predicting import Predictions, calibration_of, predictions
from gfmp.inference.states import Pool, Wanted, states
from gfmp.inference.variant_table import VariantWindows, score_table
from gfmp.learners.compute import AUTOMATIC, Compute
from gfmp.storage.workspace import Workspace
from gfmp.tasks.letters import normalised
from gfmp.tasks.task import Target

Sequences = Sequence[str] | Sequence[bytes]
Device = Literal["auto", "cpu", "cuda"]
# Sequences that are tokenised together.
_BATCH_BASES = 500_000


def load(
    run_or_path: str | Path,
    *,
    workspace: str | Path | None = None,
    device: Device = "auto",
    threads: int = 1,
) -> TrainedModel:
    """Load a trained model.

    Args:
        run_or_path: Name of pretraining or fine-tuning runs (the newest finished one), the id of
            one or its beginning; a `Path`, or a text with a / in it, is the folder of a run, of a
            fine-tuned model or of a checkpoint.
        workspace: Where runs are; a folder in a workspace stays in that one. None takes
            `$GFMP_WORKSPACE`, or `./workspace`.
        device: `auto` takes a GPU where there is one.
        threads: CPU threads.

    Raises:
        MissingInputError: there is no such model.
        CorruptArtefactError: its files are not what they were when they were written.

    Example:
        >>> import gfmp
        >>> gfmp.load(PRETRAINED, workspace=WORKSPACE).vocabularies
        ('kmer3', 'pairs')
    """
    chosen_workspace = None if workspace is None else Workspace.at(str(workspace))
    path = isinstance(run_or_path, Path)
    wanted = str(Path(run_or_path).absolute()) if path else str(run_or_path)
    found = find(wanted, chosen_workspace)
    return TrainedModel(found, Compute.of(device or AUTOMATIC, threads))


class TrainedModel:
    """A pretrained or fine-tuned model that answers questions about sequences.

    Sequences are texts of A, C, G, T, U, N and IUPAC codes in either case, whole: nothing is cut.
    Lower case reads as upper case, U as T, and every other code as unknown. With `progress=True`
    a bar shows how far a call is, in a terminal or a notebook.

    Args:
        found: Which model.
        compute: Device and threads.
    """

    def __init__(self, found: Found, compute: Compute) -> None:
        self._found, self._compute = found, compute
        self._loaded = Loaded.of(found, compute)

    def __repr__(self) -> str:
        shape, target = self._found.architecture, self.target
        told = f", predicts {', '.join(target.names[:5])}" if target else ""
        return (
            f"TrainedModel({self.name!r}, {self._found.kind}, reads {', '.join(self.vocabularies)},"
            f" {shape.layers} layers of width {shape.width}{told})"
        )

    @property
    def name(self) -> str:
        """Id of its run, or name of its folder.

        Example:
            >>> gfmp.load(FINETUNED, workspace=WORKSPACE).name.startswith("calls-")
            True
        """
        return self._found.model.name

    @property
    def fingerprint(self) -> str:
        """Hash of what decides its answers, 64 hexadecimal digits.

        Example:
            >>> len(gfmp.load(FINETUNED, workspace=WORKSPACE).fingerprint)
            64
        """
        return self._found.model.fingerprint

    @property
    def vocabularies(self) -> tuple[str, ...]:
        """Vocabularies it reads: a pretrained model one at a time, a fine-tuned one all at once.

        Example:
            >>> gfmp.load(FINETUNED, workspace=WORKSPACE).vocabularies
            ('kmer3',)
        """
        return tuple(one.name for one in self._found.vocabularies)

    @property
    def num_layers(self) -> int:
        """Blocks of the encoder; layer 0 is the embedding below them.

        Example:
            >>> gfmp.load(PRETRAINED, workspace=WORKSPACE).num_layers
            2
        """
        return self._found.architecture.layers

    @property
    def width(self) -> int:
        """Hidden units D.

        Example:
            >>> gfmp.load(PRETRAINED, workspace=WORKSPACE).width
            16
        """
        return self._found.architecture.width

    @property
    def target(self) -> Target | None:
        """What it predicts: kind and names; None for a pretrained model.

        Example:
            >>> gfmp.load(FINETUNED, workspace=WORKSPACE).target.names
            ('low', 'high')
            >>> gfmp.load(PRETRAINED, workspace=WORKSPACE).target is None
            True
        """
        return self._found.target

    def predict(
        self, sequences: Sequences, *, calibrated: bool = True, progress: bool = False
    ) -> Predictions:
        """Return what a fine-tuned model says about N sequences.

        Args:
            sequences: The sequences.
            calibrated: Also say how sure the model is: the first call fits one temperature (for
                values a 90 % interval) on the validation rows of the model's task.
            progress: Show a bar.

        Returns:
            `values` and `calibrated`, float32 of shape (N, O) for O classes, labels or values; for
            classes `predicted` (N names) and `confidence` (N,).

        Raises:
            UsageError: the model was only pretrained.
            RefusedError: it reads features beside the sequence; `embed` and `attend` answer.
            DataError: a sequence holds a letter that is none, or is too short.
            MissingInputError: the model's task is not in the workspace.

        Example:
            >>> model = gfmp.load(FINETUNED, workspace=WORKSPACE)
            >>> said = model.predict(["ACGTACGTTGCA", "ggccggccuagc"])
            >>> said.names, said.values.shape, said.confidence.shape, len(said.predicted)
            (('low', 'high'), (2, 2), (2,), 2)
            >>> bool((abs(said.calibrated.sum(axis=1) - 1) < 1e-6).all())
            True
        """
        texts = _texts(sequences)
        made = self._loaded.head()
        with self._compute.engaged(), bar("predicting", len(texts), shown=progress) as tick:
            calibration = calibration_of(self._loaded) if calibrated else None
            parts = [self._loaded.outputs(part, tick) for part in _batches(texts)]
        outputs = np.concatenate(parts or [np.zeros((0, made.target.num_outputs), np.float32)])
        return predictions(made, outputs, calibration)

    def embed(
        self,
        sequences: Sequences,
        *,
        layer: int = -1,
        pool: Pool = "mean",
        vocabulary: str = "",
        progress: bool = False,
    ) -> NDArray[np.float32]:
        """Return one vector for each of N sequences, float32, shape (N, D).

        Args:
            sequences: The sequences.
            layer: Depth: 0 is the embedding, 1 the first block, -1 the last.
            pool: Mean over all words, or `thirds`: over each third of them, shape (N, 3 D).
            vocabulary: In which of the model's vocabularies sequences are read; may be left out
                where there is one.
            progress: Show a bar.

        Raises:
            UsageError: there is no such layer or vocabulary, or the model reads several and none
                is named.
            DataError: a sequence holds a letter that is none, or is too short.

        Example:
            >>> model = gfmp.load(PRETRAINED, workspace=WORKSPACE)
            >>> model.embed(["ACGTACGTTGCA", "GGCC"], vocabulary="kmer3").shape
            (2, 16)
            >>> model.embed(["ACGTACGTTGCA"], vocabulary="pairs", layer=0, pool="thirds").shape
            (1, 48)
        """
        wanted = Wanted("sequence", depths_of(self._found, [layer]), pool)
        found = list(self._states(sequences, vocabulary, wanted, progress))
        width = wanted.width(self.width)
        return np.concatenate(found) if found else np.zeros((0, width), np.float32)

    def embed_along(
        self,
        sequences: Sequences,
        *,
        per: Literal["base", "token"] = "base",
        layer: int = -1,
        vocabulary: str = "",
        progress: bool = False,
    ) -> tuple[NDArray[np.float32], ...]:
        """Return for each sequence one vector a base, float32, shape (bases, D), or one a token.

        The vector of a base is the mean of the states of the words that cover it, which is known
        from the offsets of the tokens; it is zero where none does.

        Args:
            sequences: The sequences.
            per: Bases or tokens.
            layer: As in `embed`.
            vocabulary: As in `embed`.
            progress: Show a bar.

        Raises:
            UsageError, DataError: as `embed`.

        Example:
            >>> model = gfmp.load(PRETRAINED, workspace=WORKSPACE)
            >>> [one.shape for one in model.embed_along(["ACGTACG", "GGCC"], vocabulary="kmer3")]
            [(7, 16), (4, 16)]
            >>> model.embed_along(["ACGTACG"], per="token", vocabulary="kmer3")[0].shape
            (5, 16)
        """
        wanted = Wanted(per, depths_of(self._found, [layer]))
        found = self._states(sequences, vocabulary, wanted, progress)
        return tuple(one[:, 0] for one in found)

    def attend(
        self,
        sequences: Sequences,
        *,
        kind: AttentionMap = "rollout",
        vocabulary: str = "",
        progress: bool = False,
    ) -> tuple[NDArray[np.float64], ...]:
        """Return for each sequence how much of the model's reading each base gets, shape (bases,).

        Args:
            sequences: The sequences.
            kind: `rollout` follows attention from the pooled words through all blocks, `pooled` is
                that of the last block, `cls` that of [CLS] in it (see decision 0032).
            vocabulary: As in `embed`; a fine-tuned model reads all of its own where it is left
                out, and the maps are averaged.
            progress: Show a bar.

        Raises:
            UsageError, DataError: as `embed`.

        Example:
            >>> model = gfmp.load(FINETUNED, workspace=WORKSPACE)
            >>> (weights,) = model.attend(["ACGTACGTTGCA"])
            >>> weights.shape, bool(weights.min() >= 0)
            ((12,), True)
        """
        texts = _texts(sequences)
        together = self._loaded.made is not None and not vocabulary
        names = self.vocabularies if together else (chosen(self._found, vocabulary),)
        found: list[NDArray[np.float64]] = []
        with self._compute.engaged(), bar("attending", len(texts), shown=progress) as tick:
            for part in _batches(texts):
                rows = self._loaded.reader(*names).read(part)
                found += attention_maps(self._loaded.model, rows, kind, self._compute)
                tick(len(part))
        return tuple(found)

    def score_variants(
        self,
        variants: str | Path,
        reference: str | Path,
        *,
        window_bp: int = 512,
        skip_unusable: bool = False,
        progress: bool = False,
    ) -> pa.Table:
        """Return the effect of every alternate of a VCF, one row for each.

        A pretrained model gives, for each vocabulary, `llr_<vocabulary>` (log-likelihood of the
        alternate less that of the reference, nats, both strands) and distances of embeddings,
        `embedding_<vocabulary>_<distance>`; a fine-tuned one `profile_<distance>`, distances of
        what it predicts for both alleles. NaN where an alternate is passed over; `skipped` then
        says why. All is held in memory: for whole genomes submit jobs/variant_effect.yaml, whose
        numbers are the same.

        Args:
            variants: A VCF, sorted, plain or gzip.
            reference: The FASTA it stands on, plain or gzip.
            window_bp: Bases around a substitution.
            skip_unusable: Pass over symbolic alleles, another REF and the like instead of
                refusing the file.
            progress: Show a bar.

        Raises:
            MissingInputError: there is no such file.
            RefusedError: the model reads features beside the sequence.
            DataError: the VCF is damaged or does not fit the reference; names file and line.

        Example:
            >>> model = gfmp.load(PRETRAINED, workspace=WORKSPACE)
            >>> scores = model.score_variants(VCF, REFERENCE, window_bp=64)
            >>> scores.num_rows, "llr_kmer3" in scores.column_names
            (3, True)
            >>> scores["contig"].to_pylist(), scores["position"].to_pylist()  # 1-based, as in VCF
            (['chr1', 'chr1', 'chr2'], [100, 250, 40])
        """
        windows = VariantWindows(Path(variants), Path(reference), window_bp, skip_unusable)
        with self._compute.engaged():
            return score_table(self._loaded, windows, shown=progress)

    def _states(
        self, sequences: Sequences, vocabulary: str, wanted: Wanted, progress: bool
    ) -> Iterator[NDArray[np.float32]]:
        """Yield the states of each sequence; see `states.states`."""
        texts = _texts(sequences)
        reader = self._loaded.reader(chosen(self._found, vocabulary))
        with self._compute.engaged(), bar("embedding", len(texts), shown=progress) as tick:
            for part in _batches(texts):
                rows = reader.read(part)
                yield from states(self._loaded.encoder, rows, wanted, self._compute, tick)


def _texts(sequences: Sequences) -> tuple[bytes, ...]:
    """Return sequences as upper-case A, C, G, T, N."""
    if isinstance(sequences, str | bytes):
        raise UsageError(
            "sequences is one text",
            why="several sequences are asked at a time, in a list",
            fix="write [sequence]",
        )
    texts = [one.decode("latin-1") if isinstance(one, bytes) else one for one in sequences]
    return normalised(texts, "sequences", lambda row: f"sequences[{row}]")[0] if texts else ()


def _batches(texts: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Yield sequences in runs of about `_BATCH_BASES` bases."""
    first = 0
    batch = [total // _BATCH_BASES for total in accumulate(len(text) for text in texts)]
    for place in range(1, len(texts) + 1):
        if place == len(texts) or batch[place] != batch[first]:
            yield texts[first:place]
            first = place
