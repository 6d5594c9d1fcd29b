"""The picture that the Adapt tab opens with: the same seeds before, and in three painters' hands, by the proof's runs.

python -m bench.adaptation … --arms none,meta --shots 10 --draws 1 --seeds 1 --out OUT
python -m bench.adaptation_example OUT studio/ui/adapt-example.webp
"""

import argparse
from pathlib import Path

from PIL import Image

from bench.adaptation_run import STRIP
from studio.core.images import tile

BEFORE, PAINTERS = "none", ("ogata-gekko", "armand-guillaumin", "albert-bierstadt")
SEEDS = (0, 2, 5, 7)  # of a strip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("proof", type=Path, help="folder of the proof's runs")
    parser.add_argument("picture", type=Path)
    given = parser.parse_args()
    cells = cut(given.proof, PAINTERS[0], BEFORE)
    for painter in PAINTERS:
        cells += cut(given.proof, painter, "meta")
    tile(cells, len(SEEDS), gap=0).save(given.picture, quality=82)


def cut(proof: Path, artist: str, arm: str) -> list[Image.Image]:
    """The chosen pictures of an arm's strip at the end of its time, for ten pictures of an artist."""
    strip = Image.open(proof / "strips" / artist / f"10-{arm}-end.png").convert("RGB")
    side = strip.width // STRIP
    return [strip.crop((seed * side, 0, (seed + 1) * side, side)) for seed in SEEDS]


if __name__ == "__main__":
    main()
