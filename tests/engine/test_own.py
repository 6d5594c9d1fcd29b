"""A picture of one's own is a picture like any other: painted, varied, mixed, walked through and restored."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sentences import assert_sentence
from sketch import CLASSES, Sketch, same
from strategies import json_values

from studio.core import checkpoint
from studio.core.errors import CheckpointError, InvalidRequest, StudioError, UnknownName
from studio.core.kinds import MODEL_KINDS, ModelKind
from studio.core.progress import result_of
from studio.engine import Along, Engine, InvertRequest, SampleRequest, WalkRequest
from studio.engine.codes import encode, vector_code
from studio.engine.compass import log_odds
from studio.engine.requests import as_picture, parts
from studio.latent.directions import Direction
from studio.latent.interior import pack
from studio.latent.named import KIND, NamedConfig, NamedDirections
from studio.latent.seeds import noise
from studio.settings import Settings

NAMED = ModelKind(KIND, NamedConfig, NamedDirections, "Directions by name.", latent=False)
FULL = {"classes": {"portrait": 1.0}, "truncation": 1.0}


@pytest.fixture
def own(model: Sketch) -> dict[str, object]:
    """The picture of seed 5 as one from outside."""
    w = model.mapping(noise([5], 8), torch.tensor([[0.0, 1.0, 0.0]]))
    return {"own": encode(pack(w, ())), "found": {"portrait": 1.0}}


def test_a_code_of_w_paints_the_picture_of_that_w_whatever_the_truncation(engine: Engine, own: dict) -> None:
    seeded = engine.render("paintings", 5, **FULL).image
    for truncation in (0.3, 1.0):
        found = engine.render("paintings", own, truncation=truncation).image
        difference = [abs(a - b) for a, b in zip(seeded.tobytes(), found.tobytes(), strict=True)]
        assert max(difference) <= 2  # w in 16 bits


def test_variations_go_from_the_picture_to_an_unrelated_one(engine: Engine, own: dict) -> None:
    still, near, other, unrelated = (
        engine.render("paintings", {"of": own, "radius": radius, "seed": seed}, truncation=1.0).image
        for radius, seed in ((0, 1), (0.2, 1), (0.2, 2), (1, 1))
    )
    assert same(still, engine.render("paintings", own).image)
    assert not same(near, still)
    assert not same(near, other)
    seeded = engine.render("paintings", {"of": 5, "radius": 1, "seed": 1}, **FULL).image
    assert max(abs(a - b) for a, b in zip(seeded.tobytes(), unrelated.tobytes(), strict=True)) <= 1


def test_it_mixes_and_moves_and_walks(engine: Engine, own: dict, tmp_path: Path) -> None:
    plain = engine.render("paintings", own).image
    mixed = engine.render("paintings", {"mix": [own, 3], "groups": ["fine"]}, **FULL).image
    moved = {"moved": own, "along": {"kind": "pca"}, "amount": 2.0}
    assert not same(mixed, plain)
    assert not same(engine.render("paintings", moved).image, plain)
    assert same(engine.render("paintings", {**moved, "amount": 0.0}).image, plain)
    walk = WalkRequest(model="paintings", pictures=[own, 3, moved], frames=6)
    assert result_of(engine.walk(walk, tmp_path / "walk.mp4")).stat().st_size > 0
    with pytest.raises(InvalidRequest) as refused:
        engine.walk(walk.model_copy(update={"space": "z"}), tmp_path / "walk.mp4")
    assert_sentence(refused.value, "walk in w")


def test_other_classes_move_it_by_the_difference_of_their_means(engine: Engine, own: dict) -> None:
    plain, again = (engine.render("paintings", {**own, **classes}).image for classes in ({}, {"classes": own["found"]}))
    assert same(plain, again)
    assert not same(plain, engine.render("paintings", {**own, "classes": {"seascape": 1}}).image)


def test_its_recipe_brings_it_back(engine: Engine, own: dict) -> None:
    sample = engine.render("paintings", {"moved": own, "along": {"kind": "pca", "index": 1}})
    restored = engine.restore(json.loads(json.dumps(sample.recipe)))
    assert restored.picture == sample.picture
    assert same(result_of(engine.sample(restored.request))[0].image, sample.image)


def test_a_code_of_another_model_is_one_sentence(engine: Engine, own: dict) -> None:
    with pytest.raises(InvalidRequest) as refused:
        engine.render("flat", {"own": own["own"]})
    assert_sentence(refused.value, "another model")


def test_a_saved_direction_is_found_by_its_name_and_travels_as_a_vector(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MODEL_KINDS._entries, KIND, NAMED)
    along = Along(kind="vector", vector=vector_code(Direction(torch.eye(12)[0], 0.5)))
    engine.keep_direction("paintings", "more sky", along)
    engine.keep_direction("paintings", "less sky", Along(kind="pca", index=2))
    assert engine.directions("paintings") == ("more sky", "less sky")
    assert [info.name for info in engine.models()] == ["flat", "paintings", "plain"]
    by_name, by_vector = (
        engine.render("paintings", {"moved": 7, "along": each})
        for each in ({"kind": "saved", "name": "more sky"}, along.model_dump())
    )
    assert same(by_name.image, by_vector.image)
    assert by_name.recipe["picture"]["along"]["kind"] == "vector"
    with pytest.raises(UnknownName, match="more sky, less sky"):
        engine.render("paintings", {"moved": 7, "along": {"kind": "saved", "name": "rain"}})


def test_a_score_finds_a_direction_that_raises_it(engine: Engine) -> None:
    def light(image: Image.Image) -> float:
        return sum(image.convert("L").tobytes()) / 255

    along = result_of(engine.find_direction("paintings", light, count=64))
    dark, bright = (
        sum(
            light(engine.render("paintings", {"moved": seed, "along": along, "amount": amount}, **FULL).image)
            for seed in range(8)
        )
        for amount in (-1.0, 1.0)
    )
    assert bright > dark


def test_log_odds_of_a_class() -> None:
    image = Image.new("RGB", (4, 4))
    assert log_odds(lambda _: {"a": 0.5, "b": 0.5}, "a")(image) == 0
    assert log_odds(lambda _: {"a": 0.9, "b": 0.1}, "a")(image) == pytest.approx(2.197, abs=1e-3)  # ln 9
    with pytest.raises(InvalidRequest, match="knows no class 'c'"):
        log_odds(lambda _: {"a": 1.0}, "c")(image)


def test_a_model_without_linear_style_layers_says_so(engine: Engine) -> None:
    with pytest.raises(InvalidRequest, match="principal components"):
        engine.render("paintings", {"moved": 7, "along": {"kind": "sefa"}})


@given(
    st.fixed_dictionaries({"own": st.text(max_size=40) | json_values(4)}, optional={"found": json_values(4)})
    | st.fixed_dictionaries(
        {"moved": json_values(3), "along": json_values(4)},
        optional={"amount": json_values(2), "groups": json_values(2)},
    )
)
def test_whatever_is_asked_nothing_but_a_sentence_comes_out(value: dict[str, object]) -> None:
    try:
        picture = as_picture(value)
    except InvalidRequest as error:
        assert_sentence(error)
    else:
        assert parts(picture)[0] >= 1


@pytest.fixture
def real(real_kinds: None, settings: Settings) -> Engine:
    """An engine with a small untrained generator and encoder."""
    for name, kind, changes, classes in (
        ("little", "gan", {"resolution": 32, "capacity": 0.1, "latent_dim": 8, "embedding": 4}, CLASSES),
        ("encoder", "encoder", {"widths": (4, 4, 4, 4, 4), "depths": (1, 1, 1, 1, 1)}, ()),
    ):
        torch.manual_seed(0)
        config = MODEL_KINDS[kind].config(**changes)
        model = MODEL_KINDS[kind].build(config, len(classes)).eval()
        settings.checkpoints.mkdir(exist_ok=True)
        path = settings.checkpoints / f"{name}.safetensors"
        checkpoint.save(path, model, kind=kind, config=config, classes=classes, provenance={}, metrics={})
    return Engine(settings)


@pytest.fixture
def real_kinds() -> None:
    """Marks a test for the real table of kinds."""


def test_an_inversion_ends_in_a_picture_with_its_recipe(real: Engine) -> None:
    request = InvertRequest(model="little", steps=4, seconds=60)
    *before, last = real.invert(request, Image.new("RGB", (90, 60), (200, 40, 40)))
    assert all(progress.preview.size == (32, 32) and progress.result is None for progress in before)
    found = last.result
    assert (found.steps, found.original.size) == (4, (32, 32))
    assert sum(found.classes.values()) == pytest.approx(1, abs=0.02)
    restored = real.restore(json.loads(json.dumps(found.sample.recipe)))
    assert same(result_of(real.sample(restored.request))[0].image, found.sample.image)
    varied = real.render("little", {"of": found.sample.picture, "radius": 0.3})
    mixed = real.render("little", {"mix": [3, found.sample.picture], "groups": ["coarse"]})
    assert not same(varied.image, mixed.image)


def test_a_closed_inversion_leaves_the_engine_usable(real: Engine) -> None:
    job = real.invert(InvertRequest(model="little"), Image.new("RGB", (32, 32)))
    next(job)
    job.close()
    assert len(result_of(real.sample(SampleRequest(model="little", count=2)))) == 2


def test_an_inversion_without_an_encoder_says_what_is_missing(make_engine: Callable[..., Engine]) -> None:
    with pytest.raises(CheckpointError) as refused:
        make_engine().invert(InvertRequest(model="paintings"), Image.new("RGB", (32, 32)))
    assert_sentence(refused.value, "encoder.safetensors")


@pytest.mark.parametrize("values", [{"seconds": 0}, {"seconds": 1e9}, {"steps": 0}, {"model": ""}, {"seed": -1}])
def test_a_request_out_of_bounds_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(StudioError) as refused:
        InvertRequest(**{"model": "paintings", **values})
    assert_sentence(refused.value)
