"""Practice on a style's code: the loss falls, the stylizer stays, a code after n steps is always the same."""

import pytest
import torch

from studio.style.encoder import EncoderConfig, StyleEncoder
from studio.style.practice import WEIGHTS, Course, perceived, trainable
from studio.style.sight import LOOK
from studio.style.stylizer import Stylizer, StylizerConfig

WIDTHS = (4, 4, 4, 4, 4)


@pytest.fixture
def pair() -> tuple[StyleEncoder, Stylizer]:
    torch.manual_seed(0)
    encoder = StyleEncoder(EncoderConfig(WIDTHS, (1, 1, 1, 1, 1))).eval().requires_grad_(False)
    config = StylizerConfig(widths=WIDTHS, channels=8, half=8, blocks=1, code=12, hidden=8, octaves=2)
    stylizer = Stylizer(config).eval()
    for parameter in stylizer.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    return encoder, stylizer


def contents(generator: torch.Generator) -> torch.Tensor:
    return torch.rand(2, 3, 64, 64, generator=generator) * 1.6 - 0.8


def course(pair: tuple[StyleEncoder, Stylizer]) -> Course:
    encoder, stylizer = pair
    work = torch.linspace(0, 20, 96).sin().expand(1, 3, 64, 96) * torch.tensor([0.9, 0.2, -0.5]).view(1, 3, 1, 1)
    small = torch.nn.functional.interpolate(work, scale_factor=LOOK, mode="bilinear")
    with torch.no_grad():
        code = stylizer.code((small, *encoder(small)), work)
    return Course(trainable(stylizer), encoder, perceived(encoder), contents, code, work)


def test_the_loss_falls_and_the_stylizer_stays(pair: tuple[StyleEncoder, Stylizer]) -> None:
    practice = course(pair)
    before = {name: value.clone() for name, value in pair[1].state_dict().items()}
    steps = [practice.step() for _ in range(30)]
    assert practice.steps == 30
    assert len(practice.codes) == 31
    assert sum(steps[-5:]) < 0.95 * sum(steps[:5])
    assert all(torch.equal(value, before[name]) for name, value in pair[1].state_dict().items())
    assert not pair[1].training, "the stylizer that others use goes on clipping its colours"


def test_a_code_after_some_steps_is_the_same_however_many_follow(pair: tuple[StyleEncoder, Stylizer]) -> None:
    long, short = course(pair), course(pair)
    for _ in range(6):
        long.step()
    for _ in range(2):
        short.step()
    assert torch.equal(long.codes[2], short.codes[2])
    assert not torch.equal(long.codes[6], long.codes[2])


def test_a_step_without_a_finite_gradient_leaves_the_code(pair: tuple[StyleEncoder, Stylizer]) -> None:
    practice = course(pair)
    practice.step()
    practice._contents = lambda generator: contents(generator) * float("nan")
    practice.step()
    assert torch.equal(practice.codes[2], practice.codes[1])
    assert practice.codes[2].isfinite().all()


# the middle of the range is the weight itself, its ends five times more and less
def test_the_content_weight_goes_from_a_fifth_to_five_times() -> None:
    found = WEIGHTS.at(torch.tensor([0.0, 0.5, 1.0]))["content"]
    torch.testing.assert_close(found, torch.tensor([0.02, 0.1, 0.5]))
