"""The `adapter` kind: a generator of kind `gan` fine-tuned towards one artist, as its difference to its base.

The change of a matrix under fine-tuning has a low intrinsic rank (LoRA, Hu et al. 2021, arXiv 2106.09685, section 4.1).
Here the change is not trained as two factors: it is learned in full and then cut to its best approximation of a fixed
rank, which is the truncated singular value decomposition (Eckart and Young 1936). Because a difference can be scaled,
the artist's share becomes a slider: θ(s) = θ0 + s·Δθ. The base's file is named by its hash and never changed.
"""

import copy
import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

from studio.core.errors import CheckpointError, InvalidRequest
from studio.core.kinds import MODEL_KINDS, ModelKind
from studio.core.octaves import CHANNELS, MOST
from studio.models.bounds import real, whole
from studio.models.gan import GanConfig, GanGenerator

KIND = "adapter"
RANK = 16  # with 20 pictures of 64 px the file of the largest published base stays under 1.5 MB
MAX_STRENGTH = 2.0
MAX_LOG_GAIN = 4.0  # of an octave, whatever a file says
MAX_PICTURES = 20
MAX_BASE_CLASSES = 255  # one less than a checkpoint may name
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True)
class AdapterConfig(GanConfig):
    """The base's own configuration, and: base: sha256 of the base's file. base_name: what its file was called, a hint
    for people. base_classes: how many classes it has. rank: of the differences. pictures: how many small copies of the
    artist's pictures it holds, each `side` px wide and high. octaves: how many of the finest it brings to theirs."""

    base: str = "0" * 64
    base_name: str = "base"
    base_classes: int = 0
    rank: int = RANK
    pictures: int = 0
    side: int = 64
    octaves: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not _HASH.fullmatch(self.base):
            raise InvalidRequest(f"base is {self.base!r:.40}; it must be 64 hexadecimal digits, the sha256 of a file.")
        if not 0 < len(self.base_name) <= 80 or not self.base_name.isprintable():
            raise InvalidRequest("base_name must be a name of 1 to 80 printable characters.")
        whole("base_classes", self.base_classes, 0, MAX_BASE_CLASSES)
        whole("rank", self.rank, 1, 256)
        whole("pictures", self.pictures, 0, MAX_PICTURES)
        whole("side", self.side, 16, 128)
        whole("octaves", self.octaves, 0, MOST)

    @property
    def gan(self) -> GanConfig:
        """The configuration of the base, and of the adapted generator."""
        return GanConfig(**{entry.name: getattr(self, entry.name) for entry in fields(GanConfig)})


class Difference(nn.Module):
    """The change of one parameter: as two factors (O,r) and (r,I·k·k), or in full where that takes less room."""

    def __init__(self, shape: Sequence[int], rank: int) -> None:
        super().__init__()
        self.shape = tuple(shape)
        outputs, rest = (self.shape[0], math.prod(self.shape[1:])) if len(self.shape) > 1 else (0, 0)
        self.rank = rank if rank * (outputs + rest) < outputs * rest else None
        if self.rank is None:
            self.register_buffer("full", torch.zeros(self.shape))
        else:
            self.register_buffer("left", torch.zeros(outputs, self.rank))
            self.register_buffer("right", torch.zeros(self.rank, rest))

    def dense(self) -> Tensor:
        """The change in the parameter's own shape."""
        if self.rank is None:
            return self.get_buffer("full")
        return (self.get_buffer("left") @ self.get_buffer("right")).view(self.shape)

    @torch.no_grad()
    def fit_(self, change: Tensor) -> None:
        """Take the best approximation of a change (in the parameter's shape) that the rank allows."""
        if self.rank is None:
            self.get_buffer("full").copy_(change)
            return
        matrix = change.double().flatten(1)
        wide = matrix.shape[0] <= matrix.shape[1]
        matrix = matrix if wide else matrix.T
        # The singular vectors of the shorter side are the eigenvectors of its Gram matrix: seven times as fast as the
        # whole decomposition, and in double precision more exact than a file stores.
        vectors = torch.linalg.eigh(matrix @ matrix.T).eigenvectors[:, -self.rank :].flip(1)
        others = vectors.T @ matrix
        root = others.norm(dim=1).sqrt().clamp_min(1e-12)  # in both factors, so that neither leaves float16's range
        left, right = vectors * root, others / root[:, None]
        self.get_buffer("left").copy_(left if wide else right.T)
        self.get_buffer("right").copy_(right if wide else left.T)


class Adapter(nn.Module):
    """What tells an adapted generator from its base; the checkpoint's one class is the name of the artist's class.

    Where the base has classes: embedding0, embedding1: (E,), the new class's embedding at strength 0 and at strength 1.
    w_mean: (W,), its centre of truncation at strength 1. pictures: (N,3,S,S) in [-1,1]. log_gains: (octaves,3), natural
    logarithms of the gains on the finest octaves at strength 1; None where it holds none.
    """

    embedding0: Tensor | None
    embedding1: Tensor | None
    w_mean: Tensor | None
    log_gains: Tensor | None

    def __init__(self, config: AdapterConfig, names: int) -> None:
        super().__init__()
        if names != 1:
            raise InvalidRequest(f"An adapter names one class, the artist's own; got {names}.")
        self.config = config
        with torch.device("meta"):
            shapes = {name: p.shape for name, p in GanGenerator(config.gan, config.base_classes).named_parameters()}
        self.differences = nn.ModuleDict({_key(name): Difference(shape, config.rank) for name, shape in shapes.items()})
        known = bool(config.base_classes)
        self.register_buffer("embedding0", torch.zeros(config.embedding) if known else None)
        self.register_buffer("embedding1", torch.zeros(config.embedding) if known else None)
        self.register_buffer("w_mean", torch.zeros(config.width(config.base_classes)) if known else None)
        self.register_buffer("pictures", torch.zeros(config.pictures, 3, config.side, config.side))
        self.pictures: Tensor
        self.register_buffer("log_gains", torch.zeros(config.octaves, CHANNELS) if config.octaves else None)

    def change(self, name: str) -> Tensor:
        """The change of the base's parameter of this name at strength 1, in its shape."""
        difference = self.differences[_key(name)]
        assert isinstance(difference, Difference)
        return difference.dense()


