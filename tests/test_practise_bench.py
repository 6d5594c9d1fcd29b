"""Practice on codes: the loss falls, the stylizer stays, the outcome is always the same."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.practise import Practice, scaled
from studio.core import checkpoint
from studio.core.images import open_image, to_image
from studio.style.encoder import EncoderConfig, StyleEncoder
from studio.style.stylizer import Stylizer, StylizerConfig
from studio.training.stylizer import StylizerTrainer
from studio.training.stylizer_settings import StylizerTraining

WIDTHS = (4, 4, 4, 4, 4)
SIZE = 64  # px of the shorter side at which the work is read


@pytest.fixture
def work(tmp_path: Path) -> Path:
    stripes = torch.linspace(0, 20, 120).sin().expand(3, 80, 120) * torch.tensor([0.9, 0.2, -0.5]).view(3, 1, 1)
    to_image(stripes).save(tmp_path / "stripes.png")
    return tmp_path / "stripes.png"


@pytest.fixture
def practice(tmp_path: Path) -> Practice:
    torch.manual_seed(0)
    config = EncoderConfig(WIDTHS, (1, 1, 1, 1, 1))
    path = tmp_path / "encoder.safetensors"
    checkpoint.save(path, StyleEncoder(config), kind="encoder", config=config, classes=(), provenance={}, metrics={})
    model = StylizerConfig(widths=WIDTHS, channels=8, half=8, blocks=1, code=12, hidden=8)
    trainer = StylizerTrainer(model, StylizerTraining(encoder=str(path)), 0)
    for parameter in trainer.model.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    trainer.model.requires_grad_(False)
    photographs = torch.randint(256, (6, 3, 224, 224), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    return Practice(trainer, photographs, 12)


def test_a_practised_code_paints_nearer_to_the_work_and_the_stylizer_stays(practice: Practice, work: Path) -> None:
    stylizer = practice.trainer.model
    assert isinstance(stylizer, Stylizer)
    before = {name: value.clone() for name, value in stylizer.state_dict().items()}
    picture = scaled(open_image(work), SIZE)
    assert picture.shape == (1, 3, SIZE, 96)
    with torch.no_grad():
        code = stylizer.code((picture, *practice.trainer.encoder(picture)), picture)
    found = practice.bettered(code, work, SIZE)
    assert found.shape == code.shape
    assert torch.equal(found, practice.bettered(code, work, SIZE))
    losses = [float(practice.course(each, work, SIZE).loss(each)) for each in (code, found)]
    assert losses[1] < 0.97 * losses[0]
    assert all(torch.equal(value, before[name]) for name, value in stylizer.state_dict().items())
