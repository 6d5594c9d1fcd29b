"""Adapters are models: listed, painted with at any strength, held, kept, handed out and taken in."""

import dataclasses
from pathlib import Path

import pytest
import torch
from adapting import MINE, OLD, adapter_of, save_adapter, save_base
from sentences import assert_sentence
from sketch import same

from studio.core import checkpoint
from studio.core.checkpoint import Checkpoint
from studio.core.errors import CheckpointError, InvalidRequest, StudioError, UnknownName
from studio.core.progress import result_of
from studio.engine import ClassesRequest, Engine, SampleRequest, WalkRequest
from studio.engine.held import MAX_HELD
from studio.models.adapter import Adapter
from studio.settings import Settings


@pytest.fixture
def real_kinds() -> None:
    """These tests run on the kinds of studio.models."""


@pytest.fixture
def base(settings: Settings, real_kinds: None) -> Checkpoint:
    return save_base(settings.checkpoints / "paintings.safetensors")


@pytest.fixture
def mine(settings: Settings, base: Checkpoint) -> Checkpoint:
    """An adapter in the artist's own folder, called "hand"."""
    return save_adapter(settings.models / "hand.safetensors", base)


@pytest.fixture
def studio(settings: Settings, mine: Checkpoint) -> Engine:
    """An engine with "paintings" and its adapter "hand"."""
    return Engine(settings)


def test_an_adapter_is_listed_with_the_classes_of_its_base_and_its_own(studio: Engine, mine: Checkpoint) -> None:
    paintings, hand = studio.models()
    assert (hand.name, hand.kind, hand.base, hand.error) == ("hand", "adapter", "paintings", None)
    assert (hand.classes, hand.sha256) == ((*OLD, MINE), mine.sha256)
    facts = [(info.resolution, info.layers, info.parameters) for info in (paintings, hand)]
    assert facts[0] == facts[1]
    assert (paintings.base, paintings.classes) == ("", OLD)
    assert studio.info("hand") == hand


def test_strength_0_paints_the_base_and_strength_1_does_not(studio: Engine) -> None:
    for name in OLD:
        expected = studio.render("paintings", 5, classes={name: 1}).image
        assert same(studio.render("hand", 5, classes={name: 1}, adaptation=0).image, expected)
        assert not same(studio.render("hand", 5, classes={name: 1}).image, expected)
    assert not same(studio.render("hand", 5, adaptation=1.5).image, studio.render("hand", 5).image)
    assert same(studio.render("hand", 5, adaptation=1).image, studio.render("hand", 5).image)


def test_a_seed_without_a_class_is_painted_in_the_adapter_s_own(studio: Engine) -> None:
    for seed in range(4):
        assert studio.render("hand", seed).picture.classes == {MINE: 1.0}
    assert same(studio.render("hand", 5).image, studio.render("hand", 5, classes={MINE: 1}).image)
    grid = result_of(studio.classes(ClassesRequest(model="hand", count=1, adaptation=0.5)))
    assert grid.rows == (*OLD, MINE)


def test_each_strength_is_loaded_once_and_makes_room_for_others(settings: Settings, mine: Checkpoint) -> None:
    small = Engine(dataclasses.replace(settings, cache_bytes=1))
    small.render("hand", adaptation=0.5)
    small.render("hand", adaptation=1.5)
    assert list(small._machine.loaded) == [f"{mine.sha256} at 1.5"]
    studio = Engine(settings)
    for strength in (0.5, 1.5, 0.5):
        studio.render("hand", adaptation=strength)
    assert list(studio._machine.loaded) == [f"{mine.sha256} at 1.5", f"{mine.sha256} at 0.5"]


def test_a_walk_goes_through_an_adapter(studio: Engine, tmp_path: Path) -> None:
    request = WalkRequest(model="hand", seeds=[1, 2], frames=4, format="gif", adaptation=1.2)
    assert result_of(studio.walk(request, tmp_path / "walk.gif")).stat().st_size > 100
    plain = WalkRequest(model="hand", seeds=[1, 2], frames=4, format="gif")
    assert result_of(studio.walk(request)) != result_of(studio.walk(plain))


def test_an_adapter_of_a_base_without_classes_has_none(settings: Settings, real_kinds: None) -> None:
    base = save_base(settings.checkpoints / "plain.safetensors", ())
    save_adapter(settings.models / "hand.safetensors", base)
    studio = Engine(settings)
    assert studio.info("hand").classes == ()
    assert studio.render("hand", 5).picture.classes == {}
    assert same(studio.render("hand", 5, adaptation=0).image, studio.render("plain", 5).image)


