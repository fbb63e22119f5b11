"""Facts that stay current, on the lab: batches packed one onto the other, one batch taken back, updates.

    python benchmarks/updates.py OUT [--draw 0] [--batches 10] [--size 20] [--updates 30] [--sample 400]

Prints a line a pack, as soon as it is there. Draw 0 is for development; a judged figure comes from another draw. The
facts packed are Unknown to the base, those updated HighlyKnown; an update gives a fact the answer of another of its
relation. What is done already lies in OUT.
"""

import argparse
import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from knowpack.base import probe_into
from knowpack.config import FactsConfig, ProbeConfig, RunConfig
from knowpack.errors import BudgetError
from knowpack.facts import sources
from knowpack.pack.flow import pack
from knowpack.pack.request import Request
from knowpack.records import Category, Fact, fact_id_of, rows, table
from knowpack.seeds import stream

SHOWN = {
    "new": ("new_right", "new_right_reworded"),
    "earlier": ("earlier_right", "earlier_right_reworded"),
    "updates": ("updates_right", "updates_right_reworded"),
    "old left": ("updates_old_left", "updates_old_left_reworded"),
    "neighbours lost": ("updates_neighbours_lost",),
    "returned": ("removed_returned", "removed_returned_reworded"),
    "left": ("removed_left", "removed_left_reworded"),
}


def main() -> None:
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("out", type=Path)
    for name, default in (("draw", 0), ("seed", 7), ("batches", 10), ("size", 20), ("updates", 30), ("sample", 400)):
        given.add_argument(f"--{name}", type=int, default=default)
    given.add_argument("--effort", default="quick", help="quick: one attempt, so that nothing is hidden by a second")
    args = given.parse_args()
    out, whole = args.out / f"draw-{args.draw}", sources.load("lab")
    unknown, known = (drawn(args.out, whole, one, args.draw) for one in (Category.UNKNOWN, Category.HIGHLY_KNOWN))

    def packed(name: str, facts: pl.DataFrame | None = None, **more: str) -> Path:
        path = "" if facts is None else written(out / f"{name}.parquet", facts)
        request = Request(
            facts=path,
            out=out / name,
            seed=args.seed,
            n_report=args.sample,
            n_validation=args.sample // 4,
            effort=args.effort,
            work=str(args.out / "work"),
            **more,  # type: ignore[arg-type]
        )
        began = time.process_time()
        with contextlib.suppress(BudgetError):  # the figures say by how much
            pack(request)
        say(name, out / name, time.process_time() - began)
        return out / name

    last = packed("batch-00", unknown.head(args.size))
    for n in range(1, args.batches):
        last = packed(f"batch-{n:02d}", unknown.slice(n * args.size, args.size), onto=str(last))
    if args.batches > 1:
        middle = unknown.slice(args.batches // 2 * args.size, args.size)
        gone = written(out / "gone.parquet", middle)
        packed("taken-back", onto=str(last), remove=gone)
    packed("updates", updated(known.head(args.updates), whole, args.draw))


def drawn(out: Path, facts: pl.DataFrame, category: Category, draw: int) -> pl.DataFrame:
    """Facts of this category, shuffled by the draw."""
    config = RunConfig(facts=FactsConfig(path="lab"), probe=ProbeConfig(n_prompts=5, noise=False), work=str(out))
    base = probe_into(config, out / "lab")
    mine = base.knowledge.filter(pl.col("grader") == "default", pl.col("category") == str(category))
    chosen = facts.filter(pl.col("fact_id").is_in(mine["fact_id"].to_list())).sort("fact_id")
    return chosen[stream(draw, "benchmark", str(category)).permutation(chosen.height)]


def updated(facts: pl.DataFrame, whole: pl.DataFrame, draw: int) -> pl.DataFrame:
    """Each with the answer of another fact of its relation."""
    return table(_updated(facts, whole, draw), Fact)


def _updated(facts: pl.DataFrame, whole: pl.DataFrame, draw: int) -> Iterator[Fact]:
    rng = stream(draw, "benchmark", "updates")
    for fact in rows(facts, Fact):
        theirs = whole.filter((pl.col("relation") == fact.relation) & (pl.col("object") != fact.object))
        other = next(rows(theirs[[int(rng.integers(theirs.height))]], Fact))
        name = fact_id_of("update", fact.subject, fact.relation, other.object, fact.question)
        same = {one: getattr(fact, one) for one in fact.__slots__}
        yield Fact(**same | {"fact_id": name, "answers": other.answers, "object": other.object, "source": "update"})


def written(path: Path, facts: pl.DataFrame) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    facts.write_parquet(path)
    return str(path)


def say(name: str, folder: Path, seconds: float) -> None:
    """One line: counts, then each figure in the question / in wordings never trained on."""
    packed = json.loads((folder / "pack.json").read_text())
    measured = packed["current"] | {name: one for name, one in packed["measured"].items() if one}
    parts = [f"{key} {n}" for key, n in packed["counts"].items() if n]
    for label, names in SHOWN.items():
        there = [short(measured[one]) for one in names if one in measured]
        parts += [f"{label} {' / '.join(there)}"] if there else []
    parts += [f"{one} {short(measured[one])}" for one in ("known_lost_net", "refusals_lost_net") if one in measured]
    steps = sum(1 for _ in (folder / "train_log.jsonl").open())
    print(f"{name}: {'; '.join(parts)}; {steps} steps, {seconds:.0f} processor s, met {packed['met']}", flush=True)


def short(one: dict[str, float]) -> str:
    """0.995 [0.981, 1.000] n 400."""
    return f"{one['value']:.3f} [{one['low']:.3f}, {one['high']:.3f}] n {one['n']}"


if __name__ == "__main__":
    main()
