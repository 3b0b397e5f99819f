"""What a pretraining plan takes of a cluster: nodes, network, failures, storage and money.

Everything is computed from the plan and from what the cluster's spec says of itself; a number that
the spec leaves out gives no row instead of a guess.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from gfmp.errors import Problem, SpecError
from gfmp.plan.estimate import in_words
from gfmp.plan.facts import Machine
from gfmp.plan.interval import best_interval
from gfmp.plan.memory import checkpoint_bytes
from gfmp.plan.parameters import count_parameters
from gfmp.plan.schedule import kept
from gfmp.plan.values import Derived, Engine, Plan
from gfmp.spec.cluster import ClusterSpec, Failures, Prices, SharedStorage, WorkerNodes

_GB = 10**9
_HOUR_SECONDS = 3600.0
_DAY_SECONDS = 86_400.0
_MONTH_HOURS = 730.5
_FP32 = 4


@dataclass(frozen=True)
class Need:
    """What the numbers below are computed from.

    Attributes:
        nodes: Worker nodes that are busy at once.
        hours: Expected time of the steps.
        parameters: Of the model.
        checkpoint: Bytes of one checkpoint.
    """

    nodes: int
    hours: float
    parameters: int
    checkpoint: int


def machine_of(cluster: ClusterSpec) -> Machine | None:
    """Return all worker nodes of a cluster as one machine; None where its spec has none."""
    nodes = cluster.workers
    if nodes is None:
        return None
    return Machine(
        cpu_cores=nodes.max_nodes * nodes.cpus,
        memory_bytes=round(nodes.max_nodes * nodes.memory_gb * _GB),
        gpus=nodes.max_nodes * nodes.gpus,
        gpu_memory_bytes=round(nodes.gpu_memory_gb * _GB),
    )


def capacity(plan: Plan, cluster: ClusterSpec) -> tuple[Derived, ...]:
    """Return what `plan` takes of `cluster`, each number with its reason.

    Args:
        plan: Made for `machine_of(cluster)`.
        cluster: Where it would run; without `workers` there is nothing to tell.

    Raises:
        SpecError: the cluster has too few nodes for the workers.
    """
    if cluster.workers is None:
        return ()
    need = _need(plan, cluster.workers)
    if need.nodes > cluster.workers.max_nodes:
        raise SpecError.of([_too_few(plan, need, cluster.workers)])
    return tuple(_rows(plan, need, cluster, cluster.workers))


def workers_per_node(plan: Plan, nodes: WorkerNodes) -> int:
    """Return how many training workers fit on a node; 0 when not even one does."""
    if plan.where.use_gpu:
        return nodes.gpus
    return nodes.cpus // plan.where.threads_per_worker


def _need(plan: Plan, nodes: WorkerNodes) -> Need:
    parameters = count_parameters(plan.what.architecture, plan.what.vocabulary_rows)
    fitting = workers_per_node(plan, nodes)
    found = [row.value for row in plan.derived if row.name == "estimated_time"]
    assert found and isinstance(found[0], (int, float)), "every plan estimates its time"
    return Need(
        nodes=math.ceil(plan.where.workers / fitting) if fitting else nodes.max_nodes + 1,
        hours=found[0] / _HOUR_SECONDS,
        parameters=parameters,
        checkpoint=checkpoint_bytes(parameters),
    )


def _too_few(plan: Plan, need: Need, nodes: WorkerNodes) -> Problem:
    fitting = workers_per_node(plan, nodes)
    most = fitting * nodes.max_nodes
    device = "a GPU" if plan.where.use_gpu else f"{plan.where.threads_per_worker} threads"
    return Problem(
        f"{plan.where.workers:,} workers with {device} each do not fit the cluster",
        where="compute.workers",
        why=f"a node takes {fitting} of them, and there are at most {nodes.max_nodes:,} nodes",
        fix=f"use at most {most:,} workers, or raise max_nodes" if most else "use larger nodes",
    )


def _rows(plan: Plan, need: Need, cluster: ClusterSpec, nodes: WorkerNodes) -> Iterator[Derived]:
    yield Derived(
        "cluster_nodes",
        need.nodes,
        "nodes",
        f"of cluster {cluster.name}: {plan.where.workers:,} workers,"
        f" {workers_per_node(plan, nodes):,} to a node; there are {nodes.max_nodes:,} at most",
    )
    if plan.where.use_gpu:
        held = need.nodes * nodes.gpus
        hours = held * need.hours
        yield Derived(
            "gpu_hours",
            round(hours, 2),
            "GPU hours",
            f"{held:,} GPUs on these nodes for {in_words(need.hours * _HOUR_SECONDS)}",
        )
    yield from _network(plan, need, nodes)
    lost_hours = 0.0
    if cluster.failures is not None:
        rows, lost_hours = _failures(plan, need, cluster.failures, cluster.storage)
        yield from rows
    yield from _storage(plan, need, cluster)
    if cluster.prices is not None:
        yield from _money(need, cluster, cluster.prices, lost_hours)


def sent_bytes(parameters: int, engine: Engine, accumulation: int, parties: int) -> int:
    """Return what each of `parties` sends in one optimiser step, in fp32.

    A reduction and a gathering in a ring send (n - 1) / n of the model each (Patarasuk and Yuan
    2009). DDP and ZeRO 0 and 1 do both once; ZeRO 2 reduces after every micro-batch; ZeRO 3 also
    gathers the weights twice for each (Rajbhandari et al. 2020, arXiv 1910.02054, section 7).

    Args:
        parameters: Of the model.
        engine: What trains.
        accumulation: Micro-batches of a step.
        parties: Ranks; or nodes, for what crosses the link of a node when ranks of one node add
            up first.
    """
    rounds = {"zero2": accumulation + 1, "zero3": 3 * accumulation}.get(engine, 2)
    return rounds * _FP32 * parameters * (parties - 1) // parties


def _network(plan: Plan, need: Need, nodes: WorkerNodes) -> Iterator[Derived]:
    where = plan.where
    settings = need.parameters, where.engine, where.accumulation
    yield Derived(
        "network_per_rank",
        sent_bytes(*settings, where.workers),
        "bytes a step",
        f"{where.engine} sends the gradients and weights of {need.parameters:,} parameters in fp32"
        f" between {where.workers:,} ranks",
    )
    across = sent_bytes(*settings, need.nodes)
    words = f"between {need.nodes:,} nodes, whose ranks add up first"
    if nodes.link_gbit and across:
        seconds = across * 8 / (nodes.link_gbit * _GB)
        step = need.hours * _HOUR_SECONDS / plan.what.steps
        words += (
            f"; {seconds:.3g} s at {nodes.link_gbit:g} Gbit/s, beside {step:.3g} s of computing"
            " a step"
        )
    yield Derived("network_per_node", across, "bytes a step", words)


def _failures(
    plan: Plan, need: Need, failures: Failures, storage: SharedStorage | None
) -> tuple[list[Derived], float]:
    """Return what failures are to be expected, and the hours that they cost."""
    expected = failures.per_node_day * need.nodes * need.hours / 24.0
    step_seconds = need.hours * _HOUR_SECONDS / plan.what.steps
    every = plan.where.checkpoint.every_steps
    lost_hours = expected * (every * step_seconds / 2 + failures.restart_seconds) / _HOUR_SECONDS
    rows = [
        Derived(
            "expected_failures",
            round(expected, 3),
            "failures",
            f"{failures.per_node_day:g} a node and day x {need.nodes:,} nodes x"
            f" {need.hours / 24:.3g} days ({failures.source})",
        ),
        Derived(
            "expected_lost_time",
            round(lost_hours * _HOUR_SECONDS, 1),
            "seconds",
            f"half of {every:,} steps and {failures.restart_seconds:g} s to start again, for each",
        ),
    ]
    if failures.per_node_day and storage is not None and storage.write_gb_second:
        mean = _DAY_SECONDS / (failures.per_node_day * need.nodes)
        rows.append(_interval(plan, need, mean, storage.write_gb_second))
    return rows, lost_hours


def _interval(plan: Plan, need: Need, mean_seconds: float, gb_second: float) -> Derived:
    save = need.checkpoint / (gb_second * _GB)
    seconds = best_interval(save, mean_seconds)
    step = need.hours * _HOUR_SECONDS / plan.what.steps
    steps = min(max(1, round(seconds / step)), plan.what.steps)
    asked = plan.where.checkpoint.every_steps
    verdict = "as the job does" if steps <= 2 * asked <= 4 * steps else f"the job says {asked:,}"
    return Derived(
        "advised_checkpoint_interval",
        steps,
        "steps",
        f"{in_words(seconds)}, by {in_words(mean_seconds)} between failures and {save:.3g} s to"
        f" save (Daly 2006, equation 37); {verdict}",
    )


def _stored_bytes(plan: Plan, need: Need) -> int:
    kept_now = kept(plan.what.steps, plan.where.checkpoint) + 1
    return need.checkpoint * kept_now


def _storage(plan: Plan, need: Need, cluster: ClusterSpec) -> Iterator[Derived]:
    place = f" at {cluster.storage.path}" if cluster.storage else ""
    yield Derived(
        "cluster_storage",
        _stored_bytes(plan, need),
        "bytes",
        f"of checkpoints{place}, the one being written included; the corpus comes on top, at most"
        " a byte a base",
    )


def _money(
    need: Need, cluster: ClusterSpec, prices: Prices, lost_hours: float
) -> Iterator[Derived]:
    """Yield what the nodes cost; nothing while the price of a worker is not known."""
    workers, head, storage = cluster.workers, cluster.head, cluster.storage
    assert workers is not None, "the caller has looked"
    if not workers.price_hour:
        return
    hours = need.hours + lost_hours
    each = need.nodes * workers.price_hour + (head.price_hour if head else 0.0)
    parts = [f"{need.nodes:,} nodes at {workers.price_hour:g}"]
    parts += [f"a head at {head.price_hour:g}"] if head else []
    yield Derived(
        "cost",
        round(hours * each, 2),
        prices.currency,
        f"{hours:,.2f} hours, failures included, of {' and '.join(parts)} an hour"
        f" ({prices.source})",
    )
    if storage is not None and storage.price_gb_month:
        month = need.checkpoint / _GB * storage.price_gb_month
        yield Derived(
            "cost_of_a_checkpoint",
            round(month, 4),
            f"{prices.currency} a month",
            f"{need.checkpoint / _GB:.3g} GB at {storage.price_gb_month:g} a GB and month; it costs"
            f" {month * hours / _MONTH_HOURS:.2g} while the run lasts",
        )
