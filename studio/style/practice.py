"""Practice: gradient steps on a style's code alone, the stylizer as it is.

What the stylizer makes of a style at a glance falls short of what its strokes could do, as no network that reads a few
hundred statistics finds the best code for every painting (the amortisation gap: Cremer et al. 2018, arXiv 1801.03558,
section 3). Where there are some seconds, pictures are painted again and again and the code goes down the losses of the
recipe `stylizer`, the style's being those of the whole painting. What comes of it is a code like any other: it paints
every content in one pass, blends, and follows the sliders.
"""

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from studio.style import losses
from studio.style.encoder import Perception, StyleEncoder
from studio.style.losses import Hand, Weights
from studio.style.sight import FINE_DEPTH, LOOK, STYLE_LAYERS, View, Views, content_of, reduced
from studio.style.stylizer import Stylizer

LEARNING_RATE, HALVED = 0.02, 40  # of Adam at first, and the steps in which it falls by half
WEIGHTS = Weights()  # of the losses

Contents = Callable[[torch.Generator], Tensor]  # pictures (B,3,H,W) in [-1,1] to paint


class Course:
    """A style's practice. codes: (1,C) after every step, the first as it was read.

    work: the style (1,3,H,W) in [-1,1], at the size at which it is painted: 1 / LOOK of that at which it was read.
    contents: draws what is painted in a step. views: the judges. autocast: the precision of a step. After so many steps
    a code is the same however many follow.
    """

    def __init__(
        self,
        stylizer: Stylizer,
        encoder: StyleEncoder,
        views: Views,
        contents: Contents,
        code: Tensor,
        work: Tensor,
        autocast: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self.stylizer, self.encoder = stylizer, encoder
        self._views, self._contents, self._autocast = views, contents, autocast
        self._generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            self._hands = [Hand.of(view, self._generator) for view in views(work)]
        self._code = code.detach().float().clone().requires_grad_(True)
        self._optimiser = torch.optim.Adam([self._code], LEARNING_RATE)
        self.codes = [code.detach()]

    @property
    def steps(self) -> int:
        """Those that are done."""
        return len(self.codes) - 1

    def step(self) -> float:
        """One more; returns its loss. A step whose gradient is not finite leaves the code as it was."""
        for group in self._optimiser.param_groups:
            group["lr"] = LEARNING_RATE * 0.5 ** (self.steps / HALVED)
        self._optimiser.zero_grad()
        with torch.enable_grad():
            with self._autocast():
                loss = self.loss(self._code)
            loss.backward()
        assert self._code.grad is not None
        if bool(self._code.grad.isfinite().all()):
            self._optimiser.step()
        self.codes.append(self._code.detach().clone())
        return float(loss.detach())

    def loss(self, code: Tensor) -> Tensor:
        """That of a code (1,C) on pictures drawn anew, with content weights drawn at random."""
        generator = self._generator
        with torch.autocast(code.device.type, enabled=False):
            contents = self._contents(generator).to(code.device)
        count = len(contents)
        weight = torch.rand(count, generator=generator).to(code.device)
        with torch.no_grad():
            small = reduced(contents, LOOK)
            read = (small, *self.encoder(small))
            seen = losses.from_afar(self._views(contents))
            own = self.stylizer.code(read, contents)
        painted = self.stylizer(contents, code.expand(count, -1), own, weight, maps=read[1:]).float()
        hands = [hand.rows(torch.zeros(count, dtype=torch.long)) for hand in self._hands]
        terms = losses.terms(painted, self._views(painted), content_of(seen[0]), hands, generator, seen)
        return losses.weighed(terms, WEIGHTS.at(weight))


def perceived(encoder: StyleEncoder) -> Views:
    """The judges where there is no teacher: the encoder under its metric."""
    perception = Perception(encoder)

    def views(x: Tensor) -> tuple[View, ...]:
        small = reduced(x)
        return (small, *perception(small)[STYLE_LAYERS]), (x, *perception(x)[:FINE_DEPTH])

    return views


def trainable(stylizer: Stylizer) -> Stylizer:
    """A stylizer that does not clip its colours, as in training; it shares the other's weights, which stay."""
    twin = copy.copy(stylizer.requires_grad_(False))
    twin.training = True
    return twin