def _key(name: str) -> str:
    """A parameter's name as that of a module, which may hold no dots."""
    return name.replace(".", "/")


@torch.no_grad()
def compress(
    base: GanGenerator,
    tuned: Mapping[str, Tensor],
    *,
    base_sha256: str,
    base_name: str,
    embedding: tuple[Tensor, Tensor] | None = None,
    pictures: Tensor | None = None,
    log_gains: Tensor | None = None,
    rank: int = RANK,
) -> Adapter:
    """The adapter that leads from a base to its tuned state; exact where the rank suffices.

    tuned: parameters of the base's shapes by name; those that are not given have not changed. Buffers may be among
    them and must be the base's, for an adapter carries none. embedding: of the new class, (E,) at strength 0 and (E,)
    at strength 1; needed where the base has classes. pictures: (N,3,S,S) in [-1,1], the small copies to carry.
    log_gains: (n,3), natural logarithms of the gains on the n finest octaves.
    """
    if (embedding is None) != (base.embedding is None):
        needed = "needs" if embedding is None else "has no place for"
        raise InvalidRequest(f"A base of {base.class_count} classes {needed} the embedding of a new one.")
    shots = {} if pictures is None else {"pictures": pictures.shape[0], "side": pictures.shape[-1]}
    config = AdapterConfig(
        **dataclasses.asdict(base.config),
        base=base_sha256,
        base_name=base_name,
        base_classes=base.class_count,
        rank=rank,
        octaves=0 if log_gains is None else len(log_gains),
        **shots,
    )
    adapter = Adapter(config, 1)
    for name, change in _changes(base, tuned).items():
        difference = adapter.differences[_key(name)]
        assert isinstance(difference, Difference)
        difference.fit_(change)
    if embedding is not None and adapter.embedding0 is not None and adapter.embedding1 is not None:
        adapter.embedding0.copy_(embedding[0])
        adapter.embedding1.copy_(embedding[1])
        # z is drawn alike for every class, so the mean of its part of w is that of the old classes
        adapter.w_mean = torch.cat([base.w_mean[:, : base.latent_dim].mean(dim=0).cpu(), adapter.embedding1])
    if pictures is not None:
        adapter.pictures.copy_(pictures)
    if log_gains is not None and adapter.log_gains is not None:
        adapter.log_gains.copy_(log_gains)
    return adapter.eval()


def _changes(base: GanGenerator, tuned: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What has changed, by name. Raises InvalidRequest for what an adapter cannot carry."""
    parameters, state = dict(base.named_parameters()), base.state_dict()
    changes = {}
    for name, value in tuned.items():
        if name not in state or value.shape != state[name].shape:
            raise InvalidRequest(f"{name[:80]!r} of the tuned weights is no tensor of the base, or of another shape.")
        if name in parameters:
            changes[name] = value.detach().cpu() - parameters[name].detach().cpu()
        elif name != "w_mean" and not torch.equal(value.cpu(), state[name].cpu()):
            raise InvalidRequest(f"{name[:80]!r} has changed; fine-tune with the batch norms in eval mode.")
    return changes


@torch.no_grad()
def adapted(base: GanGenerator, adapter: Adapter, strength: float) -> GanGenerator:
    """A new generator on the CPU: weights θ0 + s·Δθ, gains g^s on the finest octaves, and where the base has classes
    one more, the last, of embedding e0 + s·(e1 - e0). strength: s in [0,2]; 0 paints as the base does, 1 as was
    learned. The base stays as it is.
    """
    config = adapter.config
    if (base.config, base.class_count) != (config.gan, config.base_classes):
        raise CheckpointError(f"The adapter does not fit its base {config.base_name!r}: their sizes are not the same.")
    real("strength", strength, 0, MAX_STRENGTH)
    model = copy.deepcopy(base).cpu()
    for name, parameter in model.named_parameters():
        parameter.add_(adapter.change(name).view_as(parameter), alpha=strength)
    if adapter.log_gains is not None and strength > 0:
        model.gains = adapter.log_gains.mul(strength).clamp(-MAX_LOG_GAIN, MAX_LOG_GAIN).exp()
    if model.embedding is None or adapter.embedding0 is None or adapter.embedding1 is None or adapter.w_mean is None:
        return model
    old = model.w_mean.clone()
    old[:, model.latent_dim :].add_(adapter.change("embedding"), alpha=strength)
    own = adapter.w_mean.clone()
    own[model.latent_dim :].add_(adapter.embedding1 - adapter.embedding0, alpha=strength - 1)
    row = torch.lerp(adapter.embedding0, adapter.embedding1, strength)
    model.embedding = nn.Parameter(torch.cat([model.embedding, row[None]]), model.embedding.requires_grad)
    model.w_mean = torch.cat([old, own[None]])
    model.class_count += 1
    return model


MODEL_KINDS.add(KIND, ModelKind(KIND, AdapterConfig, Adapter, "A fine-tuned generator, given its base", latent=False))
