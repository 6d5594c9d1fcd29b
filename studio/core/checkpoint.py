"""A model is one file: safetensors, whose JSON header says how to build it. Never a pickle.

The header is checked before a tensor is read: its size, its keys, the configuration, the classes, and the name,
shape, type and place of every tensor against the model that the configuration describes. A reader can therefore
trust what ``load`` returns, whoever wrote the file.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from studio.core.container import DTYPES, Entry, check_layout, open_file, read_error, read_header
from studio.core.errors import CheckpointError, StudioError
from studio.core.fields import configure
from studio.core.files import atomic_write, shown
from studio.core.kinds import MODEL_KINDS, LatentModel, ModelKind
from studio.core.strict_json import JSONRefused, parse_object

FORMAT = 1
SUFFIX = ".safetensors"
KEYS = ("format", "kind", "config", "classes", "provenance", "metrics")
MAX_CLASSES = 256
MAX_NAME = 80  # characters in the name of a class or a metric
MAX_HEADER = 1 << 20
MAX_DEPTH = 8


@dataclass(frozen=True)
class Checkpoint:
    """A valid checkpoint file, of which only the header has been kept. size: bytes. sha256: of the whole file.

    data: the whole file, where it lies in memory and not on a disk; path is then what to call it.
    """

    path: Path
    kind: str
    config: Mapping[str, Any]
    classes: tuple[str, ...]
    provenance: Mapping[str, Any]
    metrics: Mapping[str, float]
    sha256: str
    size: int
    configuration: Any = field(repr=False, compare=False)  # config as the kind's own dataclass
    data: bytes | None = field(default=None, repr=False, compare=False)

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor by name, as stored (float16, bfloat16, float32 or int64), on the CPU."""
        data = self.contents()
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise CheckpointError(f"{shown(self.path)} has changed since it was opened; open it again.")
        try:
            tensors = safetensors.torch.load(data)
        except (SafetensorError, ValueError) as error:
            raise CheckpointError(f"{shown(self.path)} is damaged: {error}.") from error
        for name, tensor in tensors.items():
            if not bool(torch.isfinite(tensor).all()):
                raise CheckpointError(f"{shown(self.path)} is damaged: {name} holds values that are not numbers.")
        return tensors

    def contents(self) -> bytes:
        """The whole file."""
        try:
            return self.path.read_bytes() if self.data is None else self.data
        except OSError as error:
            raise read_error(shown(self.path), error) from error

    def build(self) -> LatentModel:
        """The generator with its weights, as build_module. Raises CheckpointError where the kind is no generator."""
        model: LatentModel = self._filled(MODEL_KINDS[self.kind].generator)
        return model

    def build_module(self) -> nn.Module:
        """A model of any kind with its weights: float32, on the CPU, in eval mode. The global random state stays."""
        model: nn.Module = self._filled(MODEL_KINDS[self.kind].build)
        return model

    def _filled(self, build: Callable[[Any, int], Any]) -> Any:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            model = build(self.configuration, len(self.classes))
        model.load_state_dict(self.tensors(), strict=True)  # copies into the model's own float32 and int64
        return model.eval()


def load(path: Path | str) -> Checkpoint:
    """Open a checkpoint: the header validated, no tensor read. Raises CheckpointError, one sentence a failure."""
    return _open(Path(path), shown(path))


def read(data: bytes, name: str) -> Checkpoint:
    """As load, of a file that lies in memory. name: what to call it in a sentence."""
    return dataclasses.replace(_read(BufferedReader(BytesIO(data)), Path(name), shown(name)), data=data)


def _open(path: Path, name: str) -> Checkpoint:
    """As load. name: what to call the file in a sentence."""
    with open_file(path, name) as file:  # one handle: what is validated is what is hashed, though the name may move on
        return _read(file, path, name)


