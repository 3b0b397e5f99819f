"""What a machine lacks to run a plan that is otherwise possible: asked before a run starts."""

from __future__ import annotations

from gfmp.errors import Problem
from gfmp.plan.facts import Machine
from gfmp.plan.memory import ENGINES, model_states
from gfmp.plan.parameters import count_parameters
from gfmp.plan.values import Plan


def shortfalls(plan: Plan, machine: Machine) -> tuple[Problem, ...]:
    """Return why `machine` cannot hold the model states of `plan`; empty when it can.

    A plan for a large machine may be made on a small one, so this is no rule of `resolve`. Only
    model states count, which are exact; activations are an estimate and never refuse a run.
    """
    what, where = plan.what, plan.where
    parameters = count_parameters(what.architecture, what.vocabulary_rows)
    rank_bytes = machine.rank_bytes(where.workers, where.use_gpu)
    needed = {
        engine: model_states(parameters, engine, where.workers, what.precision).total
        for engine in ENGINES
    }
    if not rank_bytes or needed[where.engine] <= rank_bytes:
        return ()
    fitting = [engine for engine in ENGINES if needed[engine] <= rank_bytes]
    place = "GPU" if where.use_gpu else "share of main memory"
    return (
        Problem(
            f"{where.engine} needs {needed[where.engine] / 1e9:.2f} GB a worker for"
            f" {parameters:,} parameters",
            where="compute.zero_stage",
            why=f"the {place} of a worker has {rank_bytes / 1e9:.2f} GB",
            fix=f"use {fitting[0]}" if fitting else "use a smaller model or a larger machine",
        ),
    )
