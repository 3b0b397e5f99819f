"""The trials of a sweep on Ray Tune: in-process, on few workers that live as long as it does."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gfmp.cluster.halving import Bracket, Stopped, nothing_stopped, scheduler
from gfmp.cluster.noise import capture_forever
from gfmp.cluster.trial import Materials, TrialJob, run_trial
from gfmp.errors import TrainingError
from gfmp.plan.survey import this_machine
from gfmp.spec.sweep import SweepCompute

# A worker that dies (memory, a crash in native code, a machine that is taken away) takes its
# trial with it; the trial goes on with its unfinished cells in a new worker. So many deaths without
# the end of a cell in between are survived; on machines that come and go no fixed number would do.
MOST_DEATHS = 10
_PROGRESS = frozenset({"cell", "cell_failed"})
Result = Mapping[str, Any]
Record = Callable[[str, Mapping[str, object]], object]


@dataclass(frozen=True)
class TrialPool:
    """Where trials run.

    Attributes:
        workers: Trials at once.
        threads: CPU threads of each.
        gpu_fraction: Share of a GPU for each; 0 without one.
        folder: Folder for what Tune writes.
        segment: Which start of the sweep this is.
        brackets: The searches whose settings ASHA may stop.
        stopped: Told of each that it stops.
    """

    workers: int
    threads: int
    gpu_fraction: float
    folder: Path
    segment: int
    brackets: tuple[Bracket, ...] = ()
    stopped: Stopped = nothing_stopped


def pool_size(compute: SweepCompute) -> int:
    """Return how many trials run at once: one per share of a GPU, else one per CPU core."""
    if compute.workers:
        return compute.workers
    machine = this_machine()
    if machine.gpus and compute.gpu_fraction:
        return max(1, int(machine.gpus / compute.gpu_fraction))
    return max(1, len(os.sched_getaffinity(0)) // compute.threads_per_worker)


def run_trials(
    jobs: tuple[TrialJob, ...],
    materials: Materials,
    pool: TrialPool,
    record: Record,
    wait: Callable[[threading.Event], None],
) -> None:
    """Run every trial to its end while `wait` keeps the main thread.

    Args:
        jobs: One per trial, in the order they should start.
        materials: What they share.
        pool: Where they run.
        record: Told what happens in them, from one thread.
        wait: Called with an event that is set when all have ended; it must return then.

    Raises:
        TrainingError: Ray Tune itself failed; finished cells are kept.
    """
    done = threading.Event()
    faults: list[BaseException] = []

    def _run() -> None:
        try:
            _tuner(jobs, materials, pool, record).fit()
        except BaseException as fault:  # handed to the main thread, which raises it
            faults.append(fault)
        finally:
            done.set()

    # In the main thread Tune installs a SIGINT handler of its own.
    thread = threading.Thread(target=_run, name="ray-tune", daemon=True)
    thread.start()
    wait(done)
    thread.join()
    if faults:
        raise TrainingError(
            f"the trials could not be run: {type(faults[0]).__name__}: {faults[0]}",
            where=str(pool.folder),
            why="Ray Tune stopped; what is finished is kept",
            fix="read the logs of the run, then go on with --resume",
        ) from faults[0]


def _tuner(  # type: ignore[no-untyped-def]  # noqa: ANN202 - Ray is untyped
    jobs: tuple[TrialJob, ...], materials: Materials, pool: TrialPool, record: Record
):
    from ray import tune

    resources = {"CPU": pool.threads, "GPU": pool.gpu_fraction}
    trainable = tune.with_resources(
        tune.with_parameters(_trainable, jobs=jobs, materials=materials), resources
    )
    return tune.Tuner(
        trainable,
        param_space={"trial": tune.grid_search(list(range(len(jobs))))},
        tune_config=tune.TuneConfig(
            max_concurrent_trials=pool.workers,
            reuse_actors=True,
            scheduler=scheduler(pool.brackets, pool.stopped),
        ),
        run_config=tune.RunConfig(
            name=f"segment-{pool.segment:03d}",
            storage_path=str(pool.folder),
            failure_config=tune.FailureConfig(max_failures=MOST_DEATHS),
            callbacks=[_listener(record)],
            verbose=0,
        ),
    )


def _trainable(config: Mapping[str, int], jobs: tuple[TrialJob, ...], materials: Materials) -> None:
    from ray import tune

    job = jobs[config["trial"]]
    kind = "search" if job.search else "trial"
    capture_forever(job.run_folder / "logs" / f"{kind}-{config['trial']:03d}.log")
    run_trial(
        job, materials, lambda kind, fields: tune.report({"kind": kind, "fields": dict(fields)})
    )


def _listener(record: Record) -> Any:  # noqa: ANN401 - Ray is untyped
    from ray.tune import Callback

    class _Listener(Callback):
        """Hands what trials report to the ledger."""

        def on_trial_result(
            self,
            iteration: int,
            trials: object,
            trial: Any,  # noqa: ANN401 - Ray is untyped
            result: Result,
            **info: object,
        ) -> None:
            """Hand on what a trial reported; one that comes forward may fail as often again."""
            if "kind" in result:
                record(result["kind"], result["fields"])
            if result.get("kind") in _PROGRESS:
                trial.max_failures = trial.num_failures + MOST_DEATHS

        def on_trial_error(
            self,
            iteration: int,
            trials: object,
            trial: Any,  # noqa: ANN401 - Ray is untyped
            **info: object,
        ) -> None:
            """Hand on that a trial failed as a whole."""
            record("trial_failed", {"trial": str(trial.config.get("trial"))})

    return _Listener()
