"""Settings from the environment."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentences import assert_sentence

import studio.settings
from studio.core.errors import InvalidRequest, StudioError
from studio.settings import LIMITS, Settings


def test_an_empty_environment_gives_the_defaults() -> None:
    settings = Settings.from_environment({})
    assert settings == Settings()
    assert settings.home == Path.home() / ".atelier"
    assert settings.outputs == settings.home / "outputs"
    assert settings.models == settings.home / "models"
    assert (settings.profile, settings.device, settings.threads, settings.keep_recipe) == ("local", "auto", None, True)
    assert (settings.cache_bytes, settings.max_count, settings.max_frames) == (512_000_000, 64, 600)


def test_every_field_has_its_variable(tmp_path: Path) -> None:
    env = {
        "STUDIO_HOME": str(tmp_path),
        "STUDIO_CHECKPOINTS": str(tmp_path / "shipped"),
        "STUDIO_PROFILE": "public",
        "STUDIO_DEVICE": "cuda:1",
        "STUDIO_THREADS": "2",
        "STUDIO_CACHE_BYTES": "1000000",
        "STUDIO_MAX_COUNT": "9",
        "STUDIO_MAX_FRAMES": "33",
        "STUDIO_MAX_SIZE": "256",
        "STUDIO_MAX_STYLE_SIZE": "2048",
        "STUDIO_MAX_STYLE_WORK": "77",
        "STUDIO_MAX_ADAPT_SECONDS": "90",
        "STUDIO_OUTPUTS": str(tmp_path / "results"),
        "STUDIO_KEEP_RECIPE": "off",
    }
    assert set(env) == {f"STUDIO_{name.upper()}" for name in Settings.__dataclass_fields__}
    assert Settings.from_environment(env) == Settings(
        home=tmp_path,
        checkpoints=tmp_path / "shipped",
        profile="public",
        device="cuda:1",
        threads=2,
        cache_bytes=1_000_000,
        max_count=9,
        max_frames=33,
        max_size=256,
        max_style_size=2048,
        max_style_work=77,
        max_adapt_seconds=90,
        outputs=tmp_path / "results",
        keep_recipe=False,
    )


def test_other_variables_and_empty_ones_change_nothing() -> None:
    assert Settings.from_environment({"STUDIO_PROFILE": " ", "STUDIO_THREADS": "", "HOME": "/x", "STUDIO": "1"}) == (
        Settings()
    )


def test_the_public_profile_is_tighter_and_trusts_no_path() -> None:
    local, public = Settings(profile="local"), Settings(profile="public")
    assert (local.allow_paths, public.allow_paths) == (True, False)
    assert (local.max_frames, public.max_frames) == (600, 240)
    for name, limit in LIMITS["public"].items():
        assert limit <= LIMITS["local"][name]


def test_a_limit_given_beats_the_profile() -> None:
    assert Settings.from_environment({"STUDIO_PROFILE": "public", "STUDIO_MAX_FRAMES": "500"}).max_frames == 500


def test_the_shipped_checkpoints_lie_beside_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "clone" / "studio"
    package.mkdir(parents=True)
    monkeypatch.setattr(studio.settings, "__file__", str(package / "settings.py"))
    assert Settings(home=tmp_path).checkpoints == tmp_path / "checkpoints"
    (tmp_path / "clone" / "checkpoints").mkdir()
    assert Settings(home=tmp_path).checkpoints == tmp_path / "clone" / "checkpoints"


def test_a_home_is_expanded_and_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Settings.from_environment({"STUDIO_HOME": "~/art"}).home == tmp_path / "art"
    monkeypatch.chdir(tmp_path)
    assert Settings.from_environment({"STUDIO_HOME": "art"}).home == tmp_path / "art"


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("STUDIO_PROFILE", "secret", "STUDIO_PROFILE is 'secret'; it must be one of local, public."),
        ("STUDIO_DEVICE", "tpu", "STUDIO_DEVICE is 'tpu'; it must be auto, cpu, cuda, cuda:0 (or another number) or"),
        ("STUDIO_THREADS", "two", "STUDIO_THREADS is 'two'; it must be a whole number."),
        ("STUDIO_THREADS", "0", "STUDIO_THREADS is 0; it must be between 1 and 1024."),
        ("STUDIO_MAX_COUNT", "1e3", "STUDIO_MAX_COUNT is '1e3'; it must be a whole number."),
        ("STUDIO_MAX_COUNT", "-1", "STUDIO_MAX_COUNT is -1; it must be between 1 and 4096."),
        ("STUDIO_MAX_COUNT", "9" * 5000, "STUDIO_MAX_COUNT is '9999"),
        ("STUDIO_MAX_FRAMES", "1", "STUDIO_MAX_FRAMES is 1; it must be between 2 and 10000."),
        ("STUDIO_CACHE_BYTES", "-5", "STUDIO_CACHE_BYTES is -5; it must be between 0"),
        ("STUDIO_KEEP_RECIPE", "maybe", "STUDIO_KEEP_RECIPE is 'maybe'; it must be one of 1, true, yes"),
        ("STUDIO_HOME", "~nobody-of-that-name/x", "STUDIO_HOME is '~nobody-of-that-name/x', which is not a folder's"),
    ],
)
def test_a_bad_value_is_a_sentence_naming_its_variable(variable: str, value: str, sentence: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Settings.from_environment({variable: value})
    assert str(caught.value).startswith(sentence)


def test_a_bad_value_given_in_code_is_refused_too() -> None:
    with pytest.raises(InvalidRequest, match="STUDIO_MAX_SIZE is 3; it must be between 32 and 8192"):
        Settings(max_size=3)


@given(st.sampled_from(list(Settings.__dataclass_fields__)), st.text(max_size=20))
def test_no_text_does_worse_than_a_sentence(name: str, value: str) -> None:
    try:
        settings = Settings.from_environment({f"STUDIO_{name.upper()}": value})
    except StudioError as error:
        assert_sentence(error, f"STUDIO_{name.upper()}")
    else:
        assert isinstance(settings.home, Path)
