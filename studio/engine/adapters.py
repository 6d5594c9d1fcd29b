"""What can be done with adapters besides painting: hold, keep, hand out, take in, and show what they learned from."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from studio.core import checkpoint
from studio.core.checkpoint import SUFFIX, Checkpoint
from studio.core.container import open_file, read_error
from studio.core.errors import CheckpointError, InvalidRequest
from studio.core.files import atomic_write, shown
from studio.core.images import to_image
from studio.engine.held import MAX_BYTES
from studio.engine.library import Library
from studio.engine.results import ModelInfo
from studio.models.adapter import KIND, Adapter
from studio.settings import Settings

_NAME = re.compile(r"\w(?:[\w .-]{0,58}\w)?")


class Adapters:
    """The adapters of a library, those held in memory among them."""

    def __init__(self, settings: Settings, library: Library) -> None:
        self._settings, self._library = settings, library

    def hold(self, adapter: Adapter, name: str, provenance: Mapping[str, Any], metrics: Mapping[str, float]) -> str:
        """Keep an adapter in memory. name: of the artist's class. → its reference."""
        data = checkpoint.pack(
            name, adapter, kind=KIND, config=adapter.config, classes=[name], provenance=provenance, metrics=metrics
        )
        return self._take(checkpoint.read(data, name))

    def adopt(self, source: Path | str | bytes) -> str:
        """Validate a stranger's adapter file as a whole and hold it. → its reference."""
        data, name = (source, "The file") if isinstance(source, bytes) else (_read(source), shown(source))
        if len(data) > MAX_BYTES:
            raise CheckpointError(f"{name} is larger than the {MAX_BYTES / 1e6:.1f} MB that an adapter may have.")
        found = checkpoint.read(data, name)
        if found.kind != KIND:
            raise CheckpointError(f"{name} is of kind {found.kind!r} and no adapter; choose a file saved from Adapt.")
        return self._take(found)

    def _take(self, found: Checkpoint) -> str:
        self._library.whole(found.classes[0], found)  # says where its base is not here
        found.build_module()  # says where its numbers are none
        return self._library.held.add(found)

    def keep(self, model: str, name: str, overwrite: bool) -> ModelInfo:
        """Write an adapter into the artist's library under a name."""
        file = self.place(name, overwrite)
        data = self._adapter(model).contents()
        with atomic_write(file) as temporary:
            temporary.write_bytes(data)
        return self._library.info(name)

    def place(self, name: str, overwrite: bool) -> Path:
        """The file that keep writes. Raises InvalidRequest for a name that it refuses."""
        if self._settings.profile == "public":
            raise InvalidRequest("This studio is shared, so its library takes in nothing; download the adapter.")
        if not _NAME.fullmatch(name):
            raise InvalidRequest(
                f"{name!r:.40} cannot be a model's name; use 1 to 60 letters, digits, spaces, dots and hyphens."
            )
        file = f"{name}{SUFFIX}"
        if (self._settings.checkpoints / file).exists():
            raise InvalidRequest(f"{name!r} is the name of a model that comes with the studio; choose another.")
        if (self._settings.models / file).exists() and not overwrite:
            raise InvalidRequest(f"There is a model called {name!r} already; choose another name, or overwrite it.")
        return self._settings.models / file

    def export(self, model: str) -> bytes:
        """The file of an adapter."""
        return self._adapter(model).contents()

    def own_pictures(self, model: str) -> tuple[Image.Image, ...]:
        """The small copies of the pictures that an adapter learned from."""
        adapter = self._adapter(model).build_module()
        assert isinstance(adapter, Adapter)
        return tuple(to_image(picture) for picture in adapter.pictures)

    def _adapter(self, model: str) -> Checkpoint:
        opened = self._library.open(model)
        if opened.base is None:
            raise InvalidRequest(f"The model {opened.name!r} is no adapter; choose one that is.")
        return opened.checkpoint


def _read(path: Path | str) -> bytes:
    """At most one byte more of a file than an adapter may have."""
    name = shown(path)
    with open_file(Path(path), name) as file:
        try:
            return file.read(MAX_BYTES + 1)
        except OSError as error:
            raise read_error(name, error) from error
