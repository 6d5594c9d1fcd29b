"""A plain style transfer by optimisation with VGG16, for `bench.pairs` to be compared with.

    STUDIO_VGG16=VGG16.safetensors python -m bench.gatys PAIRS.zip OUT --pair lion__hokusai-great-wave

Gatys et al. 2016: Gram matrices of the first map of each block and the content of the second one of the fourth, from
the content, by L-BFGS with 300 evaluations; weights as in PyTorch's tutorial (style 1e6, content 1). Pictures are
written as OUT/<content>__<style>.png.
"""

import argparse
import time
import zipfile
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.pairs import members
from studio.core.images import to_image, to_tensor
from studio.core.memory import keep_freed_memory
from studio.evaluation.networks import Vgg16, build_vgg16

STYLE, CONTENT = (1, 6, 11, 18, 25), 20  # layers after which maps are taken: relu1_1, 2_1, 3_1, 4_1, 5_1 and relu4_2
STYLE_WEIGHT, EVALUATIONS, HISTORY = 1e6, 300, 100


class Looker:
    """VGG16 up to the last map that is needed."""

    def __init__(self, network: Vgg16, bf16: bool = False) -> None:
        self.network, self.bf16 = network.eval().requires_grad_(False), bf16

    def maps(self, x: Tensor) -> dict[int, Tensor]:
        """x: (1,3,H,W) in [-1,1] → maps by layer."""
        x = (x * 0.5 + 0.5 - self.network.mean) / self.network.std
        found = {}
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.bf16):
            for index, layer in enumerate(self.network.features[: max(STYLE) + 1]):
                x = F.relu(x) if isinstance(layer, nn.ReLU) else layer(x)
                if index in STYLE or index == CONTENT:
                    found[index] = x.float()
        return found


def gram(maps: Tensor) -> Tensor:
    """(1,C,H,W) → (C,C), over the number of entries."""
    flat = maps[0].flatten(1)
    return flat @ flat.T / flat.numel()


def transfer(looker: Looker, content: Tensor, style: Tensor) -> Tensor:
    """(1,3,H,W) each → (1,3,H,W), all in [-1,1]."""
    with torch.no_grad():
        wanted = {index: gram(maps) for index, maps in looker.maps(style).items() if index in STYLE}
        kept = looker.maps(content)[CONTENT]
    x = content.clone().requires_grad_()
    optimiser = torch.optim.LBFGS([x], max_iter=EVALUATIONS, max_eval=EVALUATIONS, history_size=HISTORY)

    def evaluate() -> Tensor:
        optimiser.zero_grad()
        maps = looker.maps(x)
        styles = torch.stack([F.mse_loss(gram(maps[index]), target) for index, target in wanted.items()]).sum()
        loss = STYLE_WEIGHT * styles + F.mse_loss(maps[CONTENT], kept)
        loss.backward()
        return loss

    optimiser.step(evaluate)
    return x.detach().clamp(-1, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--pair", action="append", required=True, help="<content>__<style>")
    parser.add_argument("--bf16", action="store_true", help="convolutions in bfloat16: to see its quality")
    given = parser.parse_args()
    keep_freed_memory()
    looker = Looker(build_vgg16(None), given.bf16)
    given.out.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(given.pairs) as pairs:
        contents, styles = members(pairs, "content"), members(pairs, "style")
    for pair in given.pair:
        content, style = (to_tensor(x)[None] for x in (contents[pair.split("__")[0]], styles[pair.split("__")[1]]))
        began = time.perf_counter()
        result = transfer(looker, content.contiguous(), style)
        print(f"{pair}: {time.perf_counter() - began:.0f} s", flush=True)
        to_image(result[0]).save(given.out / f"{pair}.png")


if __name__ == "__main__":
    main()