def test_requests_and_recipes_of_other_models_know_nothing_of_adaptation(studio: Engine) -> None:
    assert "adaptation" not in SampleRequest(model="paintings").to_json()
    assert SampleRequest(model="hand", adaptation=1.2).to_json()["adaptation"] == 1.2
    recipe = studio.render("paintings", 5).recipe
    assert set(recipe) == {"atelier", "verb", "model", "sha256", "request", "picture"}
    assert "adaptation" not in recipe["request"]
    for ask in (
        lambda: studio.sample(SampleRequest(model="paintings", adaptation=0.5)),
        lambda: studio.classes(ClassesRequest(model="paintings", adaptation=0.5)),
        lambda: studio.walk(WalkRequest(model="paintings", seeds=[1, 2], adaptation=0.5)),
    ):
        with pytest.raises(InvalidRequest) as refused:
            ask()
        assert_sentence(refused.value, "'paintings' is no adapter", "got 0.5")


def test_the_base_is_found_by_its_content_under_any_name(studio: Engine, settings: Settings) -> None:
    (settings.checkpoints / "paintings.safetensors").rename(settings.checkpoints / "renamed.safetensors")
    assert studio.info("hand").base == "renamed"


def test_a_missing_or_changed_base_is_one_sentence(studio: Engine, settings: Settings, base: Checkpoint) -> None:
    save_base(base.path, seed=5)
    for state in ("changed", "missing"):
        (hand,) = [info for info in studio.models() if info.name == "hand"]
        assert hand.error is not None
        assert_sentence(StudioError(hand.error), "hand.safetensors", "'paintings'", base.sha256[:12])
        assert ("another" in hand.error) == (state == "changed")
        assert (hand.base, hand.classes) == ("paintings", ())
        with pytest.raises(CheckpointError, match=base.sha256[:12]):
            studio.render("hand")
        base.path.unlink(missing_ok=True)


def test_an_adapter_that_does_not_fit_its_base_is_one_sentence(settings: Settings, base: Checkpoint) -> None:
    adapter = adapter_of(base)
    about = {"kind": "adapter", "provenance": {}, "metrics": {}}
    save_adapter(settings.models / "twice.safetensors", base, name=OLD[0])
    other = dataclasses.replace(adapter.config, latent_dim=9)
    checkpoint.save(settings.models / "odd.safetensors", Adapter(other, 1), config=other, classes=["x"], **about)  # type: ignore[arg-type]
    errors = {info.name: info.error for info in Engine(settings).models()}
    assert errors["paintings"] is None
    for name, part in (("twice", f"'{OLD[0]}'"), ("odd", "does not fit")):
        assert_sentence(StudioError(errors[name]), f"{name}.safetensors", part)


def test_a_recipe_names_both_files_and_comes_back(studio: Engine, mine: Checkpoint, base: Checkpoint) -> None:
    item = studio.render("hand", 7, adaptation=1.3)
    assert (item.recipe["sha256"], item.recipe["base"]) == (mine.sha256, base.sha256)
    restored = studio.restore(item.recipe)
    assert restored.notice is None
    assert isinstance(restored.request, SampleRequest)
    assert restored.request.adaptation == 1.3
    assert same(result_of(studio.sample(restored.request))[0].image, item.image)


def test_a_recipe_says_what_has_changed_since(studio: Engine, settings: Settings, base: Checkpoint) -> None:
    recipe = studio.render("hand", 7).recipe
    save_adapter(settings.models / "hand.safetensors", base, seed=9)
    notice = studio.restore(recipe).notice
    assert_sentence(StudioError(notice), "The model 'hand' has changed")
    again = save_base(base.path, seed=5)
    with pytest.raises(InvalidRequest, match=base.sha256[:12]):
        studio.restore(recipe)
    save_adapter(settings.models / "hand.safetensors", again)
    assert_sentence(StudioError(studio.restore(recipe).notice), "The base 'paintings' of the model 'hand' has changed")
    with pytest.raises(InvalidRequest, match="which model"):
        studio.restore({**recipe, "base": 7})


def test_a_held_adapter_paints_and_is_not_listed(studio: Engine, base: Checkpoint, settings: Settings) -> None:
    reference = studio.hold(adapter_of(base, seed=2), "Ann Lee/..", {"steps": 5})
    info = studio.info(reference)
    assert (info.name, info.title, info.base, info.path) == (reference, "Ann Lee---", "paintings", Path())
    assert info.classes == (*OLD, "Ann Lee/..")
    assert [info.name for info in studio.models()] == ["paintings", "hand"]
    item = studio.render(reference, 5)
    assert not same(item.image, studio.render("hand", 5).image)
    assert item.recipe["model"] == "Ann Lee---"
    assert info.sha256 == item.recipe["sha256"]
    assert item.recipe["sha256"] not in reference
    film = result_of(studio.walk(WalkRequest(model=reference, seeds=[1, 2], frames=2, format="gif")))
    assert film.parent == settings.outputs


