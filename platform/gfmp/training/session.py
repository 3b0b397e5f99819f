"""What the loop's lines do: one rank's state of a run, and the events it writes."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import asdict, replace

import torch

from gfmp.errors import MissingInputError
from gfmp.feed.batch import TokenBatch
from gfmp.feed.dealing import Dealing
from gfmp.model.initialise import spell
from gfmp.model.masked import MaskedLanguageModel, build
from gfmp.plan.flops import training_flops
from gfmp.plan.values import Plan
from gfmp.training.baselines import Baselines
from gfmp.training.batches import SoftmaxRows
from gfmp.training.checkpoint import Identity, Store
from gfmp.training.commits import Commits
from gfmp.training.dump import Computed, Dumped, DumpPlace, write_dump
from gfmp.training.engine import Engine, build_engine
from gfmp.training.evaluate import Evaluator, mean_loss, summary
from gfmp.training.hardware import peak_flops, peak_memory_bytes
from gfmp.training.health import Incident, most_norm, remedy, remembered
from gfmp.training.job import Job, Outcome, Status
from gfmp.training.manifest import Cursor, LeftOut
from gfmp.training.mixture import Reweigher
from gfmp.training.processes import Group
from gfmp.training.report import VocabularyReport, checks
from gfmp.training.restore import forget_newer, restore, rewind, write_model
from gfmp.training.schedule import learning_rate
from gfmp.training.step import ORDER_START, Agreement, Stepper, StepResult, advance, agree
from gfmp.vocabulary.ensemble import Ensemble


class Session:
    """A run in progress on one rank; every method is called by all ranks together.

    Attributes:
        job: What was asked.
        group: The ranks.
        engine: Model, gradients and optimiser.
        cursor: Where the run stands.
    """

    def __init__(self, job: Job, group: Group) -> None:
        softmax = SoftmaxRows.of(job.ensemble, job.plan.what.feed.masking)
        self.job = job
        self.group = group
        self.engine: Engine = build_engine(job.plan, first_model(job.plan, job.ensemble), group)
        self.cursor = Cursor(0, ORDER_START)
        self._stepper = Stepper(self.engine, softmax, group)
        self._evaluator = Evaluator(self.engine, softmax, job.ensemble, job.heldout, group)
        self._store = Store(job.checkpoints, Identity(job.plan, job.ensemble), group)
        self._commits = Commits(self._store, job.plan.where.checkpoint)
        self._peak_flops = _total_peak(job, group)
        self._reweigher = _reweigher(job)
        self._committed_step = 0
        self._heldout_loss: float | None = None
        self._began = time.perf_counter()

    @classmethod
    def open(cls, job: Job) -> Session:
        """Join the ranks and build the model from its seed."""
        return cls(job, Group.join(job.plan.where.use_gpu))

    @property
    def finished(self) -> bool:
        """True when the last step of the plan was taken."""
        return self.cursor.step >= self.job.plan.what.steps

    def restore(self) -> None:
        """Load the newest whole checkpoint, if any was ever committed.

        Raises:
            MissingInputError: a grown run lacks even the one it begins with, or all that were
                committed are gone.
        """
        loaded, rejected = restore(self._store, self.engine, self.job.committed_step)
        for item in rejected:
            self._record("checkpoint_rejected", {"path": str(item.path), "reason": item.reason})
        if loaded is None:
            self._must_start_from_scratch()
            return
        self.cursor = loaded.cursor
        self._committed_step = loaded.cursor.step
        if self.cursor.step:
            fields = {"step": loaded.cursor.step, "checkpoint": str(loaded.path)}
            self._record("resumed", fields)
        else:
            # Grown, and nothing trained yet: what it can do now is what its parent could.
            windows = self.job.plan.what.evaluation.windows
            self._record_evaluation(self._evaluator.short(windows))

    def _must_start_from_scratch(self) -> None:
        init = self.job.plan.what.init
        if init is not None:
            raise MissingInputError(
                f"the grown run has no checkpoint to begin with (weights {init.weights[:12]})",
                where=str(self.job.checkpoints),
                why="it begins as its parent's weights, never as random ones",
                fix="submit its job again for a new run",
            )

    @property
    def weights(self) -> tuple[float, ...]:
        """Share of rows of each vocabulary in the step that comes next."""
        moved = self.cursor.mixture
        return moved[-1].weights if moved else self.job.plan.what.feed.weights

    def batches(self) -> Generator[tuple[TokenBatch, ...], None, None]:
        """Yield this rank's micro-batches of every step to come, dealt by the weights in force.

        A dealing is asked for when its first step is, so after the evaluation that decides it.
        """
        ended_early = False  # `expect` tells
        while not self.finished and not ended_early:
            ended_early = yield from self._dealt(self._dealing())

    def _dealt(self, dealing: Dealing) -> Generator[tuple[TokenBatch, ...], None, bool]:
        """Yield a dealing until it ends or the run goes back; True when its source ended early."""
        with contextlib.closing(self.job.source(dealing)) as source:
            for step, own in enumerate(source, dealing.first_step):
                yield own
                if self.cursor.step <= step:
                    return False
        return self.cursor.step < dealing.end_step

    def _dealing(self) -> Dealing:
        what, step = self.job.plan.what, self.cursor.step
        end = what.steps
        if self._reweigher is not None:
            every = what.evaluation.every_steps
            end = min(end, (step // every + 1) * every)
        return Dealing(step, end, self.weights)

    def expect(self, batches: Iterator[tuple[TokenBatch, ...]]) -> tuple[TokenBatch, ...]:
        """Return this rank's micro-batches of the present step; its clock starts here."""
        self._began = time.perf_counter()
        own = next(batches, ())
        assert own, f"the source ended before step {self.cursor.step}"
        seen = {batch.step for batch in own}
        assert seen == {self.cursor.step}, f"batches of steps {seen} at step {self.cursor.step}"
        return own

    def agree(self, own: tuple[TokenBatch, ...], should_stop: Callable[[], bool]) -> Agreement:
        """Tell all ranks what the global batch holds and whether rank 0 was asked to stop."""
        stop = self.group.rank == 0 and should_stop()
        num_vocabularies = len(self.job.ensemble.vocabularies)
        return agree(own, num_vocabularies, stop, self.group, self._commits.written)

    def step(self, own: tuple[TokenBatch, ...], agreed: Agreement) -> bool:
        """Take one optimiser step and record it; False when the run went back instead.

        Raises:
            TrainingError: its numbers are not sound, and the plan leaves no batch out (any more).
        """
        what, numbers = self.job.plan.what, self.job.plan.where.numbers
        self._heldout_loss = None
        if self.cursor.leaves_out:
            self.cursor = advance(self.cursor, agreed.digest)
            self._record("left_out", {"step": self.cursor.step})
            return True
        rate = learning_rate(what.optimiser, what.steps, self.cursor.step + 1)
        most = most_norm(numbers, self.cursor.norms)
        result = self._stepper.take(own, agreed, rate, most)
        if isinstance(result, Incident):
            return self._go_on(result, Computed(own, agreed, rate))
        norms = remembered(numbers, self.cursor.norms, result.gradient_norm)
        self.cursor = replace(advance(self.cursor, agreed.digest), norms=norms)
        if self.group.rank == 0:
            self._record("step", self._step_fields(agreed, result, rate))
        return True

    def _go_on(self, incident: Incident, computed: Computed) -> bool:
        """Dump what an incident was computed from, and leave out what the plan says."""
        self.settle()
        numbers = self.job.plan.where.numbers
        dumped = write_dump(self._dump_place, incident, computed)
        out = remedy(numbers, self.cursor, incident)
        fields = {"step": incident.step + 1, "cause": incident.cause, "dump": dumped.path}
        told = {"policy": numbers.on_nonfinite, "message": "; ".join(incident.messages)}
        self._record("incident", {**fields, **told})
        if out is None:
            raise incident.error(dumped.fix(self.job.checkpoints.parent.name))
        left_out = (*self.cursor.left_out, out)
        if numbers.on_nonfinite == "skip":
            self.cursor = replace(advance(self.cursor, computed.agreed.digest), left_out=left_out)
            self._record("left_out", {"step": self.cursor.step})
            return True
        self.cursor = replace(self._rewound(incident, out, dumped), left_out=left_out)
        self._committed_step = self.cursor.step
        return False

    @property
    def _dump_place(self) -> DumpPlace:
        return DumpPlace(self.job.dumps, self._store.identity, self.engine, self.group)

    def _rewound(self, incident: Incident, out: LeftOut, dumped: Dumped) -> Cursor:
        """Load the state the run goes back to, and return its cursor."""

        def _tell(step: int) -> None:
            self._record("rewound", {"step": step, "from_step": incident.step, **asdict(out)})

        loaded = rewind(self._store, self.engine, out.first, _tell)
        if loaded is not None:
            return loaded.cursor
        plan = self.job.plan
        if out.first >= plan.where.checkpoint.every_steps or plan.what.init is not None:
            raise incident.error(
                f"no checkpoint of step {out.first:,} or before is left to go back to: raise"
                f" checkpoint.keep_last, or {dumped.fix(self.job.checkpoints.parent.name)}"
            )
        self.group.on_root(lambda: forget_newer(self.job.checkpoints, 0, _tell))
        write_model(self.engine, first_model(plan, self.job.ensemble))
        return Cursor(0, ORDER_START)

    def evaluate_if_due(self) -> None:
        """Score a few held-out windows at the plan's interval; the last step gets a report."""
        evaluation = self.job.plan.what.evaluation
        if not self.finished and self.cursor.step % evaluation.every_steps == 0:
            scores = self._evaluator.short(evaluation.windows)
            self._record_evaluation({**scores, **self._reweigh(scores)})

    def _reweigh(self, scores: dict[str, float]) -> dict[str, float]:
        """Move the weights of an adaptive mixture; return what moved them."""
        reweigher = self._reweigher
        if reweigher is None:
            return {}
        # Rank 0 decides: the others' exponentials may differ in the last bit.
        made = self.group.on_root(lambda: reweigher.after(self.cursor.step, self.weights, scores))
        self.cursor = replace(self.cursor, mixture=(*self.cursor.mixture, made))
        names = [vocabulary.name for vocabulary in self.job.ensemble.vocabularies]
        return {
            f"heldout/{name}/excess_bits": excess
            for name, excess in zip(names, made.excess_bits, strict=True)
        }

    def commit_if_due(self) -> None:
        """Commit at the plan's interval and after the last step; writing goes on beside."""
        if self.finished or self.cursor.step % self.job.plan.where.checkpoint.every_steps == 0:
            self._begin_commit()

    def commit(self) -> None:
        """Commit the present state unless it is committed already, and wait for it."""
        self._begin_commit()
        self.settle()

    def _begin_commit(self) -> None:
        if self.cursor.step != self._committed_step:
            self.settle()  # one at a time: each holds a copy of the state
            self._commits.begin(self.engine, self.cursor, self._heldout_loss)
            self._committed_step = self.cursor.step

    def settle(self) -> None:
        """Wait for the commit in flight, if there is one, and record it; raises what it raised."""
        written = self._commits.settle()
        if written is not None:
            self._record("checkpoint", written)

    def abandon(self) -> None:
        """Let a commit in flight end, within bounds, before an error ends the run."""
        self._commits.abandon()

    def report(self) -> None:
        """Score the held-out windows in full, beside the baselines, and record the report."""
        job, what = self.job, self.job.plan.what
        baselines = self.group.on_root(lambda: Baselines.fit(what.feed, job.corpus, job.ensemble))
        reports: list[VocabularyReport] = []
        scores: dict[str, float] = {}
        for index, vocabulary in enumerate(job.ensemble.vocabularies):
            num_windows = job.heldout.windows_for(index, what.evaluation.final_hidden_bases)
            table = self._evaluator.table(index, num_windows, baselines)
            scores |= summary(vocabulary.name, table)
            reports.append(
                VocabularyReport.of(vocabulary.name, vocabulary.overlapping, table, what.feed.seed)
            )
        self._record_evaluation(scores)
        numbers = {key: value for report in reports for key, value in report.fields().items()}
        verdicts = [asdict(check) for check in checks(reports)]
        self._record("report", {"step": self.cursor.step, **numbers, "checks": verdicts})

    def outcome(self, status: Status) -> Outcome:
        """Return how the call ended."""
        return Outcome(status, self.cursor.step, self.cursor.order_hash, weights_hash(self.engine))

    def _record_evaluation(self, scores: dict[str, float]) -> None:
        self._heldout_loss = mean_loss(scores)
        self._record("evaluation", {"step": self.cursor.step, **scores})

    def _record(self, kind: str, fields: Mapping[str, object]) -> None:
        if self.group.rank == 0:
            self.job.record(kind, fields)

    def _step_fields(self, agreed: Agreement, result: StepResult, rate: float) -> dict[str, object]:
        seconds = time.perf_counter() - self._began
        names = [vocabulary.name for vocabulary in self.job.ensemble.vocabularies]
        each = {
            f"loss/{name}": nats / count
            for name, nats, count in zip(names, result.nats, agreed.targets, strict=True)
            if count
        }
        return {
            "step": self.cursor.step,
            "loss": sum(result.nats) / max(agreed.num_targets, 1),
            **each,
            **{f"mixture/{name}": w for name, w in zip(names, self.weights, strict=True)},
            "learning_rate": rate,
            "gradient_norm": result.gradient_norm,
            "tokens": agreed.tokens,
            "targets": agreed.num_targets,
            "seconds": seconds,
            "tokens_per_second": agreed.tokens / seconds,
            "mfu": self.flops(agreed) / seconds / self._peak_flops,
            "peak_memory_bytes": peak_memory_bytes(self.group.device),
            "order_hash": self.cursor.order_hash,
        }

    def flops(self, agreed: Agreement) -> int:
        """Return the operations of a step over all ranks, forward and backward."""
        architecture = self.job.plan.what.architecture
        flops = training_flops(architecture, agreed.tokens, agreed.squared_lengths, 0, 0)
        for rows, count in zip(self._stepper.softmax.rows, agreed.targets, strict=True):
            flops += training_flops(architecture, 0, 0, count, len(rows))
        return flops


def first_model(plan: Plan, ensemble: Ensemble) -> MaskedLanguageModel:
    """Return the model a run from scratch begins with, drawn from its seed, on the CPU."""
    what = plan.what
    rows = SoftmaxRows.of(ensemble, what.feed.masking).tensors()
    model = build(what.architecture, ensemble.size, rows, what.precision, what.feed.seed)
    spell(model.encoder.embedding.weight, ensemble.tokens, what.feed.seed)
    return model


def _reweigher(job: Job) -> Reweigher | None:
    what = job.plan.what
    if what.feed.adaptation is None:
        return None
    return Reweigher(job.heldout, job.ensemble, what.evaluation.windows, what.feed.adaptation)


def weights_hash(engine: Engine) -> str:
    """Return the sha256 over the names and fp32 bytes of all weights, in engine order."""
    digest = hashlib.sha256()
    for name in engine.names:
        digest.update(name.encode("ascii"))
        digest.update(engine.read(name, "weight").numpy().tobytes())
    return digest.hexdigest()


def _total_peak(job: Job, group: Group) -> float:
    own = peak_flops(group.device, job.plan.what.precision)
    total = group.sum(torch.tensor([own], dtype=torch.float64, device=group.device))
    return float(total)
