"""A training that is killed goes on to the same bytes, in both recipes, wherever the kill comes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import test_keep
import test_train
import torch
from safetensors import safe_open

from knowpack.config import PlainRecipe
from knowpack.probe.prompts import Prompter
from knowpack.seeds import stream
from knowpack.train import resume
from knowpack.train.resume import FILE, Checkpoints, State
from knowpack.train.train import TrainResult, train

world = test_keep.world
PLAIN = PlainRecipe(
    rank=2,
    dropout=0.3,
    lr=1e-2,
    epochs=4,
    batch_size=3,
    schedule="cosine",
    warmup_ratio=0.2,
    weight_decay=0.1,
    checkpoint_each_epoch=True,
    checkpoint_seconds=0,
)
KEEP = test_keep.RECIPE.model_copy(
    update={
        "max_steps": 25,
        "tail_steps": 10,
        "from_layer": 0.5,
        "dropout": 0.2,
        "bound": 0.3,
        "checkpoint_seconds": 0,
        "first_move": 1e-5,
    }
)
pytestmark = pytest.mark.filterwarnings("ignore:training ended worse")  # 35 steps with dropout: bytes are what counts
Train = Callable[..., TrainResult]


class KilledError(Exception):
    """Stands for SIGKILL."""


class Killing:
    """Progress that kills the training after its n-th step."""

    def __init__(self, n: int) -> None:
        self._left = n

    @contextmanager
    def stage(self, label: str, total: int | None) -> Iterator[Callable[[int], None]]:
        def advance(n: int) -> None:
            self._left -= n if label == "training steps" else 0
            if self._left <= 0:
                raise KilledError

        yield advance


@pytest.fixture(params=["plain", "keep"])
def training(request: pytest.FixtureRequest, world: test_keep.World) -> Train:
    """One of the recipes, ready to be called with out, resume_in and more."""
    if request.param == "plain":
        ours = test_train.loaded()
        given = (ours, test_train.some_examples(), PLAIN, 7)
        return lambda out, **more: train(*given, out, prompter=Prompter(ours.tokenizer), **more)
    given = (world.loaded, world.examples, KEEP, 3)
    return lambda out, **more: train(*given, out, prompter=world.prompter, contexts=world.contexts, **more)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_kills_at_random_steps_change_no_byte(training: Train, tmp_path: Path) -> None:
    whole = training(tmp_path / "whole")
    n_steps = len(whole.log)
    for attempt in range(3):
        out, state = tmp_path / f"out-{attempt}", tmp_path / f"state-{attempt}"
        for kill in sorted(int(step) for step in stream(attempt, "test").integers(1, n_steps, 2)):
            with pytest.raises(KilledError):
                training(out, resume_in=state, progress=Killing(kill))
            assert (state / FILE).is_file()
        again = training(out, resume_in=state)
        assert again.log == whole.log
        assert contents(out) == contents(tmp_path / "whole")


def test_a_kill_after_the_last_step_trains_nothing_again(
    training: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state went at the end of the training, before the adapter stood in its place."""
    monkeypatch.setattr(Checkpoints, "offer", lambda *_: None)  # shorter than checkpoint_seconds
    training(tmp_path / "killed", resume_in=tmp_path / "state")
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda *_: pytest.fail("a step was made again"))
    training(tmp_path / "again", resume_in=tmp_path / "state")
    assert contents(tmp_path / "again") == contents(tmp_path / "killed")


def test_what_was_done_is_not_done_again(training: Train, tmp_path: Path) -> None:
    with pytest.raises(KilledError):
        training(tmp_path / "out", resume_in=tmp_path / "state", progress=Killing(9))
    steps: list[int | None] = []

    class Counting(Killing):
        @contextmanager
        def stage(self, label: str, total: int | None) -> Iterator[Callable[[int], None]]:
            if label == "training steps":
                steps.append(total)
            yield lambda n: steps.append(n) if label == "training steps" else None

    whole = training(tmp_path / "out", resume_in=tmp_path / "state", progress=Counting(0))
    most = PLAIN.epochs * 4 if len(whole.log) == PLAIN.epochs * 4 else KEEP.max_steps + KEEP.tail_steps
    assert steps[0] == most - 9  # the time left is that of the steps left
    assert len(steps) - 1 == len(whole.log) - 9


