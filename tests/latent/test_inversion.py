"""Inversion: what a generator paints is found again in it, within the budget, and its code survives bytes."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from sentences import assert_sentence
from strategies import mutated
from torch import Tensor
from toy import picture

from studio.core.errors import InvalidRequest
from studio.core.kinds import MODEL_KINDS, LatentModel
from studio.core.progress import result_of
from studio.latent.interior import Detail, pack, rows_of, unpack
from studio.latent.inversion import InversionConfig, class_shares, invert, on_simplex, schedule

SMALL = {"capacity": 0.1, "latent_dim": 8, "embedding": 4}


def generator(classes: int = 2) -> LatentModel:
    torch.manual_seed(0)
    kind = MODEL_KINDS["gan"]
    model = kind.generator(kind.config(resolution=32, **SMALL), classes).eval().requires_grad_(False)
    model.get_parameter("colour.weight").mul_(20)  # untrained, it paints grey on grey
    return model


def look(x: Tensor) -> tuple[Tensor, ...]:
    """The picture and its half."""
    return x + 1.5, F.avg_pool2d(x, 2) + 1.5


def config(**values: object) -> InversionConfig:
    return InversionConfig(**{"steps": 40, "seconds": None, "candidates": 4, "ranks": (4, 4), **values})


@torch.no_grad()
def own_sample(model: LatentModel) -> Tensor:
    z = torch.randn(1, model.latent_dim, generator=torch.Generator().manual_seed(5))
    return model(z, torch.eye(model.class_count)[:1])


def test_a_generator_s_own_sample_is_found_again() -> None:
    model = generator()
    wanted = own_sample(model)
    found = result_of(invert(model, wanted, look, config(steps=80, detail_rate=0)))
    assert found.details == ()
    assert found.distance < 0.1 * found.first
    with torch.no_grad():
        torch.testing.assert_close(model.paint(found.rows), found.picture)


def test_details_bring_a_foreign_picture_nearer_than_styles_alone() -> None:
    model = generator()
    wanted = picture(32, 32, seed=3)[None]
    with_details = result_of(invert(model, wanted, look, config()))
    without = result_of(invert(model, wanted, look, config(detail_rate=0)))
    assert with_details.distance < 0.7 * without.distance
    assert with_details.rows.shape == (1, model.layers + model.detail_rows, model.width)


def test_the_model_is_left_as_it_is() -> None:
    model = generator()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    result_of(invert(model, picture(32, 32, seed=3)[None], look, config(steps=3)))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_budget_ends_the_descent_before_its_last_step() -> None:
    ticks = iter(range(10**6))
    found = result_of(
        invert(generator(), picture(32, 32, seed=3)[None], look, config(steps=1000, seconds=30.0), lambda: next(ticks))
    )
    assert 1 <= found.steps <= 15  # the clock moves by one second at every look at it, twice a step or more


def test_a_vae_begins_from_its_own_encoder() -> None:
    torch.manual_seed(0)
    kind = MODEL_KINDS["vae"]
    settings = {"channels": 32, "encoder_channels": 16, "latent_dim": 8, "width": 16, "class_dim": 4, "components": 3}
    model = kind.generator(kind.config(resolution=32, **settings), 2).eval().requires_grad_(False)
    wanted = picture(32, 32, seed=3)[None]
    first = next(iter(invert(model, wanted, look, config())))
    weights = torch.eye(2)
    with torch.no_grad():
        painted = model.synthesis(model.encoded(wanted.expand(2, -1, -1, -1), weights))
    assert any(torch.allclose(first.preview[0], each, atol=1e-5) for each in painted)


def test_a_picture_of_another_size_is_one_sentence() -> None:
    with pytest.raises(InvalidRequest) as refused:
        next(iter(invert(generator(), torch.zeros(1, 3, 16, 16), look)))
    assert_sentence(refused.value, "32x32")


@pytest.mark.parametrize("values", [{"steps": 0}, {"seconds": 0.0}, {"seconds": float("nan")}, {"ranks": (0, 4)}])
def test_a_config_out_of_bounds_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        config(**values)
    assert_sentence(refused.value)


def test_the_learning_rate_rises_stays_and_falls() -> None:
    assert [round(schedule(share), 2) for share in (0.0, 0.2, 0.3, 0.65, 1.0)] == [0.2, 1.0, 1.0, 0.5, 0.02]


def test_the_nearest_point_of_the_simplex() -> None:
    assert on_simplex(torch.tensor([0.5, 0.3, 0.2])).tolist() == pytest.approx([0.5, 0.3, 0.2])
    assert on_simplex(torch.tensor([3.0, 0.0, -1.0])).tolist() == [1, 0, 0]
    assert on_simplex(torch.tensor([1.0, 1.0])).tolist() == [0.5, 0.5]


def test_class_shares_are_read_off_a_mix_of_means() -> None:
    means = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]])
    shares = class_shares(torch.tensor([0.7, 0.3, 0.0]), means)
    torch.testing.assert_close(shares, torch.tensor([0.7, 0.3, 0.0]), atol=1e-3, rtol=0)


def code(model: LatentModel) -> tuple[Tensor, tuple[Detail, ...], bytes]:
    draw = torch.Generator().manual_seed(1)
    w = torch.randn(1, model.layers, model.width, generator=draw)
    details = tuple(
        Detail(torch.randn(2, channels, generator=draw), torch.randn(2, side, side, generator=draw))
        for channels, side in model.detail_shapes
    )
    return w, details, pack(w, details)


def test_a_code_brings_back_what_went_in_to_8_bits() -> None:
    model = generator()
    w, details, data = code(model)
    back, found = unpack(data, model)
    torch.testing.assert_close(back, w, atol=1e-3, rtol=1e-3)
    for one, other in zip(details, found, strict=True):
        assert (one.channels - other.channels).abs().max() <= one.channels.abs().max() / 127
        assert (one.places - other.places).abs().max() <= one.places.abs().max() / 127
    assert rows_of(w, ()) is w
    assert unpack(pack(w, ()), model)[1] == ()


def test_a_code_of_another_model_is_one_sentence() -> None:
    with pytest.raises(InvalidRequest) as refused:
        unpack(code(generator(2))[2], generator(0))
    assert_sentence(refused.value, "another model")


MODEL = generator()
VALID = code(MODEL)[2]


@given(st.one_of(mutated(VALID), st.binary(max_size=64), st.binary(min_size=len(VALID), max_size=len(VALID))))
def test_whatever_the_bytes_nothing_but_a_sentence_comes_out(data: bytes) -> None:
    try:
        w, details = unpack(data, MODEL)
    except InvalidRequest as error:
        assert_sentence(error)
    else:
        assert torch.isfinite(rows_of(w, details)).all()
        assert w.shape == (1, MODEL.layers, MODEL.width)
