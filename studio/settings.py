"""What a process may do and where its files lie: one frozen object, from the environment (STUDIO_*)."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from studio.core.errors import InvalidRequest

Profile = Literal["local", "public"]
LIMITS: Mapping[str, Mapping[str, int]] = {  # what a request may ask for, by profile
    "local": {
        "max_count": 64,
        "max_frames": 600,
        "max_size": 1024,
        "max_style_size": 4096,
        "max_style_work": 100_000,
        "max_adapt_seconds": 86_400,
    },
    "public": {
        "max_count": 64,
        "max_frames": 240,
        "max_size": 512,
        "max_style_size": 1024,
        "max_style_work": 400,
        "max_adapt_seconds": 60,
    },
}
_BOUNDS = {
    "threads": (1, 1024),
    "cache_bytes": (0, 1 << 40),
    "max_count": (1, 4096),
    "max_frames": (2, 10_000),
    "max_size": (32, 8192),
    "max_style_size": (64, 4096),
    "max_style_work": (1, 1_000_000),
    "max_adapt_seconds": (1, 86_400),
}
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d{1,2})?")
_DERIVED = Path("\0derived")  # stands for a folder that follows from the others
_BY_PROFILE = -1  # stands for the profile's limit


def _default_home() -> Path:
    return Path("~/.atelier").expanduser()


@dataclass(frozen=True)
class Settings:
    """Settings of a process. ``from_environment`` reads each field from the variable STUDIO_<NAME>.

    home: the artist's library. checkpoints: the shipped models; the folder beside the package, else home/checkpoints.
    profile: "local" trusts its user with paths, "public" does not and has tighter limits. device: "auto" takes CUDA,
    then MPS, then the CPU. threads: of the CPU, None leaves torch's choice. cache_bytes: of loaded models kept in
    memory. max_count: pictures a request. max_frames: of a walk. max_size: side of an enlarged picture, in pixels.
    max_style_size: long side of a stylised picture, in pixels. max_style_work: of a refinement, megapixels × steps.
    max_adapt_seconds: of an adaptation.
    outputs: where results are written, else home/outputs. keep_recipe: whether saved pictures carry their recipe.
    """

    home: Path = field(default_factory=_default_home)
    checkpoints: Path = _DERIVED
    profile: Profile = "local"
    device: str = "auto"
    threads: int | None = None
    cache_bytes: int = 512_000_000
    max_count: int = _BY_PROFILE
    max_frames: int = _BY_PROFILE
    max_size: int = _BY_PROFILE
    max_style_size: int = _BY_PROFILE
    max_style_work: int = _BY_PROFILE
    max_adapt_seconds: int = _BY_PROFILE
    outputs: Path = _DERIVED
    keep_recipe: bool = True

    def __post_init__(self) -> None:
        if self.profile not in LIMITS:
            raise InvalidRequest(
                f"STUDIO_PROFILE is {str(self.profile)[:40]!r}; it must be one of {', '.join(LIMITS)}."
            )
        if not _DEVICE.fullmatch(self.device):
            raise InvalidRequest(
                f"STUDIO_DEVICE is {self.device[:40]!r}; it must be auto, cpu, cuda, cuda:0 (or another number) or mps."
            )
        for name, limit in LIMITS[self.profile].items():
            if getattr(self, name) == _BY_PROFILE:
                object.__setattr__(self, name, limit)
        for name, bounds in _BOUNDS.items():
            _within(name, getattr(self, name), bounds)
        if self.checkpoints is _DERIVED:
            object.__setattr__(self, "checkpoints", _shipped(self.home))
        if self.outputs is _DERIVED:
            object.__setattr__(self, "outputs", self.home / "outputs")

    @property
    def models(self) -> Path:
        """The artist's own models, looked into after ``checkpoints``."""
        return self.home / "models"

    @property
    def allow_paths(self) -> bool:
        """Whether a request may name a file of this machine by its path."""
        return self.profile == "local"

    @classmethod
    def from_environment(cls, env: Mapping[str, str] = os.environ) -> "Settings":
        """Settings from STUDIO_* variables; empty ones count as absent. Raises InvalidRequest naming the variable."""
        values: dict[str, Any] = {}
        for entry in fields(cls):
            text = env.get(_variable(entry.name), "").strip()
            if text:
                values[entry.name] = _READ.get(entry.name, _text)(entry.name, text)
        return cls(**values)


def _shipped(home: Path) -> Path:
    """The checkpoints beside the package in a clone, else those in the library."""
    beside = Path(__file__).resolve().parent.parent / "checkpoints"
    return beside if beside.is_dir() else home / "checkpoints"


def _variable(name: str) -> str:
    return f"STUDIO_{name.upper()}"


def _within(name: str, value: int | None, bounds: tuple[int, int]) -> None:
    if value is not None and not bounds[0] <= value <= bounds[1]:
        raise InvalidRequest(f"{_variable(name)} is {value}; it must be between {bounds[0]} and {bounds[1]}.")


def _text(name: str, text: str) -> str:  # noqa: ARG001 - one signature for all readers
    return text


def _path(name: str, text: str) -> Path:
    try:
        return Path(text).expanduser().absolute()
    except (ValueError, RuntimeError, OSError) as error:
        raise InvalidRequest(f"{_variable(name)} is {text[:80]!r}, which is not a folder's path ({error}).") from error


def _integer(name: str, text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        raise InvalidRequest(f"{_variable(name)} is {text[:40]!r}; it must be a whole number.")
    _within(name, int(text), _BOUNDS[name])
    return int(text)


def _boolean(name: str, text: str) -> bool:
    known = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if text.lower() not in known:
        raise InvalidRequest(f"{_variable(name)} is {text[:40]!r}; it must be one of {', '.join(known)}.")
    return known[text.lower()]


_READ: Mapping[str, Callable[[str, str], Any]] = {
    "home": _path,
    "checkpoints": _path,
    "outputs": _path,
    "keep_recipe": _boolean,
    **dict.fromkeys(_BOUNDS, _integer),
}
