"""The stylizer: identity, strength, masks, blends, any size."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.core import bfloat16, checkpoint
from studio.core.errors import CheckpointError, InvalidRequest
from studio.core.octaves import strengths
from studio.style.codes import KIND, CodesConfig, StyleCodes, blend, read_codes
from studio.style.encoder import EncoderConfig, StyleEncoder, pad
from studio.style.styled import Styled, convolved_double
from studio.style.stylizer import COLOURS, Stylizer, StylizerConfig

WIDTHS = (4, 4, 4, 4, 4)
TINY = StylizerConfig(widths=WIDTHS, channels=8, half=8, blocks=2, code=16, hidden=8)
MATCHED = replace(TINY, matched=3)
MIXED = replace(TINY, kernels=2)
POOLED = replace(TINY, pooled=3)
SHARP = replace(MATCHED, octaves=2)


def models(config: StylizerConfig = TINY) -> tuple[StyleEncoder, Stylizer]:
    """A stylizer that paints strongly, as if trained."""
    torch.manual_seed(0)
    encoder, stylizer = StyleEncoder(EncoderConfig(widths=WIDTHS)).eval(), Stylizer(config).eval()
    for parameter in stylizer.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    return encoder, stylizer


def picture(height: int = 24, width: int = 32, seed: int = 1, count: int = 1) -> torch.Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(seed)) * 1.8 - 0.9


def codes(height: int = 24, width: int = 32) -> tuple[Stylizer, torch.Tensor, torch.Tensor, torch.Tensor]:
    """A stylizer, a content, its own code and another style's."""
    encoder, stylizer = models()
    content, style = picture(height, width), picture(40, 40, seed=2) * 0.3 + 0.4
    own, code = (stylizer.code((x, *encoder(x)), x) for x in (content, style))
    return stylizer, content, own, code


@torch.no_grad()
def test_a_picture_in_its_own_style_comes_back() -> None:
    stylizer, content, own, _ = codes()
    torch.testing.assert_close(stylizer(content, own, own), content, atol=1e-5, rtol=0)


@torch.no_grad()
def test_strength_goes_from_the_content_to_the_style() -> None:
    stylizer, content, own, code = codes()
    steps = [stylizer(content, code, own, strength=strength) for strength in (0.0, 0.25, 0.5, 0.75, 1.0)]
    away = [float((step - content).square().mean()) for step in steps]
    assert away[0] < 1e-9
    assert away == sorted(away)
    assert away[-1] > 0.01
    halfway = stylizer(content, own + 0.5 * (code - own), own)
    torch.testing.assert_close(steps[2], halfway, atol=1e-5, rtol=0)


@torch.no_grad()
def test_without_strokes_the_colours_of_the_style_are_those_of_its_code() -> None:
    stylizer, content, own, code = codes()
    for parameter in (*stylizer.exit.parameters(), *stylizer.tint.parameters()):
        parameter.zero_()
    painted = stylizer.train()(content, code, own)
    mean, deviation = painted.mean(dim=(2, 3)), painted.std(dim=(2, 3), correction=0)
    torch.testing.assert_close(mean, code[:, :3], atol=1e-4, rtol=0)
    torch.testing.assert_close(deviation, code[:, 3:COLOURS], atol=1e-3, rtol=0)


@torch.no_grad()
def test_a_code_that_is_the_same_everywhere_is_the_code_itself() -> None:
    stylizer, content, own, code = codes()
    everywhere = code[:, :, None, None].expand(-1, -1, 3, 5)
    torch.testing.assert_close(stylizer(content, everywhere, own), stylizer(content, code, own), atol=1e-5, rtol=0)


@torch.no_grad()
def test_a_mask_leaves_the_photo_where_the_code_is_its_own() -> None:
    stylizer, content, own, code = codes(24, 64)
    mask = torch.zeros(1, 1, 24, 64)
    mask[..., 32:] = 1
    masked = stylizer(content, torch.lerp(own[:, :, None, None], code[:, :, None, None], mask), own)
    torch.testing.assert_close(masked[..., :30], content[..., :30], atol=1e-5, rtol=0)
    assert (masked[..., 34:] - content[..., 34:]).abs().mean() > 0.05


