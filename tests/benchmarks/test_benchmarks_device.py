"""What the GPU benchmark computes on a device, held against the product on the CPU."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.vocabulary.registry import FamilyRegistry, find_recipe
from gfmp.vocabulary.tokenizer import Tokenizer

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER))

from device_kmers import kmer_rows  # noqa: E402 - benchmarks are scripts beside each other


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    families = FamilyRegistry.from_packages(("tokenizer_registry",))
    recipe = find_recipe("kmer6", families, families.recipe_folders)
    vocabulary = families.get(recipe.family).build(recipe, ())
    return families.tokenizer(vocabulary)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.text("ACGTacgtN", min_size=6, max_size=40).map(str.encode), min_size=1, max_size=5)
)
def test_rows_built_on_a_device_are_the_tokenizer_s(
    tokenizer: Tokenizer, sequences: list[bytes]
) -> None:
    ours = kmer_rows(
        torch.frombuffer(bytearray(b"".join(sequences)), dtype=torch.uint8),
        torch.tensor([len(sequence) for sequence in sequences]),
        6,
        _rows(tokenizer),
    )
    assert ours.tolist() == tokenizer.encode(sequences).ids.tolist()


def _rows(tokenizer: Tokenizer) -> tuple[int, int]:
    first, unknown = tokenizer.encode([b"AAAAAA", b"AAANAA"]).ids.tolist()
    return first, unknown


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU to measure")
def test_without_a_gpu_the_benchmark_says_so_and_ends_well() -> None:
    done = subprocess.run(
        [sys.executable, FOLDER / "gpu.py"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "no GPU here: nothing is measured" in done.stdout
    assert "FIGURE" not in done.stdout
