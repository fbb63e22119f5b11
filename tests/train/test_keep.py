"""The parts of the keep recipe against plain transformers and hand arithmetic, on random models."""

import copy
import math
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from knowpack.config import KeepRecipe, TrainConfig
from knowpack.errors import ModelError
from knowpack.model.loaded import Loaded
from knowpack.model.merge import merged
from knowpack.probe.prompts import Prompter
from knowpack.probe.turns import Shot
from knowpack.records import Example, table
from knowpack.seeds import stream
from knowpack.train import lora
from knowpack.train.base_answers import BaseAnswer, Replay, ReplaySampler, build, divergence
from knowpack.train.batch import Row
from knowpack.train.certainty import NewFacts
from knowpack.train.contexts import Contexts
from knowpack.train.frozen import fast_training
from knowpack.train.keep import worded
from knowpack.train.lower import Logits
from knowpack.train.objective import Term, TermInput
from knowpack.train.shared import answer_logits, places, same_logits
from knowpack.train.train import TrainResult, train

SIZE = {"vocab_size": 64, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4}
WIDE = {**SIZE, "intermediate_size": 32, "max_position_embeddings": 64}
CONFIGS = {
    "llama": transformers.LlamaConfig(**WIDE, num_key_value_heads=2),
    "mistral": transformers.MistralConfig(**WIDE, num_key_value_heads=2, sliding_window=6),
    "qwen": transformers.Qwen2Config(**WIDE, num_key_value_heads=2),
    "neox": transformers.GPTNeoXConfig(**WIDE),
    "gemma2": transformers.Gemma2Config(**WIDE, num_key_value_heads=2, head_dim=4),  # caps its logits
}


@pytest.mark.parametrize("kind", CONFIGS)
def test_shared_context_gives_the_logits_of_whole_rows(kind: str) -> None:
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(CONFIGS[kind]).eval()
    context = [3, 4, 5, 6, 7, 8, 9, 10, 11]
    rows = [Row((1, 2, 3, 4, 5), 3), Row((9, 8, 7), 1)]
    whole = [model(input_ids=torch.tensor([context + list(row.ids)])).logits[0] for row in rows]
    # targets 4, 5 after places 2, 3 of the first row; 8, 7 after places 0, 1 of the second
    expected = torch.stack([whole[0][9 + 2], whole[0][9 + 3], whole[1][9 + 0], whole[1][9 + 1]])
    torch.testing.assert_close(answer_logits(model, context, rows), expected, atol=1e-5, rtol=0)
    alone = torch.stack([model(input_ids=torch.tensor([row.ids])).logits[0, row.n_prompt - 1] for row in rows])
    torch.testing.assert_close(answer_logits(model, (), rows)[[0, 2]], alone, atol=1e-5, rtol=0)
    assert places(rows).targets.tolist() == [4, 5, 8, 7]


def test_gradients_flow_through_the_context() -> None:
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(CONFIGS["llama"])
    rows, context = [Row((1, 2, 3), 1), Row((4, 5), 1)], [7, 8, 9]
    answer_logits(model, context, rows).sum().backward()
    shared = model.get_input_embeddings().weight.grad[context].clone()
    model.zero_grad()
    for row in rows:
        ids = torch.tensor([context + list(row.ids)])
        model(input_ids=ids).logits[0, 2 + row.n_prompt : 2 + len(row.ids)].sum().backward()
    torch.testing.assert_close(shared, model.get_input_embeddings().weight.grad[context], atol=1e-4, rtol=1e-3)


def test_divergence_by_hand_with_all_tokens_and_with_the_rest_as_one() -> None:
    base, adapted = torch.tensor([[0.7, 0.2, 0.1]]), torch.tensor([[0.5, 0.3, 0.2]])
    whole = BaseAnswer(Row((0, 1), 1), torch.tensor([[0, 1, 2]]), base.log())
    kl = 0.7 * math.log(0.7 / 0.5) + 0.2 * math.log(0.2 / 0.3) + 0.1 * math.log(0.1 / 0.2)
    assert divergence(adapted.log(), [whole]).item() == pytest.approx(kl, abs=1e-6)
    top = BaseAnswer(Row((0, 1), 1), torch.tensor([[0]]), base[:, :1].log())
    lumped = 0.7 * math.log(0.7 / 0.5) + 0.3 * math.log(0.3 / 0.5)
    assert divergence(adapted.log(), [top]).item() == pytest.approx(lumped, abs=1e-6)


