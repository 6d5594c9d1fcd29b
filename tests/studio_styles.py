"""Small untrained models of style transfer, and pictures to try them on."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from studio.core import checkpoint
from studio.core.images import to_tensor
from studio.style.codes import CodesConfig, StyleCodes
from studio.style.encoder import EncoderConfig, StyleEncoder
from studio.style.moments import MomentsConfig, table
from studio.style.stylizer import Stylizer, StylizerConfig

WIDTHS = (4, 6, 8, 8, 8)
MASTERWORKS = ("hokusai-great-wave", "monet-sunrise", "van-gogh-starry-night")


def write_styles(folder: Path, seed: int = 0, matched: int = 0) -> Path:
    """encoder, stylizer and masterworks, random but the same in every test. matched: maps that the stylizer sees."""
    folder.mkdir(parents=True, exist_ok=True)
    about = {"classes": (), "provenance": {}, "metrics": {}}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = EncoderConfig(widths=WIDTHS, depths=(1, 1, 1, 1, 1))
        encoder = StyleEncoder(config)
        about_encoder = checkpoint.save(folder / "encoder.safetensors", encoder, kind="encoder", config=config, **about)
        small = {"widths": WIDTHS, "channels": 8, "half": 8, "blocks": 1, "code": 16, "hidden": 16, "octaves": 2}
        painter = StylizerConfig(**small, matched=matched)
        stylizer = Stylizer(painter)
        torch.nn.init.normal_(stylizer.exit.weight, std=0.1)  # strokes that the eye can see
        for lane in stylizer.lanes.parameters():
            torch.nn.init.normal_(lane, std=0.1)
        opened = checkpoint.save(folder / "stylizer.safetensors", stylizer, kind="stylizer", config=painter, **about)
        codes = StyleCodes(CodesConfig(painter.code_length, opened.sha256), len(MASTERWORKS))
        codes.codes.normal_(std=0.5)
        codes.codes[:, 3:6].abs_().add_(0.1)  # deviations
        codes.codes[:, -6:].sub_(3)  # logarithms of how strong octaves are
        about["classes"] = MASTERWORKS
        checkpoint.save(folder / "masterworks.safetensors", codes, kind="style-codes", config=codes.config, **about)
        kept = MomentsConfig(WIDTHS, about_encoder.sha256)
        paintings = [to_tensor(painting(64, seed)) for seed in range(len(MASTERWORKS))]
        moments = table(encoder.eval(), paintings, kept)
        checkpoint.save(folder / "masterworks-moments.safetensors", moments, kind="style-moments", config=kept, **about)
    return folder


def photo(width: int = 96, height: int = 64, seed: int = 0) -> Image.Image:
    """A smooth picture of soft spots."""
    numbers = np.random.default_rng(seed)
    small = Image.fromarray(numbers.integers(0, 256, (4, 6, 3), dtype=np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC)


def painting(side: int = 80, seed: int = 1) -> Image.Image:
    """A picture of hard stripes in two colours."""
    numbers = np.random.default_rng(seed)
    colours = numbers.integers(0, 256, (2, 3), dtype=np.uint8)
    stripes = (np.add.outer(np.arange(side), np.arange(side)) // 7) % 2
    return Image.fromarray(colours[stripes])
