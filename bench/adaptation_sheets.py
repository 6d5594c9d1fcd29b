"""Sheets of the proof: for every artist pictures of the support, the base, and each arm by the same seeds."""

import re
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from bench.adaptation_run import LOOKED_AT, STRIP, Setting

LABEL = 96  # px left of a strip


def sheets(records: list[dict[str, Any]], arms: list[str], setting: Setting, docs: Path) -> str:
    """A sheet for every artist who was run: pictures of the support, the base, then each arm by the same seeds."""
    parts = ["## Before and after", f"The first draw and seed: {STRIP} samples of the same noise in each row."]
    for artist in sorted({record["artist"] for record in records}):
        sizes = sorted({record["shots"] for record in records if record["artist"] == artist})
        shots = 10 if 10 in sizes else sizes[0]
        folder = Path(setting.out) / "strips" / artist
        rows = [(f"{shots} pictures", folder / f"{shots}-support-end.png")]
        for arm in arms:
            if arm not in ("none", "embed"):
                rows.append((f"{arm}, {LOOKED_AT}", folder / f"{shots}-{arm}-{LOOKED_AT}.png"))
            rows.append((f"{arm}, end" if arm != "none" else arm, folder / f"{shots}-{arm}-end.png"))
        there = [(label, path) for label, path in rows if path.exists()]
        name = f"adaptation/{re.sub(r'[^a-z0-9-]', '', artist)}.webp"
        if there:
            (docs / name).parent.mkdir(exist_ok=True)
            _sheet(there).save(docs / name, quality=80)
        if (docs / name).exists():  # of these runs, or of those of another machine
            parts.append(f"**{artist}**\n\n![{artist}]({name})")
    return "\n\n".join(parts)


def _sheet(rows: list[tuple[str, Path]]) -> Image.Image:
    strips = [(label, Image.open(path).convert("RGB")) for label, path in rows]
    width, height = max(image.width for _, image in strips), max(image.height for _, image in strips)
    sheet = Image.new("RGB", (LABEL + width, len(strips) * (height + 2)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for row, (label, image) in enumerate(strips):
        sheet.paste(image, (LABEL, row * (height + 2)))
        draw.text((2, row * (height + 2) + height // 2), label, "black", font, anchor="lm")
    return sheet