@torch.no_grad()
def test_content_weights_differ_and_go_with_their_pictures() -> None:
    stylizer, content, own, code = codes()
    loose, true = (stylizer(content, code, own, content_weight=weight) for weight in (0.0, 1.0))
    assert (loose - true).abs().max() > 1e-3
    both = [x.expand(2, *x.shape[1:]) for x in (content, code, own)]
    together = stylizer(*both, content_weight=torch.tensor([0.0, 1.0]))
    torch.testing.assert_close(together, torch.cat([loose, true]), atol=1e-5, rtol=0)


@settings(max_examples=12, deadline=None)
@given(st.integers(8, 41), st.integers(8, 41))
@torch.no_grad()
def test_any_size_keeps_its_size_and_its_range(height: int, width: int) -> None:
    stylizer, content, own, code = codes(max(height, 16), max(width, 16))
    painted = stylizer(content[:, :, :height, :width], code, own)
    assert painted.shape == (1, 3, height, width)
    assert painted.abs().max() <= 1


def test_a_picture_too_small_is_refused_with_its_size() -> None:
    stylizer, content, own, code = codes()
    with pytest.raises(InvalidRequest, match="8 px a side; got 20x7"):
        stylizer(content[:, :, :7, :20], code, own)


def test_gradients_reach_every_weight_but_the_statistics_scale() -> None:
    encoder, stylizer = models()
    content, style = picture(count=2), picture(seed=3, count=2) * 0.5
    own, code = (stylizer.code((x, *encoder(x)), x) for x in (content, style))
    stylizer.train()(content, code, own, torch.tensor([0.2, 0.9])).square().mean().backward()
    still = [name for name, p in stylizer.named_parameters() if p.grad is None or not bool(p.grad.abs().max() > 0)]
    assert still == []


def test_a_saved_stylizer_paints_the_same(tmp_path: Path) -> None:
    stylizer, content, own, code = codes()
    path = tmp_path / "stylizer.safetensors"
    arguments = {"kind": "stylizer", "config": TINY, "classes": (), "provenance": {}, "metrics": {}}
    checkpoint.save(path, stylizer, **arguments, dtype=torch.float32)  # type: ignore[arg-type]
    again = checkpoint.load(path).build_module()
    with torch.no_grad():
        assert torch.equal(again(content, code, own), stylizer(content, code, own))


@pytest.mark.parametrize(
    "change",
    [
        {"blocks": 0},
        {"channels": 10_000},
        {"code": COLOURS},
        {"hidden": 0},
        {"widths": (1, 1, 1, 1, 0)},
        {"octaves": 4},
        {"octaves": -1},
    ],
)
def test_a_config_out_of_bounds_is_refused(change: dict[str, int]) -> None:
    with pytest.raises(InvalidRequest, match=next(iter(change))):
        StylizerConfig(**change)  # type: ignore[arg-type]


def test_named_codes_are_saved_and_read_by_name(tmp_path: Path) -> None:
    config = CodesConfig(length=16, stylizer="ab" * 32)
    table = StyleCodes(config, 2)
    table.codes.copy_(torch.arange(32.0).view(2, 16))
    path = tmp_path / "masterworks.safetensors"
    names = ("hokusai-great-wave", "van-gogh-starry-night")
    checkpoint.save(path, table, kind=KIND, config=config, classes=names, provenance={}, metrics={})
    opened = checkpoint.load(path)
    read = read_codes(opened)
    assert tuple(read) == names
    assert torch.equal(read["van-gogh-starry-night"], torch.arange(16.0, 32.0))
    assert opened.configuration.stylizer == "ab" * 32


def test_a_checkpoint_of_another_kind_holds_no_codes(tmp_path: Path) -> None:
    path = tmp_path / "stylizer.safetensors"
    checkpoint.save(path, Stylizer(TINY), kind="stylizer", config=TINY, classes=(), provenance={}, metrics={})
    with pytest.raises(CheckpointError, match="'stylizer' and holds no style codes"):
        read_codes(checkpoint.load(path))


