"""A generator under adaptation: what it starts from, one step towards a few pictures, and what it has become.

The batch norms stay in eval mode, so that the adapted weights are a difference to the base's and a seed is the same
picture alone or in any batch. Both players start where meta-learning left them: the new class's embedding is what the
set encoder makes of the pictures, and the discriminator's heads, conditioned on the same set, know what to look for.
"""

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from studio.adapt.distance import energy_distance
from studio.adapt.optimisers import groups, optimiser
from studio.adapt.parts import Parts, whole
from studio.core.errors import InvalidRequest
from studio.core.octaves import CHANNELS, MOST, strengths
from studio.models import bounds
from studio.models.augment import AUGMENTATIONS, augment
from studio.models.diversity import lack_of_diversity
from studio.models.gan import GanGenerator, finished
from studio.models.learner import Learner, SetDiscriminator, SetHeads
from studio.models.losses_gan import hinge_by_heads
from studio.models.projected import MIXED

WEIGHTS = ("all", "modulation", "none")  # what of the generator is adapted besides the new class's embedding
EMBEDDINGS = ("set", "mean")  # where the new class's embedding starts
HEADS = ("learned", "fresh")
OPTIMISERS = ("adam", "sgd")
LEAST_GAIN, MOST_GAIN = 0.2, 1.5  # on an octave
ENERGY = "energy"  # the distance to the pictures, among losses
CLASS = "class"  # the new class's embedding, among names of weights
_MODULATING = ("modulation.affine", "norm.", "start_norm.", "colour")


@dataclass(frozen=True)
class StudentConfig:
    """How a step is taken.

    batch: pictures. optimiser: of OPTIMISERS. learning_rate, embedding_rate, judge_rate: of the weights, of the new
    class's embedding and of the heads. learned_rates: whether the learner's factors, where it has some, scale them.
    weights: of WEIGHTS. embedding: of EMBEDDINGS. heads: of HEADS. frozen_heads: so many of the shallowest stay as they
    are (FreezeD, Mo et al. 2020, section 3, of a discriminator whose features are frozen anyway). condition: whether
    the heads know the set. adversarial: whether the heads are asked at all. energy: weight of the energy distance
    between what is painted and all of the pictures, in the set encoder's units, which needs no heads (as the kernel
    distance of generative moment matching networks, Li et al. 2015, eq. 3). diversity: weight of the penalty on pairs
    that are more alike than real ones. augment: names joined by commas. average: share of the moving average that a
    step keeps. octaves: so many of the finest octaves of what is painted are brought to the strength that they have in
    the pictures, which takes no step.
    """

    batch: int = 8
    optimiser: str = "adam"
    learning_rate: float = 3e-4
    embedding_rate: float = 3e-3
    judge_rate: float = 6e-4
    learned_rates: bool = True
    weights: str = "all"
    embedding: str = "set"
    heads: str = "learned"
    frozen_heads: int = 0
    condition: bool = True
    adversarial: bool = True
    energy: float = 0.0
    diversity: float = 2.0
    augment: str = "translation"
    average: float = 0.9
    octaves: int = 0

    def __post_init__(self) -> None:
        bounds.whole("batch", self.batch, 2, 256)
        for name in ("learning_rate", "embedding_rate", "judge_rate"):
            bounds.real(name, getattr(self, name), 0, 1)
        bounds.real("diversity", self.diversity, 0, 100)
        bounds.real("energy", self.energy, 0, 100)
        bounds.real("average", self.average, 0, 0.9999)
        bounds.whole("frozen_heads", self.frozen_heads, 0, len(MIXED))
        bounds.whole("octaves", self.octaves, 0, MOST)
        tables = (("weights", WEIGHTS), ("embedding", EMBEDDINGS), ("heads", HEADS), ("optimiser", OPTIMISERS))
        for name, known in tables:
            if getattr(self, name) not in known:
                raise InvalidRequest(f"{name} must be one of {', '.join(known)}; got {getattr(self, name)!r:.40}.")
        if not self.adversarial and not self.energy:
            raise InvalidRequest("A step without heads needs a weight of the energy distance above 0.")
        unknown = [name for name in self.policy if name not in AUGMENTATIONS]
        if unknown:
            raise InvalidRequest(f"Unknown augmentation {unknown[0]!r}; known: {', '.join(AUGMENTATIONS)}.")

    @property
    def policy(self) -> tuple[str, ...]:
        return tuple(name for name in self.augment.split(",") if name)


