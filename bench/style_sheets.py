"""The pictures of the cards of `stylizer` and `masterworks`: the neutral picture in the hand of masterworks.

    python -m bench.style_sheets docs

Writes OUT/stylizer.webp, strength, content weight and a blend, and OUT/masterworks.webp, every masterwork.
"""

import argparse
from pathlib import Path

from PIL import Image

from studio import Engine, StylizeRequest, result_of
from studio.core.sheet import tile
from studio.engine.neutral import neutral_picture

NAMES = ("hokusai-great-wave", "munch-the-scream-1893", "vangogh-starry-night-1889")
STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)
PAINTED, CELL = 384, 192  # px
ACROSS = 8  # masterworks in a row


def stylizer_sheet(engine: Engine) -> Image.Image:
    """Three rows of strengths, three of content weights, and one from the first masterwork to the second."""
    pictures = engine.pictures()
    content = pictures.add(neutral_picture(PAINTED))

    def painted(styles: dict[str, float], **changes: float) -> Image.Image:
        chosen = [{"masterwork": name, "weight": weight} for name, weight in styles.items()]
        settings = {"content": content, "styles": chosen, "size": PAINTED, "fast": True, **changes}
        request = StylizeRequest.model_validate(settings)
        return result_of(engine.stylize(request, pictures)).image.resize((CELL, CELL), Image.Resampling.LANCZOS)

    cells = [painted({name: 1.0}, style_weight=step) for name in NAMES for step in STEPS]
    cells += [painted({name: 1.0}, content_weight=step) for name in NAMES for step in STEPS]
    first, second, _ = NAMES
    cells += [painted({n: w for n, w in ((first, 1 - step), (second, step)) if w > 0}) for step in STEPS]
    return tile(cells, len(STEPS))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    engine = Engine()
    stylizer_sheet(engine).save(out / "stylizer.webp", quality=82)
    thumbnails = result_of(engine.masterwork_thumbnails())
    tile(list(thumbnails.values()), ACROSS).save(out / "masterworks.webp", quality=82)


if __name__ == "__main__":
    main()
