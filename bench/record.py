"""Put what was measured of a model into its checkpoint's header, from where the page and the list of models take it.

    studio evaluate MODEL --data TEST … --json > report.json
    python -m bench.record checkpoints/MODEL.safetensors report.json

The tensors stay as they are, bit by bit.
"""

import argparse
import json
from pathlib import Path

from studio.core import checkpoint


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("report", type=Path)
    given = parser.parse_args()
    opened, reports = checkpoint.load(given.model), json.loads(given.report.read_text("utf-8"))["reports"]
    if given.model.stem not in reports:
        parser.error(f"the report is of {', '.join(reports)}, not of {given.model.stem}.")
    model = opened.build_module()
    saved = checkpoint.save(
        given.model,
        model,
        kind=opened.kind,
        config=model.config,
        classes=opened.classes,
        provenance=opened.provenance,
        metrics=reports[given.model.stem]["metrics"],
    )
    print(f"{saved.path}: {', '.join(f'{name} {value:.4g}' for name, value in saved.metrics.items())}")


if __name__ == "__main__":
    main()
