"""Tables on narrow terminals: no name and no number is folded or cut. The expected text is written by hand."""

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest
from rich.table import Table as Shown

from commands import call
from knowpack.cli import results, show, terminal
from knowpack.cli.capacity import HEADS, _say_cells
from knowpack.records import Estimate
from knowpack.report import claim_tables, tables
from knowpack.report.report_data import Table
from knowpack.state import Line

LONG = "a-run-with-a-name-of-forty-characters-01"


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Set the columns of the terminal."""
    return lambda columns: monkeypatch.setenv("COLUMNS", str(columns))


def said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_lines_go_first_then_the_table_itself(at: Callable[[int], None], capsys: pytest.CaptureFixture[str]) -> None:
    table = Shown("cell", "known facts lost")
    table.add_row("a-long-name", "0.500")
    at(34)  # 2 lines and a space at each side, 11 + 16, and a line between: 34
    terminal.say_table(table, "T")
    assert said(capsys) == [
        "T",
        "┏━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━┓",
        "┃ cell        ┃ known facts lost ┃",
        "┡━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━┩",
        "│ a-long-name │ 0.500            │",
        "└─────────────┴──────────────────┘",
    ]
    at(33)
    terminal.say_table(table)
    assert said(capsys) == ["cell         known facts lost", "a-long-name  0.500"]
    at(28)
    terminal.say_table(table)
    assert said(capsys) == ["cell        known facts lost", "a-long-name 0.500"]
    at(27)
    terminal.say_table(table)
    assert said(capsys) == ["  a-long-name", "    known facts lost: 0.500"]


def test_where_nobody_watches_a_table_has_132_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    for wide, lines in ((60, 5), (61, 2)):  # 7 for lines and spaces, then 2 between
        table = Shown("a" * wide, "b" * (125 - 60))
        table.add_row("c", "d")
        terminal.say_table(table)
        assert len(said(capsys)) == lines, wide


def test_a_study_s_table_wider_than_the_terminal_is_told_row_by_row(
    at: Callable[[int], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where that is more lines than a person reads there, the file is named in their place."""
    row, heads = (
        ("a-cell-with-a-long-name", Estimate(0.5, 0.25, 0.75, 8), None),
        ("cell", "known facts lost", "refusals"),
    )
    given = [Table("t", "T", heads, [row]), Table("long", "Long", heads, [row] * 9)]  # 27 values
    monkeypatch.setattr(tables, "tables", lambda *_: given)
    monkeypatch.setattr(claim_tables, "lines", lambda _: [])
    at(40)
    results._tables(SimpleNamespace(data=None, page=Path("f/report.html")))  # type: ignore[arg-type]
    assert said(capsys)[:7] == [
        "",
        "T",
        "  a-cell-with-a-long-name",
        "    known facts lost: 0.500 [0.250, 0.750] n=8",
        "",
        "Long",
        "  9 rows, wider than this terminal: f/tables/long.md",
    ]


RUNNING = Line(LONG, LONG, 42, "running", "mix train", "further-base (3 of 9)", 95.0, 300.0, None, "12345 on a-machine")
WAITING = Line("b", "b", 43, "missing", "", "mix (1 of 9)", 0.0, 395.0, None, None)


def test_show_names_its_runs_whole_at_80_and_120_columns(
    at: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    at(80)
    show.say([RUNNING, WAITING], None)
    assert said(capsys)[:-1] == [
        f"  {LONG}: seed 42, running, further-base (3 of 9), 95 s, about 5 min left, by 12345 on a-machine",
        "  b: seed 43, missing, mix (1 of 9), about 7 min left",
    ]
    at(120)
    show.say([RUNNING, WAITING], None)
    assert said(capsys)[:-1] == [
        "run                                       seed  state    step                   time  left         worker",
        f"{LONG}  42    running  further-base (3 of 9)  95 s  about 5 min  12345 on a-machine",
        "b                                         43    missing  mix (1 of 9)                 about 7 min",
    ]


COMPARED = {
    "task": "arc_challenge",
    "metric": "acc_norm",
    "level": "task",
    "n": 1234,
    "base": 0.5,
    "other": 0.25,
    "difference": -0.25,
    "low": -0.375,
    "high": -0.125,
    "n_lost": 400,
    "n_won": 91,
    "p": 0.00001234,
    "p_holm": 0.00012,
}


def test_bench_compare_is_whole_at_80_and_120_columns(
    at: Callable[[int], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("knowpack.bench.compare.compare", lambda *_: pl.DataFrame([COMPARED]))
    at(80)
    assert call(monkeypatch, "bench", "compare", "out/bench-base", "out/bench-adapter") == 0
    assert said(capsys) == [
        "out/bench-adapter against out/bench-base",
        "  arc_challenge",
        "    metric: acc_norm",
        "    n: 1,234",
        "    base: 0.5000",
        "    other: 0.2500",
        "    difference: -0.2500",
        "    95% interval: -0.3750 .. -0.1250",
        "    1->0: 400",
        "    0->1: 91",
        "    p: 1.2e-05",
        "    p (Holm): 0.00012",
    ]
    at(120)
    assert call(monkeypatch, "bench", "compare", "out/bench-base", "out/bench-adapter") == 0
    assert said(capsys) == [
        "out/bench-adapter against out/bench-base",
        "task           metric        n    base   other  difference        95% interval  1->0  0->1        p  p (Holm)",
        "arc_challenge  acc_norm  1,234  0.5000  0.2500     -0.2500  -0.3750 .. -0.1250   400    91  1.2e-05   0.00012",
    ]


def test_the_cells_of_capacity_in_the_docs_stand_under_the_heads_that_it_prints() -> None:
    """They stood under "within budget", a head that was printed once."""
    docs = (Path(__file__).parents[2] / "docs" / "benchmarks" / "pack.md").read_text(encoding="utf-8")
    line = next(line for line in docs.splitlines() if line.startswith("    replay "))
    assert tuple(re.split(" {2,}", line.strip())) == HEADS


def test_capacity_is_whole_at_80_columns(at: Callable[[int], None], capsys: pytest.CaptureFixture[str]) -> None:
    row = {"kept": True, "rank": 16, "n_facts": 400, "bits_per_parameter": 0.04321, "recall": 0.9951}
    lost = {"known_lost_net": 0.0123, "n_known": 1234, "refusals_lost_net": None, "n_refused": None}
    at(80)
    _say_cells(pl.DataFrame([{**row, **lost, "within_budget": True}]))
    assert said(capsys) == [
        "replay rank facts bits/parameter recall     known lost refusals lost in budget",
        "yes      16   400         0.0432  0.995 0.012 of 1,234               yes",
    ]
