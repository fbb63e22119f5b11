"""A generated dump of DBpedia's size and shape, and how long `knowpack facts dbpedia` takes on it.

    python benchmarks/kg_dump.py make FOLDER --share 0.0625     write triples.nt.bz2 and ontology.nt
    python benchmarks/kg_dump.py run FOLDER                     time it; prints one JSON object
    python benchmarks/kg_dump.py show FOLDER...                 the figures of several runs as a table

The dump is made_dump.py's. In one run: plain decompression by the same reader on the same cores, the command
itself in a process of its own, decompression again, and two loops over the characters of the first 200,000 lines
(character_pass.py). How busy other processes kept the machine meanwhile stands beside the figures.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from made_dump import make


def decompress(path: Path) -> int:
    """Bytes of the file, read by the command's own reader and thrown away."""
    from knowpack.facts.graphs.lines import blocks

    return sum(len(block) for block in blocks(path))


COMMAND = """
import sys
from pathlib import Path
from knowpack.facts.graphs import build, dump
folder, out = map(Path, sys.argv[1:])
dump.from_ntriples(dump.Sources(folder / "triples.nt.bz2", folder / "ontology.nt"), build.Settings(), out)
"""


def run(folder: Path) -> dict[str, float | None]:
    """Time decompression, the command, decompression again, and the two loops over characters."""
    import character_pass

    path = folder / "triples.nt.bz2"
    made = json.loads((folder / "made.json").read_text())
    before = timed(lambda: decompress(path))
    command = [sys.executable, "-c", COMMAND, str(folder), str(folder / "facts.parquet")]
    whole = timed(lambda: subprocess.run(command, check=True), resource.RUSAGE_CHILDREN)
    after = timed(lambda: decompress(path))
    assert character_pass.agrees(path, 200_000), "the two read different triples"
    complete, bare = character_pass.complete(path, 200_000), character_pass.bare(path, 200_000)
    card, packed = json.loads((folder / "facts.card.json").read_text()), path.stat().st_size
    speed = made["lines"] / whole.seconds
    figures = {
        "lines": made["lines"],
        "entities": sum(card["entities"].values()),
        "facts": card["facts"],
        "plain_mb": made["bytes"] / 1e6,
        "packed_mb": packed / 1e6,
        "seconds": whole.seconds,
        "cpu_seconds": whole.cpu_seconds,
        "peak_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3,
        "decompress_seconds_before": before.seconds,
        "decompress_seconds_after": after.seconds,
        "decompress_cpu_seconds": (before.cpu_seconds + after.cpu_seconds) / 2,
        "times_decompression": 2 * whole.seconds / (before.seconds + after.seconds),
        "times_decompression_cpu": 2 * whole.cpu_seconds / (before.cpu_seconds + after.cpu_seconds),
        "complete_pass_lines_per_second": complete.lines_per_second,
        "bare_loop_lines_per_second": bare.lines_per_second,
        "times_complete_pass": speed / complete.lines_per_second,
        "times_bare_loop": speed / bare.lines_per_second,
        "cores_taken_by_others_before": before.others,
        "cores_taken_by_others": whole.others,
        "cores_taken_by_others_after": after.others,
    }
    (folder / "figures.json").write_text(json.dumps(figures, indent=1))
    return figures


class Timed(NamedTuple):
    """What a piece of work took."""

    seconds: float
    cpu_seconds: float
    others: float | None
    """Cores that other processes kept busy meanwhile, on average; None where the system does not tell."""


def cpu_seconds(who: int) -> float:
    """Of this process or its children; on a shared machine steadier than the clock."""
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def busy_seconds() -> float | None:
    """Core seconds that this machine has worked or was kept from working since it started, all processes."""
    if not Path("/proc/stat").is_file():
        return None
    user, nice, system, _, _, irq, soft, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + soft + steal) / os.sysconf("SC_CLK_TCK")


def timed(work: Callable[[], object], who: int = resource.RUSAGE_SELF) -> Timed:
    """Times a call; who: this process or its children."""
    busy, used, start = busy_seconds(), cpu_seconds(who), time.perf_counter()
    work()
    seconds, used, now = time.perf_counter() - start, cpu_seconds(who) - used, busy_seconds()
    return Timed(seconds, used, None if busy is None or now is None else max(0.0, now - busy - used) / seconds)


def show(folders: list[Path]) -> str:
    """Several runs as a Markdown table."""
    runs = sorted(
        (json.loads((folder / "figures.json").read_text()) for folder in folders), key=lambda run: run["lines"]
    )
    rows = [f"| {name} | " + " | ".join(_cell(run[name]) for run in runs) + " |" for name in runs[0]]
    return "\n".join(["| | " + " | ".join("" for _ in runs) + " |", "|---|" + "---:|" * len(runs), *rows])


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:,.2f}".removesuffix(".00")


def main() -> None:
    """Parse and run one of the three commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("make", "run", "show"))
    parser.add_argument("folder", type=Path, nargs="+")
    parser.add_argument("--share", type=float, default=1.0, help="of the full size")
    given = parser.parse_args()
    if given.command == "make":
        make(given.folder[0], given.share)
    elif given.command == "run":
        print(json.dumps(run(given.folder[0]), indent=1))
    else:
        print(show(given.folder))


if __name__ == "__main__":
    main()