def test_a_blend_is_the_weighted_mean() -> None:
    first, second = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 4.0])
    assert blend([first, second], [3, 1]).tolist() == [0.75, 1.0]
    assert blend([first, second], [0, 0.5]).tolist() == [0.0, 4.0]


@pytest.mark.parametrize("weights", [[0, 0], [-1, 2], [float("nan"), 1], [float("inf"), 1], [1]])
def test_weights_that_make_no_blend_are_refused(weights: list[float]) -> None:
    with pytest.raises(InvalidRequest):
        blend([torch.zeros(2), torch.ones(2)], weights)


Sitting = tuple[Stylizer, torch.Tensor, torch.Tensor, torch.Tensor, tuple[torch.Tensor, ...]]


def matching(height: int = 24, width: int = 64) -> Sitting:
    """A stylizer that matches three maps, a content, its own code, another style's, and the content's maps."""
    encoder, stylizer = models(MATCHED)
    content, style = picture(height, width), picture(40, 40, seed=2) * 0.3 + 0.4
    maps = encoder(content)
    return (
        stylizer,
        content,
        stylizer.code((content, *maps), content),
        stylizer.code((style, *encoder(style)), style),
        maps,
    )


@torch.no_grad()
def test_matched_maps_leave_own_style_and_strength_zero_as_they_were() -> None:
    stylizer, content, own, code, maps = matching()
    assert own.shape == (1, MATCHED.code_length) == (1, 16 + 2 * 12)
    torch.testing.assert_close(stylizer(content, own, own, maps=maps), content, atol=1e-5, rtol=0)
    torch.testing.assert_close(stylizer(content, code, own, strength=0.0, maps=maps), content, atol=1e-5, rtol=0)
    assert (stylizer(content, code, own, maps=maps) - content).abs().mean() > 0.05


@torch.no_grad()
def test_what_is_matched_shows_in_the_picture() -> None:
    stylizer, content, own, code, maps = matching()
    flat = [each * 0 for each in maps]
    assert (stylizer(content, code, own, maps=maps) - stylizer(content, code, own, maps=flat)).abs().max() > 1e-2


@torch.no_grad()
def test_a_mask_leaves_the_photo_where_the_code_is_its_own_with_matched_maps_too() -> None:
    stylizer, content, own, code, maps = matching()
    mask = torch.zeros(1, 1, 24, 64)
    mask[..., 32:] = 1
    masked = stylizer(content, torch.lerp(own[:, :, None, None], code[:, :, None, None], mask), own, maps=maps)
    torch.testing.assert_close(masked[..., :30], content[..., :30], atol=1e-5, rtol=0)
    assert (masked[..., 34:] - content[..., 34:]).abs().mean() > 0.05


@pytest.mark.parametrize(("height", "width"), [(16, 16), (17, 41), (40, 23)])
@torch.no_grad()
def test_matched_maps_go_with_any_size_and_may_be_of_a_smaller_picture(height: int, width: int) -> None:
    stylizer, content, own, code, maps = matching(height, width)
    assert stylizer(content, code, own, maps=maps).shape == content.shape
    larger = F.interpolate(content, scale_factor=2)
    assert stylizer(larger, code, own, maps=maps).shape == larger.shape


def test_too_few_maps_are_one_sentence() -> None:
    stylizer, content, own, code, maps = matching()
    with pytest.raises(InvalidRequest, match=r"^The stylizer needs 3 maps of the content; got 2\.$"):
        stylizer(content, code, own, maps=maps[:2])


def test_gradients_reach_the_lanes_of_matched_maps() -> None:
    stylizer, content, own, code, maps = matching()
    stylizer.train()(
        content, code.detach(), own.detach(), maps=[each.detach() for each in maps]
    ).square().mean().backward()
    for lane in stylizer.lanes.parameters():
        assert lane.grad is not None
        assert float(lane.grad.abs().max()) > 0


