"""Makes a fault inside a gfmp process, without a line in the product.

Python imports this file at its start when its folder is on PYTHONPATH. `GFMP_FAULT` says which
faults (several are parted by `;`):

    nan rank=1 step=7            the loss of that rank is NaN
    spike rank=0 step=9 factor=1000000    its gradient is that many times too large
    ruin step=7                  every weight becomes 1e30 times as large before the step
    hang rank=1 step=7           it sleeps for ever before the step
    leak rank=1 step=7           it takes 200 MiB of memory every 0.2 s from that step on
    exit rank=1 step=7 status=9  it ends without a word
    raise rank=1 step=7          its code raises
    kill rank=1 step=7           SIGKILL
    slow-step seconds=0.5        every step takes that much longer
    kill-in-share rank=1 step=8  SIGKILL half-way through its share of that checkpoint
    raise-cell percent=50        each cell of a sweep with so many per cent of the labels raises
    kill-cell percent=50         SIGKILL while such a cell is computed
    slow-cell seconds=2          every cell takes that much longer

`once=FILE` makes a fault happen only while FILE is not there, and writes it.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any


class Fault:
    """One fault: its kind and its words."""

    def __init__(self, text: str) -> None:
        self.kind, *words = text.split()
        self.words = dict(word.split("=", 1) for word in words)

    def due(self, rank: int, step: int) -> bool:
        """Return True every time the fault shall happen."""
        if (rank, step) != (int(self.words.get("rank", rank)), int(self.words["step"])):
            return False
        return self.first()

    def due_in_cell(self, percent: float) -> bool:
        """Return True every time the fault shall happen in a cell of a sweep."""
        if not self.kind.endswith("-cell"):
            return False
        return percent == float(self.words.get("percent", percent)) and self.first()

    def first(self) -> bool:
        """Return True unless the fault happens once and has happened."""
        once = self.words.get("once")
        if once is None:
            return True
        try:
            os.close(os.open(once, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:
            return False
        return True


FAULTS = [Fault(text) for text in os.environ.get("GFMP_FAULT", "").split(";") if text.strip()]


class WrongEngine:
    """An engine whose numbers are wrong for one step."""

    def __init__(self, engine: object, loss_factor: float, gradient_factor: float) -> None:
        self._engine, self._loss, self._gradient = engine, loss_factor, gradient_factor

    def __getattr__(self, name: str) -> object:
        return getattr(self._engine, name)

    def backward(self, tokens: object, scale: float) -> object:
        """Hand on the micro-batch; return sums times the factor."""
        sums = self._engine.backward(tokens, scale * self._gradient)  # type: ignore[attr-defined]
        return sums if self._loss == 1.0 else sums * self._loss


def _stop_here(fault: Fault) -> None:
    if fault.kind == "hang":
        time.sleep(10**8)
    if fault.kind == "leak":
        held = []
        while True:
            held.append(b"x" * (200 << 20))
            time.sleep(0.2)
    if fault.kind == "exit":
        os._exit(int(fault.words.get("status", "1")))
    if fault.kind == "raise":
        raise RuntimeError("a fault of user code")
    if fault.kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)


def _ruin(engine: Any, updates: int) -> None:
    for name in engine.names:
        engine.write(name, "weight", engine.read(name, "weight") * 1e30)
    engine.settle(updates)


def _wrap_step(module: ModuleType) -> None:
    from dataclasses import replace

    original = module.Stepper.take

    def take(self: Any, batches: Sequence[Any], *rest: Any) -> Any:
        rank, step = self.group.rank, int(batches[0].step) + 1
        for fault in FAULTS:
            if fault.kind == "slow-step":
                time.sleep(float(fault.words["seconds"]))
                continue
            if fault.kind.endswith(("-share", "-cell")) or not fault.due(rank, step):
                continue
            _stop_here(fault)
            if fault.kind == "ruin":
                _ruin(self.engine, step - 1)
            loss = float("nan") if fault.kind == "nan" else 1.0
            gradient = float(fault.words.get("factor", 1e6)) if fault.kind == "spike" else 1.0
            self = replace(self, engine=WrongEngine(self.engine, loss, gradient))
        return original(self, batches, *rest)

    module.Stepper.take = take


def _wrap_checkpoint(module: ModuleType) -> None:
    original = module._write_share

    def write_share(staging: Path, held: Mapping[str, Any], step: int, *rest: Any) -> Any:
        import torch.distributed as dist

        for fault in FAULTS:
            if fault.kind == "kill-in-share" and fault.due(dist.get_rank(), int(step)):
                name = sorted(held)[-1]
                (staging / name).write_bytes(b"half of a share")
                os.kill(os.getpid(), signal.SIGKILL)
        return original(staging, held, step, *rest)

    module._write_share = write_share


def _wrap_cells(trial: Any) -> None:
    original = trial.run

    def run(self: Any, cell: Any, rows: Any) -> Any:
        for fault in FAULTS:
            if not fault.due_in_cell(cell.label_percent):
                continue
            if fault.kind == "slow-cell":
                time.sleep(float(fault.words["seconds"]))
            else:
                _stop_here(Fault(fault.kind.removesuffix("-cell")))
        return original(self, cell, rows)

    trial.run = run


WRAPPERS = {
    "gfmp.training.step": _wrap_step,
    "gfmp.training.checkpoint": _wrap_checkpoint,
    "gfmp.learners.kmer": lambda module: _wrap_cells(module.KmerTrial),
    "gfmp.learners.cnn": lambda module: _wrap_cells(module.CnnTrial),
}


class Finder(importlib.abc.MetaPathFinder):
    """Finds these modules as Python would, and wraps one call of each after its import."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the module's own spec with a loader that wraps."""
        if name not in WRAPPERS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        assert spec is not None and spec.loader is not None, name
        run = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            run(module)
            WRAPPERS[name](module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


if FAULTS:
    sys.meta_path.insert(0, Finder())


def _note_pickles(target: str) -> None:
    """Write down every class that any pickle asks for in this process (`GFMP_AUDIT=FILE`)."""
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "pickle.find_class":
            os.write(descriptor, f"{arguments[0]}.{arguments[1]}\n".encode())

    sys.addaudithook(hook)


if "GFMP_AUDIT" in os.environ:
    _note_pickles(os.environ["GFMP_AUDIT"])
