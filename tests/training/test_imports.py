"""Training must start on a machine without the page, the command line's packages and pydantic."""

import subprocess
import sys

BLOCKED = ("gradio", "pydantic", "typer", "torchmetrics", "tensorboard", "av", "huggingface_hub")

SCRIPT = f"""
import sys
for name in {BLOCKED!r}:
    sys.modules[name] = None
import studio.training.loop, studio.training.recipes
from studio.training.recipe import RECIPES
print(" ".join(RECIPES.names()))
"""


def test_training_imports_without_page_command_line_and_pydantic() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert {"gan", "cgan", "dcgan", "vae"} <= set(done.stdout.split())
