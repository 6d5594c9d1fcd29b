"""Style mixing: the layers of w decide form (early ones) down to colour and texture (late ones)."""

from collections.abc import Sequence

from torch import Tensor

from studio.core.errors import InvalidRequest, UnknownName

LAYER_GROUPS: tuple[str, ...] = ("coarse", "middle", "fine")


def layer_slices(layers: int) -> dict[str, slice]:
    """The slice of L layers that each group covers: thirds, the later ones larger; with two layers no middle.

    A group that is empty is left out. L < 2 → InvalidRequest, for one layer has nothing to mix.
    """
    if layers < 2:
        raise InvalidRequest("This model has a single layer of style, so styles cannot be mixed; choose another model.")
    first, second = max(layers // 3, 1), max(2 * layers // 3, 1)
    slices = {"coarse": slice(0, first), "middle": slice(first, second), "fine": slice(second, layers)}
    return {name: part for name, part in slices.items() if part.start < part.stop}


def mix(w_a: Tensor, w_b: Tensor, groups: Sequence[str]) -> Tensor:
    """w_a with the layers of w_b in the given groups (Karras et al. 2019, section 3.1). (B,L,W), (B,L,W) → (B,L,W)."""
    slices = layer_slices(w_a.shape[1])
    mixed = w_a.clone()
    for group in groups:
        if group not in LAYER_GROUPS:
            raise UnknownName("layer group", group, LAYER_GROUPS)
        if group in slices:
            mixed[:, slices[group]] = w_b[:, slices[group]]
    return mixed