def test_a_held_adapter_s_picture_is_restored_for_those_who_know_the_reference(
    studio: Engine, base: Checkpoint
) -> None:
    reference = studio.hold(adapter_of(base, seed=2), "ann")
    recipe = studio.render(reference, 5, adaptation=0.7).recipe
    restored = studio.restore(recipe, held=[reference])
    assert (restored.request.model, restored.notice) == (reference, None)
    for known in ([], ["paintings"], [f"adapter:{'0' * 64}"]):
        with pytest.raises(UnknownName, match="'ann'"):
            studio.restore(recipe, held=known)
    with pytest.raises(InvalidRequest):
        studio.info(f"adapter:{recipe['sha256']}")


def test_the_adapter_not_used_for_longest_makes_room_and_says_so(studio: Engine, base: Checkpoint) -> None:
    adapter = adapter_of(base)
    first, second = (studio.hold(adapter, name) for name in ("first", "second"))
    assert studio.info(first).title == "first"  # so that the second is the one not used for longest
    for index in range(MAX_HELD - 1):
        studio.hold(adapter, f"other {index}")
    assert studio.info(first).title == "first"
    with pytest.raises(InvalidRequest) as refused:
        studio.render(second)
    assert_sentence(refused.value, "not held here any more")


def test_a_held_adapter_is_kept_under_a_name(studio: Engine, base: Checkpoint, settings: Settings) -> None:
    reference = studio.hold(adapter_of(base, seed=2), "ann")
    info = studio.keep(reference, "Anns hand")
    assert (info.name, info.base) == ("Anns hand", "paintings")
    assert info.path == settings.models / "Anns hand.safetensors"
    assert info.path.read_bytes() == studio.export(reference) == studio.export("Anns hand")
    assert same(studio.render("Anns hand", 5).image, studio.render(reference, 5).image)
    for name in ("", "a/b", "..", ".hidden", "x" * 61, "a\n", "ends.", "paintings", "hand"):
        with pytest.raises(InvalidRequest) as refused:
            studio.keep(reference, name)
        assert_sentence(refused.value)
    assert studio.keep(reference, "hand", overwrite=True).sha256 == info.sha256
    with pytest.raises(InvalidRequest, match="comes with the studio"):
        studio.keep(reference, "paintings", overwrite=True)


def test_a_shared_studio_keeps_nothing(settings: Settings, base: Checkpoint) -> None:
    public = Engine(dataclasses.replace(settings, profile="public"))
    with pytest.raises(InvalidRequest) as refused:
        public.keep(public.hold(adapter_of(base), "ann"), "ann")
    assert_sentence(refused.value, "download the adapter")
    assert not settings.models.exists()


def test_an_adapter_s_file_is_taken_in_again(studio: Engine, mine: Checkpoint, tmp_path: Path) -> None:
    data = studio.export("hand")
    (tmp_path / "sent.safetensors").write_bytes(data)
    reference = studio.adopt(tmp_path / "sent.safetensors")
    assert reference == studio.adopt(data)
    assert studio.info(reference).sha256 == mine.sha256
    assert same(studio.render(reference, 5).image, studio.render("hand", 5).image)


def test_a_file_that_is_no_adapter_for_this_studio_is_one_sentence(
    studio: Engine, base: Checkpoint, mine: Checkpoint, tmp_path: Path
) -> None:
    elsewhere = save_adapter(tmp_path / "b.safetensors", save_base(tmp_path / "foreign.safetensors", seed=7))
    damaged = bytearray(mine.contents())
    damaged[-2:] = torch.tensor([float("inf")], dtype=torch.float16).numpy().tobytes()
    files: list[tuple[bytes | Path, str]] = [
        (b"", "truncated"),
        (b"\x80\x04pickle", "pickle"),
        (mine.contents()[:-10], "truncated"),
        (bytes(damaged), "not numbers"),
        (base.contents(), "is of kind 'gan' and no adapter"),
        (elsewhere.contents(), "needs its base 'foreign'"),
        (b"0" * (9 << 20), "larger than"),
        (tmp_path / "nowhere.safetensors", "does not exist"),
    ]
    for file, part in files:
        with pytest.raises(StudioError) as refused:
            studio.adopt(file)
        assert_sentence(refused.value, part)


def test_the_small_pictures_are_shown_and_a_generator_has_none(studio: Engine) -> None:
    black, white = studio.own_pictures("hand")
    assert (black.size, black.getpixel((0, 0)), white.getpixel((3, 3))) == ((16, 16), (0, 0, 0), (255, 255, 255))
    for job in (studio.own_pictures, studio.export):
        with pytest.raises(InvalidRequest, match="'paintings' is no adapter"):
            job("paintings")


def test_an_adapter_is_a_path_too_where_paths_are_allowed(
    studio: Engine, mine: Checkpoint, base: Checkpoint, tmp_path: Path
) -> None:
    path = save_adapter(tmp_path / "elsewhere.safetensors", base).path
    assert same(studio.render(str(path), 5).image, studio.render("hand", 5).image)
    assert studio.info(str(path)).name == "elsewhere"
