"""The probe on a fake decoder that answers from a dict; expected rows are written out by hand."""

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest
import torch

import tiny
from knowpack import records, store
from knowpack.config import ProbeConfig
from knowpack.decode.decoder import Decoder
from knowpack.errors import FactsError
from knowpack.model.loaded import Loaded, weights_hash
from knowpack.probe import probe as stage
from knowpack.probe.prompts import Batch, Prompter
from knowpack.probe.turns import Shot
from knowpack.records import Fact, Response

SHOTS = [[Shot("q0", "a0")], [Shot("q1", "a1")]]


class Score(NamedTuple):
    logprob: float


class KilledError(Exception):
    """Stands for SIGKILL."""


class FakePrompter:
    """One id a character: the prefix is the shots, the tail the question."""

    chat = True

    def batch(self, shots: list[Shot], questions: list[str]) -> Batch:
        return Batch([ord(c) for c in shots[0].question], [[ord(c) for c in question] for question in questions])

    def continuation(self, text: str) -> list[int]:
        return [ord(c) for c in text]

    answer_ids = continuation

    def decode(self, ids: list[int]) -> str:
        return "".join(map(chr, ids))


class FakeDecoder(tiny.OnePromptAtATime):
    """Answers by `says(prompt, question)`; remembers what it was given."""

    def __init__(self, says: Callable[[str, str], str], dies_at: int | None = None) -> None:
        self.says, self.dies_at = says, dies_at
        self.drafts: list[list[str | None] | None] = []
        self.seeds: list[int] = []
        self.asked: list[str] = []

    def generate(self, prefix, tails, *, max_new_tokens, drafts=None, temperature=0.0, seed=None, until=None):
        if self.dies_at is not None and len(self.drafts) >= self.dies_at:
            raise KilledError
        text = FakePrompter().decode
        self.drafts.append(drafts and [draft and text(draft) for draft in drafts])
        if temperature > 0:
            self.seeds.append(seed)
        self.asked += [text(tail) for tail in tails]
        end = f" #{len(self.seeds)}" if temperature > 0 else ""
        return [[ord(c) for c in self.says(text(prefix), text(tail)) + end] for tail in tails]

    def logprobs(self, prefix, tails, continuations):
        return [Score(-float(len(continuation))) for continuation in continuations]


def echo(prompt: str, question: str) -> str:
    return f"{question} under {prompt}"


def facts(n: int) -> pl.DataFrame:
    return records.table([Fact(f"f{i}", f"Q{i}", (f"A{i}",)) for i in range(n)], Fact)


def ask(decoder: FakeDecoder, table: pl.DataFrame, config: ProbeConfig | None = None, **options) -> pl.DataFrame:
    return stage.probe(decoder, table, SHOTS, FakePrompter(), config or ProbeConfig(), **options).collect()


def test_rows_come_by_fact_then_form_prompt_and_sample() -> None:
    table = records.table([Fact("b", "Q1", ("A",), ("P1",)), Fact("a", "Q2", ("A",), ("P2",))], Fact)
    found = ask(FakeDecoder(echo), table, ProbeConfig(n_samples=1), forms=(0, 1))
    keys = found.select("fact_id", "form", "prompt", "sample").rows()
    assert keys == [(f, form, p, s) for f in "ba" for form in (0, 1) for p in (0, 1) for s in (0, 1)]
    assert found.schema == records.schema(Response)
    assert found["text"][0] == "Q1 under q0"


def test_raw_text_is_kept_unstripped() -> None:
    assert ask(FakeDecoder(lambda p, q: "  Answer: A0\n\nnoise "), facts(1))["text"][0] == "  Answer: A0\n\nnoise "


def test_both_graders_are_stored_and_us_is_found_in_museum_by_the_papers_only() -> None:
    table = records.table([Fact("f", "Q", ("us",))], Fact)
    found = ask(FakeDecoder(lambda p, q: "A museum, for information"), table)
    assert found["matched_default"].to_list() == [None, None]
    assert found["matched_paper"].to_list() == ["us", "us"]
    assert found["refused_paper"].to_list() == [True, True]  # the word "information", right or wrong
    assert found["refused_default"].to_list() == [False, False]


def test_killed_probe_goes_on_at_the_next_chunk_and_ends_byte_for_byte_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "CHUNK_FACTS", 3)
    whole, torn = store.Chunks(tmp_path / "whole.parquet"), store.Chunks(tmp_path / "torn.parquet")
    never = ask(FakeDecoder(echo), facts(10), chunks=whole)
    with pytest.raises(KilledError):  # two calls a chunk: dies within the third chunk
        ask(FakeDecoder(echo, dies_at=5), facts(10), chunks=torn)
    assert torn.done() == 2
    again = FakeDecoder(echo)
    resumed = ask(again, facts(10), chunks=torn)
    assert set(again.asked) == {"Q6", "Q7", "Q8", "Q9"}  # the finished six are not asked again
    assert resumed.equals(never)
    assert torn.path.read_bytes() == whole.path.read_bytes()


