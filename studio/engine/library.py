"""The models that can be named: the shipped ones, then the artist's own, and what their files say."""

import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import torch

from studio.core import checkpoint
from studio.core.checkpoint import SUFFIX, Checkpoint
from studio.core.errors import CheckpointError, StudioError, UnknownName
from studio.core.files import shown
from studio.core.kinds import MODEL_KINDS
from studio.engine.held import Held, is_reference
from studio.engine.opened import Opened
from studio.engine.results import ModelInfo
from studio.models.adapter import KIND as ADAPTER
from studio.settings import Settings

MAX_CARD = 64 << 10  # bytes
STUDIES = "studies"  # folder of the models that are there to be compared, beside the shipped ones
_Stamp = tuple[int, int, int]


class Library:
    """Opens checkpoint files by name, or by path where the settings allow it; reopens those that have changed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.held = Held()
        self._guard = threading.Lock()
        self._opened: dict[Path, tuple[_Stamp, Checkpoint]] = {}
        self._shapes: dict[str, tuple[int, int, int]] = {}

    def paths(self) -> Mapping[str, Path]:
        """Every generator's file by name: the shipped ones, the artist's own, and last the small ones of the studies.
        A name that several folders have is the first one's.

        Files that cannot be used stay in the list, to be described with their error.
        """
        found: dict[str, Path] = {}
        for folder in (self._settings.checkpoints, self._settings.models, self._settings.checkpoints / STUDIES):
            for file in _files(folder):
                found.setdefault(file.stem, file)
        return {name: file for name, file in found.items() if self._may_paint(file)}

    def _may_paint(self, file: Path) -> bool:
        """Whether a file holds a generator, an adapter, or nothing that can be opened."""
        with suppress(StudioError):
            kind = self._open(file).kind
            return kind == ADAPTER or MODEL_KINDS[kind].latent
        return True

    def open(self, model: str) -> Opened:
        """A model by its name, by its path or by the reference of a held adapter, with its base where it has one.

        Raises UnknownName, or CheckpointError where the file is not usable.
        """
        if is_reference(model):
            checkpoint = self.held.get(model)
            return self.whole(_plain(checkpoint.classes[0]), checkpoint)
        name, path = self._place(model)
        return self.whole(name, self._open(path))

    def _place(self, model: str) -> tuple[str, Path]:
        """The name and the file of a model that is not held in memory."""
        paths = self.paths()
        if model in paths:
            return model, paths[model]
        if self._settings.allow_paths and _is_path(model):
            path = Path(model)
            with suppress(RuntimeError):  # the home folder of nobody
                path = path.expanduser()
            return path.stem, path
        raise UnknownName("model", model, tuple(paths))

    def whole(self, name: str, found: Checkpoint) -> Opened:
        """A checkpoint with all that it needs to paint. Raises CheckpointError where an adapter's base is not here."""
        if found.kind != ADAPTER:
            return Opened(name, found)
        config, what = found.configuration, shown(found.path)
        base = self._base(config.base_name, config.base)
        if base is None:
            here = any(file.stem == config.base_name for file in self.paths().values())
            raise CheckpointError(
                f"{what} needs its base {config.base_name!r} with the sha256 {config.base[:12]}…, "
                + ("and the one here is another; put that one back." if here else "which is not here; add its file.")
            )
        if (base.kind, base.configuration, len(base.classes)) != ("gan", config.gan, config.base_classes):
            raise CheckpointError(f"{what} does not fit its base {config.base_name!r}: their sizes are not the same.")
        if found.classes[0] in base.classes:
            raise CheckpointError(f"{what} names its class {found.classes[0]!r}, as its base names one of its own.")
        return Opened(name, found, base)

    def _base(self, name: str, sha256: str) -> Checkpoint | None:
        """The file of this content, which most likely has this name; None where there is none."""
        for file in sorted(self.paths().values(), key=lambda file: file.stem != name):
            with suppress(StudioError):
                found = self._open(file)
                if found.sha256 == sha256:
                    return found
        return None

    def part(self, name: str) -> Checkpoint | None:
        """A model that paints with others, by its file's name; None where neither folder has it."""
        for folder in (self._settings.checkpoints, self._settings.models):
            path = folder / f"{name}{SUFFIX}"
            if path.is_file():
                return self._open(path)
        return None

    def describe(self, name: str, path: Path) -> ModelInfo:
        """What a file is, or why it cannot be used."""
        base = ""
        try:
            found = self._open(path)
            base = found.configuration.base_name if found.kind == ADAPTER else ""
            return self._info(name, self.whole(name, found))
        except StudioError as error:
            return ModelInfo(name=name, path=path, error=str(error), base=base)

    def info(self, model: str) -> ModelInfo:
        """What a model is, by name, path or reference. Raises as open."""
        opened = self.open(model)
        return self._info(model if is_reference(model) else opened.name, opened)

    def _info(self, name: str, opened: Opened) -> ModelInfo:
        resolution, layers, parameters = self._shape(opened)
        return ModelInfo(
            name=name,
            path=opened.path,
            kind=opened.checkpoint.kind,
            resolution=resolution,
            classes=opened.classes,
            layers=layers,
            parameters=parameters,
            sha256=opened.sha256,
            metrics=opened.checkpoint.metrics,
            card=_card(opened.path) if opened.path.name else None,
            title=opened.name,
            base="" if opened.base is None else opened.base.path.stem,
            base_sha256="" if opened.base is None else opened.base.sha256,
        )

    def layers(self, opened: Opened) -> int:
        """Styles a picture of the model."""
        return self._shape(opened)[1]

    def resolution(self, opened: Opened) -> int:
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

    def _shape(self, opened: Opened) -> tuple[int, int, int]:
        """(resolution, layers, parameters), from a model without weights; an adapter's are its base's."""
        found = opened.base or opened.checkpoint
        shape = self._shapes.get(found.sha256)
        if shape is None:
            with torch.device("meta"):
                model = MODEL_KINDS[found.kind].generator(found.configuration, len(found.classes))
            shape = (model.resolution, model.layers, sum(tensor.numel() for tensor in model.parameters()))
            self._shapes[found.sha256] = shape
        return shape


def _files(folder: Path) -> list[Path]:
    """The checkpoint files in a folder, by name; none where there is no such folder."""
    with suppress(OSError), os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.name.endswith(SUFFIX) and not entry.name.startswith(".")]
        return [folder / name for name in sorted(names)]
    return []


def _is_path(model: str) -> bool:
    return model.endswith(SUFFIX) or "/" in model or os.sep in model


def _plain(name: str) -> str:
    """A class's name as part of a file's name."""
    return "".join(letter if letter.isalnum() or letter in " -_" else "-" for letter in name).strip() or "adapter"


def _stamp(path: Path) -> _Stamp | None:
    """What changes when a file is written again; None where it cannot be looked at."""
    with suppress(OSError, ValueError):
        status = path.stat()
        return status.st_mtime_ns, status.st_size, status.st_ino
    return None


def _card(path: Path) -> str | None:
    """The text of the card beside a checkpoint, at most MAX_CARD bytes of it."""
    with suppress(OSError, ValueError), path.with_suffix(".md").open("rb") as file:  # no path in memory
        return file.read(MAX_CARD).decode("utf-8", errors="replace")
    return None
