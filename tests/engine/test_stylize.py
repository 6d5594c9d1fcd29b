"""Style transfer as a job: the instant picture first, one step a turn, stopping keeps, resuming goes on."""

import io
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sentences import assert_sentence
from studio_styles import MASTERWORKS, painting, photo, write_styles
from torch import Tensor

from studio.core import bfloat16, checkpoint
from studio.core.errors import CheckpointError, ImageError, InvalidRequest, MissingPackage, StudioError, UnknownName
from studio.core.images import read_recipe
from studio.core.progress import result_of
from studio.engine import Engine, Pictures, Styled, StylizeRequest, readings
from studio.settings import Settings
from studio.style import vgg19
from studio.style.codes import CodesConfig, StyleCodes
from studio.style.encoder import StyleEncoder
from studio.style.similarity import SIMILARITIES

TRIAL = bfloat16.speed_up  # the real one: a fixture puts another in its place
SIZE = 72
SMALL = photo().resize((72, 48), Image.Resampling.LANCZOS)


@pytest.fixture(autouse=True)
def real_kinds() -> None:
    """Style transfer needs the real table of kinds."""


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_styles(tmp_path_factory.mktemp("styles"))


@pytest.fixture
def engine(tmp_path: Path, checkpoints: Path) -> Engine:
    return Engine(Settings(home=tmp_path / "home", checkpoints=checkpoints, device="cpu", threads=1))


@pytest.fixture
def store() -> Pictures:
    return Pictures()


@pytest.fixture
def ask(store: Pictures) -> Callable[..., StylizeRequest]:
    """A request for the photo in the stripes' hand, with some settings changed."""

    def make(**values: Any) -> StylizeRequest:
        default = {"content": store.add(photo()), "styles": [store.add(painting())], "size": SIZE, "steps": 4}
        return StylizeRequest(**{**default, **values})

    return make


Ask = Callable[..., StylizeRequest]


def pixels(image: Image.Image) -> np.ndarray[Any, np.dtype[np.int16]]:
    return np.array(image).astype(np.int16)


def test_the_instant_picture_is_one_step(engine: Engine, store: Pictures, ask: Ask) -> None:
    (only,) = engine.stylize(ask(fast=True), store)
    assert (only.step, only.total) == (1, 1)
    assert only.result is not None
    assert only.result.image.size == (72, 48)
    assert np.abs(pixels(only.result.image) - pixels(SMALL)).mean() > 10
    assert only.result.steps == 0


def test_a_refinement_shows_the_instant_picture_first_and_its_losses_after(
    engine: Engine, store: Pictures, ask: Ask
) -> None:
    first, *rest = engine.stylize(ask(), store)
    instant = result_of(engine.stylize(ask(fast=True), store))
    assert np.array_equal(pixels(first.preview.image), pixels(instant.image))
    *_, last = rest
    assert last.result is not None
    assert [p.step for p in rest if p.metrics.get("total")] == [1, 2, 3, 4]
    assert last.result.steps == 4
    assert {name: len(values) for name, values in last.result.curves.items()}.items() >= {
        "total": 4,
        "style": 4,
    }.items()
    assert rest[-2].metrics["seconds_left"] > 0
    assert last.metrics["seconds_left"] == 0
    assert min(last.result.curves["total"]) <= last.result.curves["total"][0]
    assert not np.array_equal(pixels(last.result.image), pixels(instant.image))


def test_stopping_keeps_the_picture_and_says_the_steps_really_done(
    engine: Engine, store: Pictures, ask: Ask, tmp_path: Path
) -> None:
    job = engine.stylize(ask(steps=50), store)
    kept = next(progress.preview for progress in job if progress.step == 2)
    job.close()
    kept.save(tmp_path / "stopped.png")
    recipe = read_recipe(tmp_path / "stopped.png")
    assert recipe is not None
    assert recipe["steps"] == recipe["request"]["steps"] == 2
    assert result_of(engine.stylize(ask(fast=True), store)).image.size == (72, 48)


def test_resuming_is_as_if_never_stopped(engine: Engine, store: Pictures, ask: Ask) -> None:
    whole = result_of(engine.stylize(ask(steps=5), store))
    half = result_of(engine.stylize(ask(steps=2), store))
    rest = result_of(engine.stylize(ask(steps=5), store, half))
    assert rest.curves == whole.curves
    assert np.array_equal(pixels(rest.image), pixels(whole.image))
    light = result_of(engine.stylize(ask(steps=5), store, half.light()))
    assert light.steps == 5
    assert len(light.curves["total"]) == 5


