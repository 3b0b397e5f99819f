"""Files of strangers run nothing, nobody else can reach the processes, no secret is kept."""

from __future__ import annotations

import json
import os
import socket
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_foreign import raw_pickle, torch_pickle
from fault_project import (
    GFMP,
    INJECT,
    STEPS,
    Prepared,
    Project,
    committed,
    events,
    hashes,
    kill_rank,
    tree_hash,
)
from fault_seen import Seen

from gfmp.cluster.session import check_address
from gfmp.errors import ServiceError

SECRET = "hunter2-c0ffee"
TASK = """\
kind: task
description: Two kinds of rows.
source: {format: csv, files: {all: {path: rows.csv}}}
target: {kind: binary}
metric: mcc
split: {by: random}
"""
SWEEP = """\
kind: sweep
name: strangers
tasks: [two]
label_percents: [100]
seeds: [0]
scratch_model: {layers: 1, width: 16, heads: 1, intermediate: 32}
arms:
  - learner: {kind: probe}
    vocabularies: [kmer3]
    initial: [FOLDER]
"""
CONFIG = {
    "num_hidden_layers": 1,
    "hidden_size": 16,
    "num_attention_heads": 1,
    "intermediate_size": 32,
    "use_alibi": True,
}


def _audited(project: Project) -> tuple[dict[str, str], Path]:
    """Return the environment that notes every class a pickle asks for, and the file of notes."""
    notes = project.folder / "pickled.txt"
    path = os.pathsep.join(filter(None, (str(INJECT), os.environ.get("PYTHONPATH"))))
    return {"GFMP_AUDIT": str(notes), "PYTHONPATH": path}, notes


def _noted(notes: Path) -> set[str]:
    return set(notes.read_text().split()) if notes.exists() else set()


def _stranger(project: Project, files: dict[str, bytes]) -> Path:
    """Write a task, a sweep and a folder of another program with these weights."""
    folder = project.folder / "specs" / "stranger"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    tasks = project.folder / "specs" / "tasks"
    tasks.mkdir()
    rows = [
        f"{'ACGT'[i % 4] * 9}{'ACGT'[i // 4 % 4] * 9}{i:b}".replace("0", "A").replace("1", "C")
        + f",{i % 2}"
        for i in range(80)
    ]
    (tasks / "rows.csv").write_text("\n".join(["sequence,label", *rows]) + "\n")
    (tasks / "two.yaml").write_text(TASK)
    sweep = SWEEP.replace("FOLDER", "stranger/")
    sweep += "allow_leaks: [two]\n"
    (project.folder / "specs" / "strangers.yaml").write_text(sweep)
    return folder


LAYOUTS = {
    "bin": "pytorch_model.bin",
    "disguised": "model.safetensors",
    "deepspeed": "global_step8/mp_rank_00_model_states.pt",
}


@pytest.mark.ci
@pytest.mark.fault("X1")
@pytest.mark.parametrize("make", [raw_pickle, torch_pickle])
@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_a_foreign_pickle_is_refused(empty: Project, seen: Seen, layout: str, make: object) -> None:
    assert callable(make)
    mark = empty.folder / "executed"
    folder = _stranger(empty, {LAYOUTS[layout]: make(mark)})
    assert empty.run("register-vocab", "kmer3").status == 0
    environment, notes = _audited(empty)
    done = empty.run("sweep", "specs/strangers.yaml", env=environment)
    assert not mark.exists(), "the pickle was executed"
    assert done.status == 77, done.output
    said = " ".join(done.output.split())
    assert LAYOUTS[layout].rpartition("/")[2] in said and "safetensors.torch.save_file" in said
    assert not {name for name in _noted(notes) if "mkdir" in name}
    assert empty.known_runs() == []
    assert (folder / LAYOUTS[layout]).exists()
    seen.exit(done.status)
    seen.outcome("refused, nothing executed, safetensors named")
    seen.lost(runs=0)