@pytest.mark.parametrize("size", [1, 4, 100])
def test_the_chunks_size_changes_no_row(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = ask(FakeDecoder(echo), facts(7))
    monkeypatch.setattr(stage, "CHUNK_FACTS", size)
    assert ask(FakeDecoder(echo), facts(7)).equals(expected)


class Slow(FakeDecoder):
    """One that gives eight answers a minute, and tells of each."""

    answers_a_minute = 8

    def generate_each(self, asked, *, finished, **options):
        found = super().generate_each(asked, **options)
        for _ in range(sum(map(len, found))):
            finished()
        return found


def test_answers_are_written_before_a_minute_is_over_and_the_bar_moves_with_each(tmp_path: Path) -> None:
    chunks, told = store.Chunks(tmp_path / "answers.parquet"), list[tuple[str, int | None]]()

    class Told:
        @contextmanager
        def stage(self, label: str, total: int | None) -> Iterator[Callable[[int], None]]:
            told.append((label, total))
            yield lambda n: told.append(("", n)) if n else None

    with pytest.raises(KilledError):  # 6 answers in .75 minutes, 3 facts under 2 prompts
        ask(Slow(echo, dies_at=5), facts(10), chunks=chunks, progress=Told())
    assert chunks.done() == 2
    assert told == [("probe: answers", 20), *[("", 1)] * 15]  # and 3 of the chunk that was lost
    told.clear()
    fast = Slow(echo)
    fast.answers_a_minute = 1000  # another device: the parts keep their size
    resumed = ask(fast, facts(10), chunks=chunks, progress=Told())
    assert told == [("probe: answers", 8), *[("", 1)] * 8]
    assert resumed.equals(ask(FakeDecoder(echo), facts(10)))


def test_samples_do_not_depend_on_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = tiny.tokenizer()
    model = tiny.llama(len(tokens))
    loaded = Loaded(model, tokens, "tiny", torch.device("cpu"), weights_hash(model))
    config = ProbeConfig(n_samples=2, temperature=2.0, max_new_tokens=6)
    texts = []
    for size in (1024, 2):
        monkeypatch.setattr(stage, "CHUNK_FACTS", size)
        found = stage.probe(Decoder(loaded), tiny.facts(5), SHOTS, Prompter(tokens), config).collect()
        texts.append(found["text"].to_list())
    assert texts[0] == texts[1]


def test_memory_does_not_grow_with_the_facts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "CHUNK_FACTS", 1000)

    def peak(n: int, attempt: int) -> int:
        """Bytes that Python held at most; what else happens in the process (caches, late garbage) only ever adds."""
        table = facts(n).with_columns(answers=pl.lit(["A"], dtype=pl.List(pl.String)))
        chunks = store.Chunks(tmp_path / f"{n}-{attempt}.parquet")
        gc.collect()
        tracemalloc.start()
        stage.probe(ForgetfulDecoder(), table, SHOTS, FakePrompter(), ProbeConfig(), chunks=chunks)
        try:
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few, many = (min(peak(n, attempt) for attempt in range(3)) for n in (2000, 10_000))
    assert many < 1.15 * few


class ForgetfulDecoder(tiny.OnePromptAtATime):
    def generate(self, prefix, tails, **options):
        return [[65]] * len(tails)


def test_the_last_answer_is_the_next_draft() -> None:
    decoder = FakeDecoder(echo)
    ask(decoder, facts(2))
    assert decoder.drafts == [[None, None], ["Q0 under q0", "Q1 under q0"]]


@pytest.mark.parametrize(("n_prompts", "expected"), [(1, [1]), (2, [1, 1]), (10, [1, 9]), (40, [1, 15, 15, 9])])
def test_the_first_prompt_is_asked_alone_and_few_prefixes_are_in_memory_at_once(
    n_prompts: int, expected: list[int]
) -> None:
    waves: list[int] = []

    class Counting(FakeDecoder):
        def generate_each(self, asked, **options):
            waves.append(len(asked))
            return super().generate_each(asked, **options)

    shots = [[Shot(f"q{i}", "a")] for i in range(n_prompts)]
    answers = stage.probe(Counting(echo), facts(3), shots, FakePrompter(), ProbeConfig()).collect()
    assert waves == expected
    assert answers["prompt"].to_list() == [*range(n_prompts)] * 3


def test_the_other_model_is_the_draft_until_it_was_wrong() -> None:
    told = ask(FakeDecoder(lambda p, q: f"{q} once"), facts(2))
    decoder = FakeDecoder(lambda p, q: f"{q} once" if q == "Q0" else "new")
    ask(decoder, facts(2), drafts=told)
    assert decoder.drafts == [["Q0 once", "Q1 once"], ["Q0 once", "new"]]


def test_drafts_of_a_lazy_table_and_of_other_facts_do_no_harm() -> None:
    told = ask(FakeDecoder(lambda p, q: "x"), facts(5)).lazy()
    decoder = FakeDecoder(echo)
    found = ask(decoder, facts(2), drafts=told)
    assert decoder.drafts[0] == ["x", "x"]
    assert found.equals(ask(FakeDecoder(echo), facts(2)))


