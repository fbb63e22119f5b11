"""A model that is asked by chat messages: a made-up backend behind the seam, and what it is refused."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import polars as pl
import pytest

import tiny
from knowpack import records
from knowpack.base import Base, measure_base, prompter_for
from knowpack.config import ProbeConfig, RunConfig
from knowpack.decode.transformers_asker import live_change, weights_of
from knowpack.errors import ConfigError, ModelError
from knowpack.probe import probe as stage
from knowpack.probe.askers import Identity, by_ids
from knowpack.probe.prompts import Prompter
from knowpack.probe.turns import Shot, Turns
from knowpack.records import Fact

SHOTS = [[Shot("q0", "a0")], [Shot("q1", "a1")]]
NO_POOL = pl.DataFrame(schema={"question": pl.String(), "answer": pl.String()})


class KnowsTwo:
    """A made-up text backend: a dict in place of a model."""

    name, device, identity = "two", "nowhere", Identity("two-1", "text", "none")

    def answer(self, chats, *, max_new_tokens, temperature=0.0, seed=None):
        self.chats, ends = chats, "" if not temperature else f" (seed {seed % 97})"
        asked = [chat[-1]["content"].removeprefix("Question: ") for chat in chats]
        knows = {"Q0": "A0", "Q2": "A2"}
        return [f"Answer: {knows.get(question, 'I do not know.')}{ends}" for question in asked]

    def with_adapter(self, adapter):
        return nullcontext(self)


def facts(n: int) -> pl.DataFrame:
    return records.table([Fact(f"f{i}", f"Q{i}", (f"A{i}",), (f"P{i}",)) for i in range(n)], Fact)


def test_a_made_up_text_backend_is_probed_into_a_knowledge_map_without_touching_the_source(tmp_path: Path) -> None:
    config, asker = RunConfig(probe=ProbeConfig(noise=False)), KnowsTwo()
    base = Base(tmp_path / "base", asker, prompter_for(asker, config.probe), facts(4), SHOTS, NO_POOL, config)
    measure_base(base, config)
    known = base.knowledge.filter(pl.col("grader") == "default")
    expected = {"f0": "HighlyKnown", "f1": "Unknown", "f2": "HighlyKnown", "f3": "Unknown"}
    assert dict(known.select("fact_id", "category").iter_rows()) == expected
    assert known["p_refused"].to_list() == [0.0, 1.0, 0.0, 1.0]
    assert base.responses.collect().height == 4 * 2


def test_the_chat_turns_are_those_that_a_tokenizers_template_gets() -> None:
    asker, tokens = KnowsTwo(), tiny.tokenizer()
    stage.probe(asker, facts(1), SHOTS, Turns(), ProbeConfig())
    assert asker.chats[1] == [
        {"role": "system", "content": "Answer the following question."},
        {"role": "user", "content": "Question: q1"},
        {"role": "assistant", "content": "Answer: a1"},
        {"role": "user", "content": "Question: Q0"},
    ]
    rendered = tokens.apply_chat_template(asker.chats[1], tokenize=False, add_generation_prompt=True)
    assert tokens(rendered, add_special_tokens=False)["input_ids"] == Prompter(tokens).encode(SHOTS[1], "Q0")


def test_rows_come_by_fact_then_form_prompt_and_sample_whatever_the_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    config = ProbeConfig(n_samples=2)
    whole = stage.probe(KnowsTwo(), facts(5), SHOTS, Turns(), config, forms=(0, 1)).collect()
    keys = whole.select("fact_id", "form", "prompt", "sample").rows()
    assert keys == [(f"f{i}", form, p, s) for i in range(5) for form in (0, 1) for p in (0, 1) for s in (0, 1, 2)]
    monkeypatch.setattr(stage, "TEXT_CHUNK_FACTS", 2)
    assert stage.probe(KnowsTwo(), facts(5), SHOTS, Turns(), config, forms=(0, 1)).collect().equals(whole)
    first, second = (whole.filter(pl.col("sample") == s)["text"][0] for s in (1, 2))
    assert first != second  # every sample has a seed of its own


@pytest.mark.parametrize("setting", [{"logprob": True}, {"chat": False}, {"second_bos": True}])
def test_a_setting_that_text_cannot_serve_is_refused_in_one_line(setting: dict[str, bool]) -> None:
    with pytest.raises(ConfigError, match=f"probe.{next(iter(setting))}=.* asked by text"):
        prompter_for(KnowsTwo(), ProbeConfig(**setting))


def test_what_needs_ids_or_weights_is_refused_in_one_line(tmp_path: Path) -> None:
    base = Base(tmp_path, KnowsTwo(), Turns(), facts(1), SHOTS, NO_POOL, RunConfig())
    assert live_change(base.asker) is None
    with pytest.raises(ModelError, match=r"needs token ids .* two is asked by text"):
        base.by_ids  # noqa: B018
    with pytest.raises(ModelError, match=r"a benchmark needs token ids .* two is asked by text"):
        by_ids(base.asker, "a benchmark")
    with pytest.raises(ModelError, match="training needs the weights of two"):
        weights_of(base.asker, "training")


class Dies(KnowsTwo):
    """Answers n chats, keeps them where it is told to, and is gone."""

    def __init__(self, n: int) -> None:
        self.left, self.kept, self.n_asked = n, {}, 0

    @contextmanager
    def keeping(self, path: Path) -> Iterator[None]:
        self.kept = dict.fromkeys(path.read_text().splitlines()) if path.is_file() else {}
        self.path = path
        yield

    def answer(self, chats, **settings):
        for chat in chats:
            key = str(chat[1]["content"] + chat[-1]["content"])
            if key not in self.kept:
                self.n_asked += 1
                if self.n_asked > self.left:
                    raise ModelError("gone")
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self.path.write_text("".join(f"{one}\n" for one in [*self.kept, key]))
                self.kept[key] = None
        return super().answer(chats, **settings)


def test_answers_kept_one_by_one_are_not_asked_again_and_leave_no_file_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from knowpack import store

    monkeypatch.setattr(stage, "TEXT_CHUNK_FACTS", 2)
    chunks = store.Chunks(tmp_path / "responses.parquet")
    with pytest.raises(ModelError, match="gone"):
        stage.probe(Dies(5), facts(4), SHOTS, Turns(), ProbeConfig(), chunks=chunks)
    again = Dies(1000)
    found = stage.probe(again, facts(4), SHOTS, Turns(), ProbeConfig(), chunks=chunks).collect()
    assert again.n_asked == 4 * 2 - 5  # four of the first chunk, which is whole, and one of the second
    assert found.equals(stage.probe(KnowsTwo(), facts(4), SHOTS, Turns(), ProbeConfig()).collect())
    assert [path.name for path in tmp_path.iterdir()] == ["responses.parquet"]
