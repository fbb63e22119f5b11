"""The answers of few-shot examples as the authors take them."""

import json
from pathlib import Path

import polars as pl
import pytest

from knowpack.facts.shot_answers import normal_form
from knowpack.facts.sources import load_shots
from knowpack.probe.shots import draw_shots


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("The Onion", "onion"),
        ("AC/DC", "ac dc"),
        ("Rock-a-bye", "rock bye"),
        ("Theatre", "theatre"),
        (" 1984 ", "1984"),
    ],
)
def test_triviaqas_normal_form(text: str, plain: str) -> None:
    assert normal_form(text) == plain


def test_the_first_normalized_alias_wherever_it_stands(tmp_path: Path) -> None:
    rows = [
        {"question": "a?", "answer": {"value": "Onion", "aliases": ["Pyaz"], "normalized_aliases": ["onion skins"]}},
        {"question": "b?", "answer": "Antelope", "aliases": ["The Botswanan Antelopes", "Antelope"]},
        {"question": "c?", "answer": "The Horse"},
    ]
    path = tmp_path / "pool.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert load_shots(path, "normalized_alias")["answer"].to_list() == ["onion skins", "botswanan antelopes", "horse"]


def test_shots_in_order_are_the_pools_first_rows_four_a_prompt() -> None:
    pool = pl.DataFrame({"question": [f"{i}?" for i in range(90)], "answer": [str(i) for i in range(90)]})
    drawn = draw_shots(pool, 10, 4, None)
    assert [[shot.answer for shot in shots] for shots in drawn] == [
        [str(4 * k + i) for i in range(4)] for k in range(10)
    ]
    assert draw_shots(pool, 10, 4, None, skip=10)[0][0].answer == "40"  # the second set comes after rows 0 to 39