@pytest.mark.ci
@pytest.mark.fault("X1")
@pytest.mark.parametrize("name", ["specs/stranger/mp_rank_00_model_states.pt", "weights.pt"])
def test_no_file_is_a_run_to_begin_with(empty: Project, seen: Seen, name: str) -> None:
    mark = empty.folder / "executed"
    (empty.folder / name).parent.mkdir(parents=True, exist_ok=True)
    (empty.folder / name).write_bytes(torch_pickle(mark))
    before = tree_hash(empty.workspace)
    done = empty.run("submit", str(empty.job), "--set", f"init_from={name}")
    assert done.status == 77, done.output
    assert name in done.output and "safetensors" in done.output
    assert not mark.exists()
    assert tree_hash(empty.workspace) == before
    seen.exit(done.status)
    seen.outcome("init_from takes runs only")
    seen.lost(files=0)


@pytest.mark.fault("X1")
def test_a_pickle_among_the_checkpoints_of_a_run_is_never_opened(
    prepared: Prepared, fresh: Project, seen: Seen
) -> None:
    """One start: X1 through `--resume`, and on the way X3's listeners, token, umask, secrets."""
    mark = fresh.folder / "executed"
    environment, notes = _audited(fresh)
    command = fresh.start("submit", str(fresh.job), env=environment)
    run = fresh.next_run(command)
    fresh.wait_for_step(run, 9, command)
    command.signal(15)
    assert command.wait().status == 143
    newest = committed(run)[-1]
    folder = run / "checkpoints" / f"step-{newest + 4:09d}"
    folder.mkdir()
    (folder / "mp_rank_00_model_states.pt").write_bytes(torch_pickle(mark))
    (run / "checkpoints" / "latest").write_text(folder.name)
    done = fresh.run("submit", "--resume", run.name, env=environment)
    assert not mark.exists()
    assert not {name for name in _noted(notes) if "mkdir" in name}
    assert done.status == 0, done.output
    assert hashes(run) == (prepared.order_hash, prepared.weights_hash)
    seen.exit(done.status)
    seen.outcome(f"resumed from {newest}; the stranger's file is no checkpoint")
    seen.lost(steps=STEPS - max(int(str(e["step"])) for e in events(run, "step")))


@pytest.mark.fault("X3")
def test_a_run_is_reached_by_nobody_else_and_keeps_no_secret(
    prepared: Prepared, fresh: Project, seen: Seen
) -> None:
    home = fresh.folder / "home"
    home.mkdir()
    secrets = {
        "HOME": str(home),
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "MLFLOW_TRACKING_PASSWORD": SECRET,
        "GFMP_API_TOKEN": SECRET,
    }
    command = fresh.start_program(
        [
            "sh",
            "-c",
            'umask 000; exec "$0" submit "$1" --set checkpoint.every_steps=4',
            GFMP,
            str(fresh.job),
        ],
        secrets,
    )
    run = fresh.next_run(command)
    fresh.wait_for_step(run, 4, command)
    listening = fresh.listeners()
    kill_rank(run, 1)
    fresh.wait_for_step(run, 10, command)
    listening += fresh.listeners()
    done = command.wait()
    assert done.status == 0, done.output
    # Ray's servers, and the store and the collectives of the ranks, before and after a restart.
    assert len({program for _, _, program in listening}) >= 3, listening
    open_ones = {a for a, _, _ in listening if a not in ("127.0.0.1", "::1", "::ffff:127.0.0.1")}
    assert not open_ones, [one for one in listening if one[0] in open_ones]
    token = home / ".ray" / "auth_token"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert stat.S_IMODE(token.parent.stat().st_mode) == 0o700
    told = token.read_bytes()
    kept = [p for p in fresh.workspace.rglob("*") if p.is_file()]
    found = [p for p in kept if SECRET.encode() in (text := p.read_bytes()) or told in text]
    assert not found, found
    assert SECRET not in done.output
    writable = [p for p in (run / "checkpoints").rglob("*") if p.stat().st_mode & 0o022]
    assert not writable, writable
    seen.exit(done.status)
    seen.outcome(
        f"{len(listening)} listeners on loopback, token 0600, no secret in {len(kept)} files"
    )
    seen.lost(steps=STEPS - max(int(str(e["step"])) for e in events(run, "step")))