@pytest.mark.parametrize(
    ("before", "after", "part"),
    [
        ({"fast": True}, {}, "was not refined"),
        ({"steps": 2}, {"content_weight": 0.9}, "other settings"),
        ({"steps": 3}, {"steps": 3}, "3 steps are done already"),
    ],
)
def test_what_cannot_be_resumed_is_a_sentence(
    engine: Engine, store: Pictures, ask: Ask, before: dict[str, Any], after: dict[str, Any], part: str
) -> None:
    done = result_of(engine.stylize(ask(**before), store))
    with pytest.raises(InvalidRequest) as refused:
        engine.stylize(ask(**after), store, done)
    assert_sentence(refused.value, part)


def practising(store: Pictures, steps: int) -> list[dict[str, Any]]:
    return [{"picture": store.add(painting()), "practice": steps}]


def test_practice_comes_first_and_the_sliders_are_instant_after_it(engine: Engine, store: Pictures, ask: Ask) -> None:
    plain = result_of(engine.stylize(ask(fast=True), store))
    request = ask(fast=True, styles=practising(store, 6))
    items = list(engine.stylize(request, store))
    assert [(item.step, item.total) for item in items] == [*((step, 6) for step in range(1, 7)), (1, 1)]
    assert all(item.note == "Practising" and item.metrics["seconds_left"] >= 0 for item in items[:-1])
    shown = [item.preview for item in items[:-1] if item.preview is not None]
    assert [item.request.styles[0].practice for item in shown] == [5, 6]
    practised = items[-1].result
    assert practised is not None
    assert practised.request == request
    assert practised.recipe["request"]["styles"][0]["practice"] == 6
    assert not np.array_equal(pixels(practised.image), pixels(plain.image))
    moved = ask(fast=True, styles=practising(store, 6), content_weight=0.9)
    assert [item.step for item in engine.stylize(moved, store)] == [1], "it is remembered"
    assert np.array_equal(pixels(result_of(engine.stylize(ask(fast=True), store)).image), pixels(plain.image))


def test_practice_that_is_stopped_is_kept_and_goes_on_as_if_never_stopped(
    engine: Engine, store: Pictures, ask: Ask, tmp_path: Path, checkpoints: Path
) -> None:
    job = engine.stylize(ask(fast=True, styles=practising(store, 50)), store)
    next(progress for progress in job if progress.step == 3)
    job.close()
    asked = ask(fast=True, styles=practising(store, 50))
    had = engine.practised(asked, store)
    assert had.styles[0].practice == 3
    assert engine.practised(ask(fast=True, styles=practising(store, 2)), store).styles[0].practice == 2
    three = result_of(engine.stylize(had, store))
    seven = result_of(engine.stylize(ask(fast=True, styles=practising(store, 7)), store))
    other = Engine(Settings(home=tmp_path / "other", checkpoints=checkpoints, device="cpu", threads=1))
    for steps, mine in ((7, seven), (3, three)):
        again = result_of(other.stylize(ask(fast=True, styles=practising(store, steps)), store))
        assert np.array_equal(pixels(again.image), pixels(mine.image))


def test_a_refinement_starts_from_the_practised_picture(engine: Engine, store: Pictures, ask: Ask) -> None:
    items = list(engine.stylize(ask(styles=practising(store, 4), steps=2), store))
    assert [item.note for item in items[:4]] == ["Practising"] * 4
    first = items[4].preview
    assert first is not None
    practised = result_of(engine.stylize(ask(fast=True, styles=practising(store, 4)), store))
    assert np.array_equal(pixels(first.image), pixels(practised.image))
    assert items[-1].result is not None
    assert items[-1].result.steps == 2


@pytest.mark.parametrize("scale", [0.25, 2.0])
def test_a_style_practises_at_any_scale_of_its_strokes(engine: Engine, store: Pictures, ask: Ask, scale: float) -> None:
    request = ask(fast=True, styles=practising(store, 1), style_scale=scale)
    assert result_of(engine.stylize(request, store)).request == request
    assert engine.practised(ask(styles=practising(store, 1)), store).styles[0].practice == 0, "each scale has its own"