class Student:
    """One adaptation. pictures: (N,3,R,R) uint8. generator: a CPU generator, the only source of randomness.

    The base and the learner are copied, and stay as they are.
    """

    def __init__(
        self,
        base: GanGenerator,
        learner: Learner,
        features: nn.Module,
        pictures: Tensor,
        config: StudentConfig,
        generator: torch.Generator,
    ) -> None:
        if base.embedding is None:
            raise InvalidRequest("Adaptation needs a base with classes, to which the artist's is added.")
        self.config, self.random = config, generator
        self.device = base.w_mean.device
        self.generator = copy.deepcopy(base).eval().requires_grad_(False)
        self.encoder = learner.encoder
        judge = copy.deepcopy(learner.judge) if config.heads == "learned" else _fresh(learner, generator)
        self.discriminator = SetDiscriminator(judge.to(self.device), lambda: features)
        self.pictures = pictures.to(self.device).float().div(127.5).sub(1)
        with torch.no_grad():
            self.described = described = self.discriminator.describe(self.pictures)
            unit = self.encoder.unit(described)[None]
            self.mean_embedding = base.embedding.detach().mean(dim=0)
            start = self.encoder(described[None])[0] if config.embedding == "set" else self.mean_embedding
        self.unit = unit
        self.embedding = nn.Parameter(start.detach().clone())
        judge.train()  # the spectral norms go on
        judge.requires_grad_(False)
        self.judging = {name: p for name, p in judging(judge).items() if not _frozen(name, config.frozen_heads)}
        self.adapted = {name: p for name, p in self.generator.named_parameters() if chosen(name, config.weights)}
        _switch(self.judging.values(), True)
        _switch(self.adapted.values(), True)
        factors = self._factors(learner) if config.learned_rates else {}
        painting = groups(self.adapted, config.learning_rate, factors)
        self.optimiser = optimiser(
            config.optimiser, [*painting, *groups({CLASS: self.embedding}, config.embedding_rate, factors)]
        )
        self.judge_optimiser = optimiser(config.optimiser, groups(self.judging, config.judge_rate, factors))
        self.averaged = {name: value.detach().clone() for name, value in self.now().items()}
        self.log_gains = torch.zeros(config.octaves, CHANNELS, device=self.device)
        self.steps = 0

    def now(self) -> dict[str, Tensor]:
        """The adapted weights by name, and the new class's embedding as "class"."""
        return {**self.adapted, CLASS: self.embedding}

    def _factors(self, learner: Learner) -> dict[str, float]:
        """What the learner's learned rates scale, by name."""
        if learner.log_rates is None:
            return {}
        names = rate_names(self.generator, learner.judge)
        if len(names) != len(learner.log_rates):
            raise InvalidRequest(
                f"The learner knows the rates of {len(learner.log_rates)} tensors, and this generator and its heads "
                f"have {len(names)}; use the generator that it learned with."
            )
        return dict(zip(names, learner.log_rates.detach().exp().tolist(), strict=True))

    def step(self) -> Mapping[str, float]:
        """One step of both players → losses."""
        return whole(self.stepping())

    def stepping(self) -> Parts[Mapping[str, float]]:
        """One step of both players, in parts that take about the same time → losses."""
        losses = yield from self.differentiating(self.pictures, self.judge_optimiser.step)
        self.optimiser.step()
        self.steps += 1
        self._average()
        return losses

    def differentiating(self, own: Tensor, between: Callable[[], object] = lambda: None) -> Parts[Mapping[str, float]]:
        """The gradients of both players' losses on a batch drawn from pictures (N,3,R,R) in [-1,1], left in `.grad`.

        between: what is done when the heads' gradients are there and the generator's are not yet. → losses.
        """
        config = self.config
        z = torch.randn(config.batch, self.generator.latent_dim, generator=self.random).to(self.device)
        fake = self.paint(z)
        painted = fake.detach().requires_grad_()  # the way back is walked in parts, over the picture's gradient
        towards, losses = torch.zeros_like(painted), dict[str, float]()
        if config.adversarial:
            losses = yield from self._against_judge(own, painted, towards, between)
        if config.energy:
            yield
            losses[ENERGY] = self._nearer(own, painted, towards)
        yield
        self.optimiser.zero_grad(set_to_none=True)
        fake.backward(towards)
        return losses

    def _against_judge(
        self, own: Tensor, painted: Tensor, towards: Tensor, between: Callable[[], object]
    ) -> Parts[dict[str, float]]:
        """The heads' gradients, and to `towards` what the heads and the lack of diversity say of painted pictures."""
        config, judge = self.config, self.discriminator
        index = torch.randint(len(own), (config.batch,), generator=self.random).to(self.device)
        mirrored = (torch.rand(config.batch, 1, 1, 1, generator=self.random) < 0.5).to(self.device)
        pictures = torch.where(mirrored, own[index].flip(3), own[index])
        with torch.no_grad():
            real_maps = judge.project(augment(pictures, config.policy, self.random))
        yield
        fake_maps = judge.project(augment(painted, config.policy, self.random))
        yield
        judge_loss = hinge_by_heads(*judge.compare(real_maps, fake_maps, self._condition(config.batch)))
        self.judge_optimiser.zero_grad(set_to_none=True)
        judge_loss.backward()
        between()
        yield
        _switch(self.judging.values(), False)
        painter_loss = -torch.stack([f.mean() for f in judge.judge(fake_maps, self._condition(config.batch))]).sum()
        lack = lack_of_diversity(real_maps[2:4], fake_maps[2:4])
        towards += torch.autograd.grad(painter_loss + config.diversity * lack, painted)[0]
        _switch(self.judging.values(), True)
        return {
            "generator": float(painter_loss.detach()),
            "discriminator": float(judge_loss.detach()),
            "lack_of_diversity": float(lack.detach()),
        }

    def _nearer(self, own: Tensor, painted: Tensor, towards: Tensor) -> float:
        """To `towards` what brings painted pictures nearer to all of `own` in energy distance. → that distance."""
        with torch.no_grad():
            there = self.unit[0] if own is self.pictures else self.encoder.unit(self.discriminator.describe(own))
        distance = energy_distance(self.encoder.unit(self.discriminator.describe(painted)), there)
        towards += self.config.energy * torch.autograd.grad(distance, painted)[0]
        return float(distance.detach())

    def _condition(self, batch: int) -> Tensor | None:
        if not self.config.condition:
            return None
        return self.discriminator.parts[0].condition(self.unit).expand(batch, -1)

    @torch.no_grad()
    def _average(self) -> None:
        keep = min(self.config.average, self.steps / (self.steps + 5))
        for name, value in self.now().items():
            self.averaged[name].lerp_(value, 1 - keep)

    def paint(self, z: Tensor) -> Tensor:
        """z: (B,Z) → pictures (B,3,R,R) in [-1,1] in the new class, by the weights of this moment."""
        return synthesise(self.generator, z, self.embedding)

    def show(self, z: Tensor) -> Tensor:
        """As paint, by the moving average of the weights, and with the octaves as they were last matched."""
        return self.finished(self.average(z))

    @torch.no_grad()
    def average(self, z: Tensor) -> Tensor:
        """As paint, by the moving average of the weights."""
        kept = {name: value.detach().clone() for name, value in self.adapted.items()}
        for name, value in self.adapted.items():
            value.copy_(self.averaged[name])
        shown = synthesise(self.generator, z, self.averaged[CLASS])
        for name, value in self.adapted.items():
            value.copy_(kept[name])
        return shown

    @torch.no_grad()
    def match(self, painted: Tensor) -> None:
        """Choose the gains that bring the finest octaves to the pictures' strength. painted: (B,3,R,R) by average."""
        if self.config.octaves:
            wanted, there = (strength_of(x, self.config.octaves) for x in (self.pictures, painted))
            self.log_gains = (wanted / there).clamp(LEAST_GAIN, MOST_GAIN).log()

    def finished(self, painted: Tensor) -> Tensor:
        """What average has painted, (B,3,R,R), with the octaves as they were last matched."""
        return finished(painted, self.log_gains.exp() if self.config.octaves else None)

    def look(self, z: Tensor, at_once: int) -> Parts[Tensor]:
        """Match the octaves by samples of (B,Z), a few at a time → those samples, float32, as show paints them."""
        painted = []
        for some in z.split(at_once):
            painted.append(self.average(some).float())
            yield
        samples = torch.cat(painted)
        self.match(samples)
        return self.finished(samples)