@torch.no_grad()
def test_kernels_that_are_still_zero_change_nothing() -> None:
    torch.manual_seed(0)
    mixing = Styled(4, 6, 5, kernels=2)
    plain = Styled(4, 6, 5)
    plain.load_state_dict(mixing.state_dict(), strict=False)
    x, code = picture(12, 12)[:, :1].expand(-1, 4, -1, -1), torch.randn(1, 5)
    torch.testing.assert_close(mixing(x, code), plain(x, code))


@torch.no_grad()
@pytest.mark.parametrize("doubled", [False, True])
def test_a_picture_is_convolved_with_the_kernels_in_the_shares_of_its_own_code(doubled: bool) -> None:
    styled, codes = Styled(3, 2, 1, doubled=doubled, kernels=2), torch.tensor([[1.0], [-2.0]])
    assert styled.kernels is not None
    assert styled.shares is not None
    styled.kernels.copy_(torch.randn(4, 3, 3, 3))
    styled.shares.weight.copy_(torch.tensor([[1.0], [0.5]]))
    styled.shares.bias.copy_(torch.tensor([0.0, 1.0]))
    x, pair = picture(8, 8, count=2), styled.kernels.detach().view(2, 2, 3, 3, 3)
    for one, code, kernel in zip(x.split(1), codes.split(1), (pair[0] + 1.5 * pair[1], -2 * pair[0]), strict=True):
        alone = Styled(3, 2, 1, doubled=doubled)
        alone.affine.load_state_dict(styled.affine.state_dict())
        alone.conv.weight.copy_(styled.conv.weight + kernel)
        torch.testing.assert_close(styled(one, code), alone(one, code))
    torch.testing.assert_close(styled(x, codes), torch.cat([styled(x[i : i + 1], codes[i : i + 1]) for i in range(2)]))