def test_practice_is_bounded_by_the_settings(store: Pictures, ask: Ask, tmp_path: Path, checkpoints: Path) -> None:
    settings = Settings(home=tmp_path / "home", checkpoints=checkpoints, device="cpu", threads=1, max_style_work=10)
    engine = Engine(settings)
    with pytest.raises(InvalidRequest, match="practice") as refused:
        engine.stylize(ask(fast=True, styles=practising(store, 200)), store)
    assert_sentence(refused.value, "200 steps of practice", "at most 10", "practise less")


def test_a_slider_slips_between_two_steps(engine: Engine, store: Pictures, ask: Ask) -> None:
    result_of(engine.stylize(ask(fast=True), store))
    done = threading.Event()

    def short() -> None:
        result_of(engine.stylize(ask(fast=True), store))
        done.set()

    thread = threading.Thread(target=short)
    job = engine.stylize(ask(steps=400), store)
    next(job)
    thread.start()
    steps = next(progress.step for progress in job if done.is_set())
    job.close()
    thread.join(20)
    assert steps < 300


def test_style_weight_zero_returns_the_photo(engine: Engine, store: Pictures, ask: Ask) -> None:
    plain = result_of(engine.stylize(ask(fast=True, style_weight=0), store)).image
    assert np.abs(pixels(plain) - pixels(SMALL)).max() <= 2


def test_a_picture_in_its_own_style_is_itself(engine: Engine, store: Pictures, ask: Ask) -> None:
    name = store.add(photo())
    own = result_of(engine.stylize(ask(fast=True, styles=[name]), store)).image
    assert np.abs(pixels(own) - pixels(SMALL)).max() <= 2
    twice = result_of(engine.stylize(ask(fast=True, styles=[name, name]), store)).image
    assert np.abs(pixels(twice) - pixels(own)).max() <= 1


def test_styles_blend_by_weight_and_a_weight_of_zero_counts_for_nothing(
    engine: Engine, store: Pictures, ask: Ask
) -> None:
    one, two = store.add(painting()), store.add(painting(seed=5))

    def blend(*weights: float) -> Any:
        styles = [{"picture": name, "weight": weight} for name, weight in zip((one, two), weights, strict=True)]
        return pixels(result_of(engine.stylize(ask(fast=True, styles=styles), store)).image)

    alone = pixels(result_of(engine.stylize(ask(fast=True, styles=[one]), store)).image)
    assert np.array_equal(blend(1, 0), alone)
    assert np.array_equal(blend(1, 3), blend(2, 6))
    assert not np.array_equal(blend(1, 1), alone)


def test_a_masterwork_is_a_style_without_a_picture(engine: Engine, store: Pictures, ask: Ask) -> None:
    assert engine.masterworks() == MASTERWORKS
    made = [pixels(result_of(engine.stylize(ask(fast=True, styles=[name]), store)).image) for name in MASTERWORKS]
    assert not np.array_equal(made[0], made[1])
    *_, last = engine.masterwork_thumbnails()
    assert last.result is not None
    assert tuple(last.result) == MASTERWORKS
    assert {image.size for image in last.result.values()} == {(128, 128)}
    with pytest.raises(UnknownName) as refused:
        engine.stylize(ask(styles=["mona"]), store)
    assert_sentence(refused.value, "'mona'", "known: hokusai-great-wave")


def test_a_masterwork_is_refined_towards_by_its_moments(engine: Engine, store: Pictures, ask: Ask) -> None:
    made = result_of(engine.stylize(ask(styles=[MASTERWORKS[0]]), store))
    assert made.steps == 4
    assert min(made.curves["style"]) < made.curves["style"][0]
    *_, last = engine.diversify(ask(styles=[MASTERWORKS[0], store.add(painting())], steps=1), store)
    assert last.result is not None
    assert last.result.names == ("gram", "mean_std", "covariance")
    for values, part in (
        ({"similarity": "mmd"}, "choose gram, mean_std, covariance"),
        ({"encoder": "vgg19"}, "add a pic"),
    ):
        with pytest.raises(InvalidRequest) as refused:
            engine.stylize(ask(styles=[MASTERWORKS[0]], **values), store)
        assert_sentence(refused.value, part)


def test_masterworks_of_another_stylizer_are_not_used(engine: Engine, tmp_path: Path) -> None:
    folder = write_styles(tmp_path / "other", seed=1)
    config = CodesConfig(16, "f" * 64)
    codes = StyleCodes(config, 1)
    checkpoint.save(
        folder / "masterworks.safetensors",
        codes,
        kind="style-codes",
        config=config,
        classes=("a",),
        provenance={},
        metrics={},
    )
    assert Engine(replace(engine.settings, checkpoints=folder)).masterworks() == ()