def strength_of(pictures: Tensor, octaves: int) -> Tensor:
    """Mean magnitude of each of the finest octaves over all pictures. (B,3,R,R) → (octaves,3)."""
    return strengths(pictures, octaves).exp().mean(dim=0).view(octaves, CHANNELS)


def synthesise(generator: GanGenerator, z: Tensor, embedding: Tensor) -> Tensor:
    """z: (B,Z), embedding: (E,) for all or (B,E) → (B,3,R,R) in [-1,1]."""
    z = z * torch.rsqrt(z.square().mean(dim=1, keepdim=True) + 1e-8)
    w = torch.cat([z, embedding.expand(len(z), -1)], dim=1)
    return generator.synthesis(w[:, None].expand(-1, generator.layers, -1))


def chosen(name: str, weights: str) -> bool:
    """Whether a parameter of the generator is adapted."""
    if weights == "none" or name == "embedding":
        return False
    return weights == "all" or any(part in name for part in _MODULATING)


def judging(judge: SetHeads) -> dict[str, nn.Parameter]:
    """What is adapted of the discriminator, by name."""
    return {name: p for name, p in judge.named_parameters() if name.startswith(("look.", "heads."))}


def rate_names(generator: GanGenerator, judge: SetHeads) -> tuple[str, ...]:
    """Names of the tensors that have a rate of adaptation, in the order of `Learner.log_rates`."""
    painting = (name for name, _ in generator.named_parameters() if chosen(name, "all"))
    return (*painting, CLASS, *judging(judge))


def _frozen(name: str, heads: int) -> bool:
    """Whether a parameter of the discriminator belongs to one of so many shallowest heads."""
    return name.startswith(tuple(f"heads.{index}." for index in range(heads)))


def _switch(parameters: Iterable[nn.Parameter], on: bool) -> None:
    for parameter in parameters:
        parameter.requires_grad_(on)


def _fresh(learner: Learner, generator: torch.Generator) -> SetHeads:
    """Heads that have seen nothing, drawn from the generator; the mixing is the learner's."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**31, (), generator=generator)))
        fresh = Learner(learner.config).judge
    fresh.mixing = copy.deepcopy(learner.judge.mixing)
    return fresh
