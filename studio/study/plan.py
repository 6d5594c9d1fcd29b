"""What a study does: its runs, each a frozen plan, and the table of studies."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from studio.core.errors import InvalidRequest
from studio.core.registry import Registry
from studio.models import bounds
from studio.training.options import PRECISIONS

MAX_SEEDS = 32
UNLIMITED = 10**9  # pictures, for runs that end by time


@dataclass(frozen=True)
class RunPlan:
    """One training and its judgement.

    name: of its folder. setting: what it shares with the runs of other seeds. recipe, model, trainer: as in ``studio
    train``, with the settings that differ from the defaults. images: pictures to see, or None where `seconds` of
    training end it. probes: how often gradients and units are looked at, 0 for never. count: pictures that are judged.
    novelty: whether the judgement looks for copies too. save_seconds: between two saves of the training state.
    """

    name: str
    setting: str
    recipe: str
    model: Mapping[str, Any]
    trainer: Mapping[str, Any]
    seed: int
    batch: int
    images: int | None = None
    seconds: float | None = None
    precision: str = "fp32"
    device: str = "auto"
    probes: int = 0
    features: str = "vgg16"
    count: int = 500
    novelty: bool = False
    save_seconds: float = 30.0

    def __post_init__(self) -> None:
        if (self.images is None) == (self.seconds is None):
            raise ValueError("a run ends by pictures or by seconds, and by one of them")

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return dataclasses.asdict(self)

    def same_as(self, told: object) -> bool:
        """Whether a plan read from disk is this one; where it was to run and where weights lie may differ."""
        return isinstance(told, dict) and _essence(told) == _essence(self.to_json())


def _essence(told: Mapping[str, Any]) -> dict[str, Any]:
    """A plan's values that its outcome depends on: of the features the name alone."""
    rest = {key: value for key, value in told.items() if key not in ("device", "save_seconds")}
    return rest | {"features": str(told.get("features", "")).partition("=")[0]}


@dataclass(frozen=True)
class Common:
    """What every study is free to choose.

    resolution: px. channels, latent_dim: of the DCGANs. seeds: runs a setting. count: pictures judged a run.
    features: the judging network, with =FILE where its weights come from a file. precision: fp32 or bf16.
    """

    resolution: int = 32
    channels: int = 128
    latent_dim: int = 64
    batch: int = 32
    seeds: int = 3
    count: int = 500
    features: str = "vgg16"
    precision: str = "fp32"
    device: str = "auto"

    def __post_init__(self) -> None:
        bounds.one_of("resolution", self.resolution, bounds.RESOLUTIONS)
        bounds.whole("seeds", self.seeds, 1, MAX_SEEDS)
        bounds.whole("batch", self.batch, 2, 4096)
        bounds.whole("count", self.count, 8, 100_000)
        bounds.one_of("precision", self.precision, PRECISIONS)

    def dcgan(self, **more: Any) -> dict[str, Any]:
        """Settings of a DCGAN of this study."""
        return {"resolution": self.resolution, "channels": self.channels, "latent_dim": self.latent_dim, **more}


@dataclass(frozen=True)
class Record:
    """What a finished run left.

    metrics: as ``studio evaluate`` names them. step_seconds: median time of a training step (the processor's, on one).
    probes: gradients and dead units over time (`studio.study.probe`). failed: why there is nothing to judge, where the
    training broke down.
    """

    plan: RunPlan
    folder: Path
    images: int
    seconds: float
    step_seconds: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    probes: Sequence[Mapping[str, Any]] = ()
    failed: str = ""

    @property
    def checkpoint(self) -> Path:
        return self.folder / "model.safetensors"

    def metric(self, start: str) -> float:
        """A metric without the name of the features: "kid"; not a number where it was not measured."""
        return float(self.metrics.get(f"{start}-{self.plan.features.partition('=')[0]}", float("nan")))


@dataclass(frozen=True)
class Study:
    """A row of the table of studies. plans(config) → runs. report(records, folder): writes its document.
    keeps: whether the model of a run's setting is one to play with."""

    name: str
    config: type[Any]
    plans: Callable[[Any], tuple[RunPlan, ...]]
    report: Callable[[Sequence[Record], Path], Path]
    summary: str
    keeps: Callable[[RunPlan], bool] = lambda plan: True  # noqa: ARG005


STUDIES: Registry[Study] = Registry("study", populate=("studio.study.activations", "studio.study.objectives"))


def named_once(plans: Sequence[RunPlan]) -> tuple[RunPlan, ...]:
    """The plans, if no two share a name."""
    names = [plan.name for plan in plans]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidRequest(f"The study names {twice!r} twice; name each setting once.")
    return tuple(plans)
