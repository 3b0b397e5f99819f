"""One-hot arrays: DeepSEA's three MATLAB files, Xpresso's HDF5."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from public_rows import one_hot, other_strand, read, texts
from scipy.io import savemat
from task_samples import write_task

from gfmp.errors import DataError, GfmpError, MissingInputError
from gfmp.tasks.formats import hdf5
from gfmp.tasks.prepare import build
from gfmp.tasks.sparse import SparseLabels

CHANNELS = "AGCT"  # the order of DeepSEA's files
SOURCE = (
    "{format: arrays, files: {train: {path: train.mat}, valid: {path: valid.mat}, "
    'test: {path: test.mat}}, sequence_array: "{split}xdata", target_array: "{split}data", '
    "channels: AGCTMORE}"
)
TARGET = "{kind: multilabel, groups: {DHS: 2, TF: 3, HM: 2}, positive_weight: 8.0}"
AUROC = "metric: auroc\n"
LENGTH, NUM_LABELS = 40, 7


def _rows(count: int, seed: int) -> list[str]:
    """Forward rows with an N, then their reverse complements."""
    forward = texts(count, LENGTH, seed)
    forward[0] = "N" + forward[0][1:]
    return [*forward, *(other_strand(row) for row in forward)]


def _labels(count: int, seed: int) -> NDArray[np.uint8]:
    drawn = np.random.default_rng(seed).integers(0, 2, (count, NUM_LABELS)).astype(np.uint8)
    return np.concatenate([drawn, drawn])


def _hot(rows: list[str]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(np.moveaxis(one_hot(rows, CHANNELS), 2, 1))  # N x 4 x L


def _matlab73(path: Path, arrays: dict[str, NDArray[np.uint8]]) -> None:
    """Write what MATLAB 7.3 writes: a block of 512 bytes, then HDF5 with the axes reversed."""
    import h5py

    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in arrays.items():
            file[name] = array.transpose()
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512))


def _write(folder: Path) -> None:
    arrays = {"trainxdata": _hot(_rows(6, 1)), "traindata": _labels(6, 1)}
    _matlab73(folder / "train.mat", arrays)
    for seed, split in ((2, "valid"), (3, "test")):
        rows = {f"{split}xdata": _hot(_rows(3, seed)), f"{split}data": _labels(3, seed)}
        savemat(folder / f"{split}.mat", rows, do_compression=True)


def test_the_three_files_are_read_though_their_axes_differ(tmp_path: Path) -> None:
    _write(tmp_path)
    pool = read(tmp_path, SOURCE.replace("MORE", ""), TARGET, AUROC)
    assert pool.given == ("train",) * 12 + ("valid",) * 6 + ("test",) * 6
    expected = [*_rows(6, 1), *_rows(3, 2), *_rows(3, 3)]
    assert [sequence.decode() for sequence in pool.rows.sequences] == expected
    wanted = np.concatenate([_labels(6, 1), _labels(3, 2), _labels(3, 3)])
    assert isinstance(pool.rows.targets, SparseLabels)
    assert np.array_equal(pool.rows.matrix, wanted)
    assert pool.rows.origins[12] == "valid.mat:validxdata[0]"


def test_only_the_forward_half_is_read_and_the_other_is_compared(tmp_path: Path) -> None:
    _write(tmp_path)
    pool = read(tmp_path, SOURCE.replace("MORE", ", forward_half: true"), TARGET, AUROC)
    assert pool.given.count("train") == 6
    assert [s.decode() for s in pool.rows.sequences[:6]] == _rows(6, 1)[:6]
    assert np.array_equal(pool.rows.matrix[:6], _labels(6, 1)[:6])
    assert pool.left_out[0] == "6 reverse complements of the rows before them"
    rows = _rows(3, 2)
    rows[4] = rows[3]
    wrong = {"validxdata": _hot(rows), "validdata": _labels(3, 2)}
    savemat(tmp_path / "valid.mat", wrong)
    with pytest.raises(DataError, match="row 1 has no reverse complement where it should"):
        read(tmp_path, SOURCE.replace("MORE", ", forward_half: true"), TARGET, AUROC)


def test_rows_in_many_blocks_are_the_rows_in_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(tmp_path)
    source = SOURCE.replace("MORE", ", forward_half: true, crop_start: 5, crop_end: 25")
    whole = read(tmp_path, source, TARGET, AUROC)
    monkeypatch.setattr("gfmp.tasks.formats.arrays.ROWS_IN_BLOCK", 2)
    parts = read(tmp_path, source, TARGET, AUROC)
    assert parts.rows.sequences == whole.rows.sequences
    assert {len(sequence) for sequence in whole.rows.sequences} == {20}
    assert np.array_equal(parts.rows.matrix, whole.rows.matrix)


def test_a_task_of_labels_carries_their_names_and_their_weight(tmp_path: Path) -> None:
    _write(tmp_path)
    task = write_task(tmp_path, SOURCE.replace("MORE", ""), TARGET, AUROC)
    built = build(task.name, task.spec, task.base)
    assert built.target.names == ("DHS.1", "DHS.2", "TF.1", "TF.2", "TF.3", "HM.1", "HM.2")
    assert built.target.positive_weight == 8.0
    assert (len(built.train), len(built.valid), len(built.test)) == (12, 6, 6)


def _valid(folder: Path, **arrays: NDArray[np.uint8]) -> GfmpError:
    _write(folder)
    savemat(folder / "valid.mat", arrays)
    with pytest.raises(DataError) as caught:
        read(folder, SOURCE.replace("MORE", ""), TARGET, AUROC)
    (problem,) = caught.value.problems
    assert problem.why and problem.fix and "valid.mat" in problem.where
    return caught.value


def test_arrays_that_cannot_be_are_told(tmp_path: Path) -> None:
    hot, labels = _hot(_rows(3, 2)), _labels(3, 2)
    fault = _valid(tmp_path, validxdata=hot, validdata=labels[:, :5])
    assert "(6, 4, 40)" in str(fault)
    assert "7 outputs" in fault.problems[0].why
    twice = hot.copy()
    twice[2, :, 9] = 1
    fault = _valid(tmp_path, validxdata=twice, validdata=labels)
    assert fault.problems[0].message == "row 2 has two letters at base 9"
    fault = _valid(tmp_path, validxdata=hot, validdata=labels * 3)
    assert "a label that is neither 0 nor 1" in fault.problems[0].message
    fault = _valid(tmp_path, validxdatas=hot, validdata=labels)
    assert fault.problems[0].fix == "did you mean 'validxdatas'?"


@pytest.mark.parametrize("data", [b"", b"id,sequence\n", b"MATLAB 5.0 MAT-file" + bytes(200)])
def test_files_of_another_kind_are_told(tmp_path: Path, data: bytes) -> None:
    _write(tmp_path)
    (tmp_path / "test.mat").write_bytes(data)
    with pytest.raises(DataError) as caught:
        read(tmp_path, SOURCE.replace("MORE", ""), TARGET, AUROC)
    assert caught.value.problems[0].where.startswith(str(tmp_path / "test.mat"))


def test_a_file_that_was_cut_is_told(tmp_path: Path) -> None:
    _write(tmp_path)
    path = tmp_path / "train.mat"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match="the file cannot be read"):
        read(tmp_path, SOURCE.replace("MORE", ""), TARGET, AUROC)


def test_without_the_library_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(600))
    monkeypatch.setattr(hdf5, "find_spec", lambda name: None)
    with pytest.raises(MissingInputError) as caught, hdf5.open_arrays(tmp_path / "x.h5", ()):
        pass
    assert caught.value.problems[0].fix == "pip install 'gfmp[readers]'"


def test_promoters_are_cropped_and_named_by_their_genes(tmp_path: Path) -> None:
    """Xpresso: promoter (N, 20000, 4), label (N,), geneName; the crop of its best model."""
    import h5py

    for seed, split in enumerate(("train", "valid", "test")):
        with h5py.File(tmp_path / f"{split}.h5", "w") as file:
            file["promoter"] = one_hot(texts(3, 60, seed)).astype(bool)
            file["data"] = np.zeros((3, 8))
            file["label"] = np.array([0.5, -1.0, seed])
            file["geneName"] = np.array([f"ENSG{seed}{i}".encode() for i in range(3)])
    files = ", ".join(f"{split}: {{path: {split}.h5}}" for split in ("train", "valid", "test"))
    source = (
        f"{{format: arrays, files: {{{files}}}, sequence_array: promoter, target_array: label, "
        "id_array: geneName, crop_start: 10, crop_end: 50}"
    )
    target = "{kind: regression, names: [expression]}"
    pool = read(tmp_path, source, target, "metric: r2_determination\n")
    assert pool.rows.origins[:2] == ("ENSG00", "ENSG01")
    assert pool.rows.sequences[0].decode() == texts(3, 60, 0)[0][10:50]
    assert pool.rows.targets[:, 0].tolist() == [0.5, -1, 0, 0.5, -1, 1, 0.5, -1, 2]
    with pytest.raises(DataError, match="the sequences have 60 bases"):
        read(tmp_path, source.replace("50", "61"), target, "metric: r2_determination\n")
