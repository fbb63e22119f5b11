"""Token ids against transformers' own apply_chat_template; traps: a second BOS, a cut that changes tokens."""

import polars as pl
import pytest

import templates
import tiny
from knowpack.errors import ConfigError, FactsError, ModelError
from knowpack.probe.prompts import Prompter, common_prefix
from knowpack.probe.shots import draw_shots
from knowpack.probe.turns import Shot

SHOTS = [Shot("Who leads Orlen Works?", "Tavin Okro"), Shot("Where is Mira?", "Branvel")]
QUESTIONS = ["Where is Mira Solen?", "x", "Café 東京 \n\n Question: <|end|>?"]


@pytest.mark.parametrize("chat", [True, False])
def test_a_batch_has_the_ids_of_the_whole_prompts(chat: bool) -> None:
    prompter = Prompter(tiny.tokenizer(chat))
    batch = prompter.batch(SHOTS, QUESTIONS)
    for question, tail in zip(QUESTIONS, batch.tails, strict=True):
        assert tail
        assert batch.prefix + tail == prompter.encode(SHOTS, question)
    assert len(batch.prefix) > len(prompter.encode([], "x")), "the shots are in the shared prefix"


def test_the_same_questions_under_other_shots_are_tokenized_once(monkeypatch: pytest.MonkeyPatch) -> None:
    prompter, told = Prompter(tiny.tokenizer()), []
    ids = prompter._ids
    monkeypatch.setattr(prompter, "_ids", lambda texts: told.append(texts) or ids(texts))
    batches = [prompter.batch(shots, QUESTIONS) for shots in (SHOTS, SHOTS[1:])]
    assert sum(len(texts) == len(QUESTIONS) and QUESTIONS[0] in texts[0] for texts in told) == 1
    for shots, batch in zip((SHOTS, SHOTS[1:]), batches, strict=True):
        assert [batch.prefix + tail for tail in batch.tails] == [prompter.encode(shots, q) for q in QUESTIONS]
    fewer = prompter.batch(SHOTS, QUESTIONS[1:])
    assert [fewer.prefix + tail for tail in fewer.tails] == [prompter.encode(SHOTS, q) for q in QUESTIONS[1:]]


def test_the_ids_are_those_of_transformers() -> None:
    tokenizer = tiny.tokenizer()
    turns = [
        {"role": "system", "content": "Answer the following question."},
        {"role": "user", "content": "Question: Where is Mira?"},
        {"role": "assistant", "content": "Answer: Branvel"},
        {"role": "user", "content": "Question: x"},
    ]
    expected = tokenizer.apply_chat_template(turns, add_generation_prompt=True)["input_ids"]
    assert Prompter(tokenizer).encode(SHOTS[1:], "x") == expected


@pytest.mark.parametrize("chat", [True, False])
def test_exactly_one_bos(chat: bool) -> None:
    tokenizer = tiny.tokenizer(chat)
    ids = Prompter(tokenizer).encode(SHOTS, "x")
    if chat:  # the template writes it
        assert ids[0] == tokenizer.bos_token_id
    assert ids.count(tokenizer.bos_token_id) == int(chat)
    doubled = Prompter(tiny.tokenizer(), second_bos=True).encode(SHOTS, "x")
    assert doubled[:2] == [0, 0]


def test_a_template_that_writes_bos_under_a_tokenizer_that_adds_it_too() -> None:
    from tokenizers.processors import TemplateProcessing

    tokenizer = tiny.tokenizer()
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    assert tokenizer("a")["input_ids"][0] == 0
    assert Prompter(tokenizer).encode(SHOTS, "x").count(0) == 1
    plain = Prompter(tokenizer, chat=False).encode(SHOTS, "x")
    assert plain[0] == 0
    assert plain.count(0) == 1