def _read(file: BufferedReader, path: Path, name: str) -> Checkpoint:
    header = read_header(file, name, MAX_HEADER)
    check_layout(name, header)
    about = _about(name, header.metadata)
    kind, configuration, classes = _check_about(name, about)
    _check_tensors(name, header.entries, kind, configuration, len(classes))
    return Checkpoint(
        path=path,
        kind=kind.name,
        config=about["config"],
        classes=classes,
        provenance=about["provenance"],
        metrics={key: float(value) for key, value in about["metrics"].items()},
        sha256=_digest(name, file),
        size=header.size,
        configuration=configuration,
    )


def _about(name: str, metadata: Mapping[str, str]) -> dict[str, Any]:
    """The studio's own description in the header of a safetensors file."""
    if "atelier" not in metadata:
        raise CheckpointError(
            f"{name} is a safetensors file of another program; the studio reads only files that it has saved."
        )
    try:
        return parse_object(metadata["atelier"], max_bytes=MAX_HEADER, max_depth=MAX_DEPTH)
    except JSONRefused as error:
        raise CheckpointError(f"{name} is damaged: its description {error}.") from error


def _digest(name: str, file: BufferedReader) -> str:
    try:
        file.seek(0)
        return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise read_error(name, error) from error


def save(
    path: Path | str,
    model: nn.Module,
    *,
    kind: str,
    config: Any,
    classes: Sequence[str],
    provenance: Mapping[str, Any],
    metrics: Mapping[str, float],
    dtype: torch.dtype = torch.float16,
) -> Checkpoint:
    """Write a checkpoint and open it, as pack. What ``load`` would refuse is refused here, before a file that is
    already there is replaced."""
    data = pack(
        path, model, kind=kind, config=config, classes=classes, provenance=provenance, metrics=metrics, dtype=dtype
    )
    with atomic_write(path) as temporary:
        temporary.write_bytes(data)
        checkpoint = _open(temporary, shown(path))
    return dataclasses.replace(checkpoint, path=Path(path))