def test_divergence_is_zero_where_nothing_changed() -> None:
    logits = torch.randn(3, 10)
    held = BaseAnswer(
        Row((0, 1, 1, 1), 1),
        *(x if x.is_floating_point() else x.int() for x in reversed(logits.log_softmax(-1).topk(4))),
    )
    assert divergence(logits, [held]).tolist() == pytest.approx([0.0] * 3, abs=1e-5)


@pytest.mark.parametrize("kind", ["llama", "qwen"])
def test_gradients_of_packed_rows_are_those_of_whole_ones(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first place is read by the first row, and stands again as a spare one: its gradient must count once."""
    monkeypatch.setattr("knowpack.train.shared.rounded", lambda n: -(-n // 16) * 16)
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(CONFIGS[kind])
    context, rows = (7, 8, 9), [Row((1, 2, 3, 4, 5), 1), Row((9, 8, 7, 6), 3)]
    found = []
    with lora.adapted(model, TrainConfig(rank=3, alpha=6), 1) as tuned:
        for name, weight in tuned.named_parameters():
            if "lora_B" in name:
                weight.data.normal_(0, 0.1)
        whole = [tuned(input_ids=torch.tensor([[*context, *row.ids]])).logits[0] for row in rows]
        read = torch.cat([one[2 + row.n_prompt : -1] for one, row in zip(whole, rows, strict=True)])
        for logits in (read, answer_logits(tuned, context, rows)):
            logits.square().sum().backward()
            found.append([weight.grad.clone() for weight in lora.weights(tuned)])
            tuned.zero_grad()
    for expected, packed in zip(*found, strict=True):
        torch.testing.assert_close(packed, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("library")
def test_a_layer_with_lora_as_one_function_has_the_gradients_of_peft() -> None:
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(CONFIGS["llama"])
    rows = [Row(tuple(int(i) for i in torch.randint(0, 64, (9,))), 2) for _ in range(5)]
    found = []
    with lora.adapted(model, TrainConfig(rank=3, alpha=6), 1) as tuned:
        for name, weight in tuned.named_parameters():
            if "lora_B" in name:
                weight.data.normal_(0, 0.1)
        for fast in (False, True):
            with fast_training(tuned) if fast else nullcontext():
                loss = answer_logits(tuned, (7, 8, 9), rows).square().sum()
            loss.backward()
            found.append([loss.detach(), *(weight.grad.clone() for weight in lora.weights(tuned))])
            tuned.zero_grad()
    assert len(found[0]) == 1 + 2 * 3 * 2  # A and B of three layers in two blocks
    for plain, fast in zip(*found, strict=True):
        torch.testing.assert_close(fast, plain, rtol=1e-4, atol=1e-4)


def test_beside_weights_in_bfloat16_gradients_round_no_more_than_pefts() -> None:
    """Both against float32 arithmetic of the same rounded weights."""
    torch.manual_seed(0)
    half = transformers.AutoModelForCausalLM.from_config(CONFIGS["llama"]).to(torch.bfloat16)
    full = copy.deepcopy(half).float()
    rows = [Row(tuple(int(i) for i in torch.randint(0, 64, (9,))), 2) for _ in range(40)]
    found = []
    for model, fast in ((full, False), (half, False), (half, True)):
        with lora.adapted(model, TrainConfig(rank=3, alpha=6), 1) as tuned:
            torch.manual_seed(1)
            for name, weight in tuned.named_parameters():
                if "lora_B" in name:
                    weight.data.normal_(0, 0.1)
            with fast_training(tuned) if fast else nullcontext():
                answer_logits(tuned, (7, 8, 9), rows).square().sum().backward()
            assert all(weight.dtype == torch.float32 for weight in lora.weights(tuned))
            found.append(torch.cat([weight.grad.flatten() for weight in lora.weights(tuned)]))
    exact, by_peft, ours = found
    assert not torch.equal(ours, by_peft)  # another way was taken
    assert (ours - exact).norm() < 1.2 * (by_peft - exact).norm()
    assert (by_peft - exact).norm() < 0.05 * exact.norm()


@pytest.mark.parametrize(("by_question", "share"), [(1.0, 1.0), (0.5, 0.5 + 0.5 / 4), (0.0, 1 / 4)])
def test_the_question_is_drawn_as_often_as_asked(by_question: float, share: float) -> None:
    mine, rng = [Row((n, 0), 1) for n in range(4)], stream(0, "test")
    told = [worded(mine, by_question, rng).ids[0] for _ in range(4000)]
    assert abs(told.count(0) / 4000 - share) < 4 * 0.5 / math.sqrt(4000)  # four standard errors
    assert set(told) == ({0} if by_question == 1 else {0, 1, 2, 3})


def test_the_checked_wording_is_trained_only_while_the_rate_falls() -> None:
    first, second, checked = (Row((n, 0), 1) for n in range(3))
    several = NewFacts(trained=(((first, second),),), checked=((checked,),))
    assert several.rows(0, 0, falling=False) == (first, second)
    assert several.rows(0, 0, falling=True) == (first, second, checked)
    one = NewFacts(trained=(((first,),),), checked=((first,),))
    assert one.rows(0, 0, falling=True) == one.rows(0, 0, falling=False) == (first,)


@pytest.mark.parametrize("kind", CONFIGS)
def test_layers_below_the_adapter_are_computed_once_and_nothing_else_changes(kind: str) -> None:
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(CONFIGS[kind])
    rows = [Row(tuple(int(i) for i in torch.randint(0, 64, (n,))), 2) for n in (9, 6, 9, 4)]
    with lora.adapted(model, TrainConfig(rank=3, alpha=6, from_layer=0.5), 1) as tuned:
        for name, weight in tuned.named_parameters():
            if "lora_B" in name:
                weight.data.normal_(0, 0.1)
        found = []
        once = Logits(tuned, first=1)
        for ask in (lambda: answer_logits(tuned, (7, 8, 9), rows), *[lambda: once((7, 8, 9), rows)] * 2):
            logits = ask()
            logits.square().sum().backward()
            found.append([logits.detach(), *(weight.grad.clone() for weight in lora.weights(tuned))])
            tuned.zero_grad()
        seen: list[int] = []
        below = tuned.get_base_model().base_model
        layers = getattr(below, "layers")  # noqa: B009
        layers[0].mlp.register_forward_hook(lambda *_: seen.append(0))
        once((7, 8, 9), rows)
        assert bool(seen) != once.skips
    assert once.skips == (kind != "gemma2")  # which caps its scores and scales its embeddings
    for plain, first, again in zip(*found, strict=True):
        torch.testing.assert_close(first, plain, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(again, plain, rtol=1e-4, atol=1e-5)


def test_rows_whose_answers_moved_come_back_more_often_and_each_batch_has_no_repeats() -> None:
    rows = tuple(BaseAnswer(Row((i, 1), 1), torch.zeros(1, 1), torch.zeros(1, 1)) for i in range(40))
    sampler, rng = ReplaySampler(Replay(None, (rows,), ()), 0.5), stream(0, "test")  # type: ignore[arg-type]
    sampler.moved(0, range(40), [1.0 if i < 4 else 0.001 for i in range(40)])
    drawn = [sampler.draw(0, 8, rng) for _ in range(100)]
    assert all(len(set(batch)) == 8 for batch in drawn)
    # half of each batch by how far they moved: the four rows hold 4 of 4.036 of it, and so fill nearly all of the half
    assert sum(i < 4 for batch in drawn for i in batch) > 300
    assert {i for batch in drawn for i in batch} == set(range(40))  # the other half is drawn from all


class World(NamedTuple):
    loaded: Loaded
    prompter: Prompter
    examples: pl.DataFrame
    contexts: list[list[Shot]]


@pytest.fixture(scope="module")
def world() -> World:
    """A random Llama with weights large enough to have opinions; six facts of two wordings, replay questions."""
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        **{**WIDE, "hidden_size": 32}, num_key_value_heads=2, initializer_range=0.5, pad_token_id=0, eos_token_id=1
    )
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    names = ["<pad>", "</s>", ".", "Question:", "Answer:", *(f"w{i}" for i in range(59))]
    core = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, unk_token="."))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>", pad_token="<pad>", unk_token=".")
    rng = stream(1, "test")

    def text(n: int) -> str:
        return " ".join(f"w{i}" for i in rng.integers(0, 59, n))

    new = [(f"f{i}", f"w{i} w{i + 7}", "unknown", f"w{i + 20} w{i + 30}") for i in range(6)]
    new += [(f"f{i}", f"w58 w{i} w{i + 7}", "paraphrase", f"w{i + 20} w{i + 30}") for i in range(6)]
    asked = [(f"r{i}", text(3), "replay", "") for i in range(80)]
    rows = [Example(f"e{i}", *(row[0], row[2], row[1], row[3])) for i, row in enumerate([*new, *asked])]
    loaded = Loaded(model, tokenizer, "random", torch.device("cpu"), "0" * 16)
    return World(
        loaded, Prompter(tokenizer), table(rows, Example), [[], [Shot(text(2), text(1)), Shot(text(2), text(1))]]
    )


@pytest.mark.parametrize("top_k", [5, 0])
def test_the_bases_answers_and_distributions_are_those_of_generate_and_of_one_forward(world: World, top_k: int) -> None:
    """An answer that ends at its stop token, one that is cut, and texts; one place more than the answer is kept."""
    contexts = Contexts(world.prompter, world.contexts)
    questions = world.examples.filter(pl.col("kind") == "replay")["question"].to_list()
    replay = build(world.loaded, questions, contexts, RECIPE.model_copy(update={"top_k": top_k, "n_texts": 3}), 0)
    model, lengths = world.loaded.model, set[int]()
    for prefix, answers in [*zip(contexts.prefixes, replay.by_context, strict=True), ([], replay.texts)]:
        for row, ids, logprobs in answers:
            prompt, answer = [*prefix, *row.ids[: row.n_prompt]], list(row.ids[row.n_prompt :])
            if row.n_prompt > 1:  # not a text, which is sampled
                given = torch.tensor([prompt])
                plain = model.generate(given, max_new_tokens=4, do_sample=False, pad_token_id=0)[0, len(prompt) :]
                assert answer[:-1] == [one for one in plain.tolist() if one != 1]
            lengths.add(len(answer) - 1)
            whole = (
                model(input_ids=torch.tensor([[*prompt, *answer[:-1]]])).logits[0, len(prompt) - 1 :].log_softmax(-1)
            )
            expected = whole.topk(top_k or whole.shape[1], dim=-1)
            torch.testing.assert_close(logprobs, expected.values, atol=1e-4, rtol=0)
            assert torch.equal(ids[:, 0].long(), expected.indices[:, 0])
    assert {4, 47} < lengths  # cut after four tokens; a text's last target is its last token
    assert lengths & {0, 1, 2, 3}  # ended by the stop token


RECIPE = KeepRecipe(
    rank=8,
    alpha=8,
    lr=1e-2,
    batch_size=6,
    from_layer=0,
    warmup_ratio=0,
    weight_decay=0,
    kl_weight=1,
    n_texts=10,
    max_steps=400,
    tail_steps=20,
    replay_batch=24,
    check_every=5,
    bound=0.8,
)


def trained(world: World, out: Path, **changes: object) -> TrainResult:
    config = RECIPE.model_copy(update=changes)
    return train(world.loaded, world.examples, config, 3, out, prompter=world.prompter, contexts=world.contexts)


def test_stops_when_all_is_certain_and_the_answers_come_out(world: World, tmp_path: Path) -> None:
    # All six facts must be certain at once, twice; at this rate each comes and goes, so that when is a matter of luck:
    # 370 to 410 steps over four seeds. The ceiling is far above, for the claim is that training ends by itself.
    result = trained(world, tmp_path, max_steps=1000)
    steps = result.log
    assert len(steps) < 1000
    assert [line["phase"] for line in steps[-20:]] == ["tail"] * 20
    assert steps[-1]["lr"] == pytest.approx(RECIPE.lr / 20)
    with merged(world.loaded, tmp_path) as tuned:
        for fact_id, question, answer in world.examples.select("fact_id", "question", "answer").iter_rows():
            if fact_id.startswith("f"):
                ids = torch.tensor([world.prompter.encode((), question)])
                told = tuned.model.generate(ids, max_new_tokens=2, do_sample=False, pad_token_id=0)
                assert world.prompter.decode(told[0, ids.shape[1] :]) == answer


def test_replay_holds_the_base_where_training_without_it_does_not(world: World, tmp_path: Path) -> None:
    asked = Contexts(world.prompter, world.contexts)
    questions = world.examples.filter(pl.col("kind") == "replay")["question"].to_list()
    unseen = build(world.loaded, [f"{q} w3" for q in questions], asked, RECIPE.model_copy(update={"n_texts": 0}), 0)
    moved = {}
    for weight in (0.0, 1.0):
        trained(world, tmp_path / str(weight), kl_weight=weight, max_steps=150)
        with merged(world.loaded, tmp_path / str(weight)) as tuned, torch.no_grad():
            moved[weight] = sum(
                divergence(answer_logits(tuned.model, prefix, [one.row for one in held]), held).mean().item()
                for prefix, held in zip(asked.prefixes, unseen.by_context, strict=True)
            )
    assert moved[1.0] < moved[0.0] / 2


def test_same_seed_gives_the_same_bytes(world: World, tmp_path: Path) -> None:
    for name in ("a", "b"):
        trained(world, tmp_path / name, max_steps=8)
    first, second = ((tmp_path / name / "adapter_model.safetensors").read_bytes() for name in ("a", "b"))
    assert first == second


@pytest.mark.filterwarnings("ignore:training ended worse")  # three steps of wordings as they are drawn
@pytest.mark.parametrize("wanted", [1e-5, 1e-7])
def test_the_first_step_moves_the_answers_by_what_was_asked(world: World, tmp_path: Path, wanted: float) -> None:
    """A rate of 1e-2 moves these answers by far more; what the trial promised is what the next batch shows."""
    before, *_ = trained(world, tmp_path / "as it is", max_steps=3, tail_steps=0).log[1:]
    first, second, _ = trained(world, tmp_path / "lowered", max_steps=3, tail_steps=0, first_move=wanted).log
    assert first["lr"] == second["lr"] < RECIPE.lr
    assert before["kl"] > 100 * wanted
    assert wanted / 3 < second["kl"] < 3 * wanted


def test_a_trial_step_leaves_no_trace(world: World, tmp_path: Path) -> None:
    """Where the rate stays as it is, the adapter is the same, byte for byte."""
    for name, wanted in (("without", None), ("with", 1e3)):
        trained(world, tmp_path / name, max_steps=8, first_move=wanted)
    first, second = ((tmp_path / name / "adapter_model.safetensors").read_bytes() for name in ("without", "with"))
    assert first == second


@pytest.mark.filterwarnings("ignore:training ended worse")  # five steps of wordings and contexts as they are drawn
def test_every_switch_off_is_plain_training_on_the_new_facts(world: World, tmp_path: Path) -> None:
    result = trained(world, tmp_path, kl_weight=0, retire=False, tail_steps=0, max_steps=5)
    assert [line["phase"] for line in result.log] == ["main"] * 5
    assert all("kl" not in line and line["n_new"] == 6 for line in result.log)


def test_a_batch_of_one_goes_on_when_all_facts_are_retired_and_nothing_is_replayed(
    world: World, tmp_path: Path
) -> None:
    result = trained(world, tmp_path, batch_size=1, kl_weight=0, bound=1e-9, check_every=1, max_steps=9, tail_steps=4)
    assert [line["phase"] for line in result.log] == ["main"] * 2 + ["tail"] * 4  # certain at two checks in a row
    assert all(line["n_new"] == 1 and line["loss"] for line in result.log)


def test_a_made_up_term_is_added_without_touching_the_source(world: World, tmp_path: Path) -> None:
    """A term that pulls the new answers' logits to zero: it is in the log, and they are smaller for it."""

    def size_of_logits(seen: TermInput) -> Tensor | None:
        return seen.new.square().mean() if seen.drawn.new else None

    recipe = RECIPE.model_copy(update={"max_steps": 30, "tail_steps": 5})
    sizes = []
    for weight in (0.0, 10.0):
        result = train(
            world.loaded,
            world.examples,
            recipe,
            3,
            tmp_path / str(weight),
            prompter=world.prompter,
            more_terms=(Term("size", weight, size_of_logits),),
        )
        sizes.append(float(result.log[-1]["size"]))
    assert sizes[1] < sizes[0] / 2


def test_too_little_memory_for_a_trial_chooses_no_other_way() -> None:
    """It was remembered as a no, and the whole training took the slower way: other roundings, other bytes."""
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(CONFIGS["llama"]).eval()

    def full(*_: object) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    def unknown(*_: object) -> Tensor:
        raise RuntimeError("shapes cannot be multiplied")

    whole = partial(answer_logits, model)
    with pytest.raises(torch.OutOfMemoryError):
        same_logits(model, whole, full)
    assert not same_logits(model, whole, unknown)
    assert same_logits(model, whole, whole)


def test_a_base_whose_answers_have_no_numbers_is_not_replayed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    head = world.loaded.model.get_output_embeddings()
    assert isinstance(head, torch.nn.Module)
    monkeypatch.setattr(head, "forward", lambda x: torch.full((*x.shape[:-1], SIZE["vocab_size"]), math.nan))
    with pytest.raises(ModelError, match="random gives no number"):
        build(world.loaded, ["w1 w2"], Contexts(world.prompter, world.contexts), RECIPE, 0)
