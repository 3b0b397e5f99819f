"""Distance between what a fine-tuned model predicts for the two alleles (Fig. S2)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.utils import parametrize

from gfmp.inference.distances import distances
from gfmp.inference.masked import packer
from gfmp.inference.scorer import Scores
from gfmp.inference.texts import Batch, split_tokens
from gfmp.learners.compute import Compute
from gfmp.learners.finetuned import Finetuned
from gfmp.learners.views import SplitViews
from gfmp.spec.variant_effect import ProfileScorer
from gfmp.spec.vocabularies import parts
from gfmp.vocabulary.registry import FamilyRegistry

# Probabilities of float32 reach 0 and 1; their log-odds end here.
_LEAST = 1e-7


class Profile:
    """Scores alleles by predicted profiles.

    Args:
        made: The fine-tuned model.
        settings: Space and distances.
        compute: Device and size of a chunk.
    """

    def __init__(self, made: Finetuned, settings: ProfileScorer, compute: Compute) -> None:
        self._made, self._settings, self._compute = made, settings, compute
        families, known = FamilyRegistry.discover(), made.initial.ensemble.vocabularies
        names = parts(made.vocabulary)
        read = [next(v for v in known if v.name == name) for name in names]
        self._readers = [(families.tokenizer(v), packer(made.initial, v)) for v in read]

    def score(self, batch: Batch) -> Scores:
        """Return distances of profiles averaged over strands, and the difference of profiles."""
        profiles = self._profiles(batch)
        one = profiles[batch.reference].mean(axis=1)
        other = profiles[batch.alternate].mean(axis=1)
        values = distances(self._settings.distances, one, other)
        return Scores(values, (other - one).astype(np.float32))

    def _profiles(self, batch: Batch) -> NDArray[np.float64]:
        """Return the profile of each text, shape (texts, O)."""
        parts_read = [(split_tokens(batch.encoded(t)), laid) for t, laid in self._readers]
        views, model = SplitViews(tuple(parts_read)), self._made.model
        found = np.zeros((len(views), self._made.target.num_outputs))
        every = np.arange(len(views))
        with torch.inference_mode(), parametrize.cached():
            for chunk in views.chunks(every, self._compute.micro_tokens):
                outputs = model(views.pack(chunk, self._compute.device))
                found[chunk] = self._made.objective.predictions(outputs)
        return _log_odds(found) if self._settings.space == "logits" else found


def _log_odds(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    inside = np.clip(probabilities, _LEAST, 1.0 - _LEAST)
    odds: NDArray[np.float64] = np.log(inside) - np.log1p(-inside)
    return odds
