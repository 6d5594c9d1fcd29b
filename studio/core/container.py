"""The safetensors container read by hand: its header, and where each tensor lies, checked before any is read.

Format: 8 bytes, the header's length (little endian); the header, JSON; then the tensors' bytes without gaps.
https://github.com/huggingface/safetensors#format
"""

import io
import math
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from studio.core.errors import CheckpointError
from studio.core.strict_json import JSONRefused, parse_object

DTYPES = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32, "I64": torch.int64}
MAX_RANK = 8
_DEPTH = 4  # header → tensor → shape
_FOREIGN = (
    (b"PK\x03\x04", "is a pickle (.pt) or zip file; the studio opens only safetensors, which cannot run code"),
    (b"\x80", "is a pickle (.pt) file; the studio opens only safetensors, which cannot run code"),
    (b"version https://git-lfs", "is a pointer to a file that was not downloaded; run `git lfs pull`"),
)


@dataclass(frozen=True)
class Entry:
    """Where a tensor lies: bytes start to stop of the data."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


@dataclass(frozen=True)
class Header:
    """A safetensors header. size: bytes of the file; data: bytes of it after the header."""

    entries: Mapping[str, Entry]
    metadata: Mapping[str, str]
    size: int
    data: int


def open_file(path: Path, name: str) -> io.BufferedReader:
    """The file, open for reading. name: what to call it in a sentence. Pipes and devices are refused unopened."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise CheckpointError(f"{name} is not a file; name a .safetensors file.")
        return path.open("rb")
    except FileNotFoundError:
        raise CheckpointError(f"{name} does not exist.") from None
    except (OSError, ValueError) as error:
        raise read_error(name, error) from error


def read_error(name: str, error: OSError | ValueError) -> CheckpointError:
    """The sentence for a file that the system does not let us read."""
    return CheckpointError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}.")


def read_header(file: io.BufferedReader, name: str, max_bytes: int) -> Header:
    """Header of an open safetensors file. Raises CheckpointError, and nothing else, whatever the file holds."""
    try:
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        start = file.read(64)
        length = int.from_bytes(start[:8], "little")
        _check_start(name, start, length, size, max_bytes)
        file.seek(8)
        text = file.read(length)
    except OSError as error:
        raise read_error(name, error) from error
    try:
        table = parse_object(text, max_bytes=max_bytes, max_depth=_DEPTH)
    except JSONRefused as error:
        raise CheckpointError(f"{name} is damaged: its header {error}.") from error
    metadata = table.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise CheckpointError(f"{name} is damaged: the metadata in its header are not a table of texts.")
    entries = {key: _entry(name, key, value) for key, value in table.items()}
    return Header(entries, metadata, size, size - 8 - length)


def _check_start(name: str, start: bytes, length: int, size: int, max_bytes: int) -> None:
    """The first bytes: a length that fits, then a JSON object."""
    plausible = 2 <= length <= max_bytes and start[8:9] == b"{"
    if not plausible:
        for signature, sentence in _FOREIGN:
            if start.startswith(signature):
                raise CheckpointError(f"{name} {sentence}.")
    if size < 10:
        raise CheckpointError(f"{name} is truncated: {size} bytes are too few for a safetensors file.")
    if start[8:9] != b"{":
        raise CheckpointError(f"{name} is not a safetensors file.")
    if length > max_bytes:
        raise CheckpointError(f"{name} announces a header of {length} bytes where at most {max_bytes} are allowed.")
    if length > size - 8:
        raise CheckpointError(f"{name} is truncated: its header has {length} bytes and only {size - 8} are there.")


def _entry(name: str, key: str, value: Any) -> Entry:
    """One tensor's row of the header."""
    wrong = CheckpointError(f"{name} is damaged: the header's entry for {key[:80]!r} is not one of a tensor.")
    if not isinstance(value, dict) or value.keys() != {"dtype", "shape", "data_offsets"}:
        raise wrong
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not _counts(shape) or not _counts(offsets) or len(offsets) != 2 or len(shape) > MAX_RANK:
        raise wrong
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise CheckpointError(
            f"{name} stores {key[:80]!r} as {dtype!r:.20}; tensors must be one of {', '.join(DTYPES)}."
        )
    return Entry(dtype, tuple(shape), offsets[0], offsets[1])


def _counts(value: Any) -> bool:
    """Whether value is a list of integers in [0, 2^63)."""
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 1 << 63 for item in value)


def check_layout(name: str, header: Header) -> None:
    """Tensors follow one another without gap or overlap, and end where the file ends."""
    position = 0
    for key, entry in sorted(header.entries.items(), key=lambda item: (item[1].start, item[1].stop)):
        if entry.stop - entry.start != math.prod(entry.shape) * DTYPES[entry.dtype].itemsize:
            raise CheckpointError(f"{name} is damaged: {key[:80]!r} has a size that is not that of its shape.")
        if entry.start != position:
            raise CheckpointError(f"{name} is damaged: there is a gap or an overlap before {key[:80]!r}.")
        position = entry.stop
    if position > header.data:
        raise CheckpointError(
            f"{name} is truncated: it has {header.data} bytes of weights where {position} are announced; copy it again."
        )
    if position < header.data:
        raise CheckpointError(f"{name} is damaged: {header.data - position} bytes follow the last tensor.")
