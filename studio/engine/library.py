"""The models that can be named: the shipped ones, then the artist's own, and what their files say."""

import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import torch

from studio.core import checkpoint
from studio.core.checkpoint import SUFFIX, Checkpoint
from studio.core.errors import StudioError, UnknownName
from studio.core.kinds import MODEL_KINDS
from studio.engine.results import ModelInfo
from studio.settings import Settings

MAX_CARD = 64 << 10  # bytes
_Stamp = tuple[int, int, int]


class Library:
    """Opens checkpoint files by name, or by path where the settings allow it; reopens those that have changed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._guard = threading.Lock()
        self._opened: dict[Path, tuple[_Stamp, Checkpoint]] = {}
        self._shapes: dict[str, tuple[int, int, int]] = {}

    def paths(self) -> Mapping[str, Path]:
        """Every generator's file by name, shipped ones first; a name that both folders have is the shipped one's.

        Files that cannot be used stay in the list, to be described with their error.
        """
        found: dict[str, Path] = {}
        for folder in (self._settings.checkpoints, self._settings.models):
            for file in _files(folder):
                found.setdefault(file.stem, file)
        return {name: file for name, file in found.items() if self._may_paint(file)}

    def _may_paint(self, file: Path) -> bool:
        """Whether a file holds a generator, or nothing that can be opened."""
        with suppress(StudioError):
            return MODEL_KINDS[self._open(file).kind].latent
        return True

    def open(self, model: str) -> tuple[str, Checkpoint]:
        """The model's name and checkpoint. Raises UnknownName, or CheckpointError where the file is not usable."""
        paths = self.paths()
        if model in paths:
            return model, self._open(paths[model])
        if self._settings.allow_paths and _is_path(model):
            path = Path(model)
            with suppress(RuntimeError):  # the home folder of nobody
                path = path.expanduser()
            return path.stem, self._open(path)
        raise UnknownName("model", model, tuple(paths))

    def part(self, name: str) -> Checkpoint | None:
        """A model that paints with others, by its file's name; None where neither folder has it."""
        for folder in (self._settings.checkpoints, self._settings.models):
            path = folder / f"{name}{SUFFIX}"
            if path.is_file():
                return self._open(path)
        return None

    def describe(self, name: str, path: Path) -> ModelInfo:
        """What a file is, or why it cannot be used."""
        try:
            opened = self._open(path)
            resolution, layers, parameters = self._shape(opened)
        except StudioError as error:
            return ModelInfo(name=name, path=path, error=str(error))
        return ModelInfo(
            name=name,
            path=path,
            kind=opened.kind,
            resolution=resolution,
            classes=opened.classes,
            layers=layers,
            parameters=parameters,
            sha256=opened.sha256,
            metrics=opened.metrics,
            card=_card(path),
        )

    def layers(self, opened: Checkpoint) -> int:
        """Styles a picture of the model."""
        return self._shape(opened)[1]

    def resolution(self, opened: Checkpoint) -> int:
        """Side of the model's pictures in pixels."""
        return self._shape(opened)[0]

    def _open(self, path: Path) -> Checkpoint:
        stamp = _stamp(path)
        with self._guard:
            known = self._opened.get(path)
        if known is not None and known[0] == stamp:
            return known[1]
        opened = checkpoint.load(path)
        if stamp is not None:
            with self._guard:
                self._opened[path] = (stamp, opened)
        return opened

    def _shape(self, opened: Checkpoint) -> tuple[int, int, int]:
        """(resolution, layers, parameters), from a model without weights."""
        shape = self._shapes.get(opened.sha256)
        if shape is None:
            with torch.device("meta"):
                model = MODEL_KINDS[opened.kind].generator(opened.configuration, len(opened.classes))
            shape = (model.resolution, model.layers, sum(tensor.numel() for tensor in model.parameters()))
            self._shapes[opened.sha256] = shape
        return shape


def _files(folder: Path) -> list[Path]:
    """The checkpoint files in a folder, by name; none where there is no such folder."""
    with suppress(OSError), os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.name.endswith(SUFFIX) and not entry.name.startswith(".")]
        return [folder / name for name in sorted(names)]
    return []


def _is_path(model: str) -> bool:
    return model.endswith(SUFFIX) or "/" in model or os.sep in model


def _stamp(path: Path) -> _Stamp | None:
    """What changes when a file is written again; None where it cannot be looked at."""
    with suppress(OSError, ValueError):
        status = path.stat()
        return status.st_mtime_ns, status.st_size, status.st_ino
    return None


def _card(path: Path) -> str | None:
    """The text of the card beside a checkpoint, at most MAX_CARD bytes of it."""
    with suppress(OSError), path.with_suffix(".md").open("rb") as file:
        return file.read(MAX_CARD).decode("utf-8", errors="replace")
    return None
