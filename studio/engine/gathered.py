"""Files that an artist offers to be learned from, taken in one by one; what cannot be read is named and skipped."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from studio.adapt.job import MOST
from studio.core.colour import turn_of
from studio.core.decode import open_header, read_source
from studio.core.errors import ImageError
from studio.core.files import shown
from studio.core.images import open_image
from studio.engine.adapted import Verdict
from studio.engine.pictures import Pictures

SHORT_SIDE = 512  # px, to which larger pictures are reduced when they enter: no base paints larger ones
MAX_LOOKED_AT = 3 * MOST  # files
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif")


@dataclass(frozen=True)
class Taken:
    """An offered file. reference: of its picture, "" where it cannot be read. note: what is to be said of it."""

    name: str
    reference: str
    note: str = ""


def take(file: Path | str, pictures: Pictures) -> Taken:
    """Take a file in, reduced; a broken one is named, and that is all."""
    name = shown(file)
    try:
        image = open_image(file, max_pixels=pictures.max_pixels, alpha="keep")
        turned = turn_of(open_header(*read_source(file))) is not None
    except ImageError as error:
        return Taken(name, "", f"Skipped: {error}")
    factor = SHORT_SIDE / min(image.size)
    if factor < 1:
        sides = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
        image = image.resize(sides, Image.Resampling.LANCZOS)
    return Taken(name, pictures.add(image, Path(file).stem), "Turned upright." if turned else "")


def left_out(taken: Sequence[Taken], verdicts: Sequence[Verdict]) -> dict[str, str]:
    """Why files are not learned from, by name. verdicts: of those that could be read, in their order."""
    read = [one for one in taken if one.reference]
    return {one.name: verdict.text for one, verdict in zip(read, verdicts, strict=True) if verdict.text}


def spread(files: Sequence[Path | str]) -> tuple[Path | str, ...]:
    """The files to look at, of however many: as many as are learned from come first, evenly spaced over all of them,
    then some more in case that these cannot be used."""
    if len(files) <= MOST:
        return tuple(files)
    first, more = (_evenly(len(files), most) for most in (MOST, MAX_LOOKED_AT))
    return tuple(files[index] for index in dict.fromkeys((*first, *more)))[:MAX_LOOKED_AT]


def _evenly(count: int, most: int) -> list[int]:
    return [index * count // most for index in range(most)] if count > most else list(range(count))