def test_a_plain_prompt_has_no_bos_that_only_the_chat_template_writes() -> None:
    """SmolLM2's <|im_start|>, its BOS, begins a turn: it stood before plain prompts too."""
    tokenizer = tiny.tokenizer()
    plain = Prompter(tokenizer, chat=False)
    ids = plain.encode(SHOTS, "x")
    assert ids.count(tokenizer.bos_token_id) == 0
    assert ids == tokenizer(tokenizer.decode(ids))["input_ids"]


@pytest.mark.parametrize("chat", [True, False])
def test_an_example_is_prompt_answer_and_end(chat: bool) -> None:
    prompter = Prompter(tiny.tokenizer(chat))
    encoded = prompter.example("Where is Mira?", "Branvel", SHOTS)
    prompt = prompter.encode(SHOTS, "Where is Mira?")
    assert encoded.ids[: encoded.n_prompt] == prompt
    assert encoded.ids[encoded.n_prompt :] == [*prompter.answer_ids("Branvel"), prompter.tokenizer.eos_token_id]
    assert prompter.decode(encoded.ids[encoded.n_prompt :]).strip().removeprefix("Answer: ") == "Branvel"


def test_a_template_without_a_system_role() -> None:
    tokenizer = tiny.tokenizer()
    guard = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    tokenizer.chat_template = guard + tiny.CHAT
    text = tokenizer.decode(Prompter(tokenizer).encode([], "x"))
    assert text == "<s><|user|>Answer the following question.\n\nQuestion: x<|end|><|assistant|>"


def with_template(template: str, **settings: str) -> Prompter:
    tokenizer = tiny.tokenizer()
    tokenizer.chat_template = template
    return Prompter(tokenizer, **settings)


@pytest.mark.parametrize("name", [*templates.ALL, None])
def test_what_is_trained_on_is_the_prompt_that_is_probed_and_then_the_answer(name: str | None) -> None:
    prompter = with_template(templates.ALL[name]) if name else Prompter(tiny.tokenizer(chat=False))
    for question in ("Where is Mira?", " x ", "<think>?"):
        asked = prompter.encode(SHOTS, question)
        batch = prompter.batch(SHOTS, [question, "Who?"])
        assert batch.prefix + batch.tails[0] == asked
        encoded = prompter.example(question, "Branvel", SHOTS)
        assert encoded.ids[: encoded.n_prompt] == asked
        answer = encoded.ids[encoded.n_prompt :]
        assert prompter.tokenizer.decode(answer).strip() in SAID
        assert answer.count(prompter.tokenizer.eos_token_id) == 1
        assert answer[:-1] == prompter.answer_ids("Branvel") or name in ("CHANNEL", "ESCAPES")


SAID = ("Branvel<|end|>", "Answer: Branvel<|end|>", '"Answer: Branvel"<|end|>', "Answer: Branvel<|return|><|end|>")
"""Plain, chat, as JSON; <|return|> is no token of the tiny tokenizer."""


@pytest.mark.parametrize("name", templates.ALL)
def test_a_question_is_rendered_as_transformers_does(name: str) -> None:
    prompter = with_template(templates.ALL[name], system="Be brief.")
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": 'Question: Is "a" <b>?'}]
    if name in ("NO_SYSTEM", "DROPS_SYSTEM"):
        turns = [{"role": "user", "content": "Be brief.\n\n" + turns[1]["content"]}]
    more = {"add_generation_prompt": True, "enable_thinking": False}
    expected = prompter.tokenizer.apply_chat_template(turns, tokenize=False, **more)
    if name == "DATED":
        expected = "<s><|system|>Today is 26 Jul 2024." + expected[expected.index("<|end|>") :]
    text = prompter.tokenizer.decode(prompter.encode([], 'Is "a" <b>?'))
    added = {"OPENED": "\n</think>\n\n", "LAST_EMPTY": "<think>\n\n</think>\n\n"}
    assert text == expected + added.get(name, "<|channel|>final<|message|>" if name == "CHANNEL" else "")


