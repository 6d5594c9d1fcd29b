"""A model that has been found: the checkpoint of a generator, or that of an adapter with its base's beside it."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from studio.core.checkpoint import Checkpoint
from studio.core.errors import CheckpointError, InvalidRequest
from studio.core.kinds import LatentModel
from studio.models.adapter import Adapter, adapted
from studio.models.gan import GanGenerator

AT_HAND = 4  # bases and adapters that are kept as they were read


@dataclass(frozen=True)
class Opened:
    """name: what recipes and files call it. base: of an adapter, else None. strength: of an adapter, in [0,2]."""

    name: str
    checkpoint: Checkpoint
    base: Checkpoint | None = None
    strength: float = 1.0

    @property
    def classes(self) -> tuple[str, ...]:
        """The base's classes and the adapter's own, or those of the generator."""
        if self.base is None or not self.base.classes:
            return (self.checkpoint if self.base is None else self.base).classes
        return (*self.base.classes, *self.checkpoint.classes)

    @property
    def default(self) -> Mapping[str, float]:
        """The weights where a request names none: an adapter's own class; nothing where each seed draws its class."""
        return dict.fromkeys(self.classes[-1:], 1.0) if self.base is not None else {}

    @property
    def sha256(self) -> str:
        """Of the file; an adapter's names its base's."""
        return self.checkpoint.sha256

    @property
    def path(self) -> Path:
        """The file; no path of an adapter that lies in memory."""
        return self.checkpoint.path if self.checkpoint.data is None else Path()

    @property
    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """Every file that its weights come from."""
        return (self.checkpoint,) if self.base is None else (self.base, self.checkpoint)

    @property
    def key(self) -> str:
        """What tells loaded models apart."""
        return self.sha256 if self.base is None else f"{self.sha256} at {self.strength!r}"

    def at(self, adaptation: float) -> "Opened":
        """The same at another strength. Raises InvalidRequest where there is no adapter to make stronger."""
        if self.base is None and adaptation != 1:
            raise InvalidRequest(f"The model {self.name!r} is no adapter, so adaptation must be 1; got {adaptation:g}.")
        return replace(self, strength=adaptation)

    def build(self, load: Callable[[Checkpoint], nn.Module] = Checkpoint.build_module) -> LatentModel:
        """The generator: float32, on the CPU, in eval mode. load: how an adapter and its base come to be read."""
        if self.base is None:
            return self.checkpoint.build()
        base, adapter = load(self.base), load(self.checkpoint)
        if not isinstance(base, GanGenerator) or not isinstance(adapter, Adapter):
            raise CheckpointError(f"{self.name} is no adapter of a generator of kind 'gan'.")
        return adapted(base, adapter, self.strength)


class Workbench:
    """The bases and adapters read last, as their files hold them, so that a strength that slides reads none again."""

    def __init__(self) -> None:
        self._modules: OrderedDict[str, nn.Module] = OrderedDict()

    def load(self, checkpoint: Checkpoint) -> nn.Module:
        """The model of a checkpoint, which no one may change."""
        module = self._modules.pop(checkpoint.sha256, None)
        self._modules[checkpoint.sha256] = checkpoint.build_module() if module is None else module
        while len(self._modules) > AT_HAND:
            self._modules.popitem(last=False)
        return self._modules[checkpoint.sha256]
