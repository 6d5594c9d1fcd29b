"""`python -m bench [NAME …]`: the figures of BENCHMARKS.md as a Markdown table."""

import argparse
import importlib
import sys

from bench.table import Row, machine, markdown, record

BENCHMARKS = ("sampling", "startup", "browser", "lab", "style", "adapt")


def main() -> int:
    """Run the named benchmarks, or all; print a table, or JSON lines."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; all by default")
    parser.add_argument("--model", default="paintings", help="name or path of the generator")
    parser.add_argument("--peer", help="a program to compare style transfer with, see bench/style.py")
    parser.add_argument("--json", action="store_true", help="one JSON line a figure")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"unknown benchmark {unknown[0]!r}; known: {', '.join(BENCHMARKS)}.")
    rows: list[Row] = []
    for name in options.names or BENCHMARKS:
        more = {"peer": options.peer} if name == "style" else {}
        for row in importlib.import_module(f"bench.{name}").measure(options.model, **more):
            rows.append(row)
            print(
                record(row) if options.json else f"{name}: {row.what}: {row.value:.3g} {row.unit}",
                flush=True,
                file=sys.stdout if options.json else sys.stderr,
            )
    if not options.json:
        print(f"{machine()}; model `{options.model}`.\n\n{markdown(rows)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