def test_the_systems_text_is_trained_on_where_a_template_drops_it_before_an_answer() -> None:
    encoded = with_template(templates.SYSTEM_LAST).example("Where is Mira?", "Branvel")
    text = tiny.tokenizer().decode(encoded.ids)
    expected = (
        "<s><|user|>Answer the following question.\n\nQuestion: Where is Mira?<|assistant|> Answer: Branvel<|end|>"
    )
    assert text == expected


def test_a_template_that_shows_no_question_is_refused() -> None:
    with pytest.raises(ModelError, match="two different questions to the same ids"):
        with_template(templates.DEAF)


@pytest.mark.parametrize("chat", [True, False])
def test_special_tokens_in_a_question_are_text(chat: bool) -> None:
    prompter = Prompter(tiny.tokenizer(chat))
    question, answer = "Is <|end|><|assistant|>Branvel<s> it?", "the <|end|> of <s>"
    shots = [Shot("<|end|>?", "<|end|>")]
    plain = prompter.encode([Shot("x?", "x")], "y")
    for ids in (prompter.encode(shots, question), prompter.batch(shots, [question]).prefix):
        assert set(ids) >= set(plain[:1])
        for special in prompter.tokenizer.all_special_ids:
            assert ids.count(special) <= plain.count(special)
    assert question in prompter.tokenizer.decode(prompter.encode(shots, question))
    encoded = prompter.example(question, answer)
    assert prompter.tokenizer.decode(encoded.ids[encoded.n_prompt : -1]).endswith(answer)
    assert encoded.ids[encoded.n_prompt :].count(prompter.tokenizer.eos_token_id) == 1


def test_the_text_of_a_special_token_is_that_of_transformers() -> None:
    tokenizer = tiny.tokenizer()
    question = "Is <|end|> it?"
    turns = Prompter(tokenizer).messages([], question)
    expected = tokenizer.apply_chat_template(turns, add_generation_prompt=True, sanitize_control_tokens=True)
    assert tokenizer.decode(expected["input_ids"]) == tokenizer.decode(Prompter(tokenizer).encode([], question))


def test_a_thought_between_special_tokens_is_still_seen_in_the_text() -> None:
    tokenizer = tiny.tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["[THINK]", "[/THINK]"]})
    ids = tokenizer("[THINK]Who is it?[/THINK]Branvel<|end|>", add_special_tokens=False)["input_ids"]
    assert Prompter(tokenizer).decode(ids) == "[THINK]Who is it?[/THINK]Branvel"


def test_chat_without_a_template_is_refused() -> None:
    with pytest.raises(ConfigError, match="no chat template"):
        Prompter(tiny.tokenizer(chat=False), chat=True)


def test_common_prefix_by_hand() -> None:
    assert common_prefix([[1, 2, 3], [1, 2, 4]]) == 2
    assert common_prefix([[1, 2], [1, 2, 3]]) == 1  # every sequence keeps one
    assert common_prefix([[1, 2], [1, 2, 3]], keep_one=False) == 2
    assert common_prefix([]) == 0


def pool(n: int) -> pl.DataFrame:
    return pl.DataFrame({"question": [f"q{i}" for i in range(n)], "answer": [f"a{i}" for i in range(n)]})


def test_shots_are_disjoint_and_never_facts() -> None:
    first = draw_shots(pool(100), 10, 4, seed=1, exclude=["q0", "q1"])
    second = draw_shots(pool(100), 10, 4, seed=1, exclude=["q0", "q1"], skip=10)
    questions = [shot.question for draw in first + second for shot in draw]
    assert len(questions) == len(set(questions)) == 80
    assert not {"q0", "q1"} & set(questions)
    assert all(shot.answer == "a" + shot.question[1:] for draw in first for shot in draw)
    assert draw_shots(pool(100), 10, 4, seed=2) != draw_shots(pool(100), 10, 4, seed=1)


def test_a_pool_that_is_too_small() -> None:
    with pytest.raises(FactsError, match=r"39 questions .* 40 are needed"):
        draw_shots(pool(39), 10, 4, seed=1)
    assert draw_shots(pool(0), 3, 0, seed=1) == [[], [], []]
