"""Facts and specs that several tests of this room start from."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, cast

from gfmp.plan.facts import CorpusFacts, Known, Machine, VocabularyFacts
from gfmp.spec.model import Architecture
from gfmp.spec.pretrain import PretrainSpec
from gfmp.vocabulary.vocabulary import LengthLaw

GIB = 1 << 30
BASE = Architecture(layers=12, width=768, heads=12, intermediate=3072)
LARGE = Architecture(layers=24, width=1024, heads=16, intermediate=4096)
TINY = Architecture(layers=4, width=128, heads=4, intermediate=512)

BPE = VocabularyFacts(
    name="bpe4096",
    rows_low=4096,
    rows_high=4096,
    bp_per_token=5.2,
    window=LengthLaw(70, 2300, 0.5),
    overlapping=False,
    mask_span_tokens=1,
    built=True,
    how="",
)
KMER = VocabularyFacts(
    name="kmer6",
    rows_low=4101,
    rows_high=4101,
    bp_per_token=1.0,
    window=LengthLaw(70, 510, 0.5),
    overlapping=True,
    mask_span_tokens=14,
    built=True,
    how="",
    word_bp=6,
)
LAPTOP = Machine(cpu_cores=2, memory_bytes=24 * GIB, gpus=0, gpu_memory_bytes=0)
NODE = Machine(cpu_cores=128, memory_bytes=1024 * GIB, gpus=8, gpu_memory_bytes=139 * GIB)
CORPUS = CorpusFacts("demo", "c" * 64, train_bases=26_000_000, valid_bases=3_000_000, how="")


PAPER = Known(
    architecture=TINY,
    corpus=CORPUS,
    vocabularies=(BPE, KMER),
    ensemble_fingerprint="e" * 64,
    ensemble_rows=(7266, 7266),
    machine=LAPTOP,
)


def known(**changes: object) -> Known:
    """The paper's pair of vocabularies (union 7,266 tokens) on a laptop, with some changes."""
    return dataclasses.replace(PAPER, **cast(Any, changes))


def spec(**changes: object) -> PretrainSpec:
    """A small job over both vocabularies; `changes` replace top-level keys."""
    value: dict[str, object] = {
        "kind": "pretrain",
        "name": "demo",
        "corpus": "demo",
        "vocabularies": [{"name": "bpe4096"}, {"name": "kmer6"}],
        "model": "tiny",
        "steps": 240,
        "sampling": {"global_batch_sequences": 32},
        "optimiser": {"learning_rate": 2e-3, "warmup_steps": 24},
        "compute": {"workers": 2},
    }
    return PretrainSpec.model_validate_json(json.dumps({**value, **changes}))
