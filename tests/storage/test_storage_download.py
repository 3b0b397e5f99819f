"""Downloads: resumed, compared, never half a file under its name; archives give their members."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from web_server import Site, served

from gfmp.errors import DataError, GfmpError, LockedError, ServiceError, StorageError
from gfmp.storage.archives import unpack
from gfmp.storage.download import RECORD, Download, download
from gfmp.storage.hashes import sha256_bytes
from gfmp.storage.locks import exclusive

CONTENT = bytes(range(256)) * 5000


@pytest.fixture
def site() -> Iterator[Site]:
    """A server with one file."""
    with served(Site({"/data.bin": CONTENT})) as made:
        yield made


def _wanted(site: Site, folder: Path, sha256: str = "", size_bytes: int = 0) -> Download:
    return Download(f"{site.url}/data.bin", folder / "data.bin", sha256, size_bytes)


def _left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {RECORD, ".gfmp-fetch.lock"}


def test_a_file_comes_once_and_is_then_there(site: Site, tmp_path: Path) -> None:
    folder, told = tmp_path / "new" / "folder", list[tuple[int, int]]()
    first = download(_wanted(site, folder), lambda here, total: told.append((here, total)))
    assert (folder / "data.bin").read_bytes() == CONTENT
    assert (first.sha256, first.num_bytes) == (sha256_bytes(CONTENT), len(CONTENT))
    assert told[-1] == (len(CONTENT), len(CONTENT))
    again = download(_wanted(site, folder))
    assert again.was_there and not first.was_there
    assert site.asked == [""]
    assert _left(folder) == {"data.bin"}


def test_a_cut_download_goes_on_where_it_stopped(site: Site, tmp_path: Path) -> None:
    site.cut_after = 500_000
    with pytest.raises(ServiceError) as caught:
        download(_wanted(site, tmp_path))
    assert caught.value.problems[0].message.startswith("the connection ended after 500,000 of")
    assert _left(tmp_path) == {"data.bin.part", "data.bin.part.json"}
    with pytest.raises(ServiceError):  # and is cut again, later
        download(_wanted(site, tmp_path))
    site.cut_after = 0
    found = download(_wanted(site, tmp_path, sha256_bytes(CONTENT), len(CONTENT)))
    assert found.num_resumed == 1_000_000
    assert site.asked == ["", "bytes=500000-", "bytes=1000000-"]
    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    assert _left(tmp_path) == {"data.bin"}


@pytest.mark.parametrize("tags", [True, False])
def test_a_file_that_changed_between_is_never_a_mixture(
    site: Site, tmp_path: Path, tags: bool
) -> None:
    site.cut_after, site.tags = 500_000, tags
    with pytest.raises(ServiceError):
        download(_wanted(site, tmp_path))
    site.cut_after, site.files["/data.bin"] = 0, CONTENT[::-1]
    pin = sha256_bytes(CONTENT[::-1])
    if tags:  # the server says that it is another version, and sends the whole
        assert download(_wanted(site, tmp_path, pin)).num_resumed == 0
    else:  # nobody can know, but the digest does
        with pytest.raises(DataError, match="is not the one that is expected"):
            download(_wanted(site, tmp_path, pin))
        assert not (tmp_path / "data.bin").exists()
        assert download(_wanted(site, tmp_path, pin)).num_resumed == 0
    assert (tmp_path / "data.bin").read_bytes() == CONTENT[::-1]


def test_a_server_without_ranges_sends_the_whole_again(site: Site, tmp_path: Path) -> None:
    site.cut_after, site.ranges = 500_000, False
    with pytest.raises(ServiceError):
        download(_wanted(site, tmp_path))
    site.cut_after = 0
    assert download(_wanted(site, tmp_path)).num_resumed == 0
    assert (tmp_path / "data.bin").read_bytes() == CONTENT


def test_a_part_that_is_already_whole_is_asked_for_again(site: Site, tmp_path: Path) -> None:
    (tmp_path / "data.bin.part").write_bytes(CONTENT)
    about = {"url": f"{site.url}/data.bin", "version": ""}
    (tmp_path / "data.bin.part.json").write_text(json.dumps(about))
    download(_wanted(site, tmp_path))
    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    assert site.asked == [f"bytes={len(CONTENT)}-", ""]


def test_a_part_of_another_address_is_not_gone_on_with(site: Site, tmp_path: Path) -> None:
    (tmp_path / "data.bin.part").write_bytes(b"something else")
    (tmp_path / "data.bin.part.json").write_text('{"url": "http://elsewhere", "version": ""}')
    assert download(_wanted(site, tmp_path)).num_resumed == 0
    assert (tmp_path / "data.bin").read_bytes() == CONTENT


@pytest.mark.parametrize(("sha256", "size"), [("0" * 64, 0), ("", 7)])
def test_what_is_not_the_pinned_file_gets_no_name(
    site: Site, tmp_path: Path, sha256: str, size: int
) -> None:
    with pytest.raises(DataError) as caught:
        download(_wanted(site, tmp_path, sha256, size))
    assert "the task pins" in caught.value.problems[0].why
    assert _left(tmp_path) <= {"data.bin.part.json"}


def test_the_first_download_is_remembered(site: Site, tmp_path: Path) -> None:
    download(_wanted(site, tmp_path))
    path = tmp_path / "data.bin"
    path.write_bytes(b"changed")
    with pytest.raises(DataError) as caught:
        download(_wanted(site, tmp_path))
    assert "the first download had sha256" in caught.value.problems[0].why
    path.unlink()
    assert download(_wanted(site, tmp_path)).num_bytes == len(CONTENT)
    path.unlink()
    site.files["/data.bin"] = b"another version"
    with pytest.raises(DataError):
        download(_wanted(site, tmp_path))


def _fails(wanted: Download) -> GfmpError:
    with pytest.raises(ServiceError) as caught:
        download(wanted)
    assert all(problem.why and problem.fix for problem in caught.value.problems)
    assert not wanted.path.exists()
    return caught.value


def test_what_the_network_refuses_is_told(site: Site, tmp_path: Path) -> None:
    missing = Download(f"{site.url}/other.bin", tmp_path / "other.bin")
    assert "the server answered 404" in str(_fails(missing))
    nobody = Download("http://127.0.0.1:9/x", tmp_path / "x")
    assert "the connection failed" in str(_fails(nobody))
    site.content_type = "text/html; charset=utf-8"
    assert "gives a web page, not the file" in str(_fails(_wanted(site, tmp_path)))


def test_two_downloads_into_a_folder_do_not_meet(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gfmp.storage.download.LOCK_WAIT_SECONDS", 0.0)
    with exclusive(tmp_path / ".gfmp-fetch.lock"), pytest.raises(LockedError):
        download(_wanted(site, tmp_path))
    assert site.asked == []


def test_a_disk_that_refuses_is_told(site: Site, tmp_path: Path) -> None:
    (tmp_path / "data.bin.part").mkdir()
    with pytest.raises(StorageError):
        download(_wanted(site, tmp_path))


# -- archives ------------------------------------------------------------------------------------


def _zip(path: Path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def _tar(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("set/link.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(link)


MEMBERS = {"set/a.txt": b"a" * 1000, "set/b.txt": b"b", "../out.txt": b"escaped"}


@pytest.mark.parametrize("name", ["set.zip", "set.tar.gz"])
def test_only_the_wanted_members_are_unpacked_to_where_they_are_wanted(
    tmp_path: Path, name: str
) -> None:
    archive = tmp_path / "in" / name
    archive.parent.mkdir()
    (_zip if name.endswith("zip") else _tar)(archive, MEMBERS)
    unpack(archive, {"set/a.txt": tmp_path / "out" / "x.txt"})
    assert (tmp_path / "out" / "x.txt").read_bytes() == b"a" * 1000
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {name, "x.txt"}
    unpack(archive, {"../out.txt": tmp_path / "out" / "y.txt"})  # its name decides nothing
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"x.txt", "y.txt"}
    for wanted in ("set/c.txt", "set/link.txt") if name.endswith("gz") else ("set/c.txt",):
        with pytest.raises(DataError) as caught:
            unpack(archive, {wanted: tmp_path / "z"})
        assert caught.value.problems[0].message == f"the archive has no member {wanted!r}"
        assert not (tmp_path / "z").exists()


@pytest.mark.parametrize("kind", ["cut", "text"])
def test_a_damaged_archive_is_told_and_leaves_nothing(tmp_path: Path, kind: str) -> None:
    archive = tmp_path / "set.tar.gz"
    _tar(archive, {"set/a.bin": bytes(range(256)) * 4000})
    data = archive.read_bytes()
    archive.write_bytes(data[: len(data) // 2] if kind == "cut" else b"no archive at all")
    with pytest.raises(DataError, match="the archive cannot be read"):
        unpack(archive, {"set/a.bin": tmp_path / "a.bin"})
    assert [path.name for path in tmp_path.iterdir()] == ["set.tar.gz"]
