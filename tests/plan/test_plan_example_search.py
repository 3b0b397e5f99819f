"""The search that comes with gfmp says what its comments say."""

from __future__ import annotations

from pathlib import Path

from gfmp.plan.grid import requests
from gfmp.plan.search import refused, sampled, search_key
from gfmp.spec.learner import Finetuning
from gfmp.spec.load import load_spec
from gfmp.spec.sweep import SweepSpec
from gfmp.tasks.presets import load_learner, resolved


def test_eight_settings_for_each_label_ratio(root: Path) -> None:
    spec, _ = load_spec(root / "specs" / "finetune_search.yaml", {"sweep": SweepSpec})
    presets = [
        load_learner(root / "specs" / "learners" / f"{arm.learner}.yaml") for arm in spec.arms
    ]
    asked = requests(spec, spec.tasks, lambda arm, task: resolved(presets[arm], task))
    assert len(asked) == 2 * 2 * 3
    assert len({search_key(request) for request in asked if request.search}) == 2
    search = spec.arms[0].search
    assert search is not None
    assert search.halving
    for name, values in search.space.items():
        assert not refused(presets[0].learner, name, values)
    drawn = sampled(search, presets[0].learner, "any")
    assert len(drawn) == 8
    assert all(isinstance(one, Finetuning) and one.epochs == 6 for one in drawn)
