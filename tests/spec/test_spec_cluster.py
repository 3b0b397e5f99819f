"""Files in specs/clusters/ are closed: an address, a price or a path that cannot be is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from gfmp.errors import SpecError
from gfmp.spec.cluster import ClusterSpec, JobsConnection
from gfmp.spec.corpus import CorpusJobSpec
from gfmp.spec.load import load_spec
from gfmp.spec.motifs import MotifsSpec
from gfmp.spec.pretrain import PretrainSpec
from gfmp.spec.sweep import FinetuneSpec, SweepSpec
from gfmp.spec.variant_effect import VariantEffectSpec

JOBS = "connection: {kind: jobs_api, address: ADDRESS, workspace: /mnt/gfmp/w}\n"
HEAD = "kind: cluster\nname: x\n"


def loaded(folder: Path, text: str) -> ClusterSpec:
    """Read a cluster spec."""
    path = folder / "x.yaml"
    path.write_text(HEAD + text)
    return load_spec(path, {"cluster": ClusterSpec})[0]


def refused(folder: Path, text: str) -> str:
    """Return what is said of a spec that is not taken."""
    with pytest.raises(SpecError) as caught:
        loaded(folder, text)
    return "; ".join(f"{p.where} {p.message} {p.why} {p.fix}" for p in caught.value.problems)


@pytest.mark.parametrize(
    "address",
    ["https://head.example", "http://127.0.0.1:8265", "http://[::1]:8265/", "https://h:1"],
)
def test_addresses_of_the_jobs_api(tmp_path: Path, address: str) -> None:
    found = loaded(tmp_path, JOBS.replace("ADDRESS", f'"{address}"')).connection
    assert isinstance(found, JobsConnection) and found.address == address.rstrip("/")


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("http://head", "names its port"),
        ("http://head:99999", "Port out of range"),
        ("ray://head:10001", "pattern"),
        ("http://user:secret@head:8265", "pattern"),
        ("http://head:8265/path?x", "pattern"),
    ],
)
def test_addresses_that_cannot_be(tmp_path: Path, address: str, why: str) -> None:
    said = refused(tmp_path, JOBS.replace("ADDRESS", f'"{address}"'))
    assert why in said and "x.yaml:3:" in said


def test_other_connections_are_named_by_kind(tmp_path: Path) -> None:
    assert loaded(tmp_path, "connection: {kind: local}\n").connection.kind == "local"
    for address in ("auto", "10.0.0.1:6379", "ray://h:10001"):
        text = f"connection: {{kind: address, address: '{address}'}}\n"
        assert loaded(tmp_path, text).connection.kind == "address"
    assert "address" in refused(tmp_path, "connection: {kind: address, address: head}\n")
    assert "ssh" in refused(tmp_path, "connection: {kind: ssh}\n")


def test_misspelt_keys_are_told_with_what_is_near(tmp_path: Path) -> None:
    said = refused(tmp_path, "connection: {kind: local}\nworker: {cpus: 1}\n")
    assert "unknown key 'worker'" in said and "'workers'" in said


def test_what_cannot_be_together(tmp_path: Path) -> None:
    local = "connection: {kind: local}\n"
    nodes = "workers: {cpus: 8, memory_gb: 32, max_nodes: 2"
    assert "exceed max_nodes" in refused(tmp_path, f"{local}{nodes}, min_nodes: 3}}\n")
    assert "where they come from" in refused(tmp_path, f"{local}{nodes}, price_hour: 1.0}}\n")
    jobs = JOBS.replace("ADDRESS", "https://h")
    assert "not on the storage" in refused(tmp_path, f"{jobs}storage: {{path: /mnt/gf}}\n")
    cloud = "gcp: {region: r, zone: z, image: i, secret: s, identity: e}\n"
    assert "needs a project" in refused(tmp_path, local + cloud)


@pytest.mark.parametrize("word", ["a b", "$(x)", "x;y", "-x", ""])
def test_words_that_a_shell_would_read_are_refused(tmp_path: Path, word: str) -> None:
    text = "connection: {kind: local}\n"
    slurm = f"slurm: {{time_limit: 1:00:00, partition: '{word}'}}\n"
    assert "slurm.partition" in refused(tmp_path, text + slurm)


def test_every_kind_of_job_may_name_a_cluster_and_none_does_by_itself() -> None:
    kinds = (PretrainSpec, CorpusJobSpec, FinetuneSpec, SweepSpec, VariantEffectSpec, MotifsSpec)
    assert all(kind.model_fields["cluster"].default == "" for kind in kinds)
