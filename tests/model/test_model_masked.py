from __future__ import annotations

import pytest
import torch
from model_samples import CPU, NUM_ROWS, TINY, softmax_rows, tiny_model, tokens
from torch.nn import functional

from gfmp.model.encoder import count_parameters
from gfmp.model.initialise import deviation
from gfmp.model.loss import summed
from gfmp.model.masked import MaskedLanguageModel, build
from gfmp.model.tokens import Packing
from gfmp.plan.parameters import count_parameters as planned_parameters
from gfmp.spec.model import Architecture

BASE = Architecture(layers=12, width=768, heads=12, intermediate=3072)
LARGE = Architecture(layers=24, width=1024, heads=16, intermediate=4096)


@pytest.mark.parametrize(
    ("architecture", "rows", "expected"),
    [(BASE, 7266, 119_510_370), (LARGE, 7266, 411_375_714)],
)
def test_parameters_are_those_of_the_paper(
    architecture: Architecture, rows: int, expected: int
) -> None:
    with torch.device("meta"):
        model = MaskedLanguageModel(architecture, rows, (torch.arange(7, rows),), "fp32")
    assert count_parameters(model) == expected == planned_parameters(architecture, rows)


def test_the_plan_counts_what_is_built() -> None:
    assert planned_parameters(TINY, NUM_ROWS) == count_parameters(tiny_model())


def test_weights_depend_on_seed_and_name_only() -> None:
    first, again, other = (build(TINY, NUM_ROWS, softmax_rows(), "fp32", s) for s in (1, 1, 2))
    torch.manual_seed(99)
    for (name, a), b, c in zip(
        first.named_parameters(), again.parameters(), other.parameters(), strict=True
    ):
        assert torch.equal(a, b), name
        assert a.ndim == 1 or not torch.equal(a, c), name
    deeper = TINY.model_copy(update={"layers": 3})
    longer = dict(build(deeper, NUM_ROWS, softmax_rows(), "fp32", 1).named_parameters())
    assert all(torch.equal(value, longer[name]) for name, value in first.named_parameters())


def test_initial_scale_is_bert_s() -> None:
    big = Architecture(layers=1, width=256, heads=4, intermediate=512)
    model = build(big, 1000, (torch.arange(7, 1000),), "fp32", 0)
    for name, value in model.named_parameters():
        if value.ndim > 1:
            assert value.std().item() == pytest.approx(deviation(256), rel=0.05), name
            assert value.mean().item() == pytest.approx(0.0, abs=1e-3), name
        else:
            assert set(value.tolist()) == ({1.0} if name.endswith("norm.weight") else {0.0}), name


def test_packed_sequences_equal_each_alone() -> None:
    model, batch = tiny_model(), tokens((12, 40, 7))
    packed = model.encoder(batch.ids_T, batch.packing)
    for start, length in ((0, 12), (12, 40), (52, 7)):
        alone = model.encoder(batch.ids_T[start : start + length], Packing.of((length,), CPU))
        torch.testing.assert_close(packed[start : start + length], alone, rtol=1e-5, atol=1e-5)


def test_masked_head_equals_the_full_head_there() -> None:
    model, batch = tiny_model(), tokens((30, 21), (6, 5))
    hidden = model.encoder(batch.ids_T, batch.packing)
    head = model.head
    full = head.norm(functional.gelu(head.dense(hidden)))
    full = full @ model.encoder.embedding.weight.T + head.bias
    found = model(batch, lambda logits, _labels: logits)
    for logits, rows, places in zip(
        found, softmax_rows(), batch.positions_M.split([6, 5]), strict=True
    ):
        torch.testing.assert_close(logits, full[places][:, rows], rtol=1e-5, atol=1e-5)


def test_sums_equal_cross_entropy_and_hits() -> None:
    model, batch = tiny_model(), tokens((30, 21), (6, 5))
    logits = model(batch, lambda scores, _labels: scores)
    for sums, scores, labels in zip(
        model(batch), logits, batch.labels_M.split([6, 5]), strict=True
    ):
        expected = -scores.log_softmax(1)[torch.arange(len(labels)), labels].sum()
        torch.testing.assert_close(sums[0], expected)
        assert sums[1] == (scores.argmax(1) == labels).sum()
    perfect = torch.eye(5) * 50
    assert summed(perfect, torch.arange(5)).tolist() == pytest.approx([0.0, 5.0], abs=1e-6)


def test_a_vocabulary_without_targets_gives_zero_and_still_a_gradient() -> None:
    model = tiny_model()
    nats = torch.stack(model(tokens((30,), (4, 0))))
    assert nats[1].tolist() == [0.0, 0.0]
    model.zero_grad()
    torch.stack(model(tokens((30,), (0, 0))))[:, 0].sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert not parameter.grad.any(), name


def test_the_head_is_tied_to_the_embedding() -> None:
    model = tiny_model()
    torch.stack(model(tokens((30, 21))))[:, 0].sum().backward()
    gradient = model.encoder.embedding.weight.grad
    assert gradient is not None
    unseen = set(range(NUM_ROWS)) - set(tokens((30, 21)).ids_T.tolist())
    words = sorted(unseen & set(torch.cat(softmax_rows()).tolist()))
    assert words, "some word is in no input"
    assert gradient[words].abs().sum(1).min() > 0


@pytest.mark.parametrize("length", [513, 1024])
def test_longer_than_any_training_window_works(length: int) -> None:
    batch = tokens((length,))
    sums = torch.stack(tiny_model()(batch))
    assert torch.isfinite(sums).all()


def test_bf16_compute_is_near_and_gradients_are_fp32() -> None:
    exact, coarse = tiny_model("fp32"), tiny_model("bf16")
    batch = tokens((30, 21))
    wide, narrow = torch.stack(exact(batch)), torch.stack(coarse(batch))
    assert not torch.equal(wide, narrow)
    torch.testing.assert_close(wide[:, 0], narrow[:, 0], rtol=0.05, atol=0.5)
    narrow[:, 0].sum().backward()
    assert {p.grad.dtype for p in coarse.parameters() if p.grad is not None} == {torch.float32}


def test_a_trained_step_lowers_the_loss() -> None:
    model, batch = tiny_model(), tokens((30, 21))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, fused=True)
    losses = []
    for _ in range(8):
        loss = torch.stack(model(batch))[:, 0].sum()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2
