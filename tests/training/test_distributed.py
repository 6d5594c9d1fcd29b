"""Two processes train one model under the launcher of torch, which `accelerate launch` uses too."""

import os
import subprocess
import sys
from pathlib import Path

import torch

from studio.core import checkpoint

SCRIPT = """
import sys
import torch
from pathlib import Path
from studio.core.dataset import ImageSet
from studio.models.gan import GanConfig
from studio.training.gan import GanTraining
from studio.training.loop import fit
from studio.training.options import TrainOptions
from studio.training.recipe import RECIPES

images = torch.randint(0, 256, (24, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
data = ImageSet(images, torch.arange(24) % 3, ("a", "b", "c"), tuple(map(str, range(24))))
config = GanConfig(resolution=32, latent_dim=8, embedding=4, capacity=0.05)
folder = Path(sys.argv[1])
from studio.training import gan
seen = []
build = gan.GanGenerator.__init__
def remember(self, *arguments):
    build(self, *arguments)
    seen.append(self)
gan.GanGenerator.__init__ = remember
options = TrainOptions(folder / "m.safetensors", batch=4, images=32, snapshot_images=16, device="cpu")
for progress in fit(RECIPES["cgan"], config, GanTraining(discriminator="scratch"), data, options):
    last = progress
assert last.step == 32, last
from accelerate import PartialState
weights = {name: p.detach() for name, p in seen[0].state_dict().items() if "running" not in name}
torch.save(weights, folder / f"weights-{PartialState().process_index}.pt")
"""

# After the first half: one process alone is asked to stop, and both must end after the same step.
STOPPED = """
import os
steps = []
def stop():
    steps.append(None)
    return os.environ["RANK"] == "1" and len(steps) == 2
options = TrainOptions(folder / "stopped.safetensors", batch=4, images=10**9, snapshot_images=10**9, device="cpu")
job = fit(RECIPES["cgan"], config, GanTraining(discriminator="scratch"), data, options, stop)
reached = [progress.step for progress in job]
assert reached == [8, 16, 16], reached
"""


def launched(script: Path, *arguments: str) -> None:
    """Run a script in two processes; it must end well."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")]),
    }
    command += [str(script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]


def test_two_processes_train_one_model_and_stop_together(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(SCRIPT + STOPPED, encoding="utf-8")
    launched(script, str(tmp_path))
    first, second = (torch.load(tmp_path / f"weights-{rank}.pt", weights_only=True) for rank in (0, 1))
    assert all(torch.equal(first[name], second[name]) for name in first if "num_batches" not in name)
    found = checkpoint.load(tmp_path / "m.safetensors")
    assert found.provenance["images_seen"] == 32
    assert found.provenance["batch"] == 8
    assert checkpoint.load(tmp_path / "stopped.safetensors").provenance["images_seen"] == 16
    state = torch.load(tmp_path / "m.state.pt", weights_only=True)
    assert len(state["generators"]) == 2
    assert not torch.equal(state["generators"][0], state["generators"][1])
