"""The shipped models of style transfer belong together and paint."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from studio_styles import photo

from studio.engine import Engine, StylizeRequest
from studio.settings import Settings

CHECKPOINTS = Path(__file__).resolve().parent.parent.parent / "checkpoints"


@pytest.fixture(autouse=True)
def real_kinds() -> None:
    """Style transfer needs the real table of kinds."""


def test_the_shipped_models_of_style_transfer_belong_together_and_paint(tmp_path: Path) -> None:
    engine = Engine(Settings(home=tmp_path, checkpoints=CHECKPOINTS, device="cpu", threads=1))
    assert engine.can_stylize
    assert len(engine.masterworks()) == 38
    pictures = engine.pictures()
    request = StylizeRequest(content=pictures.add(photo()), styles=["hokusai-great-wave"], size=96, steps=2)
    *_, last = engine.stylize(request, pictures)  # refused where the moments are those of another encoder
    assert last.result is not None
    small = np.array(photo().resize((96, 64), Image.Resampling.LANCZOS)).astype(int)
    assert np.abs(np.array(last.result.image).astype(int) - small).mean() > 5
