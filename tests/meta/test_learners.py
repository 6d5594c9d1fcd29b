"""The table of meta-learners: every entry tells what it is and has the one form."""

import pytest
import torch
from torch import Tensor, nn

from studio.core.errors import UnknownName
from studio.meta.inner import Call, LayerRates
from studio.meta.learners import META_LEARNERS

ALL = pytest.mark.parametrize("name", META_LEARNERS.names())


def distance(call: Call, target: Tensor) -> Tensor:
    return (call(torch.ones(1, 1)) - target).square().sum() / 2


def test_there_are_the_three() -> None:
    assert META_LEARNERS.names() == ("reptile", "fomaml", "maml")
    with pytest.raises(UnknownName, match="Unknown meta-learner 'anil'; known: reptile, fomaml, maml"):
        META_LEARNERS["anil"]


@ALL
def test_an_entry_tells_what_it_is_and_where_it_comes_from(name: str) -> None:
    entry = META_LEARNERS[name]
    assert entry.name == name
    assert len(entry.summary) > 20
    assert entry.source.split(",")[0].split(" ")[0] in ("Nichol", "Finn")


# w = 2 on the input 1; support target 0, rate ½, one step: 1. The query's target is 3.
@ALL
def test_an_entry_gives_the_query_loss_and_a_gradient_for_every_trainable_parameter(name: str) -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 2.0)
    rates = LayerRates(["weight"], 0.5)
    found = META_LEARNERS[name].gradients(model, [torch.zeros(1, 1)], torch.full((1, 1), 3.0), distance, rates, 1)
    assert found.loss.item() == pytest.approx(2)
    assert not found.loss.requires_grad
    # start less end; the query's slope at the end; and that times 1 − ½
    assert found.gradients["weight"].item() == pytest.approx({"reptile": 1, "fomaml": -2, "maml": -1}[name])
    assert (found.rates is not None) == META_LEARNERS[name].teaches_rates
