"""What a plan takes of a cluster follows from the plan and the cluster's own numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_examples import BASE, known, spec

from gfmp.errors import SpecError
from gfmp.plan.capacity import capacity, machine_of, sent_bytes
from gfmp.plan.interval import best_interval
from gfmp.plan.parameters import count_parameters
from gfmp.plan.resolve import resolve
from gfmp.plan.values import Derived, Engine, Plan
from gfmp.spec.cluster import ClusterSpec

WORKERS = {
    **{"cpus": 64, "memory_gb": 512.0, "gpus": 8, "gpu_memory_gb": 80.0},
    **{"max_nodes": 4, "link_gbit": 100.0, "price_hour": 40.0},
}
CLUSTER = {
    **{"kind": "cluster", "name": "c", "connection": {"kind": "local"}},
    "head": {"cpus": 8, "memory_gb": 32.0, "price_hour": 1.0},
    "workers": WORKERS,
    "storage": {"path": "/mnt/x", "write_gb_second": 0.5, "price_gb_month": 0.3},
    "prices": {"source": "the price list"},
    "failures": {"per_node_day": 0.5, "restart_seconds": 600.0, "source": "a log"},
}


def cluster(**changes: Any) -> ClusterSpec:  # noqa: ANN401 - parts of a document
    """Return the cluster with some parts replaced; None leaves one out."""
    fields = {key: value for key, value in {**CLUSTER, **changes}.items() if value is not None}
    return ClusterSpec.model_validate(fields)


def plan(there: ClusterSpec, workers: int = 16, **more: object) -> Plan:
    """Plan a job of the base model on a cluster."""
    machine = machine_of(there)
    assert machine is not None
    compute = {"workers": workers, **more}
    job = spec(compute=compute, steps=100_000, sampling={"global_batch_sequences": 1536})
    return resolve(job, known(architecture=BASE, machine=machine))


def rows(there: ClusterSpec, made: Plan) -> dict[str, Derived]:
    """Return the numbers by name."""
    return {row.name: row for row in capacity(made, there)}


def test_a_cluster_counts_as_one_machine_of_all_its_nodes() -> None:
    machine = machine_of(cluster())
    assert machine is not None
    assert (machine.cpu_cores, machine.gpus) == (256, 32)
    assert machine.memory_bytes == 4 * 512 * 10**9 and machine.gpu_memory_bytes == 80 * 10**9
    assert machine_of(cluster(workers=None, prices=None, head=None, storage=None)) is None


def test_nodes_gpu_hours_and_money() -> None:
    there = cluster(failures=None)
    made = plan(there)
    found = rows(there, made)
    hours = next(r.value for r in made.derived if r.name == "estimated_time")
    assert isinstance(hours, float)
    hours /= 3600.0
    assert found["cluster_nodes"].value == 2
    assert found["gpu_hours"].value == pytest.approx(16 * hours, abs=0.01)
    assert found["cost"].value == pytest.approx(hours * (2 * 40.0 + 1.0), abs=0.01)
    assert found["cost"].unit == "USD" and "the price list" in found["cost"].reason
    assert "expected_failures" not in found


def test_a_node_that_is_half_used_is_paid_whole() -> None:
    there = cluster(failures=None)
    made = plan(there, workers=9)
    found = rows(there, made)
    assert found["cluster_nodes"].value == 2
    seconds = next(r.value for r in made.derived if r.name == "estimated_gpu_time")
    assert float(found["gpu_hours"].value) * 3600 == pytest.approx(
        float(seconds) / 9 * 16, rel=1e-3
    )


def test_failures_cost_time_and_imply_an_interval() -> None:
    there = cluster()
    made = plan(there)
    found = rows(there, made)
    derived = {row.name: row.value for row in made.derived}
    hours = float(derived["estimated_time"]) / 3600.0
    expected = 0.5 * 2 * hours / 24.0
    assert found["expected_failures"].value == pytest.approx(expected, abs=1e-3)
    step = hours * 3600 / made.what.steps
    save = int(derived["checkpoint_size"]) / 0.5e9
    every = best_interval(save, 86_400 / (0.5 * 2)) / step
    advised = found["advised_checkpoint_interval"].value
    assert advised == min(max(1, round(every)), made.what.steps)
    lost = expected * (made.where.checkpoint.every_steps * step / 2 + 600.0)
    assert found["expected_lost_time"].value == pytest.approx(lost, abs=0.1)
    with_failures = float(found["cost"].value)
    assert with_failures > float(rows(cluster(failures=None), made)["cost"].value)


def test_what_is_not_known_gives_no_row() -> None:
    bare = {**WORKERS, "price_hour": 0.0, "link_gbit": 0.0}
    there = cluster(workers=bare, storage=None, prices=None, failures=None, head=None)
    found = rows(there, plan(there))
    assert set(found) == {
        *("cluster_nodes", "gpu_hours", "network_per_rank", "network_per_node", "cluster_storage"),
    }
    assert "Gbit" not in found["network_per_node"].reason
    assert capacity(plan(there), cluster(workers=None, prices=None, head=None, storage=None)) == ()


def test_workers_without_gpus_share_the_cores_of_a_node() -> None:
    there = cluster(workers={**WORKERS, "gpus": 0})
    found = rows(there, plan(there, workers=6, device="cpu", threads_per_worker=24))
    assert found["cluster_nodes"].value == 3 and "gpu_hours" not in found


def test_too_few_nodes_are_told_with_what_would_fit() -> None:
    there = cluster(workers={**WORKERS, "gpus": 0})
    with pytest.raises(SpecError, match="9 workers with 24 threads each do not fit") as caught:
        capacity(plan(there, workers=9, device="cpu", threads_per_worker=24), there)
    assert "at most 8 workers" in caught.value.problems[0].fix
    with pytest.raises(SpecError, match="do not fit") as caught:
        capacity(plan(there, workers=1, device="cpu", threads_per_worker=65), there)
    assert caught.value.problems[0].fix == "use larger nodes"


@pytest.mark.parametrize(
    ("engine", "accumulation", "rounds"),
    [("ddp", 4, 2), ("zero0", 4, 2), ("zero1", 4, 2), ("zero2", 4, 5), ("zero3", 4, 12)],
)
def test_what_a_rank_sends_follows_the_engine(
    engine: Engine, accumulation: int, rounds: int
) -> None:
    parameters = count_parameters(BASE, 7266)
    assert sent_bytes(parameters, engine, accumulation, 2) == rounds * 4 * parameters // 2


@given(st.integers(1, 10**9), st.integers(1, 4096), st.sampled_from(["ddp", "zero2", "zero3"]))
@settings(max_examples=40, deadline=None)
def test_one_party_sends_nothing_and_many_less_than_a_round_each(
    parameters: int, parties: int, engine: Engine
) -> None:
    assert sent_bytes(parameters, engine, 1, 1) == 0
    rounds = {"ddp": 2, "zero2": 2, "zero3": 3}[engine]
    assert sent_bytes(parameters, engine, 1, parties) < rounds * 4 * parameters
    assert sent_bytes(parameters, engine, 1, parties) <= sent_bytes(
        parameters, engine, 1, parties + 1
    )


def test_what_a_job_is_does_not_depend_on_the_cluster() -> None:
    small = cluster(workers={**WORKERS, "max_nodes": 2, "gpu_memory_gb": 40.0})
    assert plan(small).what == plan(cluster()).what
    assert replace(plan(small), derived=()).what.fingerprint == plan(cluster()).what.fingerprint
