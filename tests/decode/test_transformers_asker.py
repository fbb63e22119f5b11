"""The seam to models: what the transformers asker promises, and a made-up backend behind the same seam."""

from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import tiny
from knowpack.base import Base, measure_base
from knowpack.config import ModelConfig, ProbeConfig, RunConfig, TrainConfig
from knowpack.decode.transformers_asker import TransformersAsker
from knowpack.errors import ModelError
from knowpack.model.load import load
from knowpack.probe.askers import Identity
from knowpack.probe.prompts import Prompter
from knowpack.probe.shots import draw_shots
from knowpack.served.opening import open_asker
from knowpack.train import lora


@pytest.fixture(scope="module")
def asker(tmp_path_factory: pytest.TempPathFactory) -> TransformersAsker:
    return TransformersAsker(load(ModelConfig(name=str(tiny.save_model(tmp_path_factory.mktemp("asker") / "model")))))


def an_adapter(asker: TransformersAsker, folder: Path) -> Path:
    with lora.adapted(asker.loaded.model, TrainConfig(rank=2, alpha=4), 1) as model:
        for weight in lora.weights(model):
            torch.nn.init.normal_(weight, std=0.3)
        lora.save(model, folder)
    return folder


def test_an_adapter_has_an_identity_of_its_own_and_the_base_comes_back(
    asker: TransformersAsker, tmp_path: Path
) -> None:
    before = asker.generate([0, 5, 6], [[7], [9, 10]], max_new_tokens=6)
    with asker.with_adapter(an_adapter(asker, tmp_path)) as tuned:
        assert tuned.identity.weights != asker.identity.weights
        assert tuned.identity[1:] == asker.identity[1:]
        assert tuned.generate([0, 5, 6], [[7], [9, 10]], max_new_tokens=6) != before
    asker.check_unchanged()
    assert asker.generate([0, 5, 6], [[7], [9, 10]], max_new_tokens=6) == before


def test_whoever_takes_the_weights_finds_no_room_taken_by_rows_that_were_asked(asker: TransformersAsker) -> None:
    before = asker.generate([0, 5, 6], [[7], [9, 10]], max_new_tokens=6)
    assert asker._decoder._room is not None
    asker.weights()
    assert asker._decoder._room is None, "for SmolLM2 a gigabyte that training would stand beside"
    assert asker.generate([0, 5, 6], [[7], [9, 10]], max_new_tokens=6) == before


def test_a_changed_base_is_a_bug_that_is_said(asker: TransformersAsker) -> None:
    weight = next(iter(asker.loaded.model.parameters()))
    before = weight.data.clone()
    weight.data[0, 0] += 1
    with pytest.raises(RuntimeError, match="the base's weights changed"):
        asker.check_unchanged()
    weight.data.copy_(before)


def test_what_changes_answers_changes_the_identity_and_nothing_else_does(tmp_path: Path) -> None:
    folder = tiny.save_model(tmp_path / "model")
    first = open_asker(ModelConfig(name=str(folder))).identity
    assert open_asker(ModelConfig(name=str(folder)), batch_size=3).identity == first
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text.replace('"rms_norm_eps": 1e-06', '"rms_norm_eps": 1e-05'))
    other = open_asker(ModelConfig(name=str(folder))).identity
    assert (other.weights, other.tokenizer) == (first.weights, first.tokenizer)
    assert other.architecture != first.architecture


class Parrot(tiny.OnePromptAtATime):
    """A made-up backend that repeats the question's last token, wherever its weights may be."""

    name, n_vocabulary, device = "parrot", 400, "nowhere"
    identity = Identity("parrot-1", "none", "tiny")
    tokenizer = tiny.tokenizer()

    def generate(self, prefix, tails, *, max_new_tokens, drafts=None, temperature=0.0, seed=None):
        return [list(tail[-1:]) for tail in tails]

    def logprobs(self, prefix, tails, continuations):
        return [SimpleNamespace(logprob=-1.0, greedy=False) for _ in continuations]

    @contextmanager
    def with_adapter(self, adapter):
        yield self


def test_a_made_up_backend_is_measured_as_a_base_and_training_on_it_is_refused(tmp_path: Path) -> None:
    table, pool = tiny.facts(5), tiny.facts(40).select("question", answer="object").tail(30)
    config = RunConfig(probe=ProbeConfig(n_prompts=2, n_shots=1, noise=False))
    shots = draw_shots(pool, 2, 1, 0)
    base = Base(tmp_path / "base", Parrot(), Prompter(Parrot.tokenizer), table, shots, pool, config)
    measure_base(base, config)
    assert base.responses.collect().height == 5 * 2
    with pytest.raises(ModelError, match="training needs the weights of parrot"):
        base.loaded  # noqa: B018
