"""The shipped model: plain transformers load it, its chat form is the paper's, its card tells of these weights."""

import json
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from knowpack.bench.outcomes import Sample
from knowpack.errors import ModelError
from knowpack.lab import files
from knowpack.lab.forms import Ask, chat
from knowpack.probe.prompts import Prompter
from knowpack.probe.turns import Shot
from knowpack.records import table
from knowpack.store import hash_file, write_table

CARD = Path(files.__file__).parent / "card.json"
README = CARD.with_name("README.md")


@pytest.fixture(scope="module")
def tokenizer() -> AutoTokenizer:
    return AutoTokenizer.from_pretrained(files.model_dir())


def test_plain_transformers_load_it_and_it_is_small() -> None:
    model = AutoModelForCausalLM.from_pretrained(files.model_dir())
    assert 2_000_000 <= model.num_parameters() <= 5_000_000
    assert sum(path.stat().st_size for path in files.model_dir().iterdir()) <= 12_000_000
    assert model.generation_config.eos_token_id == AutoTokenizer.from_pretrained(files.model_dir()).eos_token_id


def test_vocabulary_is_at_most_4096(tokenizer: AutoTokenizer) -> None:
    assert len(tokenizer) <= 4096


def test_the_chat_template_is_the_corpus_form_with_exactly_one_bos(tokenizer: AutoTokenizer) -> None:
    turns = [
        {"role": "system", "content": "Answer the following question."},
        {"role": "user", "content": "Question: Where was Ada Hill born?"},
        {"role": "assistant", "content": "Answer: Branvik"},
    ]
    text = tokenizer.apply_chat_template(turns, tokenize=False)
    assert text == "<|bos|>" + chat([Ask("Where was Ada Hill born?", "Branvik", "City")]) + "<|end|>"
    ids = tokenizer.apply_chat_template(turns, tokenize=True, return_dict=False)
    assert ids.count(tokenizer.bos_token_id) == 1
    assert ids[0] == tokenizer.bos_token_id


def test_prompt_ids_and_answer_ids_are_the_ids_of_the_whole(tokenizer: AutoTokenizer) -> None:
    prompter = Prompter(tokenizer)
    shots = [Shot("Where was Ada Hill born?", "Branvik")] * 4
    for answer in ("Velmor", "University of Velmor", "I do not have information about that.", "É"):
        example = prompter.example("What is it?", answer, shots)
        prompt = prompter.encode(shots, "What is it?")
        assert [*prompt, *prompter.answer_ids(answer), tokenizer.eos_token_id] == example.ids


def test_four_shots_a_question_and_an_answer_fit_well_within_256_tokens(tokenizer: AutoTokenizer) -> None:
    prompter = Prompter(tokenizer)
    pool = [Shot(*row) for row in files.shots().iter_rows()]
    longest = sorted(pool, key=lambda shot: -len(prompter.encode([shot], "")))[:4]
    asked = max(files.facts()["question"], key=len)
    assert len(prompter.encode(longest, asked)) + 32 < 256


def test_a_text_survives_the_tokenizer(tokenizer: AutoTokenizer) -> None:
    for text in ("Ada Hill lives in Branvik.", "naïve façade 東京 😀", "a\n\nb  c"):
        assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) == text


def test_the_card_tells_of_the_shipped_weights() -> None:
    card = json.loads(CARD.read_text())
    assert card["sha256"] == hash_file(files.model_dir() / "model.safetensors")
    assert card["sha256"] in README.read_text()


def test_the_readme_holds_the_table_that_the_command_prints() -> None:
    from knowpack.cli.lab_card import Row, render

    card = json.loads(CARD.read_text())
    assert render([Row(**row) for row in card["rows"]]) in README.read_text()


def test_no_share_of_the_card_has_an_interval_beyond_0_and_1(tmp_path: Path) -> None:
    """1.96 standard errors gave .9875 an end at 1.002, and 20 of 20 no interval at all."""
    from knowpack.cli.lab_card import CHANCE, bench_rows

    for row in json.loads(CARD.read_text())["rows"]:
        assert 0 <= row["low"] <= row["value"] <= row["high"] <= 1, row["figure"]
    for task in CHANCE:
        right = [Sample(task, i, "", "acc", 1.0, "0", "0") for i in range(20)]
        write_table(tmp_path / task / "samples.parquet", table(right, Sample))
    for row in bench_rows(tmp_path):
        assert (row.value, row.high, row.n) == (1.0, 1.0, 20)
        assert row.low == pytest.approx(0.025 ** (1 / 20))  # Clopper and Pearson: .8316


def test_a_missing_model_gets_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "__file__", str(tmp_path / "files.py"))
    with pytest.raises(ModelError, match=r"the lab's model lacks config\.json"):
        files.model_dir()
