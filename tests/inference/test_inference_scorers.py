"""Scorers against the same numbers computed by hand: one text at a time, without sharing."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from inference_samples import CPU, EMBEDDINGS, LIKELIHOODS, PROFILE, World
from numpy.typing import NDArray

from gfmp.genome.alleles import Window
from gfmp.inference.distances import distances
from gfmp.inference.effects import Named, open_variants, scorers_of
from gfmp.inference.masked import Masked
from gfmp.inference.names import finetuned_folder
from gfmp.inference.texts import Batch, Text, changed
from gfmp.learners.finetuned import load
from gfmp.model.tokens import Packing
from gfmp.plan.variant_effect import EffectPlan
from gfmp.spec.variant_effect import DISTANCES
from gfmp.tasks.strands import other_strand
from gfmp.training.pretrained import find_pretrained
from gfmp.vocabulary.tokenizer import is_word
from gfmp.vocabulary.vocabulary import CLS, MASK, SEP

VCF = (
    ("chr1", 3, ""),
    ("chr1", 400, ""),
    ("chr1", 401, ""),
    ("chr1", 500, "ACGTAC"),
    ("chr2", 299, ""),
)


@pytest.fixture
def plan(world: World) -> EffectPlan:
    rows = "".join(world.row(*fields) for fields in VCF)
    base = world.contigs["chr1"][599:604]
    rows = rows.replace("chr2", f"chr1\t600\t.\t{base}\t{base[0]}\t.\t.\t.\nchr2", 1)
    return world.plan(rows, scorers=[*LIKELIHOODS, *EMBEDDINGS, PROFILE])


def windows(plan: EffectPlan, world: World) -> list[Window]:
    file = open_variants(plan, world.workspace)
    found = [e.window for i, r in file.records() for e in file.entries(i, r)]
    assert all(w is not None for w in found) and len(found) == len(VCF) + 1
    return [w for w in found if w is not None]


def scored(plan: EffectPlan, world: World, batch: Batch) -> dict[str, NDArray[np.float64]]:
    with CPU.engaged():
        named: tuple[Named, ...] = scorers_of(plan, world.workspace, CPU)
        return {one.plan.name: one.scorer.score(batch).values for one in named}


def model(world: World) -> Masked:
    return Masked.load(find_pretrained("tiny", world.workspace), CPU)


def hidden(masked: Masked, index: int, ids: NDArray[np.int32]) -> torch.Tensor:
    """Return the states of the words of one row, laid out by hand."""
    ensemble = masked.initial.ensemble
    row = [CLS, ensemble.prompt(index), *ensemble.rows(index)[ids].tolist(), SEP]
    packing = Packing.of((len(row),), CPU.device)
    with torch.inference_mode():
        states: torch.Tensor = masked.model.encoder(torch.tensor(row), packing)
    return states[2:-1]


def log_probability(masked: Masked, index: int, ids: NDArray[np.int32], part: slice) -> float:
    """Mask a part of a row and sum the log-probabilities of its words."""
    places = [i for i in range(*part.indices(len(ids))) if is_word(ids[i : i + 1])[0]]
    covered = ids.copy()
    covered[places] = MASK
    states = hidden(masked, index, covered)[places]
    words = torch.from_numpy(masked.initial.ensemble.word_rows(index).astype(np.int64))
    embedding = masked.model.encoder.embedding.weight
    with torch.inference_mode():
        (logits,) = masked.model.head(states, embedding, [words], [len(places)])
    logs = logits.log_softmax(dim=1).double()
    return float(sum(logs[n, ids[p] - 5] for n, p in enumerate(places)))


@pytest.mark.parametrize(("name", "index", "divisor"), [("kmer3", 0, 3.0), ("pairs", 1, 1.0)])
def test_the_ratio_is_that_of_each_allele_in_its_own_text(
    name: str, index: int, divisor: float, plan: EffectPlan, world: World
) -> None:
    masked, found = model(world), windows(plan, world)
    values = scored(plan, world, Batch.of(found, both_strands=True))[f"llr_{name}"]
    tokenizer = masked.reader(name).tokenizer
    for window, (value,) in zip(found, values, strict=True):
        ratios = []
        for turn in (lambda x: x, other_strand):
            pair = [turn(window.reference), turn(window.alternate)]
            one, other = (tokenizer.encode([text]).ids for text in pair)
            parts = changed(one, other)
            logs = [
                log_probability(masked, index, *a) for a in ((one, parts[0]), (other, parts[1]))
            ]
            ratios.append((logs[1] - logs[0]) / divisor)
        assert value == pytest.approx(np.mean(ratios), abs=2e-4)
    assert np.abs(values).max() > 0.05, "the model prefers some words"


def test_where_boundaries_stay_both_alleles_are_read_off_one_masked_row(
    plan: EffectPlan, world: World
) -> None:
    # A substitution changes three 3-mers; the row without them is the same for both alleles.
    masked, found = model(world), windows(plan, world)[1:3]
    tokenizer = masked.reader("kmer3").tokenizer
    for window in found:
        one, other = (tokenizer.encode([t]).ids for t in (window.reference, window.alternate))
        parts = changed(one, other)
        assert parts[0] == parts[1] and parts[0].stop - parts[0].start == 3
        rows = [x.copy() for x in (one, other)]
        for row in rows:
            row[parts[0]] = MASK
        np.testing.assert_array_equal(*rows)


@pytest.mark.parametrize(("number", "index"), [(0, 0), (1, 1)])
def test_embeddings_are_means_of_the_words_that_count(
    number: int, index: int, plan: EffectPlan, world: World
) -> None:
    settings = EMBEDDINGS[number]
    masked, found = model(world), windows(plan, world)
    name = str(settings["vocabulary"])
    values = scored(plan, world, Batch.of(found, both_strands=True))[f"embedding_{name}"]
    tokenizer = masked.reader(name).tokenizer

    def state(text: Text) -> NDArray[np.float64]:
        encoded = tokenizer.encode([text.sequence])
        states = hidden(masked, index, encoded.ids).double().numpy()
        if settings.get("pool") == "window":
            return states.mean(axis=0)
        near = (encoded.starts < text.end + 4) & (encoded.ends > text.start - 4)
        assert near.any()
        return states[near].mean(axis=0)

    for window, row in zip(found, values, strict=True):
        start, allele = len(window.before), window.allele
        one = Text(window.reference, start, start + len(allele.ref))
        other = Text(window.alternate, start, start + len(allele.alt))
        both = [(one, other), (one.other_strand, other.other_strand)]
        expected = np.mean([distances(DISTANCES, state(a), state(b)) for a, b in both], axis=0)
        np.testing.assert_allclose(row, expected, atol=2e-4)


def test_profiles_are_averaged_over_strands_before_they_are_compared(
    plan: EffectPlan, world: World
) -> None:
    found = windows(plan, world)
    batch = Batch.of(found, both_strands=True)
    with CPU.engaged():
        named = scorers_of(plan, world.workspace, CPU)
        scores = named[-1].scorer.score(batch)
        alone = [named[-1].scorer.score(Batch.of([w], both_strands=True)).values[0] for w in found]
        forward = named[-1].scorer.score(Batch.of(found, both_strands=False))
    np.testing.assert_allclose(scores.values, alone, atol=1e-5)
    assert scores.features.shape == (len(found), 5)
    np.testing.assert_allclose(
        scores.values[:, 0], np.linalg.norm(scores.features, axis=1), rtol=1e-5
    )
    assert np.abs(scores.values[:, 0] - forward.values[:, 0]).max() > 1e-4
    _, folder = finetuned_folder("marks", world.workspace)
    assert load(folder, CPU).target.num_outputs == 5


def test_log_odds_are_another_space(world: World) -> None:
    row = world.row("chr1", 400)
    odds = world.plan(row, scorers=[{**PROFILE, "space": "logits"}])
    plain = world.plan(row, scorers=[PROFILE])
    found = windows_of(odds, world)
    batch = Batch.of(found, both_strands=False)
    assert not np.allclose(
        scored(odds, world, batch)["profile"], scored(plain, world, batch)["profile"]
    )


def windows_of(plan: EffectPlan, world: World) -> list[Window]:
    file = open_variants(plan, world.workspace)
    return [e.window for i, r in file.records() for e in file.entries(i, r) if e.window]


def test_letters_that_nobody_knows_are_not_asked_about(world: World) -> None:
    (world.folder / "ref.fa").write_text(">n\n" + "ACGTTGCA" * 4 + "NAN" + "ACGTTGCA" * 4 + "\n")
    plan = world.plan("n\t34\t.\tA\tC\t.\t.\t.\n", scorers=list(LIKELIHOODS))
    values = scored(plan, world, Batch.of(windows_of(plan, world), both_strands=True))
    # Every 3-mer over the change holds an N; byte pairs give the base a word of its own.
    assert math.isnan(values["llr_kmer3"][0, 0])
    assert math.isfinite(values["llr_pairs"][0, 0])
