"""Cells and learners that several tests of this room start from."""

from __future__ import annotations

from hypothesis import strategies as st

from gfmp.plan.cells import Cell, Ingredient
from gfmp.spec.learner import AnyLearner, CnnBaseline, Finetuning, KmerBaseline, Probe

PROBE, KMER = Probe(kind="probe"), KmerBaseline(kind="kmer")
FULL, LORA = Finetuning(kind="finetune"), Finetuning(kind="finetune", method="lora")
CNN = CnnBaseline(kind="cnn")

names = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,12}", fullmatch=True)
hashes = st.text("0123456789abcdef", min_size=64, max_size=64)
ingredients = st.builds(Ingredient, names, hashes)
rates = st.floats(1e-9, 1e3)
penalties = st.lists(rates, min_size=1, max_size=4).map(tuple)
whole = st.integers(1, 10_000)
encoders = st.one_of(
    st.builds(
        Finetuning,
        kind=st.just("finetune"),
        method=st.sampled_from(["full", "lora"]),
        learning_rate=rates,
        epochs=whole,
        head_dropout=st.floats(0, 1),
        class_weights=st.sampled_from(["none", "balanced"]),
    ),
    st.builds(Probe, kind=st.just("probe"), penalties=penalties),
)
baselines = st.one_of(
    st.builds(KmerBaseline, kind=st.just("kmer"), max_features=whole, penalties=penalties),
    st.builds(CnnBaseline, kind=st.just("cnn"), learning_rate=rates, epochs=whole),
)
_rest = {
    "task": ingredients,
    "label_percent": st.floats(0.001, 100),
    "seed": st.integers(0, 2**63 - 1),
    "subset": hashes,
    "num_rows": whole,
}
cells = st.one_of(
    st.builds(Cell, vocabulary=ingredients, initial=ingredients, learner=encoders, **_rest),
    st.builds(
        Cell,
        vocabulary=st.just(Ingredient()),
        initial=st.just(Ingredient()),
        learner=baselines,
        **_rest,
    ),
)


def cell_of(learner: AnyLearner, percent: float = 10.0, seed: int = 0, task: str = "t") -> Cell:
    """Return a cell whose subset follows from its task, percent and seed."""
    alone = isinstance(learner, KmerBaseline | CnnBaseline)
    return Cell(
        task=Ingredient(task, f"task {task}"),
        vocabulary=Ingredient() if alone else Ingredient("kmer6", "2" * 64),
        initial=Ingredient() if alone else Ingredient("demo", "3" * 64),
        learner=learner,
        label_percent=percent,
        seed=seed,
        subset=f"{task} {percent:g} {seed}",
        num_rows=int(10 * percent),
    )
