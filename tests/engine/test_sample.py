"""A seed is a picture: alone, in any batch or grid, on any thread, after any other job, and from its recipe."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from sentences import assert_sentence
from sketch import CLASSES, SIDE, Sketch, pixels, same, write_model

from studio.core.errors import InvalidRequest, StudioError, UnknownName
from studio.core.images import to_uint8
from studio.core.progress import result_of
from studio.engine import ClassesRequest, Engine, SampleRequest, Seeded
from studio.engine.painter import Painter
from studio.latent.seeds import noise
from studio.settings import Settings


def sample(engine: Engine, **values: object) -> list[np.ndarray]:
    """The pixels of a request for the model "paintings"."""
    request = SampleRequest(**{"model": "paintings", **values})
    return [pixels(item.image) for item in result_of(engine.sample(request))]


def test_pictures_are_what_the_model_makes_of_the_noise(engine: Engine, model: Sketch) -> None:
    shares = torch.tensor([[0.25, 0.0, 0.75]])
    with torch.inference_mode():
        w = model.mapping(noise([5], 8), shares)
        mean = (shares @ model.w_mean)[:, None]
        expected = to_uint8(model.synthesis(mean + 0.6 * (w - mean)))[0]
    (made,) = sample(engine, seed=5, count=1, truncation=0.6, classes={"seascape": 3, "landscape": 1})
    assert made.shape == (SIDE, SIDE, 3)
    assert np.abs(made.astype(int) - expected).max() <= 1
    assert made.std() > 5


@pytest.mark.parametrize("count", [2, 3, 4, 5, 8, 17])
def test_a_seed_is_the_same_picture_in_a_batch_of_any_size(engine: Engine, count: int) -> None:
    batch = sample(engine, seed=3, count=count)
    for index, picture in enumerate(batch):
        assert np.array_equal(picture, sample(engine, seed=3 + index, count=1)[0])


def test_a_seed_is_the_same_picture_in_a_grid_of_classes(engine: Engine) -> None:
    grid = result_of(engine.classes(ClassesRequest(model="paintings", seed=4, count=3)))
    for row, name in zip(grid.samples, CLASSES, strict=True):
        for seed, item in zip(grid.seeds, row, strict=True):
            assert np.array_equal(pixels(item.image), sample(engine, seed=seed, count=1, classes={name: 1})[0])


@pytest.mark.parametrize("threads", [1, 3])
def test_the_number_of_workers_changes_no_bit(engine: Engine, make_engine: Callable[..., Engine], threads: int) -> None:
    for one, other in zip(sample(engine), sample(make_engine(threads=threads)), strict=True):
        assert np.array_equal(one, other)


def test_eight_threads_at_once_make_the_pictures_of_one(engine: Engine, make_engine: Callable[..., Engine]) -> None:
    fresh, together = make_engine(), threading.Barrier(8)

    def work(number: int) -> list[np.ndarray]:
        together.wait(10)
        return sample(fresh, seed=number % 3, count=6)

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(work, range(8)))
    for number, result in enumerate(results):
        for one, other in zip(result, sample(engine, seed=number % 3, count=6), strict=True):
            assert np.array_equal(one, other)


def test_pictures_appear_step_by_step(engine: Engine) -> None:
    steps = list(engine.sample(SampleRequest(model="paintings", count=20)))
    assert [step.step for step in steps] == [8, 16, 20]  # four pictures a worker
    assert [len(step.preview) for step in steps] == [8, 16, 20]
    assert {step.total for step in steps} == {20}
    assert [step.result is None for step in steps] == [True, True, False]
    assert [item.seed for item in steps[-1].result] == list(range(20))


def test_closing_midway_leaves_the_engine_usable(engine: Engine) -> None:
    job = engine.sample(SampleRequest(model="paintings", count=30))
    next(job)
    job.close()
    assert not engine._machine.turns._taken
    assert len(sample(engine, count=5)) == 5


def test_an_error_in_a_step_leaves_the_engine_usable(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self: Painter, w: torch.Tensor) -> None:
        raise StudioError("The model gave values that are not numbers.")

    with monkeypatch.context() as patch:
        patch.setattr(Painter, "paint", fails)
        with pytest.raises(StudioError, match="not numbers"):
            sample(engine)
    assert len(sample(engine)) == 16


def test_a_job_may_be_carried_on_by_another_thread(engine: Engine) -> None:
    job = engine.sample(SampleRequest(model="paintings", count=17))
    parts = []
    for _ in range(3):
        thread = threading.Thread(target=lambda: parts.append(next(job)))
        thread.start()
        thread.join(30)
    for one, other in zip(parts[-1].result, sample(engine, count=17), strict=True):
        assert np.array_equal(pixels(one.image), other)


def test_between_steps_torch_is_as_the_caller_left_it(engine: Engine) -> None:
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    for _ in engine.sample(SampleRequest(model="paintings", count=6)):
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()
        assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


def test_without_truncation_left_every_seed_is_the_mean_of_its_classes(engine: Engine) -> None:
    first, second = sample(engine, count=2, truncation=0, classes={"portrait": 1})
    (other,) = sample(engine, count=1, truncation=0, classes={"seascape": 1})
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_weights_of_classes_are_shares(engine: Engine) -> None:
    once = sample(engine, count=1, classes={"portrait": 1, "seascape": 1})
    assert np.array_equal(once, sample(engine, count=1, classes={"portrait": 30, "seascape": 30}))
    assert not np.array_equal(once, sample(engine, count=1, classes={"portrait": 1}))


def test_where_no_class_is_asked_for_each_seed_has_one_of_its_own(engine: Engine) -> None:
    items = result_of(engine.sample(SampleRequest(model="paintings", count=32)))
    drawn = [tuple(item.picture.classes.items()) for item in items]
    assert {names for ((names, _),) in drawn} == set(CLASSES)
    again = result_of(engine.sample(SampleRequest(model="paintings", pictures=[item.picture for item in items])))
    assert all(same(one.image, other.image) for one, other in zip(items, again, strict=True))


def test_a_variation_of_radius_zero_is_the_picture_and_a_small_one_is_near_it(engine: Engine) -> None:
    base = {"seed": 5, "classes": {"portrait": 1}}
    kept, near, far = (engine.render("paintings", {"of": base, "radius": r, "seed": 1}).image for r in (0, 0.1, 1))
    original = engine.render("paintings", base).image
    assert same(kept, original)
    distance = [float(np.abs(pixels(image).astype(int) - pixels(original)).mean()) for image in (near, far)]
    assert 0 < distance[0] < distance[1]


def test_a_variation_does_not_depend_on_where_its_lineage_was_settled(engine: Engine) -> None:
    first = engine.render("paintings", {"of": {"of": 5, "radius": 0.2, "seed": 1}, "radius": 0.1, "seed": 2})
    assert same(first.image, engine.render("paintings", first.picture).image)


def test_mixing_every_group_is_the_second_picture(engine: Engine) -> None:
    a, b = {"seed": 1, "classes": {"portrait": 1}}, {"seed": 2, "classes": {"seascape": 1}}
    everything = engine.render("paintings", {"mix": [a, b], "groups": ["coarse", "middle", "fine"]})
    assert same(everything.image, engine.render("paintings", b).image)
    fine = engine.render("paintings", {"mix": [a, b], "groups": ["fine"]})
    assert not same(fine.image, engine.render("paintings", a).image)
    assert not same(fine.image, everything.image)


def test_a_variation_of_a_mix_varies_both(engine: Engine) -> None:
    both = {"of": {"mix": [1, 2], "groups": ["fine"]}, "radius": 0.4, "seed": 3}
    each = {"mix": [{"of": 1, "radius": 0.4, "seed": 3}, {"of": 2, "radius": 0.4, "seed": 3}], "groups": ["fine"]}
    assert same(engine.render("paintings", both).image, engine.render("paintings", each).image)


def test_the_outermost_classes_hold(engine: Engine) -> None:
    inner = {"seed": 1, "classes": {"portrait": 1}}
    outer = engine.render("paintings", {"of": inner, "radius": 0, "classes": {"seascape": 1}})
    assert same(outer.image, engine.render("paintings", {"seed": 1, "classes": {"seascape": 1}}).image)
    plain = engine.render("paintings", {"of": inner, "radius": 0}, classes={"landscape": 1})
    assert same(plain.image, engine.render("paintings", inner).image)


def test_a_model_without_classes_or_styles_says_so(engine: Engine) -> None:
    assert engine.render("plain", 3).picture == Seeded(seed=3)
    with pytest.raises(InvalidRequest, match="has no classes"):
        engine.render("plain", 3, classes={"portrait": 1})
    with pytest.raises(InvalidRequest, match="'plain' has no classes"):
        engine.classes(ClassesRequest(model="plain"))
    with pytest.raises(InvalidRequest, match="single layer"):
        engine.render("flat", {"of": {"mix": [1, 2]}})


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ({"count": 65}, "At most 64 pictures"),
        ({"pictures": list(range(65))}, "got 65"),
        ({"classes": {"cubism": 1}}, "'cubism'"),
        ({"classes": {"portrait": 0}}, "all 0"),
        ({"model": "cubism"}, "known: flat, paintings, plain"),
    ],
)
def test_what_the_model_or_the_settings_refuse_is_refused_before_any_work(
    engine: Engine, values: dict[str, object], part: str
) -> None:
    with pytest.raises(StudioError) as refused:
        engine.sample(SampleRequest(**{"model": "paintings", **values}))
    assert_sentence(refused.value, part)
    assert "hardware" not in vars(engine._machine)


def test_a_device_that_is_not_there_is_one_sentence(
    make_engine: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    broken = make_engine(device="cuda")
    assert [info.error for info in broken.models()] == [None]
    with pytest.raises(InvalidRequest, match="STUDIO_DEVICE"):
        broken.render("paintings")
    assert not broken._machine.turns._taken


def test_the_grid_of_classes_has_the_rows_asked_for(engine: Engine) -> None:
    request = ClassesRequest(model="paintings", seed=9, count=2, classes=["seascape", "landscape"])
    steps = list(engine.classes(request))
    grid = steps[-1].result
    assert [len(step.preview) for step in steps] == [4]
    assert (grid.rows, grid.seeds) == (("seascape", "landscape"), (9, 10))
    assert [[item.picture.seed for item in row] for row in grid.samples] == [[9, 10], [9, 10]]
    assert grid.samples[1][0].picture.classes == {"landscape": 1.0}
    assert grid.sheet().width > 2 * SIDE
    with pytest.raises(UnknownName):
        engine.classes(ClassesRequest(model="paintings", classes=["cubism"]))
    with pytest.raises(InvalidRequest, match="At most 64 pictures at once; got 66"):
        engine.classes(ClassesRequest(model="paintings", count=22))


def test_models_share_the_memory_they_are_given(
    engine: Engine, make_engine: Callable[..., Engine], settings: Settings
) -> None:
    small = make_engine(cache_bytes=1)
    first = small.render("paintings", 1)
    assert len(small._machine.loaded) == 1
    small.render("plain", 1)
    assert list(small._machine.loaded) == [small.info("plain").sha256]
    assert same(small.render("paintings", 1).image, first.image)
    for name in ("paintings", "plain", "paintings", "flat"):
        engine.render(name, 1)
    order = [engine.info(name).sha256 for name in ("plain", "paintings", "flat")]
    assert list(engine._machine.loaded) == order
    assert all(painter.bytes > 10_000 for painter in engine._machine.loaded.values())


def test_a_job_goes_on_though_its_model_is_dropped_between_steps(make_engine: Callable[..., Engine]) -> None:
    small = make_engine(cache_bytes=1)
    expected = sample(small, count=9)
    write_model(small.settings.models / "other.safetensors", seed=3)
    job = small.sample(SampleRequest(model="paintings", count=9))
    next(job)
    small.render("other")
    *_, last = job
    assert all(np.array_equal(pixels(item.image), one) for item, one in zip(last.result, expected, strict=True))


def test_saving_creates_the_folder(engine: Engine, tmp_path: Path) -> None:
    item = engine.render("paintings", 7)
    item.save(tmp_path / "new" / "picture.png")
    assert (tmp_path / "new" / "picture.png").stat().st_size > 100
    assert item.seed == 7
