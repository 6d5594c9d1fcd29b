"""A population of generators: who is born of whom, and how a child comes by its weights."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from studio.core.kinds import LatentModel


@dataclass
class Member:
    """A generator and its Adam, whose moments are inherited with the weights."""

    generator: LatentModel
    optimiser: torch.optim.Adam

    @property
    def parameters(self) -> list[torch.nn.Parameter]:
        return list(self.generator.parameters())

    def prime(self) -> None:
        """Give Adam the moments that it would otherwise make at its first step, so that they can be inherited."""
        for parameter in self.parameters:
            if not self.optimiser.state[parameter]:
                zeros = {name: torch.zeros_like(parameter) for name in ("exp_avg", "exp_avg_sq")}
                self.optimiser.state[parameter] = {"step": torch.zeros(()), **zeros}

    def heritage(self) -> tuple[list[Tensor], list[Tensor]]:
        """What a child inherits: what can be mixed (weights, statistics, moments), and what is counted in steps."""
        states = [self.optimiser.state[parameter] for parameter in self.parameters]
        tensors = [*self.generator.parameters(), *self.generator.buffers()]
        mixed = [tensor.data for tensor in tensors if tensor.is_floating_point()]
        mixed += [state[name] for state in states for name in ("exp_avg", "exp_avg_sq")]
        counted = [tensor for tensor in tensors if not tensor.is_floating_point()]
        return mixed, counted + [state["step"] for state in states]


@dataclass(frozen=True)
class Birth:
    """One child to be. mutation: a name. mother, father: places among the survivors; father None: no crossover.

    share: the father's part of the weights in [0,1]. shaken: whether its weights are mutated at random too.
    """

    mutation: str
    mother: int
    father: int | None = None
    share: float = 0.0
    shaken: bool = False


def births(
    count: int, survivors: int, mutations: Sequence[str], crossover: float, shaking: float, generator: torch.Generator
) -> list[Birth]:
    """Who is born. Each survivor has a child by each mutation, as often as `count` allows; what is left over is drawn.

    crossover: probability of a father; shaking: of a mutation of the weights.
    """
    pairs = list(itertools.product(range(survivors), mutations))
    chosen = pairs * (count // len(pairs))
    for place in torch.randperm(len(pairs), generator=generator)[: count % len(pairs)].tolist():
        chosen.append(pairs[place])
    born = []
    for mother, mutation in chosen:
        crossed, shaken, share = torch.rand(3, generator=generator).tolist()
        other = int(torch.randint(max(survivors - 1, 1), (1,), generator=generator))
        father = (mother + 1 + other) % survivors if survivors > 1 and crossed < crossover else None
        born.append(Birth(mutation, mother, father, 0.0 if father is None else share, shaken < shaking))
    return born


@torch.no_grad()
def conceive(child: Member, mother: Member, father: Member | None, share: float) -> None:
    """Overwrite a child: mother + share · (father − mother), or a copy of the mother.

    The whole arithmetic crossover of evolution strategies (Eiben & Smith 2015, section 4.4.3), for networks that lie
    close together, having common ancestors: swapping single weights would tear apart what works together.
    """
    own, counts = child.heritage()
    mixed, counted = mother.heritage()
    torch._foreach_copy_(own, mixed)
    torch._foreach_copy_(counts, counted)
    if father is not None:
        torch._foreach_lerp_(own, father.heritage()[0], share)


@torch.no_grad()
def shake(member: Member, scale: float, generator: torch.Generator) -> None:
    """Add normal noise of `scale` times each tensor's root mean square to the weights."""
    for parameter in member.parameters:
        noise = torch.randn(parameter.shape, generator=generator).to(parameter)
        parameter.add_(noise * scale * parameter.square().mean().sqrt())
