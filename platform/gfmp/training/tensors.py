"""Tensors as a safetensors file, written as a stream: one pass that hashes and copies nothing.

The bytes are those of the safetensors library. Its own writer would leave the hash to a second
pass over the file.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from gfmp.training.manifest import StoredFile

_CHUNK_BYTES = 4 << 20
_ALIGNMENT = 8


def write_tensors(
    tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str]
) -> StoredFile:
    """Write fp32 tensors of the CPU as a safetensors file, make it durable and return its hash.

    Raises:
        OSError: what the operating system said.
    """
    digest, num_bytes = hashlib.sha256(), 0
    with path.open("wb") as file:
        for chunk in _chunks(tensors, metadata):
            file.write(chunk)
            digest.update(chunk)
            num_bytes += len(chunk)
        file.flush()
        os.fsync(file.fileno())
    return StoredFile(num_bytes, digest.hexdigest())


def _chunks(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Iterator[memoryview]:
    yield memoryview(_header(tensors, metadata))
    for name in sorted(tensors):
        content = tensors[name].detach().contiguous().flatten().numpy().data.cast("B")
        for first in range(0, len(content), _CHUNK_BYTES):
            yield content[first : first + _CHUNK_BYTES]


def _header(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """Return the length of the description, and the description padded to 8 bytes."""
    described: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name in sorted(tensors):
        tensor = tensors[name]
        assert tensor.dtype == torch.float32, f"{name} is {tensor.dtype}"
        begin, end = end, end + tensor.numel() * tensor.element_size()
        entry = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [begin, end]}
        described[name] = entry
    text = json.dumps(described, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % _ALIGNMENT)
    return len(text).to_bytes(8, "little") + text
