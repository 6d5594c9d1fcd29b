"""The proof of few-shot adaptation: arms against each other on artists that nothing was trained on.

    python -m bench.adaptation artists.zip --features vgg16=vgg16.safetensors --base meta.safetensors --out runs/proof
    python -m bench.adaptation … --base finetune=joint.safetensors --base freezeD=joint.safetensors
    python -m bench.adaptation … --report

Each run is one line in OUT/runs.jsonl; a bench that was stopped goes on with those that are missing, also on another
machine, for --report keeps the records in DOCS/adaptation/runs.jsonl.gz. Runs may be broken off earlier (--steps) or
judged less often (--at) than others: the page takes of each what is there. A base is
two files, NAME.safetensors and NAME-learner.safetensors. `--base FILE` is for every arm that has no `--base ARM=FILE`;
--report also takes `--base ARM=HASH`, the SHA-256 in the records of runs from a base of which the file is gone.
Seconds are what an idle machine of --cores would need: process time over the cores, or --step-seconds a step; wall
clock and process time are kept beside. --report writes docs/ADAPTATION.md of the plan's runs that are there.
"""

import argparse
import json
import multiprocessing
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import lru_cache
from pathlib import Path
from typing import Any

from bench.adaptation_records import append, fullest, keep, records
from bench.adaptation_run import (
    ARMS,
    HASH,
    LEAST_QUERIES,
    OWN_START,
    STEPS,
    Case,
    Setting,
    Workplace,
    artists,
    covers,
    identity,
    run,
)
from studio.core.dataset import read_dataset

DEFAULT_ARMS = "none,scratch,finetune,freezeD,embed,meta"
_place: list[Workplace] = []  # of this process


def main() -> None:
    given = parsed()
    setting = settings(given)
    plan = list(cases(given))
    log = Path(given.out) / "runs.jsonl"
    kept = Path(given.docs) / "adaptation" / "runs.jsonl.gz"
    known = [*records(kept), *records(log)]
    done = fullest(record for record in known if of_plan(record, setting))
    if not given.report:
        missing = [case for case in plan if case not in done or not covers(done[case], setting)]
        print(f"{len(plan)} runs, {len(plan) - len(missing)} of them there already.", flush=True)
        began = time.perf_counter()
        for number, record in enumerate(work(setting, missing, given.workers), 1):
            append(log, record)
            left = (time.perf_counter() - began) / number * (len(missing) - number)
            print(f"{number} of {len(missing)}, {left / 60:.0f} min left: {told(record)}", flush=True)
        return
    from bench.adaptation_report import write  # draws with matplotlib

    keep(kept, known)
    found = [done[case] for case in plan if case in done]
    print(write(found, setting, Path(given.docs), len(plan)))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archives", nargs="+", metavar="ARCHIVE", help="zips with a column artist")
    parser.add_argument("--features", required=True, help="the judge: vgg16=FILE")
    parser.add_argument("--base", action="append", required=True, metavar="[ARM=]FILE")
    parser.add_argument("--out", required=True, help="folder of the runs")
    parser.add_argument("--arms", default=DEFAULT_ARMS, help=f"of {', '.join(ARMS)}; {DEFAULT_ARMS} by default")
    parser.add_argument("--rates", action="append", default=[], metavar="ARM=VALUE", help="learning rates")
    parser.add_argument("--artists", type=int, help="so many of them; all by default")
    parser.add_argument("--only", default="", help="these artists alone, by name, with commas")
    parser.add_argument("--shots", default="5,10,20")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--budget", type=float, default=60.0, help="seconds")
    parser.add_argument("--cores", type=int, default=2, help="of the machine that the seconds are of")
    parser.add_argument("--step-seconds", action="append", default=[], metavar="[ARM=]VALUE", help="of a step there")
    parser.add_argument("--steps", type=int, help="break a run off after so many")
    parser.add_argument("--at", default=",".join(map(str, STEPS)), help="steps after which to judge, besides the end")
    parser.add_argument("--samples", type=int, default=192)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="auto", choices=("auto", "fp32", "bf16"))
    parser.add_argument("--report", action="store_true", help="write the page of what is there, and keep its records")
    parser.add_argument("--docs", default="docs", help="folder of the page and of the records that are kept")
    given = parser.parse_args()
    given.arms = [name for name in given.arms.split(",") if name]
    pairs = (*given.rates, *given.base, *given.step_seconds)
    for name in [*given.arms, *(pair.partition("=")[0] for pair in pairs if "=" in pair)]:
        if name not in ARMS:
            parser.error(f"unknown arm {name!r}; known: {', '.join(ARMS)}.")
    for name in OWN_START:
        if name in given.arms and not any(pair.startswith(f"{name}=") for pair in given.base):
            parser.error(f"the arm {name} starts from a base that was meta-learned; give --base {name}=FILE.")
    gone = [pair for pair in given.base if HASH.fullmatch(by_arm(pair)[1])]
    if gone and not given.report:
        parser.error(f"a hash is enough to report, and a run needs the file: --base {gone[0]:.60}.")
    return given