def test_the_state_of_other_settings_is_not_taken(world: test_keep.World, tmp_path: Path) -> None:
    def with_lr(lr: float, name: str, **more: object) -> TrainResult:
        config = KEEP.model_copy(update={"lr": lr})
        out = tmp_path / name
        return train(world.loaded, world.examples, config, 3, out, prompter=world.prompter, **more)  # type: ignore[arg-type]

    with pytest.raises(KilledError):
        with_lr(1e-2, "a", resume_in=tmp_path / "state", progress=Killing(5))
    with_lr(2e-2, "b", resume_in=tmp_path / "state")
    with_lr(2e-2, "c")
    assert contents(tmp_path / "b") == contents(tmp_path / "c")


def test_a_state_that_is_torn_is_made_again(training: Train, tmp_path: Path) -> None:
    with pytest.raises(KilledError):
        training(tmp_path / "out", resume_in=tmp_path / "state", progress=Killing(4))
    (tmp_path / "state" / FILE).write_bytes((tmp_path / "state" / FILE).read_bytes()[:100])
    training(tmp_path / "out", resume_in=tmp_path / "state")
    training(tmp_path / "whole")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.95])
def test_a_state_with_a_flipped_bit_is_made_again(training: Train, tmp_path: Path, share: float) -> None:
    """It was a legal file, and trained on to another adapter without a word."""
    with pytest.raises(KilledError):
        training(tmp_path / "out", resume_in=tmp_path / "state", progress=Killing(4))
    data = bytearray((tmp_path / "state" / FILE).read_bytes())
    data[int(len(data) * share)] ^= 4
    (tmp_path / "state" / FILE).write_bytes(bytes(data))
    training(tmp_path / "out", resume_in=tmp_path / "state")
    training(tmp_path / "whole")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_epochs_of_another_training_are_not_given_out(tmp_path: Path) -> None:
    ours, examples = test_train.loaded(), test_train.some_examples()

    def of_epochs(n: int, **more: object) -> TrainResult:
        config = PLAIN.model_copy(update={"epochs": n})
        more |= {"prompter": Prompter(ours.tokenizer), "resume_in": tmp_path / "state"}
        return train(ours, examples, config, 7, tmp_path / "out", **more)  # type: ignore[arg-type]

    with pytest.raises(KilledError):
        of_epochs(4, progress=Killing(3 * 4 + 1))  # 11 examples in batches of 3: in the fourth epoch
    assert len(list((tmp_path / "state").glob("epoch-*"))) == 3
    of_epochs(2)
    assert sorted(path.name for path in (tmp_path / "out").glob("epoch-*")) == ["epoch-01", "epoch-02"]


def test_a_state_is_kept_when_the_last_is_old_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(resume.time, "monotonic", lambda: now[0])
    made: list[float] = []

    def state() -> State:
        made.append(now[0])
        return State({"a": torch.arange(3)}, {"step": 1})

    kept = Checkpoints(tmp_path, "key", every_seconds=120)
    for now[0] in (1010.0, 1119.0, 1121.0, 1200.0, 1240.0, 1242.0):
        kept.offer(state)
    assert made == [1121.0, 1242.0]
    now[0] = 5000.0
    later = Checkpoints(tmp_path, "key", 120)
    loaded = later.load()
    assert loaded is not None
    assert loaded.tensors["a"].tolist() == [0, 1, 2]
    now[0] = 5010.0
    assert later.seconds() == 242 + 10  # before the kill and since
    assert Checkpoints(tmp_path, "another key", 120).load() is None
    with safe_open(tmp_path / FILE, framework="pt") as file:
        assert set(file.metadata()) == {"state"}  # JSON in the header, tensors: nothing that runs code when read


def test_a_stream_goes_on_where_it_was() -> None:
    rng = stream(1, "test")
    rng.random(5)
    state, expected = resume.of_stream(rng), rng.random(7)
    other = np.random.default_rng(0)
    resume.set_stream(other, state)
    assert np.array_equal(other.random(7), expected)
