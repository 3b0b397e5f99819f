from __future__ import annotations

from dataclasses import replace

from plan_examples import GIB, LAPTOP, LARGE, NODE, known, spec

from gfmp.plan.preflight import shortfalls
from gfmp.plan.resolve import resolve


def test_a_plan_that_fits_lacks_nothing() -> None:
    plan = resolve(spec(), known())
    assert shortfalls(plan, LAPTOP) == ()


def test_memory_that_is_too_small_is_named_with_the_stage_that_fits() -> None:
    job = spec(compute={"workers": 8, "zero_stage": "ddp"})
    plan = resolve(job, known(architecture=LARGE, machine=NODE))
    small = replace(NODE, gpu_memory_bytes=5 * GIB)
    (problem,) = shortfalls(plan, small)
    assert "ddp needs 6.58 GB a worker for 411,375,714 parameters" in problem.message
    assert problem.fix == "use zero1"
    assert "the GPU of a worker has 5.37 GB" in problem.why


def test_memory_too_small_for_any_stage() -> None:
    plan = resolve(spec(), known(architecture=LARGE))
    (problem,) = shortfalls(plan, replace(LAPTOP, memory_bytes=GIB))
    assert problem.fix == "use a smaller model or a larger machine"
    assert "main memory" in problem.why


def test_gpus_of_unknown_memory_refuse_nothing() -> None:
    plan = resolve(spec(), known(architecture=LARGE, machine=NODE))
    assert shortfalls(plan, replace(NODE, gpu_memory_bytes=0)) == ()
