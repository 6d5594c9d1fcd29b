"""Pictures by reference: what a request for style transfer names is looked up here, for a session or in the library.

A reference is the SHA-256 of a picture's upright sRGB pixels, so that it is the same for the same picture in any file.
"""

import hashlib
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from PIL import Image

from studio.core.decode import Source
from studio.core.errors import ImageError, InvalidRequest, OutputError
from studio.core.images import open_image, save_png

REFERENCE = re.compile(r"[0-9a-f]{64}", re.ASCII)
LARGEST = 4096  # px, long side of a picture that is kept; larger ones are scaled down when they enter
LIBRARY_BYTES = 512 << 20  # of the library's folder; the pictures not used for longest make room


def reference(image: Image.Image) -> str:
    """The name of a picture's content, 64 hexadecimal digits."""
    digest = hashlib.sha256(f"{image.mode} {image.width}x{image.height}\n".encode())
    digest.update(image.tobytes())
    return digest.hexdigest()


class Pictures(Mapping[str, Image.Image]):
    """Pictures in memory, up to max_bytes of them, and behind them those in a folder, where there is one.

    max_pixels: how large a file may be to be opened. Mode RGB, or RGBA where a picture has transparent parts.
    """

    def __init__(self, max_pixels: int = 16_000_000, max_bytes: int = 256 << 20, folder: Path | None = None) -> None:
        self.max_pixels, self.max_bytes, self.folder = max_pixels, max_bytes, folder
        self._held: OrderedDict[str, Image.Image] = OrderedDict()  # the least recently used first
        self._titles: dict[str, str] = {}

    def add(self, source: Source | Image.Image, title: str = "") -> str:
        """Take a picture in and return its reference. title: what people call it; a file's name by default.

        Raises ImageError, one sentence, for a file that cannot be used.
        """
        if isinstance(source, Image.Image):
            image = source if source.mode in ("RGB", "RGBA") else source.convert("RGB")
        else:
            image = open_image(source, max_pixels=self.max_pixels, alpha="keep")
        if max(image.size) > LARGEST:
            image = image.copy()
            image.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
        name = reference(image)
        self._hold(name, image)
        self._titles[name] = title or (Path(source).stem if isinstance(source, (str, Path)) else "") or name[:8]
        return name

    def title(self, name: str) -> str:
        """What people call a picture."""
        return self._titles.get(name, name[:8])

    def keep(self, name: str) -> None:
        """Write a picture into the folder, so that it is known after this session; nothing where there is none."""
        if self.folder is None:
            return
        file = self.folder / f"{name}.png"
        with suppress(OutputError):  # a full disk must not stop a download
            if not file.exists():
                save_png(self[name], file)
                _make_room(self.folder, file)

    def __getitem__(self, name: str) -> Image.Image:
        image = self._held.get(name)
        if image is None:
            image = self._from_folder(name)
        self._hold(name, image)
        return image

    def __contains__(self, name: object) -> bool:
        with suppress(KeyError):
            return isinstance(name, str) and self[name] is not None
        return False

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._held))

    def __len__(self) -> int:
        return len(self._held)

    def __deepcopy__(self, memo: object) -> "Pictures":
        return Pictures(self.max_pixels, self.max_bytes, self.folder)  # a session's own

    def _hold(self, name: str, image: Image.Image) -> None:
        self._held[name] = image
        self._held.move_to_end(name)
        while len(self._held) > 1 and sum(map(_bytes, tuple(self._held.values()))) > self.max_bytes:
            self._held.popitem(last=False)

    def _from_folder(self, name: str) -> Image.Image:
        """A picture of the library, if its content is still what its name says."""
        if self.folder is None or not REFERENCE.fullmatch(name):
            raise KeyError(name)
        file = self.folder / f"{name}.png"
        try:
            image = open_image(file, max_pixels=LARGEST * LARGEST, alpha="keep")
        except ImageError:
            raise KeyError(name) from None
        if reference(image) != name:
            raise KeyError(name)
        with suppress(OSError):
            file.touch()
        return image


def wanted(pictures: Mapping[str, Image.Image], name: str, what: str) -> Image.Image:
    """A picture that a request names. what: how to call it in the sentence, where it is not there."""
    try:
        return pictures[name]
    except KeyError:
        raise InvalidRequest(f"The {what} picture {name[:8]}… is not at hand any more; add it again.") from None


def opaque(image: Image.Image) -> Image.Image:
    """Mode RGB, transparent parts over white."""
    if "A" not in image.getbands():
        return image
    return Image.composite(image.convert("RGB"), Image.new("RGB", image.size, "white"), image.getchannel("A"))


def _bytes(image: Image.Image) -> int:
    return image.width * image.height * len(image.getbands())


def _make_room(folder: Path, newest: Path) -> None:
    """Remove the files used least recently until the folder is within its bound."""
    with suppress(OSError):
        files = sorted(folder.glob("*.png"), key=lambda file: file.stat().st_mtime)
        total = sum(file.stat().st_size for file in files)
        for file in files:
            if total <= LIBRARY_BYTES or file == newest:
                return
            total -= file.stat().st_size
            file.unlink()