@torch.no_grad()
def test_mixed_kernels_leave_own_style_and_even_codes_as_they_were() -> None:
    encoder, stylizer = models(MIXED)
    content, style = picture(), picture(40, 40, seed=2) * 0.3 + 0.4
    own, code = (stylizer.code((x, *encoder(x)), x) for x in (content, style))
    torch.testing.assert_close(stylizer(content, own, own), content, atol=1e-5, rtol=0)
    everywhere = code[:, :, None, None].expand(-1, -1, 3, 5)
    torch.testing.assert_close(stylizer(content, everywhere, own), stylizer(content, code, own), atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("doubled", [False, True])
def test_the_maps_of_all_kernels_mixed_are_the_maps_of_the_mixed_kernels(doubled: bool) -> None:
    torch.manual_seed(0)
    layer = Styled(4, 6, 5, doubled=doubled, kernels=3)
    assert layer.kernels is not None
    assert layer.shares is not None
    layer.kernels.normal_()
    x, condition = torch.randn(2, 4, 8, 10), torch.randn(2, 5)
    stacked = layer._stacked(x, layer.shares(condition).mean(dim=(2, 3)))
    torch.testing.assert_close(stacked, layer._convolved(x, condition), atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_pooled_features_tell_styles_of_the_same_moments_apart() -> None:
    channels = torch.rand(1, 4, 20, 20, generator=torch.Generator().manual_seed(3))
    shuffled = channels.clone()
    shuffled[:, 2:] = shuffled[:, 2:].flip(3)  # no channel changes its values, but they meet other ones
    for config, alike in ((TINY, True), (POOLED, False)):
        _, stylizer = models(config)
        rest, grey = [torch.zeros(1, 4, 8, 8)] * 3, torch.zeros(1, 3, 8, 8)
        first, second = (stylizer.code((grey, torch.zeros(1, 4, 8, 8), x, *rest), grey) for x in (channels, shuffled))
        assert first.shape == (1, config.code_length)
        assert torch.allclose(first, second, atol=1e-6) is alike


def test_gradients_reach_the_pooled_features() -> None:
    _, stylizer = models(POOLED)
    maps = [torch.randn(4, width, 8, 8, generator=torch.Generator().manual_seed(width)) for width in (3, *WIDTHS)]
    stylizer.code(maps, maps[0])[:, COLOURS].sum().backward()
    assert len(stylizer.pools) == 4
    assert all(pool.weight.grad is not None and float(pool.weight.grad.abs().max()) > 0 for pool in stylizer.pools)


def test_gradients_reach_the_kernels() -> None:
    encoder, stylizer = models(MIXED)
    content, style = picture(), picture(40, 40, seed=2) * 0.3 + 0.4
    own, code = (stylizer.code((x, *encoder(x)), x) for x in (content, style))
    stylizer.train()(content, code, own).square().sum().backward()
    mixing = [part for part in stylizer.modules() if isinstance(part, Styled)]
    assert len(mixing) == 2 * MIXED.blocks + 1
    for part in mixing:
        assert part.kernels is not None
        assert part.kernels.grad is not None
        assert bool(part.kernels.grad.abs().amax(dim=(1, 2, 3)).min() > 0)


@torch.no_grad()
def sharp() -> Sitting:
    """As matching, with two octaves."""
    encoder, stylizer = models(SHARP)
    content, style = picture(48, 64), picture(40, 40, seed=2) * 0.5
    maps = encoder(content)
    own, code = stylizer.code((content, *maps), content), stylizer.code((style, *encoder(style)), style)
    torch.testing.assert_close(code[:, -6:], strengths(style, 2))
    return stylizer, content, own, code, maps


@torch.no_grad()
def test_the_finest_octaves_come_to_the_style_and_own_style_and_strength_zero_stay() -> None:
    stylizer, content, own, code, maps = sharp()
    assert own.shape == (1, SHARP.code_length) == (1, 16 + 2 * 12 + 2 * 3)
    for same in (stylizer(content, own, own, maps=maps), stylizer(content, code, own, strength=0.0, maps=maps)):
        torch.testing.assert_close(same, content, atol=1e-5, rtol=0)
    away = []
    for octaves in (0, 2):
        twin = Stylizer(replace(SHARP, octaves=octaves)).eval()
        twin.load_state_dict(stylizer.state_dict())
        cut = code.shape[1] - (0 if octaves else 6)
        painted = twin(content, code[:, :cut], own[:, :cut], maps=maps)
        away.append(float((strengths(painted, 2) - code[:, -6:]).abs().mean()))
    assert away[1] < 0.6 * away[0]


@torch.no_grad()
def test_an_even_code_in_every_place_paints_as_one_code_with_octaves_too() -> None:
    stylizer, content, own, code, maps = sharp()
    everywhere = code[:, :, None, None].expand(-1, -1, 3, 4)
    wanted = stylizer(content, code, own, maps=maps)
    torch.testing.assert_close(stylizer(content, everywhere, own, maps=maps), wanted, atol=1e-5, rtol=0)
    half = everywhere.clone()
    half[..., :2] = own[:, :, None, None]
    found = stylizer(content, half, own, maps=maps)
    torch.testing.assert_close(found[..., :16], content[..., :16], atol=1e-5, rtol=0)
    assert (found - content)[..., 48:].abs().mean() > 0.05


@torch.no_grad()
def test_doubling_and_convolving_at_once_is_doubling_then_convolving() -> None:
    x, weight = picture(5, 7, count=2), torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    wanted = F.conv2d(pad(F.interpolate(x, scale_factor=2, mode="nearest")), weight)
    torch.testing.assert_close(convolved_double(x, weight), wanted, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_under_autocast_the_picture_is_nearly_the_same_and_its_own_style_still_gives_it_back() -> None:
    if not bfloat16.speed_up():
        pytest.skip("this processor has no bfloat16, or one that kills the process")
    stylizer, content, own, code, maps = matching(48, 64)
    full = stylizer(content, code, own, maps=maps)
    with torch.autocast("cpu", torch.bfloat16):
        half, same = stylizer(content, code, own, maps=maps), stylizer(content, own, own, maps=maps)
    assert half.dtype == same.dtype == torch.float32
    assert 0 < float((half - full).abs().mean()) < 2 / 255
    torch.testing.assert_close(same, content, atol=1e-5, rtol=0)