def test_a_mask_leaves_the_photo_where_it_is_black(engine: Engine, store: Pictures, ask: Ask) -> None:
    half = Image.new("L", (36, 24), 255)
    half.paste(0, (0, 0, 18, 24))
    result = pixels(result_of(engine.stylize(ask(fast=True, mask=store.add(half.convert("RGB"))), store)).image)
    styled = pixels(result_of(engine.stylize(ask(fast=True), store)).image)
    assert np.abs(result[:, :34] - pixels(SMALL)[:, :34]).max() <= 1
    assert np.array_equal(result[:, 38:], styled[:, 38:])
    with pytest.raises(InvalidRequest) as refused:
        engine.stylize(ask(mask=store.add(photo(50, 50))), store)
    assert_sentence(refused.value, "50x50", "72x48")


def test_alpha_is_kept(engine: Engine, store: Pictures, ask: Ask) -> None:
    clear = photo()
    clear.putalpha(Image.linear_gradient("L").resize(clear.size))
    result = result_of(engine.stylize(ask(content=store.add(clear)), store)).image
    assert result.mode == "RGBA"
    wanted = np.array(clear.resize((72, 48), Image.Resampling.LANCZOS).getchannel("A")).astype(int)
    assert np.abs(np.array(result.getchannel("A")).astype(int) - wanted).max() <= 1


def test_the_photo_s_chroma_can_be_kept(engine: Engine, store: Pictures, ask: Ask) -> None:
    result = result_of(engine.stylize(ask(fast=True, preserve_color="luminance"), store)).image
    luminance = np.array(result.convert("YCbCr")).astype(int)
    wanted = np.array(photo(72, 48).convert("YCbCr")).astype(int)
    styled = np.array(result_of(engine.stylize(ask(fast=True), store)).image.convert("YCbCr")).astype(int)
    assert np.abs(luminance[..., 1:] - wanted[..., 1:]).mean() < 0.5 * np.abs(styled[..., 1:] - wanted[..., 1:]).mean()


@pytest.mark.parametrize("start", ["content", "noise", "picture"])
def test_a_refinement_can_start_elsewhere(engine: Engine, store: Pictures, ask: Ask, start: str) -> None:
    name = store.add(photo(seed=8)) if start == "picture" else start
    assert result_of(engine.stylize(ask(start=name), store)).steps == 4


def test_diversify_shows_the_pair_under_every_similarity(engine: Engine, store: Pictures, ask: Ask) -> None:
    *_, last = engine.diversify(ask(steps=2), store)
    variants = last.result
    assert variants is not None
    assert variants.names == SIMILARITIES.names()
    assert [dict(one.request.similarity) for one in variants.styled] == [{name: 1.0} for name in variants.names]
    assert len({one.image.tobytes() for one in variants.styled}) == len(variants.names)
    assert variants.sheet().width > 4 * 72
    chosen = variants.styled[3]
    more = chosen.request.model_copy(update={"steps": 4})
    assert result_of(engine.stylize(more, store, chosen)).steps == 4


def test_a_recipe_brings_the_request_back(engine: Engine, store: Pictures, ask: Ask, tmp_path: Path) -> None:
    made = result_of(engine.stylize(ask(similarity={"gram": 1, "mmd": 0.2}), store))
    made.save(tmp_path / "picture.png")
    recipe = read_recipe(tmp_path / "picture.png")
    assert recipe is not None
    restored = engine.restore(recipe)
    assert restored.request == made.request
    assert restored.notice is None
    again = result_of(engine.stylize(made.request, store))
    assert np.array_equal(pixels(again.image), pixels(made.image))
    made.save(tmp_path / "plain.png", keep_recipe=False)
    assert read_recipe(tmp_path / "plain.png") is None


