"""Files of strangers: pickles that leave a mark when they are executed."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Canary:
    """Executed when it is unpickled: makes the folder `mark`."""

    mark: Path

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (str(self.mark),))


def raw_pickle(mark: Path) -> bytes:
    """Return the oldest kind of file that `torch.load` takes: a bare pickle."""
    return pickle.dumps({"module": Canary(mark), "weight": 1}, protocol=2)


def torch_pickle(mark: Path) -> bytes:
    """Return a file in the layout of `torch.save` with the canary in its pickle."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", raw_pickle(mark))
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/byteorder", "little")
    return stream.getvalue()