def test_drafts_can_be_switched_off() -> None:
    decoder = FakeDecoder(echo)
    ask(decoder, facts(2), ProbeConfig(drafts=False))
    assert decoder.drafts == [None, None]


def test_every_prompt_and_sample_has_a_seed_of_its_own_and_keeps_it() -> None:
    one, two, other = (FakeDecoder(echo) for _ in range(3))
    found = ask(one, facts(2), ProbeConfig(n_samples=3))
    ask(two, facts(2), ProbeConfig(n_samples=3))
    ask(other, facts(2), ProbeConfig(n_samples=3, shots_seed=1))
    assert len(set(one.seeds)) == 6  # 2 prompts x 3 samples
    assert one.seeds == two.seeds
    assert not set(one.seeds) & set(other.seeds)
    assert found.filter(pl.col("sample") == 0).height == 4
    assert found.filter(pl.col("sample") > 0).height == 12


def test_logprob_is_of_the_canonical_answer_and_null_where_not_measured() -> None:
    table = records.table([Fact("f", "Q", ("four", "4"))], Fact)
    measured = ask(FakeDecoder(echo), table, ProbeConfig(logprob=True, n_samples=1))
    assert measured["logprob"].to_list() == [-4.0, None, -4.0, None]  # greedy rows only
    assert ask(FakeDecoder(echo), table)["logprob"].to_list() == [None, None]


def test_minus_one_asks_the_last_wording_and_leaves_out_facts_that_have_none() -> None:
    table = records.table(
        [Fact("a", "Q1", ("A",), ("one", "two", "three")), Fact("b", "Q2", ("A",)), Fact("c", "Q3", ("A",), ("uno",))],
        Fact,
    )
    found = ask(FakeDecoder(echo), table, forms=(-1, -2))
    assert found.filter(pl.col("prompt") == 0).select("fact_id", "form", "text").rows() == [
        ("a", 2, "two under q0"),
        ("a", 3, "three under q0"),
        ("c", 1, "uno under q0"),
    ]


def test_no_wording_at_all_gives_an_empty_table_not_an_error() -> None:
    assert ask(FakeDecoder(echo), facts(2), forms=(1,)).schema == records.schema(Response)


@pytest.mark.parametrize(("n", "shots", "forms"), [(0, SHOTS, (0,)), (1, [], (0,)), (1, SHOTS, ())])
def test_nothing_to_ask_is_an_error(n: int, shots: list, forms: tuple[int, ...]) -> None:
    with pytest.raises(FactsError, match="nothing to ask"):
        stage.probe(FakeDecoder(echo), facts(n), shots, FakePrompter(), ProbeConfig(), forms=forms)


def test_regrade_reads_the_same_text_by_new_aliases() -> None:
    said = ask(FakeDecoder(lambda p, q: "It is Paname."), records.table([Fact("f", "Q", ("Paris",))], Fact))
    again = stage.regrade(said, records.table([Fact("f", "Q", ("Paris", "Paname"))], Fact))
    assert said["matched_default"].to_list() == [None, None]
    assert again["matched_default"].to_list() == ["Paname", "Paname"]
    assert again.schema == said.schema
    assert again["text"].equals(said["text"])


def test_the_real_decoder_samples_again_the_same_and_scores_the_answer_after_the_prompt() -> None:
    tokens = tiny.tokenizer()
    model = tiny.llama(len(tokens))
    loaded = Loaded(model, tokens, "tiny", torch.device("cpu"), weights_hash(model))
    prompter, table = Prompter(tokens), tiny.facts(5)
    config = ProbeConfig(n_samples=2, temperature=2.0, logprob=True, max_new_tokens=6)
    one, two = (stage.probe(Decoder(loaded), table, SHOTS, prompter, config).collect() for _ in range(2))
    assert one.equals(two)
    plain = stage.probe(Decoder(loaded), table, SHOTS, prompter, ProbeConfig(drafts=False, max_new_tokens=6))
    greedy = one.filter(pl.col("sample") == 0)
    undrafted = plain.collect()
    assert greedy.drop("logprob", "answer_logprob").equals(undrafted.drop("logprob", "answer_logprob"))
    assert greedy["answer_logprob"].to_list() == pytest.approx(undrafted["answer_logprob"].to_list(), abs=1e-4)
    assert one.filter(pl.col("sample") == 1)["text"].to_list() != one.filter(pl.col("sample") == 2)["text"].to_list()
    second = records.rows(greedy.filter(pl.col("prompt") == 1), Response)
    for fact, said in zip(records.rows(table, Fact), second, strict=True):
        ids, answer = prompter.encode(SHOTS[1], fact.question), prompter.answer_ids(fact.answers[0])
        with torch.no_grad():
            logits = model(torch.tensor([ids + answer])).logits[0, len(ids) - 1 : -1].double()
        expected = logits.log_softmax(-1).gather(-1, torch.tensor(answer)[:, None]).sum()  # (answer,)
        assert said.logprob == pytest.approx(float(expected), abs=1e-4)
