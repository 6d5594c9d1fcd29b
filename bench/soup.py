"""The mean of two checkpoints of one run's stages, weight by weight (Wortsman et al. 2022, Model soups).

    python -m bench.soup FIRST.safetensors SECOND.safetensors --share 0.65 --out MIXED.safetensors

SECOND must have begun as FIRST, so that the weights between them work too. --share: of SECOND; choose it on pictures
that nothing was trained on and by which nothing is judged in the end.
"""

import argparse
from pathlib import Path

import torch

from studio.cli.parse import settings
from studio.core import checkpoint


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("--share", type=float, required=True, help="of the second, from 0 to 1")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--note", action="append", default=[], metavar="NAME=TEXT", help="for the provenance")
    given = parser.parse_args()
    if not 0 <= given.share <= 1:
        parser.error(f"--share must be from 0 to 1; got {given.share}.")
    first, second = checkpoint.load(given.first), checkpoint.load(given.second)
    if (first.kind, first.config, first.classes) != (second.kind, second.config, second.classes):
        parser.error("the two are not checkpoints of one model: their kinds, configurations or classes differ.")
    model = first.build_module()
    theirs = second.tensors()
    for name, tensor in model.state_dict().items():
        tensor.lerp_(theirs[name].to(tensor), given.share)
    provenance = {
        **second.provenance,
        **settings(given.note),
        "mixed_with": {"sha256": first.sha256, "share": 1 - given.share, "stages": first.provenance.get("stages")},
    }
    saved = checkpoint.save(
        given.out,
        model,
        kind=first.kind,
        config=model.config,
        classes=first.classes,
        provenance=provenance,
        metrics={},
    )
    print(f"{saved.path}: {saved.size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
