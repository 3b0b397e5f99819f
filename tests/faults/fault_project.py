"""A small project of its own, real commands run in it, and the faults that tests make there.

Every process a test starts carries `GFMP_FAULT_MARK` in its environment, and so do the processes
that Ray starts for it: they are found by that mark, never by name.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
from fault_watch import listeners_of, marked

GFMP = str(Path(sys.executable).with_name("gfmp"))
INJECT = Path(__file__).parent / "fault_inject"
MARK = "GFMP_FAULT_MARK"
# Seconds until a command counts as hanging: a busy machine is slow, and slow is no fault.
PATIENCE = float(os.environ.get("GFMP_FAULT_PATIENCE", "600"))
WORKERS = 2
STEPS = 24
CHECKPOINT_EVERY = 4

CORPUS = """\
kind: corpus
name: small
sources:
  - species: Synthetica prima
    assembly: S1
    format: fasta
    files: [{path: one.fa}]
  - species: Synthetica secunda
    assembly: S2
    format: fasta
    files: [{path: two.fa}]
    valid: [{contig: chr2}]
"""

# What a test changes it changes with --set or by rewriting the file of its own copy.
JOB = f"""\
kind: pretrain
name: small
seed: 7
corpus: small
vocabularies: [{{name: kmer3}}]
model: {{layers: 1, width: 16, heads: 1, intermediate: 32}}
steps: {STEPS}
sampling: {{global_batch_sequences: 8, max_tokens: 128}}
optimiser: {{learning_rate: 2e-3, warmup_steps: 4}}
evaluation: {{every_steps: 12, windows: 4, final_hidden_bases: 1000}}
checkpoint: {{every_steps: {CHECKPOINT_EVERY}, keep_last: 3, keep_best: 0}}
compute: {{workers: {WORKERS}, zero_stage: 1, threads_per_worker: 1}}
"""


@dataclass(frozen=True)
class Done:
    """How a command ended: its status, what it printed (both streams), how long it took."""

    status: int
    output: str
    seconds: float


@dataclass(frozen=True)
class Command:
    """A command that was started."""

    process: subprocess.Popen[str]
    log: Path
    began: float

    @property
    def pid(self) -> int:
        """Process id of the command itself."""
        return self.process.pid

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self.log.read_text(errors="replace")

    def alive(self) -> bool:
        """Return True while it runs."""
        return self.process.poll() is None

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def wait(self, seconds: float = PATIENCE) -> Done:
        """Wait for its end; past `seconds` it is killed and the test fails."""
        try:
            status = self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"still running after {seconds} s\n{self.output}") from None
        return Done(status, self.output, time.monotonic() - self.began)


@dataclass(frozen=True)
class Project:
    """A folder with specs/, jobs/ and a workspace; commands run in it.

    Attributes:
        folder: The folder.
        mark: In the environment of every process started here.
        environment: Added to the environment of every command.
    """

    folder: Path
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def job(self) -> Path:
        """The job `small`."""
        return self.folder / "jobs" / "small.yaml"

    @property
    def corpora(self) -> Path:
        """The folder of corpus specs and their FASTA files."""
        return self.folder / "specs" / "corpora"

    @property
    def workspace(self) -> Path:
        """What gfmp writes."""
        return self.folder / "workspace"

    @property
    def runs(self) -> Path:
        """The runs of the workspace."""
        return self.workspace / "runs"

    def start(self, *arguments: str, env: Mapping[str, str] | None = None) -> Command:
        """Start `gfmp ARGUMENTS` in the project; what it prints goes to a file of its own."""
        return self.start_program([GFMP, *arguments], env)

    def run(
        self, *arguments: str, env: Mapping[str, str] | None = None, seconds: float = PATIENCE
    ) -> Done:
        """Run `gfmp ARGUMENTS` to its end."""
        return self.start(*arguments, env=env).wait(seconds)

    def start_program(self, command: list[str], env: Mapping[str, str] | None = None) -> Command:
        """Start any program with the project's mark and workspace."""
        log = self.folder / f"output-{uuid.uuid4().hex[:8]}.txt"
        # As a person's shell has it: gfmp sets the mode itself, a bare script has Ray's default.
        inherited = {k: v for k, v in os.environ.items() if k != "RAY_AUTH_MODE"}
        environment = {
            **inherited,
            "OMP_NUM_THREADS": "1",
            "GFMP_WORKSPACE": str(self.workspace),
            MARK: self.mark,
            **self.environment,
            **(env or {}),
        }
        with log.open("w") as handle:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=handle,
                stderr=subprocess.STDOUT,
                text=True,
            )
        return Command(process, log, time.monotonic())

    def known_runs(self) -> list[Path]:
        """Return the folders of all runs, the newest last."""
        headers = self.runs.glob("[!.]*/run.json")
        return [p.parent for p in sorted(headers, key=lambda p: p.stat().st_mtime_ns)]

    def next_run(self, command: Command, known: int = 0) -> Path:
        """Return the folder of the run that `command` creates beside `known` others."""
        wait_until(lambda: len(self.known_runs()) > known, command, PATIENCE)
        return self.known_runs()[-1]

    def wait_for_step(self, run: Path, step: int, command: Command) -> None:
        """Return when the ledger of the run holds `step`."""
        wait_until(lambda: last_step(run) >= step, command, PATIENCE)

    def processes(self) -> list[psutil.Process]:
        """Return the living processes with the project's mark."""
        return marked(MARK, self.mark)

    def listeners(self) -> list[tuple[str, int, str]]:
        """Return (address, port, program) of every listening socket of those processes."""
        return listeners_of(self.processes())

    def leftovers(self) -> list[Path]:
        """Return temporaries in the workspace; none may be there after a command."""
        return sorted(p for p in self.workspace.rglob(".tmp-*"))

    def gone(self, seconds: float) -> list[psutil.Process]:
        """Wait until no process is left, at most `seconds`; return those that are."""
        deadline = time.monotonic() + seconds
        while (left := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.2)
        return left

    def end_all(self) -> None:
        """Kill what is left of the project's processes, by id."""
        for _ in range(3):
            for process in self.processes():
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            if not self.gone(2):
                return


