"""`knowpack capacity`. Parsing and printing only."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from knowpack.cli.pack_options import Known, Limits, Model, Out, Sample, Shots, check_request, sized
from knowpack.cli.results import Json
from knowpack.cli.stages import Quiet, Seed, Set, Work
from knowpack.cli.terminal import echo, say_json, say_table

if TYPE_CHECKING:
    import polars as pl

UNREAD = ("train", "facts", "onto", "earlier", "remove", "n_screen", "n_written", "reliability", "effort", "bench")
"""Of a request's settings: what `capacity` does not read."""
HEADS = ("replay", "rank", "facts", "bits/parameter", "recall", "known lost", "refusals lost", "in budget")


def capacity_command(
    out: Out,
    model: Model = "lab",
    known: Known = "auto",
    ranks: Annotated[str, typer.Option(help="Ranks, separated by commas.")] = "1,4,16",
    loads: Annotated[str, typer.Option(help="Numbers of facts, separated by commas.")] = "50,100,200,400",
    limits: Limits = [],  # noqa: B006
    shots: Shots = "auto",
    sample: Sample = None,
    settings: Set = [],  # noqa: B006
    seed: Seed = 42,
    work: Work = "work",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """How many facts fit into an adapter of each rank: at 99% recall, and within the harm budget.

    Example: knowpack capacity --model lab --ranks 1,4 --loads 50,200 --out out/capacity
    """
    from knowpack.cli.console import progress, starting
    from knowpack.config import ModelConfig, ProbeConfig
    from knowpack.errors import ConfigError
    from knowpack.pack import budget
    from knowpack.pack.request import Request
    from knowpack.settings import override

    try:
        wanted_ranks, wanted_loads = ([int(text) for text in option.split(",")] for option in (ranks, loads))
    except ValueError:
        raise ConfigError(f"got --ranks {ranks} --loads {loads}, expected numbers separated by commas") from None
    if min(*wanted_ranks, *wanted_loads) < 1:
        raise ConfigError(f"got --ranks {ranks} --loads {loads}, expected numbers from 1 on")
    request = Request(
        facts="",
        out=out,
        known=known,
        model=ModelConfig(name=model),
        budget=budget.parse(limits),
        seed=seed,
        probe=ProbeConfig(shots=shots),
        work=work,
    )
    request = override(sized(request, sample), settings)
    for name in UNREAD:
        if getattr(request, name) != Request.model_fields[name].default:
            raise ConfigError(f"`knowpack capacity` reads no setting {name}; leave it out")
    with starting(quiet):
        check_request(request, "knowpack capacity")
        from knowpack.pack.capacity import FULL_MODEL_BITS_PER_PARAMETER, capacity, largest
    table = capacity(request, wanted_ranks, wanted_loads, progress(quiet, out))
    if as_json:
        result = {"cells": table.to_dicts(), "largest": largest(table).to_dicts(), "folder": str(out)}
        say_json({"kind": "capacity", "model": model, **result})
        return
    _say_cells(table)
    for row in largest(table).iter_rows(named=True):
        plain, safe = (
            _limit_text(row[name], row[f"{name}_bits_per_parameter"], wanted_loads) for name in ("d99", "safe_d99")
        )
        echo(f"rank {row['rank']}: D99 {plain}; safe D99 {safe}")
    echo("D99: up to it every load tried has 99% recall; safe D99: within the budget too")
    echo(f"published, full models: {FULL_MODEL_BITS_PER_PARAMETER} bits a parameter (arXiv 2404.05405)")


def _say_cells(table: "pl.DataFrame") -> None:
    """A row an adapter."""
    from rich.table import Table

    printed_table = Table()
    for head in HEADS:
        printed_table.add_column(head, justify="left" if head in ("replay", "in budget") else "right")
    for row in table.iter_rows(named=True):
        lost, refusals = (
            "" if row[name] is None else f"{row[name]:.3f} of {row[n]:,}"
            for name, n in (("known_lost_net", "n_known"), ("refusals_lost_net", "n_refused"))
        )
        printed_table.add_row(
            "yes" if row["kept"] else "no",
            str(row["rank"]),
            str(row["n_facts"]),
            f"{row['bits_per_parameter']:.4f}",
            f"{row['recall']:.3f}",
            lost,
            refusals,
            {True: "yes", False: "no", None: "not measured"}[row["within_budget"]],
        )
    say_table(printed_table)


def _limit_text(n: int | None, bits: float | None, loads: Sequence[int]) -> str:
    """A load for reading; below the smallest that was tried where that missed, and the largest is a lower bound."""
    if n is None:
        return f"below {min(loads)} facts"
    return f"{'at least ' if n == max(loads) else ''}{n} facts ({bits:.3f} bits a parameter)"
