"""Every content of a set of pairs in every style, for a judge to score and for people to look at.

    python -m bench.pairs PAIRS.zip OUT --strength 1 --strength 0.8 --refined
    python -m bench.pairs PAIRS.zip OUT --strength 1 --refined --sheet docs/style-pairs.webp
    python -m bench.pairs PAIRS.zip OUT --strength 1 --practice 60
    python -m bench.pairs PAIRS.zip OUT --strength 1 --presets

PAIRS.zip holds `content/<name>.*` and `style/<name>.*`. Pictures go to OUT/instant-<strength> and OUT/refined, with
-content-<weight> behind where a content weight is given, -practised-<steps> where the styles practised first, and
-presets where masterworks take their place, each as <content>__<style>.png; those that are there already are kept, so
that an interrupted run goes on.
"""

import argparse
import io
import statistics
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from PIL import Image

from studio import Engine, StylizeRequest, result_of
from studio.core.images import tile
from studio.engine import Pictures

CELL = 176  # px, of a sheet


@dataclass(frozen=True)
class Pairs:
    """References of contents and styles by name, and the pictures that they name."""

    pictures: Pictures
    contents: dict[str, str]
    styles: dict[str, str]

    @classmethod
    def of(cls, archive: zipfile.ZipFile, pictures: Pictures) -> "Pairs":
        """All of an archive's."""
        parts = ({n: pictures.add(x) for n, x in members(archive, kind).items()} for kind in ("content", "style"))
        return cls(pictures, *parts)


def members(archive: zipfile.ZipFile, folder: str) -> dict[str, Image.Image]:
    """The pictures of a folder, by their stems."""
    names = sorted(name for name in archive.namelist() if PurePosixPath(name).parent.name == folder)
    top = [name for name in names if len(PurePosixPath(name).parts) == 2]
    return {PurePosixPath(name).stem: Image.open(io.BytesIO(archive.read(name))).convert("RGB") for name in top}


def paint(
    engine: Engine, pairs: Pairs, out: Path, size: int, practice: int | None, changes: dict[str, object]
) -> list[float]:
    """Write the pictures of one way of painting; the seconds of each, a style's practice in its first.

    practice: steps; None takes masterworks in place of the pictures."""
    taken = []
    out.mkdir(parents=True, exist_ok=True)
    for content, photo in pairs.contents.items():
        for style, painting in pairs.styles.items():
            path = out / f"{content}__{style}.png"
            if path.exists():
                continue
            styled = {"masterwork": style} if practice is None else {"picture": painting, "practice": practice}
            request = StylizeRequest.model_validate({"content": photo, "styles": [styled], "size": size, **changes})
            began = time.perf_counter()
            result = result_of(engine.stylize(request, pairs.pictures))
            taken.append(time.perf_counter() - began)
            result.save(path, keep_recipe=False)
    return taken


def sheet(pairs: zipfile.ZipFile, ways: list[Path]) -> Image.Image:
    """Styles on top; then for each content a row for each way of painting."""
    contents, styles = members(pairs, "content"), members(pairs, "style")
    cells = [Image.new("RGB", (CELL, CELL), "white"), *styles.values()]
    for content, photo in contents.items():
        for index, way in enumerate(ways):
            cells.append(photo if index == 0 else Image.new("RGB", (CELL, CELL), "white"))
            cells += [Image.open(way / f"{content}__{style}.png") for style in styles]
    return tile([_cell(image) for image in cells], 1 + len(styles))


def _cell(image: Image.Image) -> Image.Image:
    image = image.copy()
    image.thumbnail((CELL, CELL), Image.Resampling.LANCZOS)
    cell = Image.new("RGB", (CELL, CELL), "white")
    cell.paste(image, ((CELL - image.width) // 2, (CELL - image.height) // 2))
    return cell


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--strength", type=float, action="append", default=[], help="of an instant picture")
    parser.add_argument("--content-weight", type=float, help="of every picture, in place of the default")
    parser.add_argument("--refined", action="store_true", help="refine at the default settings")
    parser.add_argument("--practice", type=int, default=0, help="steps that every style practises first")
    parser.add_argument("--presets", action="store_true", help="masterworks in place of the styles, by their names")
    parser.add_argument("--size", type=int, default=512, help="long side in px")
    parser.add_argument("--sheet", type=Path, help="also put all of them on one sheet")
    given = parser.parse_args()
    ways: dict[str, dict[str, object]] = {
        f"instant-{strength:.2f}": {"style_weight": strength, "fast": True} for strength in given.strength
    }
    if given.refined:
        ways["refined"] = {}
    if given.content_weight is not None:
        more = {"content_weight": given.content_weight}
        ways = {f"{name}-content-{given.content_weight:.2f}": {**changes, **more} for name, changes in ways.items()}
    if given.practice:
        ways = {f"{name}-practised-{given.practice}": changes for name, changes in ways.items()}
    if given.presets:
        ways = {f"{name}-presets": changes for name, changes in ways.items()}
    practice = None if given.presets else given.practice
    with zipfile.ZipFile(given.pairs) as pairs:
        engine = Engine()
        every = Pairs.of(pairs, engine.pictures())
        for name, changes in ways.items():
            seconds = paint(engine, every, given.out / name, given.size, practice, changes)
            told = f", {statistics.median(seconds):.2f} s each (median)" if seconds else ""
            print(f"{name}: {len(seconds)} pictures{told}", flush=True)
        if given.sheet is not None:
            sheet(pairs, [given.out / name for name in ways]).save(given.sheet, quality=82)


if __name__ == "__main__":
    main()