@pytest.mark.ci
@pytest.mark.fault("X3")
def test_secrets_on_the_command_line_and_in_addresses_are_redacted(
    empty: Project, seen: Seen
) -> None:
    uri = f"http://user:{SECRET}@127.0.0.1:9/"
    done = empty.run("submit", str(empty.job), env={"MLFLOW_TRACKING_URI": uri})
    assert done.status == 69, done.output
    assert SECRET not in done.output
    kept = [p for p in empty.workspace.rglob("*") if p.is_file()]
    assert not [p for p in kept if SECRET.encode() in p.read_bytes()]
    seen.exit(done.status)
    seen.outcome("an address with a password is shown without it")
    seen.lost(runs=len(empty.known_runs()))


@pytest.mark.ci
@pytest.mark.fault("X3")
@pytest.mark.parametrize("address", ["", "127.0.0.1:9"])
def test_no_authentication_is_refused(empty: Project, seen: Seen, address: str) -> None:
    environment = {"RAY_AUTH_MODE": "disabled"} | ({"RAY_ADDRESS": address} if address else {})
    done = empty.run("submit", str(empty.job), env=environment)
    assert done.status == 77, done.output
    assert "RAY_AUTH_MODE" in done.output
    assert ("GFMP_CLUSTER_WITHOUT_TOKEN" in done.output) == bool(address)
    seen.exit(done.status)
    seen.outcome("RAY_AUTH_MODE=disabled refused")
    seen.lost(runs=len(empty.known_runs()))


@pytest.fixture
def mute() -> Iterator[int]:
    """A port where something listens that is not Ray: it takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def web() -> Iterator[int]:
    """A port where something answers that is not Ray."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            try:
                while True:
                    with server.accept()[0] as there:
                        there.recv(4096)
                        there.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            except OSError:
                return

        threading.Thread(target=answer, daemon=True).start()
        yield server.getsockname()[1]


@pytest.mark.ci
@pytest.mark.fault("X2")
@pytest.mark.parametrize("kind", ["dead", "mute", "web", "auto"])
def test_an_address_that_is_no_cluster_is_named_in_time(
    empty: Project, seen: Seen, kind: str, mute: int, web: int
) -> None:
    address = {"dead": "127.0.0.1:9", "mute": f"127.0.0.1:{mute}", "web": f"127.0.0.1:{web}"}
    home = empty.folder / "home"
    (home / ".ray").mkdir(parents=True)
    (home / ".ray" / "auth_token").write_text("0" * 64)
    chosen = address.get(kind, "auto")
    environment = {"RAY_ADDRESS": chosen, "HOME": str(home), "RAY_TMPDIR": str(home)}
    done = empty.run("submit", str(empty.job), env=environment)
    assert done.status == 69, done.output
    assert "RAY_ADDRESS" in done.output and "unset RAY_ADDRESS" in done.output
    assert chosen in done.output
    seen.exit(done.status)
    seen.outcome(f"{kind} address named in {done.seconds:.0f} s")
    seen.lost(runs=len([r for r in empty.known_runs() if committed(r)]))


@pytest.mark.fault("X2")
def test_an_empty_address_is_no_address(prepared: Prepared, fresh: Project, seen: Seen) -> None:
    command = fresh.start("submit", str(fresh.job), env={"RAY_ADDRESS": ""})
    run = fresh.next_run(command)
    fresh.wait_for_step(run, 4, command)
    listening = fresh.listeners()
    done = command.wait()
    assert done.status == 0, done.output
    assert {a for a, _, _ in listening} <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    seen.exit(done.status)
    seen.outcome("RAY_ADDRESS= starts a closed session of its own")
    seen.lost(steps=STEPS - max(int(str(e["step"])) for e in events(run, "step")))


@pytest.mark.ci
def test_a_probe_of_an_address_takes_seconds(mute: int) -> None:
    began = time.monotonic()
    with pytest.raises(ServiceError) as caught:
        check_address(f"127.0.0.1:{mute}")
    assert time.monotonic() - began < 10
    assert "RAY_ADDRESS" in caught.value.problems[0].where
