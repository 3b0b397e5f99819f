"""Public files of tasks: fetched to where the YAML names them, or told how; rows as published."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from task_samples import sequences, write_task

from gfmp.errors import DataError, MissingInputError, SpecError
from gfmp.spec.load import load_spec
from gfmp.spec.task import FileSource, TaskSpec
from gfmp.storage.workspace import Workspace
from gfmp.tasks.catalogue import TaskTarget, find_task, known_tasks
from gfmp.tasks.fetching import fetch_task, where_files_are
from gfmp.tasks.inputs import named_files
from gfmp.tasks.store import TaskStore
from tests.storage.web_server import Site, served

SPECS = Path(__file__).parents[2] / "specs" / "tasks"
PUBLIC = sorted(path for path in SPECS.glob("*.yaml") if "\npublic:" in path.read_text())
SOURCE = "{format: csv, files: {train: {path: d/train.csv}, test: {path: d/test.csv}}}"


def _csv(num_rows: int, seed: int) -> bytes:
    rows = [f"{s.decode()},{i % 2}" for i, s in enumerate(sequences(num_rows, seed))]
    return ("sequence,label\n" + "\n".join(rows) + "\n").encode()


@pytest.fixture
def site() -> Iterator[Site]:
    """A server with two tables, and an archive of both."""
    files = {"/train.csv": _csv(20, 1), "/test.csv": _csv(8, 2)}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(f"set{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    with served(Site({**files, "/set.tar.gz": packed.getvalue()})) as made:
        yield made


def _task(folder: Path, public: str, source: str = SOURCE) -> TaskTarget:
    (folder / "sample.yaml").write_text(
        f"kind: task\ndescription: For tests.\nsource: {source}\n"
        f"target: {{kind: binary}}\nmetric: mcc\npublic:\n{public}"
    )
    return find_task(str(folder / "sample.yaml"), folder, check_files=False)


def _plain(site: Site) -> str:
    lines = [f"    - {{url: {site.url}/{n}.csv, path: d/{n}.csv}}" for n in ("train", "test")]
    return "  address: http://x\n  download:\n" + "\n".join(lines) + "\n"


def test_files_come_to_where_the_yaml_names_them(site: Site, tmp_path: Path) -> None:
    target = _task(tmp_path, _plain(site))
    assert where_files_are(target) == "fetch"
    with pytest.raises(MissingInputError) as caught:
        find_task(str(tmp_path / "sample.yaml"), tmp_path)
    assert {p.fix for p in caught.value.problems} == {"gfmp tasks fetch sample"}
    delivery = fetch_task(target)
    assert [one.was_there for one in delivery.fetched] == [False, False]
    assert delivery.missing == () and where_files_are(target) == "here"
    assert len(TaskStore(Workspace(tmp_path / "w")).prepare(target).test) == 8
    assert all(one.was_there for one in fetch_task(target).fetched)


def test_archives_are_unpacked_and_may_be_thrown_away(site: Site, tmp_path: Path) -> None:
    members = "{set/train.csv: d/train.csv, set/test.csv: d/test.csv}"
    public = f"    - {{url: {site.url}/set.tar.gz, path: d/set.tar.gz, members: {members}}}\n"
    target = _task(tmp_path, "  address: http://x\n  download:\n" + public)
    delivery = fetch_task(target)
    assert [path.name for path in delivery.unpacked] == ["train.csv", "test.csv"]
    assert (tmp_path / "d" / "test.csv").read_bytes() == _csv(8, 2)
    (tmp_path / "d" / "set.tar.gz").unlink()
    again = fetch_task(target)
    assert again.fetched == () and again.missing == ()
    assert site.asked == [""]


def test_what_cannot_be_fetched_is_told_how_to_get(tmp_path: Path) -> None:
    target = _task(tmp_path, "  address: http://x\n  instruction: Ask the authors for d/.\n")
    assert where_files_are(target) == "by hand"
    delivery = fetch_task(target)
    assert delivery.instruction == "Ask the authors for d/."
    assert [path.name for path in delivery.missing] == ["train.csv", "test.csv"]
    with pytest.raises(MissingInputError) as caught:
        find_task(str(tmp_path / "sample.yaml"), tmp_path)
    assert caught.value.problems[0].fix == "Ask the authors for d/."


def test_a_task_of_ones_own_has_nothing_to_fetch(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(_csv(4, 1))
    source = "{format: csv, files: {all: {path: a.csv}}}"
    target = write_task(tmp_path, source, "{kind: binary}", "split: {by: random}\n")
    with pytest.raises(MissingInputError, match="names no public files"):
        fetch_task(target)
    (tmp_path / "a.csv").unlink()
    assert where_files_are(target) == "missing"


def test_a_pinned_file_that_differs_is_refused(site: Site, tmp_path: Path) -> None:
    pinned = _plain(site).replace("path: d/train.csv}", f"path: d/train.csv, sha256: {'ab' * 32}}}")
    target = _task(tmp_path, pinned)
    with pytest.raises(DataError):
        fetch_task(target)
    assert not (tmp_path / "d" / "train.csv").exists()


def test_public_data_says_how_it_can_be_had(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        _task(tmp_path, "  address: http://x\n")
    assert "give download, or an instruction" in caught.value.problems[0].why
    with pytest.raises(SpecError):
        _task(tmp_path, "  address: x\n  download:\n    - {url: 'file:///etc/x', path: x}\n")


def _facts(folder: Path, site: Site, more: str) -> dict[str, str]:
    target = _task(folder, _plain(site) + more)
    fetch_task(target)
    task = TaskStore(Workspace(folder / "w")).prepare(target)
    assert task.facts["address"] == "http://x"
    return {key: task.facts[key] for key in ("published", "unverified") if key in task.facts}


def test_rows_are_compared_with_those_published(site: Site, tmp_path: Path) -> None:
    second_hand = "  unverified: the columns\n"
    right = "  rows: {train: 20, test: 8}\n"  # validation rows were taken from train
    wrong = "  rows: {train: 21, test: 8}\n"
    assert _facts(tmp_path, site, "") == {}
    assert _facts(tmp_path, site, second_hand) == {"unverified": "the columns"}
    # the words of a prepared task follow its YAML, its rows do not change
    assert _facts(tmp_path, site, right + second_hand) == {
        "published": "the rows are as many as published"
    }
    assert _facts(tmp_path, site, wrong + second_hand) == {
        "published": "20 rows of train, and 21 are published",
        "unverified": "the columns",
    }
    assert len(list((tmp_path / "w" / "tasks" / "sample").glob("*/manifest.json"))) == 1


# -- the files of specs/tasks --------------------------------------------------------------------


def test_every_task_of_the_catalogue_can_be_asked_for() -> None:
    tasks = known_tasks(SPECS)
    assert len(tasks) == len(list(SPECS.glob("*.yaml"))) > 100
    assert len({task.spec.source.format for task in tasks}) == 12


@pytest.mark.parametrize("path", PUBLIC, ids=lambda path: path.stem)
def test_a_public_task_says_everything_that_is_promised(path: Path) -> None:
    spec, _ = load_spec(path, {"task": TaskSpec})
    assert spec.public is not None and isinstance(spec.source, FileSource)
    assert spec.citation and spec.licence and spec.description
    assert spec.public.rows.given() or spec.public.unverified
    target = TaskTarget(path.stem, spec, path)
    named = {place for _, place in named_files(spec, target.base)}
    data = (SPECS / "../../data").resolve()
    assert all(place.is_relative_to(data) for place in named)
    arriving = {
        (target.base / place).resolve()
        for one in spec.public.download
        for place in (one.members.values() or [one.path])
    }
    folders = {place for place in named if any(place in one.parents for one in arriving)}
    if not spec.public.instruction:
        assert named - folders <= arriving  # whatever is not told is fetched
    assert arriving <= named | {one for one in arriving if set(one.parents) & folders}
    assert not set(spec.metric.split()) & set(spec.also)
