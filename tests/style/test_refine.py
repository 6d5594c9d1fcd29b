"""Refinement goes down, keeps the best, stops and goes on exactly, and refuses what makes no sense."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sentences import assert_sentence
from torch import Tensor, nn
from toy import ToyEncoder, picture

from studio.core.errors import InvalidRequest, StudioError, UnknownName
from studio.core.fields import configure
from studio.core.progress import Progress, result_of
from studio.style.diversify import Diversity, diversify
from studio.style.optimisers import OPTIMISERS
from studio.style.refine import RefineResult, budgets, levels, refine
from studio.style.refine_config import RefineConfig
from studio.style.similarity import SIMILARITIES
from studio.style.sizes import resize, style_size
from studio.style.variation import total_variation

CONTENT, STYLE, OTHER = picture(48, 64, 1), picture(40, 40, 2), picture(64, 32, 3)
SHORT = RefineConfig(steps=6, start="content")


def run(config: RefineConfig, start: Tensor | None = None, styles: tuple[Tensor, ...] = (STYLE,), **more: Any) -> Any:
    """Every Progress of an evaluation; those between them have no metrics."""
    return [p for p in refine(ToyEncoder(), CONTENT, styles, config, start, **more) if p.metrics]


def result(config: RefineConfig, start: Tensor | None = None, **more: Any) -> RefineResult:
    last = run(config, start, **more)[-1].result
    assert isinstance(last, RefineResult)
    return last


@pytest.mark.parametrize("optimiser", OPTIMISERS.names())
def test_every_optimiser_goes_down_at_its_own_rate(optimiser: str) -> None:
    job = run(replace(SHORT, optimiser=optimiser, steps=20))
    assert job[-1].result.losses.total < 0.9 * job[0].metrics["total"]


@pytest.mark.parametrize("name", SIMILARITIES.names())
def test_every_similarity_goes_down(name: str) -> None:
    job = run(replace(SHORT, similarities=(name,), steps=12))
    assert job[-1].result.losses.style < 0.97 * job[0].metrics["style"]


def test_every_evaluation_is_shown_and_the_last_carries_the_result() -> None:
    job = run(SHORT)
    assert [progress.step for progress in job] == [1, 2, 3, 4, 5, 6]
    assert {progress.total for progress in job} == {6}
    assert [progress.result is None for progress in job] == [True] * 5 + [False]
    assert all(set(p.metrics) == {"total", "style", "content", "variation"} for p in job)
    shown = job[2].preview.picture
    assert shown.shape == CONTENT.shape
    assert float(shown.abs().max()) <= 1
    assert job[2].preview.steps == 3


def test_the_first_thing_shown_is_the_start() -> None:
    first = next(iter(refine(ToyEncoder(), CONTENT, [STYLE], SHORT)))
    assert first.step == 0
    assert torch.equal(first.preview.picture, CONTENT)


def test_the_total_is_the_weighted_sum_of_its_parts() -> None:
    config = replace(SHORT, content_weight=0.3, style_weight=2.0, total_variation=0.7)
    for progress in run(config):
        parts = progress.metrics
        expected = 2.0 * parts["style"] + 0.3 * parts["content"] + 0.7 * parts["variation"]
        assert parts["total"] == pytest.approx(expected, rel=1e-5)


def test_the_content_itself_is_at_content_distance_zero() -> None:
    assert run(SHORT)[0].metrics["content"] == pytest.approx(0, abs=1e-6)


def test_the_content_as_its_own_style_is_left_alone() -> None:
    job = run(SHORT, styles=(CONTENT,))
    assert job[0].metrics["total"] == pytest.approx(0, abs=1e-6)
    torch.testing.assert_close(job[-1].result.picture, CONTENT, atol=5e-3, rtol=0)


@pytest.mark.parametrize("optimiser", OPTIMISERS.names())
@pytest.mark.parametrize("stop", [1, 3, 5])
def test_going_on_from_a_stop_is_the_uninterrupted_run(optimiser: str, stop: int) -> None:
    config = replace(SHORT, optimiser=optimiser)
    job = refine(ToyEncoder(), CONTENT, [STYLE], config)
    stopped = next(progress for progress in job if progress.step == stop).preview
    job.close()  # type: ignore[attr-defined]
    assert stopped.steps == stop
    resumed = result(config, state=stopped.state)
    assert resumed.steps == 6
    assert torch.equal(resumed.picture, result(config).picture)


def test_going_on_over_a_change_of_size_is_the_uninterrupted_run() -> None:
    config = replace(SHORT, coarse=32, steps=8)
    whole = run(config)
    for stopped in whole[:-1]:
        resumed = result(config, state=stopped.preview.state)
        assert torch.equal(resumed.picture, whole[-1].result.picture)


def test_a_finished_refinement_goes_on_with_more_steps() -> None:
    first = result(SHORT)
    more = result(replace(SHORT, steps=10), state=first.state)
    assert more.steps == 10
    assert more.losses
    assert first.losses
    assert more.losses.total < first.losses.total
    assert torch.equal(more.picture, result(replace(SHORT, steps=10)).picture)


def test_a_finished_refinement_without_more_steps_is_itself() -> None:
    first = result(SHORT)
    (only,) = run(SHORT, state=first.state)
    assert torch.equal(only.result.picture, first.picture)


def test_the_same_request_gives_the_same_picture_and_seeds_differ_in_noise() -> None:
    config = replace(SHORT, start="noise")
    assert torch.equal(result(config).picture, result(config).picture)
    assert not torch.equal(result(config).picture, result(replace(config, seed=1)).picture)


def test_a_seed_does_not_touch_the_global_one() -> None:
    before = torch.random.get_rng_state()
    run(replace(SHORT, start="noise", similarities=("sliced_wasserstein",)))
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("optimiser", OPTIMISERS.names())
@pytest.mark.parametrize("content_weight", [0.01, 0.2, 3.0])
def test_a_result_is_never_worse_than_its_start_on_both(optimiser: str, content_weight: float) -> None:
    start = picture(48, 64, 9)
    config = RefineConfig(steps=5, optimiser=optimiser, content_weight=content_weight, learning_rate=5.0)
    before = run(replace(config, steps=1), start)[0].metrics
    after = result(config, start).losses
    assert after
    assert after.style <= before["style"] or after.content <= before["content"]


def test_content_stays_under_the_ceiling_of_the_start() -> None:
    start = (0.7 * CONTENT + 0.3 * picture(48, 64, 9)).contiguous()
    free = RefineConfig(steps=25, content_weight=0.0, content_ceiling=None)
    before = run(replace(free, steps=1), start)[0].metrics
    loose, held = result(free, start).losses, result(replace(free, content_ceiling=1.0), start).losses
    assert loose
    assert held
    assert loose.content > 1.3 * before["content"]
    assert held.content < 1.1 * before["content"]
    assert held.style < before["style"]


def test_a_larger_picture_is_not_worse_than_its_start_at_full_size() -> None:
    start = picture(48, 64, 9)
    config = RefineConfig(steps=2, coarse=32, learning_rate=1e-8)
    before = run(replace(config, coarse=64, steps=1), start)[0].metrics
    after = result(config, start).losses
    assert after
    assert after.total <= before["total"] + 1e-6


def test_divergence_ends_the_run_with_a_sentence_and_the_best_picture() -> None:
    config = replace(SHORT, steps=60, optimiser="gradient_descent", learning_rate=1e8)
    last = run(config)[-1]
    if last.step < 60:
        assert "lower the learning rate" in last.note
    assert bool(torch.isfinite(last.result.picture).all())
    assert last.result.losses.total <= run(replace(SHORT, steps=1))[0].metrics["total"]


class Broken(nn.Module):
    """Maps that are no numbers."""

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(m * math.nan for m in ToyEncoder()(x))


def test_a_loss_that_is_no_number_from_the_start_is_an_error() -> None:
    with pytest.raises(StudioError, match="not a number") as caught:
        list(refine(Broken(), CONTENT, [STYLE], SHORT))
    assert_sentence(caught.value)


def test_weights_of_styles_pull_towards_them() -> None:
    def distance(weights: tuple[float, ...], style: Tensor) -> float:
        config = replace(SHORT, steps=30, content_weight=0.0, style_weights=weights)
        point = result(config, styles=(STYLE, OTHER)).picture
        probe = replace(SHORT, steps=1, start="picture")
        return float(run(probe, point, styles=(style,))[0].metrics["style"])

    assert distance((1.0, 0.0), STYLE) < distance((0.5, 0.5), STYLE) < distance((0.0, 1.0), STYLE)
    assert distance((0.0, 1.0), OTHER) < distance((0.5, 0.5), OTHER) < distance((1.0, 0.0), OTHER)


def test_a_style_of_weight_zero_is_as_if_it_were_not_there() -> None:
    alone = result(SHORT).picture
    assert torch.equal(result(replace(SHORT, style_weights=(2.0, 0.0)), styles=(STYLE, OTHER)).picture, alone)


def test_only_the_ratio_of_the_weights_of_styles_and_similarities_matters() -> None:
    config = replace(SHORT, similarities=("gram", "mean_std"))
    one = result(replace(config, style_weights=(1.0, 3.0), similarity_weights=(1.0, 1.0)), styles=(STYLE, OTHER))
    two = result(replace(config, style_weights=(2.0, 6.0)), styles=(STYLE, OTHER))
    torch.testing.assert_close(one.picture, two.picture)


def test_total_variation_smooths() -> None:
    config = replace(SHORT, start="noise", steps=15)
    rough, smooth = (total_variation(result(replace(config, total_variation=w)).picture)[0] for w in (0.0, 3.0))
    assert smooth < 0.8 * rough


def test_checkerboard_has_total_variation_eight() -> None:
    board = torch.tensor([[-1.0, 1.0], [1.0, -1.0]])[None]
    value, gradient = total_variation(board)
    assert value == 8  # (±2)² down plus (±2)² across
    torch.testing.assert_close(gradient, 4 * board)


def test_the_gradient_of_total_variation_is_its_slope() -> None:
    x = picture(5, 7, 4).double().requires_grad_()
    loss = x.diff(dim=-2).square().mean() + x.diff(dim=-1).square().mean()
    (expected,) = torch.autograd.grad(loss, x)
    value, gradient = total_variation(x.detach())
    assert value == pytest.approx(float(loss.detach()))
    torch.testing.assert_close(gradient, expected)


def test_a_refinement_in_float64_stays_there() -> None:
    job = list(refine(ToyEncoder(), CONTENT.double(), [STYLE.double()], SHORT))
    assert job[-1].result
    assert job[-1].result.picture.dtype == torch.float64


def test_a_permuted_content_is_no_obstacle() -> None:
    permuted = CONTENT.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    assert not permuted.is_contiguous()
    job = list(refine(ToyEncoder(), permuted, [STYLE.flip(0)], replace(SHORT, start="picture"), permuted))
    assert job[-1].result


def test_gradients_of_the_caller_are_left_alone() -> None:
    encoder = nn.Conv2d(1, 1, 1)

    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.toy = encoder, ToyEncoder()

        def forward(self, x: Tensor) -> tuple[Tensor, ...]:
            return tuple(m * self.inner.weight.mean() for m in self.toy(x))

    enabled = torch.is_grad_enabled()
    for _ in refine(Wrapped(), CONTENT, [STYLE], SHORT):
        assert torch.is_grad_enabled() is enabled
    assert encoder.weight.grad is None
    with torch.no_grad():
        assert result(SHORT).steps == 6


def test_sizes_double_from_the_coarse_one_to_the_full_one() -> None:
    assert levels((300, 512), 512) == ((300, 512),)
    assert levels((512, 1024), 512) == ((256, 512), (512, 1024))
    assert levels((600, 600), 512) == ((600, 600),)
    assert levels((768, 768), 512) == ((512, 512), (768, 768))
    assert [max(size) for size in levels((4096, 100), 512)] == [512, 1024, 2048, 4096]
    assert min(levels((4096, 100), 512)[0]) == 32


@given(steps=st.integers(1, 500), count=st.integers(1, 6))
def test_budgets_end_at_the_steps_asked_for_and_coarse_sizes_get_most(steps: int, count: int) -> None:
    ends = budgets(steps, count)
    assert ends[-1] == steps
    shares = [end - before for end, before in zip(ends, (0, *ends[:-1]), strict=True)]
    assert min(shares) >= (1 if steps >= count else 0)
    assert sorted(shares, reverse=True) == shares or steps < 4 * count


def test_style_pictures_are_looked_at_in_the_scale_asked_for() -> None:
    assert style_size(torch.zeros(3, 100, 200), 300, 1.0) == (150, 300)
    assert style_size(torch.zeros(3, 100, 200), 300, 0.5) == (75, 150)
    assert style_size(torch.zeros(3, 100, 200), 3000, 1.0) == (200, 400)  # no strokes to be seen beyond
    assert style_size(torch.zeros(3, 1, 1), 300, 1.0) == (32, 32)


def test_a_resize_to_the_same_size_is_the_same_picture() -> None:
    assert resize(CONTENT, (48, 64)) is CONTENT


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("steps", 0),
        ("steps", 10**9),
        ("learning_rate", 0.0),
        ("learning_rate", math.nan),
        ("content_weight", -1.0),
        ("content_weight", math.nan),
        ("style_weight", math.inf),
        ("total_variation", -0.1),
        ("style_scale", 0.0),
        ("style_weights", (1.0, math.nan)),
        ("style_weights", (0.0, 0.0)),
        ("style_weights", (-1.0, 2.0)),
        ("similarities", ()),
        ("similarities", ("gram", "gram")),
        ("similarity_weights", (0.0,)),
        ("similarity_weights", (1.0, 1.0)),
        ("layers", ()),
        ("layers", (0, 5)),
        ("layers", (1, 1)),
        ("content_layers", (-1,)),
        ("content_ceiling", 0.0),
        ("coarse", 1),
        ("tile", 100),
        ("halo", -16),
        ("seed", -1),
        ("start", "elsewhere"),
    ],
)
def test_settings_out_of_bounds_are_refused_in_one_sentence(field: str, value: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        RefineConfig(**{field: value})
    assert_sentence(caught.value)


def test_no_weight_at_all_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="both 0"):
        RefineConfig(style_weight=0.0, content_weight=0.0)


@pytest.mark.parametrize("values", [{"optimiser": "rprop"}, {"similarities": ["ssim"]}])
def test_unknown_names_list_the_known_ones(values: dict[str, Any]) -> None:
    with pytest.raises(UnknownName, match=r"known: (lbfgs|gram), "):
        configure(RefineConfig, values)


def test_settings_come_from_json() -> None:
    config = configure(
        RefineConfig, {"similarities": ["gram", "mmd"], "content_ceiling": None, "style_weights": [1, 2]}
    )
    assert config.shares(2) == (1 / 3, 2 / 3)
    assert config.mixture() == (("gram", 0.5), ("mmd", 0.5))


@pytest.mark.parametrize(
    ("content", "styles", "config", "start", "sentence"),
    [
        (picture(31, 64, 1), [STYLE], SHORT, None, "64x31 pixels is too small"),
        (CONTENT, [], SHORT, None, "at least one style"),
        (CONTENT, [STYLE], replace(SHORT, style_weights=(1.0, 1.0)), None, "2 style weights for 1"),
        (CONTENT, [STYLE], RefineConfig(), None, "needs the picture to start from"),
        (CONTENT, [STYLE], RefineConfig(), STYLE, "40x40 pixels and the content 64x48"),
    ],
)
def test_pictures_that_do_not_fit_are_refused_in_one_sentence(
    content: Tensor, styles: list[Tensor], config: RefineConfig, start: Tensor | None, sentence: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        next(iter(refine(ToyEncoder(), content, styles, config, start)))
    assert_sentence(caught.value, sentence)


def test_a_state_of_another_size_is_refused() -> None:
    state = result(SHORT).state
    with pytest.raises(InvalidRequest, match="another size"):
        list(refine(ToyEncoder(), picture(64, 64, 1), [STYLE], SHORT, state=state))


def test_a_style_of_one_pixel_is_a_colour() -> None:
    red = torch.tensor([1.0, -1.0, -1.0]).view(3, 1, 1)
    job = run(replace(SHORT, steps=20, content_weight=0.01), styles=(red,))
    change = (job[-1].result.picture - CONTENT).mean(dim=(1, 2))
    assert float(change[0]) > float(change[1])


def test_a_sheet_shows_every_similarity_and_each_can_be_carried_on() -> None:
    names = ("gram", "mmd", "mean_std")
    job: list[Progress[Diversity]] = list(diversify(ToyEncoder(), CONTENT, [STYLE], names, replace(SHORT, steps=2)))
    evaluated = [progress for progress in job if progress.metrics]
    assert [progress.step for progress in evaluated] == [1, 2, 3, 4, 5, 6]
    assert [len(progress.preview.results) for progress in evaluated] == [1, 1, 2, 2, 3, 3]
    diversity = result_of(job)
    assert tuple(name for name, _ in diversity.results) == names
    assert diversity.sheet.width > 3 * 64
    assert diversity.sheet.height > 48
    for name, each in diversity.results:
        assert each.config.similarities == (name,)
        further = result(replace(each.config, steps=4), state=each.state)
        assert torch.equal(further.picture, result(replace(SHORT, similarities=(name,), steps=4)).picture)


def test_a_sheet_without_names_tries_them_all() -> None:
    last = list(diversify(ToyEncoder(), CONTENT, [STYLE], config=replace(SHORT, steps=1)))[-1]
    assert last.result
    assert tuple(name for name, _ in last.result.results) == SIMILARITIES.names()


@pytest.mark.parametrize("names", [("gram", "gram")])
def test_a_similarity_is_tried_once(names: tuple[str, ...]) -> None:
    with pytest.raises(InvalidRequest, match="once"):
        list(diversify(ToyEncoder(), CONTENT, [STYLE], names, SHORT))
