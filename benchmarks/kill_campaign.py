"""Kills at random: study, pack, probe, bench and facts on the lab, killed, run again, compared with runs that were not.

    python benchmarks/kill_campaign.py --kills 300            # hours on one core; prints a line a resumed run
    python benchmarks/kill_campaign.py --kills 10 --jobs probe facts --seed 1

Half of the kills come at a random moment, half at a random file event (before a file is opened for writing, renamed or
removed, a folder made), by SIGKILL. A run is killed one to four times, then run to its end. Compared with a run that
nothing killed are all files, byte for byte, but for those that hold times. A finished stage is repeated where its file
stood under its final name at a kill, and a later run wrote it again. Exit code 1 where a file differs or a stage is
repeated. Without --report a run ends where study and pack would draw their page from what is on disk.
"""

import argparse
import hashlib
import random
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from killed_jobs import JOBS, prepare, started
from knowpack.run import BESIDE_FIGURES
from knowpack.store.lease import LOCK

MOST_KILLS = 4  # of one run
HOLD_TIMES = {"manifest.json", "status.json", "train_log.jsonl", "README.md", ".now.json"}
"""What may differ: seconds and dates; the manifests' own sums are of what is compared."""
LM_EVAL = "lm_eval"
"""lm-eval's own files have the time in their names and within."""
BESIDE = set(BESIDE_FIGURES)
"""Of one stage with figures.json, which is written last and says that it is finished: compared, but no stage alone."""
REPORT = {"tables", "figures", "studies", "training", "report.html", "pack.json"}
"""Written anew by every run from what the stages left, or checkpoints within a stage: compared, but no stage."""
UNTIL_DONE = "partial"
"""A folder that is there as long as its stage goes on: it may go, and not be written again."""


@dataclass
class Whole:
    """A job that nothing killed."""

    files: dict[str, str]
    seconds: float
    n_events: int


@dataclass
class Count:
    """What the campaign found."""

    tried: int = 0
    survived: int = 0
    """Kills after which the same command went on to its end."""
    runs: int = 0
    differing: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)


def contents(folder: Path) -> dict[str, str]:
    """Path -> hash of every file that holds no times; what stands beside its final name must be gone.

    The lease of a process that was killed may stay in a folder that is finished: nobody needs to hold it.
    """
    hashes = {}
    for path in sorted(folder.rglob("*")):
        timed = path.name in HOLD_TIMES or LM_EVAL in path.parts or LOCK in path.parts
        if path.is_file() and not timed:
            hashes[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return hashes


def done_stages(folder: Path) -> dict[str, tuple[int, int]]:
    """Every stage's file under its final name, with what tells a second writing: inode and time."""
    stages = {}
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        torn = any(part.startswith(".") or part.endswith((".part", ".parts")) or part in REPORT for part in parts)
        if path.is_file() and not torn and path.name not in HOLD_TIMES | BESIDE and LM_EVAL not in parts:
            stat = path.stat()
            stages["/".join(parts)] = (stat.st_ino, stat.st_mtime_ns)
    return stages


def whole(job: str, root: Path, report: bool) -> Whole:
    """Run a job without a kill."""
    folder, events = root / job / "whole", root / f"{job}.events"
    prepare(folder)
    begun = time.monotonic()
    process = started(job, folder, None, events, report)
    process.join()
    assert process.exitcode == 0, f"{job} ended with exit code {process.exitcode}"
    return Whole(contents(folder), time.monotonic() - begun, int(events.read_text()))


def killed(job: str, folder: Path, expected: Whole, draw: random.Random, count: Count, report: bool) -> None:
    """One run: killed, run again, and so on to its end; counts what differs and what is repeated."""
    prepare(folder)
    kept: dict[str, tuple[int, int]] = {}
    kills: list[str] = []
    left = draw.randint(1, MOST_KILLS)
    while True:
        at = draw.randint(1, expected.n_events) if draw.random() < 0.5 else None
        process = started(job, folder, at if left else None, None, report)
        moment = draw.uniform(0, expected.seconds)
        process.join(moment if left and at is None else None)
        if process.is_alive():
            process.kill()
            process.join()
        left = max(0, left - 1)
        now = done_stages(folder)
        gone = {name for name in kept if name not in now and UNTIL_DONE in Path(name).parts}
        again = sorted(name for name in kept.keys() - gone if now.get(name) != kept[name])
        count.repeated += [f"{folder.name} after {kills}: {name}" for name in again]
        kept = now
        if process.exitcode == -signal.SIGKILL:
            count.tried += 1
            kills.append(f"event {at}" if at else f"{moment:.2f} s")
            continue
        if process.exitcode != 0:
            count.differing.append(f"{folder.name} after {kills}: exit code {process.exitcode}")
            return
        if not left or draw.random() < 0.5:
            break  # a run that ended before its kill: there is nothing more to kill
    hashes = contents(folder)
    differing = sorted(name for name in {*hashes, *expected.files} if hashes.get(name) != expected.files.get(name))
    count.differing += [f"{folder.name} after {kills}: {name}" for name in differing]
    count.survived += 0 if differing else len(kills)
    count.runs += 1


def main() -> None:
    """Run the campaign and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--minutes", type=float, default=None, help="stop after this long, however many kills")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", nargs="+", choices=list(JOBS), default=list(JOBS))
    parser.add_argument("--report", action="store_true", help="the pages too, which take most of the time")
    parser.add_argument("--keep", type=Path, default=None, help="where folders that differ are kept")
    args = parser.parse_args()
    draw, count, begun = random.Random(args.seed), Count(), time.monotonic()
    with tempfile.TemporaryDirectory() as given:
        root = Path(given)
        wholes = {job: whole(job, root, args.report) for job in args.jobs}
        for job, one in wholes.items():
            print(f"{job:<6} {len(one.files)} files, {one.n_events} file events, {one.seconds:.1f} s", flush=True)
        while count.tried < args.kills and (args.minutes is None or time.monotonic() - begun < 60 * args.minutes):
            job = args.jobs[count.runs % len(args.jobs)]
            folder = root / job / f"{job} {count.runs}"
            runs, n_differing, n_repeated = count.runs, len(count.differing), len(count.repeated)
            killed(job, folder, wholes[job], draw, count, args.report)
            count.runs = runs + 1
            new = count.differing[n_differing:] + [f"repeated: {one}" for one in count.repeated[n_repeated:]]
            print("".join(f"{line}\n" for line in new), end="", flush=True)
            if new and args.keep:
                shutil.copytree(folder, args.keep / folder.name, dirs_exist_ok=True)
            shutil.rmtree(folder)
            print(
                f"{count.runs:4} runs, {count.tried:4} kills, {count.survived:4} survived, {len(count.differing)} "
                f"differences, {len(count.repeated)} finished stages repeated ({job})",
                flush=True,
            )
    print(
        f"kills tried {count.tried}, survived {count.survived}, differences {len(count.differing)}, "
        f"finished stages repeated {len(count.repeated)}; {count.runs} runs, {time.monotonic() - begun:.0f} s"
    )
    sys.exit(1 if count.differing or count.repeated else 0)


if __name__ == "__main__":
    main()