def fault(kind: str, once: Path | None = None, **where: float) -> dict[str, str]:
    """Return the environment that makes a fault inside a worker; see fault_inject.

    Args:
        kind: `nan`, `spike`, `ruin`, `hang`, `leak`, `exit`, `raise`, `kill`, `kill-in-share`.
        once: Written when the fault happens; while it is there the fault does not happen again.
        where: `rank`, `step` and what the kind needs.
    """
    words = [kind, *(f"{name}={value}" for name, value in where.items())]
    if once is not None:
        words.append(f"once={once}")
    path = os.pathsep.join(filter(None, (str(INJECT), os.environ.get("PYTHONPATH"))))
    return {"GFMP_FAULT": " ".join(words), "PYTHONPATH": path}


def wait_until(
    condition: Callable[[], bool], command: Command | None = None, seconds: float = 60
) -> None:
    """Return when the condition holds; fail when the command ended or time is up before."""
    deadline = time.monotonic() + seconds
    while not condition():
        said = command.output if command is not None else ""
        assert command is None or command.alive(), f"it ended too early\n{said}"
        assert time.monotonic() < deadline, f"waited {seconds} s\n{said}"
        time.sleep(0.05)


def events(run: Path, *kinds: str) -> list[dict[str, object]]:
    """Read the fields of events of some kinds straight from the files of a ledger, by time."""
    found = []
    for path in sorted((run / "ledger").glob("*.jsonl")):
        lines = path.read_text().splitlines(keepends=True)
        found += [json.loads(line) for line in lines if line.endswith("\n")]
    found.sort(key=lambda event: event["time"])
    return [event["fields"] for event in found if event["kind"] in kinds]


def last_step(run: Path) -> int:
    """Return the highest step in the ledger."""
    return max((int(str(e["step"])) for e in events(run, "step")), default=0)


def hashes(run: Path) -> tuple[str, str]:
    """Return (order hash, weights hash) of the finished run."""
    outcome = events(run, "outcome")[-1]
    return str(outcome["order_hash"]), str(outcome["weights_hash"])


def committed(run: Path) -> list[int]:
    """Return the steps of the checkpoints on disk."""
    return sorted(int(p.name.removeprefix("step-")) for p in (run / "checkpoints").glob("step-*"))


def rank_pid(run: Path, rank: int) -> int:
    """Return the process id of a rank, as its worker wrote it down."""
    return int(json.loads((run / "workers" / f"rank{rank}.json").read_text())["pid"])


def kill_rank(run: Path, rank: int, number: int = signal.SIGKILL) -> int:
    """Send a signal to a rank; return its process id."""
    pid = rank_pid(run, rank)
    os.kill(pid, number)
    return pid


def tree_hash(folder: Path) -> str:
    """Return one hash of all names and contents below a folder; links count as what they say."""
    whole = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        whole.update(str(path.relative_to(folder)).encode())
        if path.is_symlink():
            whole.update(str(path.readlink()).encode())
        elif path.is_file():
            whole.update(hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()


@dataclass(frozen=True)
class Prepared:
    """The project after one clean run: never changed, only copied and compared with."""

    project: Project
    run: Path
    order_hash: str
    weights_hash: str

    def copy(self, folder: Path) -> Project:
        """Return a copy with the corpus and the vocabulary and without runs and MLflow store."""
        source = self.project.folder
        for part in ("specs", "jobs", "workspace/corpora", "workspace/vocabularies"):
            shutil.copytree(source / part, folder / part)
        return Project(folder)


def make_project(folder: Path) -> Project:
    """Write the project; its genomes hold repeats, so that there is something to learn."""
    for name in ("specs/corpora", "jobs", "workspace"):
        (folder / name).mkdir(parents=True)
    rng = np.random.default_rng(1)
    motifs = ["".join(rng.choice(list("ACGT"), 40)) for _ in range(30)]
    for name, contigs in (("one", 1), ("two", 2)):
        with (folder / "specs" / "corpora" / f"{name}.fa").open("w") as handle:
            for number in range(1, contigs + 1):
                handle.write(f">chr{number}\n{''.join(_pieces(rng, motifs))}\n")
    (folder / "specs" / "corpora" / "small.yaml").write_text(CORPUS)
    (folder / "jobs" / "small.yaml").write_text(JOB)
    return Project(folder)


def _pieces(rng: np.random.Generator, motifs: list[str]) -> Iterator[str]:
    # 30,000 bases a contig, and no two contigs alike.
    for _ in range(500):
        yield "".join(rng.choice(list("ACGT"), 20)) + motifs[rng.integers(30)]


def prepare(project: Project) -> Prepared:
    """Run the job once, undisturbed."""
    done = project.run("submit", str(project.job))
    assert done.status == 0, done.output
    run = project.known_runs()[-1]
    return Prepared(project, run, *hashes(run))
