"""Sums of nats: any grouping and any cut of the targets adds up to the same numbers."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from model_samples import CPU, NUM_ROWS, TINY, softmax_rows, tiny_model, tokens
from torch import Tensor

from gfmp.model.head import MaskedHead
from gfmp.model.initialise import initialise
from gfmp.model.loss import summed
from gfmp.model.tokens import Packing, TokenTensors


def drawn(targets: int, words: int, seed: int, scale: float = 3.0) -> tuple[Tensor, Tensor]:
    """Draw fp64 logits and labels."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(targets, words, generator=generator, dtype=torch.float64) * scale
    return logits, torch.randint(0, words, (targets,), generator=generator)


def head(width: int = 8, num_rows: int = 30) -> MaskedHead:
    made = MaskedHead(width, num_rows)
    initialise(made, 5, width)
    with torch.no_grad():
        made.bias.normal_(generator=torch.Generator().manual_seed(6))
    return made


@settings(max_examples=25, deadline=None)
@given(targets=st.integers(0, 9), words=st.integers(1, 12), seed=st.integers(0, 99))
def test_sums_are_those_of_a_loop_over_targets(targets: int, words: int, seed: int) -> None:
    logits, labels = drawn(targets, words, seed)
    nats, correct = summed(logits, labels).tolist()
    expected, hits = 0.0, 0
    for scores, label in zip(logits.tolist(), labels.tolist(), strict=True):
        expected += math.log(sum(map(math.exp, scores))) - scores[label]
        hits += scores.index(max(scores)) == label
    assert nats == pytest.approx(expected, abs=1e-9)
    assert correct == hits


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 5), min_size=1, max_size=6), seed=st.integers(0, 99))
def test_sums_of_any_cut_add_up(cuts: list[int], seed: int) -> None:
    logits, labels = drawn(sum(cuts), 7, seed)
    parts = [summed(a, b) for a, b in zip(logits.split(cuts), labels.split(cuts), strict=True)]
    torch.testing.assert_close(torch.stack(parts).sum(0), summed(logits, labels))


@pytest.mark.parametrize("size", [1e4, 1e30])
def test_scores_far_apart_stay_finite(size: float) -> None:
    logits = torch.tensor([[size, -size, 0.0], [-size, -size, -size]], requires_grad=True)
    sums = summed(logits, torch.tensor([0, 1]))
    assert sums.tolist() == pytest.approx([math.log(3), 1.0], rel=1e-5)
    sums[0].backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_only_the_nats_carry_a_gradient() -> None:
    logits, labels = drawn(4, 6, 0)
    logits.requires_grad_()
    sums = summed(logits, labels)
    (from_hits,) = torch.autograd.grad(sums[1], logits, retain_graph=True)
    assert not from_hits.any()
    (from_nats,) = torch.autograd.grad(sums[0], logits)
    expected = logits.detach().softmax(1)
    expected[torch.arange(4), labels] -= 1.0
    torch.testing.assert_close(from_nats, expected)


@settings(max_examples=15, deadline=None)
@given(counts=st.lists(st.integers(0, 4), min_size=1, max_size=5), data=st.data())
def test_each_target_is_scored_against_its_own_words(
    counts: list[int], data: st.DataObject
) -> None:
    made = head()
    widths = [data.draw(st.integers(1, 30)) for _ in counts]
    order = torch.randperm(30, generator=torch.Generator().manual_seed(sum(widths)))
    rows = [order[:width] for width in widths]
    generator = torch.Generator().manual_seed(len(counts))
    hidden = torch.randn(sum(counts), 8, generator=generator)
    table = torch.randn(30, 8, generator=generator)
    found = made(hidden, table, rows, counts)
    assert [tuple(part.shape) for part in found] == list(zip(counts, widths, strict=True))
    target = 0
    for part, words in zip(found, rows, strict=True):
        for scores in part:
            activated = made.norm(torch.nn.functional.gelu(made.dense(hidden[target])))
            for score, word in zip(scores, words, strict=True):
                expected = activated @ table[word] + made.bias[word]
                assert score.item() == pytest.approx(expected.item(), abs=1e-5)
            target += 1


def test_counts_that_do_not_fit_are_refused() -> None:
    made, hidden, table = head(), torch.randn(5, 8), torch.randn(30, 8)
    with pytest.raises(RuntimeError, match="split_with_sizes"):
        made(hidden, table, [torch.arange(9)], [4])
    with pytest.raises(ValueError, match="zip"):
        made(hidden, table, [torch.arange(9)], [2, 3])


def test_scores_are_fp32_whatever_the_compute_precision() -> None:
    for precision in ("fp32", "bf16"):
        model = tiny_model(precision)  # type: ignore[arg-type] # names of precisions
        for scores in model(tokens((20, 11)), lambda logits, _labels: logits):
            assert scores.dtype == torch.float32


def parts_of(batch: TokenTensors, lengths: tuple[int, ...]) -> list[TokenTensors]:
    """Cut a batch into one micro-batch per sequence."""
    parts, start = [], 0
    owner = torch.repeat_interleave(torch.arange(2), torch.tensor(batch.counts))
    for length in lengths:
        inside = (batch.positions_M >= start) & (batch.positions_M < start + length)
        counts = tuple(int((inside & (owner == v)).sum()) for v in range(2))
        parts.append(
            TokenTensors(
                ids_T=batch.ids_T[start : start + length],
                packing=Packing.of((length,), CPU),
                positions_M=batch.positions_M[inside] - start,
                labels_M=batch.labels_M[inside],
                counts=counts,
            )
        )
        start += length
    return parts


@settings(max_examples=6, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 30), min_size=2, max_size=5),
    shares=st.tuples(st.floats(0, 0.5), st.floats(0, 0.5)),
)
def test_gradients_do_not_depend_on_the_cut(
    lengths: list[int], shares: tuple[float, float]
) -> None:
    model = tiny_model().double()
    first, second = (int(share * sum(lengths)) for share in shares)
    batch = tokens(tuple(lengths), (first, second))

    def gradients(micros: list[TokenTensors]) -> tuple[Tensor, list[Tensor]]:
        model.zero_grad()
        sums = [torch.stack(model(micro)) for micro in micros]
        torch.stack(sums)[:, :, 0].sum().backward()
        grads = [p.grad.clone() for p in model.parameters() if p.grad is not None]
        return torch.stack(sums).sum(0).detach(), grads

    whole, expected = gradients([batch])
    cut, found = gradients(parts_of(batch, tuple(lengths)))
    torch.testing.assert_close(cut, whole, rtol=1e-4, atol=1e-4)
    assert len(found) == len(expected) == len(list(model.parameters()))
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def test_softmax_rows_are_no_part_of_the_weights() -> None:
    model = tiny_model()
    assert not [name for name in model.state_dict() if "rows" in name]
    assert {name for name, _ in model.named_buffers()} == {"rows_0", "rows_1"}
    assert all(
        torch.equal(model.get_buffer(f"rows_{i}"), rows) for i, rows in enumerate(softmax_rows())
    )
    assert model.state_dict()["encoder.embedding.weight"].shape == (NUM_ROWS, TINY.width)