def pack(
    path: Path | str,
    model: nn.Module,
    *,
    kind: str,
    config: Any,
    classes: Sequence[str],
    provenance: Mapping[str, Any],
    metrics: Mapping[str, float],
    dtype: torch.dtype = torch.float16,
) -> bytes:
    """The bytes of a checkpoint. config: the kind's configuration object, or its fields as a mapping.

    Floating tensors are stored as ``dtype``, integer buffers as they are. path: what to call it in a sentence.
    """
    settings = dataclasses.asdict(config) if dataclasses.is_dataclass(config) else dict(config)  # type: ignore[arg-type]
    about = {
        "format": FORMAT,
        "kind": kind,
        "config": settings,
        "classes": list(classes),
        "provenance": dict(provenance),
        "metrics": dict(metrics),
    }
    try:
        text = json.dumps(about, ensure_ascii=False, allow_nan=False)
        about = parse_object(text, max_bytes=MAX_HEADER, max_depth=MAX_DEPTH)
    except JSONRefused as error:
        raise CheckpointError(f"{shown(path)} is not saved: its description {error}.") from error
    except (TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{shown(path)} is not saved: its description is not JSON ({error}).") from error
    _check_about(shown(path), about)
    stored = {name: _stored(path, name, tensor, dtype) for name, tensor in model.state_dict().items()}
    return safetensors.torch.save(stored, metadata={"atelier": text})


def _stored(path: Path | str, name: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """The tensor as the file holds it; what is not a number, or too large for dtype, is refused."""
    if not tensor.is_floating_point():
        return tensor.detach().cpu().clone().contiguous()
    converted = tensor.detach().to("cpu", dtype).clone().contiguous()
    if not bool(torch.isfinite(converted).all()):
        finite = bool(torch.isfinite(tensor).all())
        remedy = (
            f"values too large for {str(dtype).removeprefix('torch.')}" if finite else "values that are not numbers"
        )
        raise CheckpointError(f"{shown(path)} is not saved: {name} holds {remedy}.")
    return converted


def _check_about(name: str, about: Mapping[str, Any]) -> tuple[ModelKind, Any, tuple[str, ...]]:
    """The kind, its configuration object and the classes that a description names."""
    missing, unknown = [key for key in KEYS if key not in about], [key for key in about if key not in KEYS]
    if missing or unknown:
        what = f"lacks {missing[0]!r}" if missing else f"holds the unknown key {unknown[0][:MAX_NAME]!r}"
        raise CheckpointError(f"{name} is damaged: its description {what}.")
    if type(about["format"]) is not int or about["format"] != FORMAT:
        raise CheckpointError(
            f"{name} has format {about['format']!r:.20}, and this version reads format {FORMAT}; update the studio."
        )
    if not isinstance(about["kind"], str) or about["kind"] not in MODEL_KINDS:
        raise CheckpointError(
            f"{name} is of the unknown kind {str(about['kind'])[:MAX_NAME]!r}; known: {', '.join(MODEL_KINDS)}."
        )
    classes = _classes(name, about["classes"])
    if not isinstance(about["provenance"], dict):
        raise CheckpointError(f"{name} is damaged: its provenance is not a table.")
    _check_metrics(name, about["metrics"])
    kind = MODEL_KINDS[about["kind"]]
    try:
        settings = configure(kind.config, about["config"])
    except (StudioError, ValueError, TypeError, OverflowError) as error:
        raise CheckpointError(
            f"{name} has a configuration that kind {kind.name} refuses: {_sentence(error)}"
        ) from error
    return kind, settings, classes


def _classes(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MAX_CLASSES:
        raise CheckpointError(f"{name} is damaged: its classes are not a list of at most {MAX_CLASSES} names.")
    for entry in value:
        if not isinstance(entry, str) or not 0 < len(entry) <= MAX_NAME or not entry.isprintable():
            raise CheckpointError(f"{name} is damaged: a class is not a name of 1 to {MAX_NAME} printable characters.")
    if len(set(value)) != len(value):
        raise CheckpointError(f"{name} is damaged: it names a class twice.")
    return tuple(value)


def _check_metrics(name: str, value: Any) -> None:
    if not isinstance(value, dict):
        raise CheckpointError(f"{name} is damaged: its metrics are not a table.")
    for key, number in value.items():
        valid = isinstance(number, (int, float)) and not isinstance(number, bool) and abs(number) < 1e300
        if len(key) > MAX_NAME or not valid:
            raise CheckpointError(f"{name} is damaged: its metric {key[:MAX_NAME]!r} is not a number.")


def _check_tensors(name: str, entries: Mapping[str, Entry], kind: ModelKind, settings: Any, classes: int) -> None:
    """Names, shapes and types against the model on torch's meta device, where tensors take no memory."""
    try:
        with torch.device("meta"):
            expected = kind.build(settings, classes).state_dict()
    except (StudioError, ValueError, TypeError, RuntimeError, ArithmeticError) as error:
        raise CheckpointError(f"{name} describes a model that cannot be built: {_sentence(error)}") from error
    missing, surplus = sorted(expected.keys() - entries.keys()), sorted(entries.keys() - expected.keys())
    if missing or surplus:
        what = f"lacks the tensor {missing[0]!r}" if missing else f"holds the unknown tensor {surplus[0][:MAX_NAME]!r}"
        raise CheckpointError(f"{name} does not hold what its configuration describes: it {what}.")
    for key, tensor in expected.items():
        entry = entries[key]
        if entry.shape != tuple(tensor.shape):
            raise CheckpointError(
                f"{name} does not hold what its configuration describes: {key} has the shape {_dims(entry.shape)} "
                f"where {_dims(tensor.shape)} is needed."
            )
        if DTYPES[entry.dtype].is_floating_point != tensor.is_floating_point():
            raise CheckpointError(f"{name} is damaged: {key} is stored as {entry.dtype}.")


def _dims(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape)) or "of a single number"


def _sentence(error: BaseException) -> str:
    """The first line of an error's text, ended by one full stop."""
    line = (str(error) or type(error).__name__).splitlines()[0][:200]
    return "".join(c if c.isprintable() else "?" for c in line).rstrip(".") + "."