def settings(given: argparse.Namespace) -> Setting:
    bases = dict(map(by_arm, given.base))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Setting(
        archives=tuple(given.archives),
        features=given.features,
        out=given.out,
        bases={"": next(iter(bases.values())), **bases},
        rates={name: float(value) for name, value in (pair.split("=", 1) for pair in given.rates)},
        budget=given.budget,
        cores=given.cores,
        step_seconds={name: float(value) for name, value in map(by_arm, given.step_seconds)},
        most=given.steps,
        at=tuple(sorted({int(text) for text in given.at.split(",")})),
        samples=given.samples,
        device=given.device,
        precision=given.precision,
        threads=max(1, cores // max(given.workers, 1)),
    )


def by_arm(text: str) -> tuple[str, str]:
    """ "ARM=VALUE" → both; a value alone is every other arm's."""
    arm, separator, value = text.partition("=")
    return (arm, value) if separator else ("", text)


def cases(given: argparse.Namespace) -> Iterator[Case]:
    """Every run of the plan, artist by artist; the first draw and seed of all come first, so that a bench that is
    stopped has something to say of every artist. A support that leaves too few pictures to judge by is left out."""
    sizes = sorted(int(text) for text in given.shots.split(","))
    found = artists(read_dataset(given.archives, 8, column="artist"), sizes[0])
    only = [name for name in given.only.split(",") if name]
    chosen = [task for task in found if not only or task.name in only][: given.artists]
    for draw in range(given.draws):
        for seed in range(given.seeds):
            for task in chosen:
                for shots in (size for size in sizes if size + LEAST_QUERIES <= len(task)):
                    for arm in given.arms:
                        yield Case(task.name, shots, draw, seed, arm)


def work(setting: Setting, missing: list[Case], workers: int) -> Iterator[dict[str, Any]]:
    """The records of the runs, as they come."""
    if workers <= 1:
        place = Workplace(setting) if missing else None
        for case in missing:
            assert place is not None
            yield run(place, case)
        return
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _begin, (setting,)) as pool:
        waiting = [pool.submit(_run, case) for case in missing]
        for future in as_completed(waiting):
            yield future.result()


def _begin(setting: Setting) -> None:
    _place.append(Workplace(setting))


def _run(case: Case) -> dict[str, Any]:
    return run(_place[0], case)


def of_plan(record: dict[str, Any], setting: Setting) -> bool:
    """Whether a record was made by the settings of now."""
    if record["arm"] not in ARMS:
        return False
    return all(record.get(name) == value for name, value in _identity(setting_key(setting), record["arm"]).items())


def setting_key(setting: Setting) -> str:
    kept = {name: getattr(setting, name) for name in ("features", "bases", "rates", "budget", "samples")}
    return json.dumps(kept, sort_keys=True)


@lru_cache
def _identity(key: str, arm: str) -> dict[str, Any]:
    return identity(Setting(archives=(), out="", **json.loads(key)), arm)


def told(record: dict[str, Any]) -> str:
    last = record["points"][-1]
    name = next(key for key in last if key.startswith("kid-"))
    about = f"{record['artist']}, {record['shots']} pictures, draw {record['draw']}, seed {record['seed']}"
    return f"{about}, {record['arm']}: {last['step']} steps, {last['cpu']:.0f} CPU s, {name} {last[name]:.4f}"


if __name__ == "__main__":
    main()