def test_a_model_that_has_changed_is_said(engine: Engine, store: Pictures, ask: Ask) -> None:
    made = result_of(engine.stylize(ask(fast=True), store))
    recipe = {**made.recipe, "models": {**made.recipe["models"], "stylizer": "0" * 64}}
    assert_sentence(StudioError(engine.restore(recipe).notice), "The stylizer has changed")


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"request": 7}, "holds no request"),
        ({"models": 7}, "which models"),
        ({"request": {"content": "x"}}, "content must be"),
        ({"request": {"shell": "rm"}}, "content is missing"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_one_sentence(
    engine: Engine, store: Pictures, ask: Ask, changes: dict[str, Any], part: str
) -> None:
    made = result_of(engine.stylize(ask(fast=True), store))
    with pytest.raises(StudioError) as refused:
        engine.restore({**made.recipe, **changes})
    assert_sentence(refused.value, part)
    with pytest.raises(StudioError) as refused:
        engine.restore({key: value for key, value in made.recipe.items() if key != "models"})
    assert_sentence(refused.value, "'models'")


@pytest.mark.parametrize(
    ("values", "settings", "part"),
    [
        ({"size": 2048}, {"profile": "public"}, "at most 1024 pixels a side; got 2048"),
        ({"size": 1024, "steps": 500}, {"profile": "public"}, "524 megapixel steps; at most 400"),
        ({"size": 4096, "steps": 5000}, {"max_style_work": 1000}, "at most 1000 are done"),
    ],
)
def test_work_is_bounded_by_the_settings(
    engine: Engine, store: Pictures, ask: Ask, values: dict[str, Any], settings: dict[str, Any], part: str
) -> None:
    changes = {
        "max_style_size": -1,
        "max_style_work": -1,
        "max_count": -1,
        "max_frames": -1,
        "max_size": -1,
        **settings,
    }
    bounded = Engine(replace(engine.settings, **changes))
    with pytest.raises(InvalidRequest) as refused:
        bounded.stylize(ask(**values), store)
    assert_sentence(refused.value, part)


def test_a_picture_that_is_not_at_hand_is_a_sentence(engine: Engine, store: Pictures, ask: Ask) -> None:
    for values in ({"content": "0" * 64}, {"styles": ["0" * 64]}, {"mask": "0" * 64}, {"start": "0" * 64}):
        with pytest.raises(InvalidRequest) as refused:
            engine.stylize(ask(**values), store)
        assert_sentence(refused.value, "00000000…", "add it again")


def test_without_models_style_transfer_says_what_is_missing(tmp_path: Path, store: Pictures, ask: Ask) -> None:
    bare = Engine(Settings(home=tmp_path, checkpoints=tmp_path / "none", device="cpu"))
    assert not bare.can_stylize
    assert bare.masterworks() == ()
    with pytest.raises(CheckpointError) as refused:
        bare.stylize(ask(), store)
    assert_sentence(refused.value, "encoder.safetensors", "studio train encoder")


def test_the_models_of_style_are_not_offered_as_generators(engine: Engine) -> None:
    assert engine.models() == []


def test_without_a_network_vgg19_is_a_sentence_that_names_the_built_in(
    engine: Engine, store: Pictures, ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*args: object, **values: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(vgg19.torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(vgg19.urllib.request, "urlopen", offline)
    with pytest.raises(MissingPackage) as refused:
        result_of(engine.stylize(ask(encoder="vgg19"), store))
    assert_sentence(refused.value, "built-in encoder")


def _bytes(image: Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


ANIMATION = {"save_all": True, "append_images": [photo(seed=4).convert("P")]}
GOOD = {
    "1x1": (_bytes(photo(1, 1), "PNG"), (72, 72)),
    "thin": (_bytes(photo(4000, 10), "PNG"), (72, 1)),
    "animation": (_bytes(photo().convert("P"), "GIF", **ANIMATION), (72, 48)),
    "cmyk": (_bytes(photo().convert("CMYK"), "JPEG"), (72, 48)),
    "palette": (_bytes(photo().convert("P"), "PNG"), (72, 48)),
    "16-bit": (_bytes(Image.fromarray(np.full((64, 96), 40_000, np.uint16)), "PNG"), (72, 48)),
    "alpha": (_bytes(photo().convert("LA"), "PNG"), (72, 48)),
}
BAD = {
    "30000x10": (_bytes(Image.new("L", (30000, 10)), "PNG"), "30000 × 10"),
    "13000x13000": (_bytes(Image.new("1", (13000, 13000)), "PNG"), "13000 × 13000"),
    "truncated": (_bytes(photo(400, 300), "PNG")[:-200], "truncated"),
    "no image": (b"not an image", "not an image that we know"),
    "empty": (b"", "empty"),
}


@pytest.mark.parametrize("name", GOOD)
def test_every_kind_of_picture_is_a_photo_and_a_style(engine: Engine, ask: Ask, name: str) -> None:
    data, size = GOOD[name]
    store = engine.pictures()
    given = store.add(data)
    other = store.add(photo())
    result: Styled = result_of(engine.stylize(ask(content=given, styles=[given, other], steps=2), store))
    assert result.image.size == size
    assert result.steps == 2


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_picture_is_one_sentence(engine: Engine, name: str) -> None:
    data, part = BAD[name]
    with pytest.raises(ImageError) as refused:
        engine.pictures().add(data)
    assert_sentence(refused.value, part)


def test_a_slider_reads_no_picture_again_where_maps_are_matched(
    tmp_path: Path, store: Pictures, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_styles(tmp_path / "matched", matched=4)
    engine = Engine(Settings(home=tmp_path / "home", checkpoints=folder, device="cpu", threads=1))
    looks: list[tuple[int, ...]] = []
    forward = StyleEncoder.forward

    def counted(self: StyleEncoder, x: Tensor, *rest: Any) -> tuple[Tensor, ...]:
        looks.append(tuple(x.shape))
        return forward(self, x, *rest)

    monkeypatch.setattr(StyleEncoder, "forward", counted)
    first, *rest = (
        pixels(result_of(engine.stylize(ask(fast=True, **values), store)).image)
        for values in ({}, {"style_weight": 0.5}, {"content_weight": 0.9}, {"size": 96})
    )
    assert looks == [(1, 3, 256, 384), (1, 3, 256, 256)]  # the photo and the painting, once each
    assert not np.array_equal(first, rest[0])
    own = result_of(engine.stylize(ask(fast=True, styles=[store.add(photo())]), store)).image
    assert np.abs(pixels(own) - pixels(SMALL)).max() <= 2
    masterwork = result_of(engine.stylize(ask(fast=True, styles=[MASTERWORKS[0]]), store)).image
    assert masterwork.size == (72, 48)
    assert len(looks) == 2
    assert result_of(engine.stylize(ask(fast=True, content=store.add(photo(1, 1))), store)).image.size == (72, 72)


def test_only_a_few_contents_keep_their_maps(tmp_path: Path, store: Pictures, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_styles(tmp_path / "matched", matched=2)
    engine = Engine(Settings(home=tmp_path / "home", checkpoints=folder, device="cpu", threads=1))
    models = engine._stylist.shelf.load("builtin")
    one = models.reader.content("0", photo())
    assert [each.shape[-2:] for each in one.maps] == [(256, 384), (128, 192)]
    monkeypatch.setattr(readings, "MAP_BYTES", 2 * one.bytes)
    for seed in (1, 2):
        models.reader.content(str(seed), photo(seed=seed))
    assert [name for name, _, _ in models.reader._contents] == ["1", "2"]
    assert torch.equal(models.reader.content("0", photo()).code, one.code)


def test_codes_of_another_length_are_one_sentence(tmp_path: Path, store: Pictures, ask: Ask) -> None:
    folder = write_styles(tmp_path / "matched", matched=1)
    config = CodesConfig(16)
    checkpoint.save(
        folder / "masterworks.safetensors",
        StyleCodes(config, 1),
        kind="style-codes",
        config=config,
        classes=("a",),
        provenance={},
        metrics={},
    )
    engine = Engine(Settings(home=tmp_path / "home", checkpoints=folder, device="cpu", threads=1))
    with pytest.raises(CheckpointError) as refused:
        result_of(engine.stylize(ask(fast=True), store))
    assert_sentence(refused.value, "masterworks.safetensors have 16 entries and the stylizer's 30")


def test_the_instant_picture_in_bfloat16_is_nearly_the_same(
    tmp_path: Path, checkpoints: Path, store: Pictures, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not TRIAL():
        pytest.skip("this processor has no bfloat16, or one that kills the process")
    made = []
    for ratio in (1.0, 2.0):
        monkeypatch.setattr(bfloat16, "speed_up", lambda record, ratio=ratio: ratio)
        engine = Engine(Settings(home=tmp_path / "home", checkpoints=checkpoints, device="cpu", threads=1))
        made.append(pixels(result_of(engine.stylize(ask(fast=True), store)).image))
        assert engine._stylist.shelf.load("builtin").reader.precision.half is (ratio == 2.0)
    difference = np.abs(made[0] - made[1])
    assert 0 < difference.mean() < 2
    assert np.abs(made[1] - pixels(SMALL)).mean() > 10
