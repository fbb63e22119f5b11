"""What is packed for the explorer, and what does not fit into the page."""

import base64
import gzip
import json
from pathlib import Path

import pytest
import synthetic
from opened import Open

from knowpack import records
from knowpack.records import Fact, Response
from knowpack.report import explorer, page, source
from knowpack.report.report_data import measure


def answer(fact: str, prompt: int, text: str, alias: str | None = None, form: int = 0, sample: int = 0) -> Response:
    return Response(fact, prompt, form, sample, text, alias, alias, False, prompt == 1, None)


def test_share_of_all_or_none_keeps_its_character() -> None:
    # 60 steps in 0-9A-Za-z: 0.5 is the 30th character, U; 59 is x, 60 is y; only 0 and 1 may have 0 and y
    assert explorer._digits([0.0, 0.001, 0.5, 0.999, 1.0, None]) == "01Uxy-"


def test_answers_are_told_once_a_block_and_kept_by_prompt() -> None:
    ids = records.table([Fact("a", "q", ("x",)), Fact("b", "q", ("y",))], Fact).select("fact_id")
    rows = [
        answer("b", 0, "y", "y"),
        answer("a", 1, "z"),
        answer("a", 0, "x", "x"),
        answer("b", 1, "y", "y"),
        answer("a", 0, "other words", None, form=2),
        answer("a", 0, "sampled", None, sample=1),
    ]
    (block,) = explorer.answers(records.table(rows, Response), ids)
    value = block.value
    seen, of = value["seen"], value["of"]
    assert [[seen[i][0] for i in line] for line in of] == [["x", "z"], ["y", "y"]]  # type: ignore[index,attr-defined]
    assert value["forms"] == {0: {2: [seen.index(["other words", None, None, 0, 0])]}}  # type: ignore[attr-defined]
    assert not any(words[0] == "sampled" for words in seen)  # type: ignore[attr-defined]


def test_a_long_answer_is_cut_and_its_rest_counted() -> None:
    ids = records.table([Fact("a", "q", ("x",))], Fact).select("fact_id")
    (block,) = explorer.answers(records.table([answer("a", 0, "w" * 10_000)], Response), ids)
    assert block.value["seen"] == [["w" * 4000, None, None, 0, 6000]]


def test_chunk_is_ascii_and_gives_its_json_back() -> None:
    text = page.dumps({"a": "</script> é \u2028"})
    script = page.chunk("answers-0-1", text)
    assert script.isascii()
    name, packed = script.removeprefix('knowpackChunk("').split('","')
    assert name == "answers-0-1"
    assert json.loads(gzip.decompress(base64.b64decode(packed.split('"')[0]))) == {"a": "</script> é \u2028"}


def test_the_page_does_not_change_from_build_to_build(study: Path, built: Path, tmp_path: Path) -> None:
    measured = measure(source.load(study))
    assert page.write(measured, tmp_path / "report.html").read_bytes() == built.read_bytes()


@pytest.mark.browser
def test_facts_and_answers_beyond_the_limit_are_loaded_from_chunks_when_asked(
    tmp_path: Path, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "LIMIT", 40_000)
    monkeypatch.setattr(page, "FACTS_LIMIT", 100)
    study = synthetic.write(tmp_path, n_facts=250, n_cells=3)
    written = page.write(measure(source.load(study)), study / "report.html")
    opened = open_page(written)
    assert "100 loaded" in (opened.page.locator(".count").text_content() or "")
    before = len(opened.requests)
    opened.page.click("#list .row >> nth=3")
    opened.page.wait_for_selector("#detail .answers")
    asked = opened.requests[before:]
    assert len(asked) == 2  # the base's answers and the run's
    assert all(url.startswith((study / "report_files").as_uri()) for url in asked)
    opened.page.click("text=Load the other 150 facts")
    opened.page.wait_for_selector(".count:has-text('250 of 250')")  # wait_for_function evaluates: the policy forbids
    opened.page.focus("#list")
    opened.page.keyboard.press("End")
    opened.page.keyboard.press("Enter")
    opened.page.wait_for_selector("#detail .answers")
    assert opened.console == []


@pytest.mark.browser
def test_a_missing_chunk_is_said_in_words(tmp_path: Path, open_page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "LIMIT", 0)
    study = synthetic.write(tmp_path, n_facts=120, n_cells=2)
    written = page.write(measure(source.load(study)), study / "report.html")
    beside = list((study / "report_files").glob("answers-*"))
    assert beside, "the answers lie beside the page"
    for path in beside:
        path.unlink()
    opened = open_page(written)
    opened.page.click("#list .row >> nth=3")
    opened.page.wait_for_selector("#detail .warn")
    assert "keep the folder beside this page" in (opened.page.locator("#detail").text_content() or "")
