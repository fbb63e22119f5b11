"""The keep recipe: new facts beside replay, retirement of what is certain, then the rate falls.

Examples + the base's answers to the replay prompts + KeepRecipe -> the adapter trained on the model, in place. After
the paper's recipe fails on harm (arXiv 2502.14502, section 5); every part is a switch of KeepRecipe. What a step lowers
is in objective.py, when the rate falls in phases.py, which facts are drawn in retire.py.
"""

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from knowpack.config import KeepRecipe
from knowpack.progress import Progress
from knowpack.seeds import stream
from knowpack.train import lora, resume, target_modules
from knowpack.train.base_answers import Replay, ReplaySampler, divergence
from knowpack.train.batch import Row
from knowpack.train.certainty import certainties, wordings
from knowpack.train.frozen import fast_training
from knowpack.train.lower import Logits
from knowpack.train.objective import StepBatch, Term, TermInput, total
from knowpack.train.phases import FALL, Phase, Phases
from knowpack.train.rate import for_move
from knowpack.train.resume import Run, State
from knowpack.train.retire import RetirementSchedule

TEXTS_AT_ONCE = 8
TEXTS_EVERY = 4  # steps
N_TRIAL_BATCHES, MOST_TRIALS, CLOSE = 2, 4, 1.2  # by which the learning rate is set


def fit(run: Run, config: KeepRecipe, replay: Replay, summands: Sequence[Term]) -> None:
    """Steps of new facts and replay until every fact is certain and stays so; then the rate falls to 0."""
    loop = Loop(run, config, replay, summands)
    state = run.checkpoints.load()
    loop.go_on_from(state)
    run.model.train()
    if state is None and config.first_move is not None and config.kl_weight > 0:
        with fast_training(run.model):
            loop.set_rate(config.first_move)
    left = loop.phases.most_steps - loop.phases.step
    with fast_training(run.model), run.progress.stage("training steps", left) as advance:
        while (phase := loop.phases.next(loop.schedule.settled)) is not None:
            loop.one_step(phase)
            run.checkpoints.offer(loop.state)
            advance(1)
    run.checkpoints.keep(loop.state)


class Loop:
    """What changes from step to step, and what the steps read."""

    def __init__(self, run: Run, config: KeepRecipe, replay: Replay, summands: Sequence[Term]) -> None:
        model, new = run.model, wordings(run.examples, replay.contexts)
        self._model, self._new, self._replay, self._config = model, new, replay, config
        self._summands, self._log = summands, run.log
        self.phases, self.schedule = Phases(config), RetirementSchedule(new.n, config)
        self._sampler = ReplaySampler(replay, config.by_interference)
        self._seed, self._rng = run.seed, stream(run.seed, "order", "keep")
        self._weights = lora.weights(model)
        self._optimizer = torch.optim.AdamW(self._weights, lr=config.lr, weight_decay=config.weight_decay)
        adapted = target_modules.layers(cast(PreTrainedModel, model.get_base_model()), config.from_layer) or [0]
        self._logits = Logits(model, adapted[0])
        if self._logits.skips:
            self._prepare(run.progress)

    def _prepare(self, progress: Progress) -> None:
        """Run every row through the layers below the adapters, once."""
        new, answers = self._new, self._replay.by_context
        with progress.stage("the layers below the adapters, once", len(answers)) as advance:
            for context, prefix in enumerate(self._replay.contexts.prefixes):
                rows = [row for of_fact in new.trained[context] for row in of_fact] + list(new.checked[context])
                self._logits.prepare(prefix, rows + [one.row for one in answers[context]])
                advance(1)

    def set_rate(self, wanted: float) -> None:
        """Lower the full rate until its first step moves the answers by `wanted` nats: trial steps, taken back."""
        rng = stream(self._seed, "order", "trial")
        batches = [self._any_rows(context % len(self._replay.contexts), rng) for context in range(N_TRIAL_BATCHES)]
        before, kept = self._moved(batches), [weight.detach().clone() for weight in self._weights]
        total(self._see(batches[0]), self._summands).loss.backward()  # type: ignore[no-untyped-call]
        for _ in range(MOST_TRIALS):
            torch.optim.AdamW(self._weights, lr=self.phases.lr, weight_decay=0.0).step()
            moved = self._moved(batches) - before
            with torch.no_grad():
                for weight, value in zip(self._weights, kept, strict=True):
                    weight.copy_(value)
            if moved <= CLOSE * wanted:
                break
            self.phases.lr = for_move(self.phases.lr, moved, wanted)
        self._optimizer.zero_grad()

    def _any_rows(self, context: int, rng: np.random.Generator) -> StepBatch:
        """Rows of a step that is not one of the training's: any facts, any replay prompts."""
        facts = rng.permutation(self._new.n)[: self._config.batch_size]
        new = [
            worded(self._new.rows(context, int(fact), falling=False), self._config.by_question, rng) for fact in facts
        ]
        numbers = self._sampler.draw(context, self._config.replay_batch, rng)
        return StepBatch(context, new, self._sampler.rows(context, numbers), [])

    @torch.no_grad()
    def _moved(self, trials: Sequence[StepBatch]) -> float:
        """KL(base || now) at the answers to the replay prompts of these rows, nats, mean."""
        each = [divergence(self._see(one._replace(new=[])).replay, one.replay).mean() for one in trials if one.replay]
        return float(torch.stack(each).mean()) if each else 0.0

    def one_step(self, phase: Phase) -> None:
        """Draw, forward, backward, one step of the optimizer; a line in the log; now and then a check of all facts."""
        for group in self._optimizer.param_groups:
            group["lr"] = phase.lr
        drawn, numbers = self._draw(phase)
        seen = self._see(drawn)
        objective = total(seen, self._summands)
        lora.check_loss(objective.loss.item())
        objective.loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._weights, self._config.max_grad_norm)
        self._optimizer.step()
        self._optimizer.zero_grad()
        if drawn.replay:
            of_rows = torch.split(seen.moved.detach(), [len(one.ids) for one in drawn.replay])
            self._sampler.moved(drawn.context, numbers, [float(one.mean()) for one in of_rows])
        self.phases.made()
        if self.phases.step % self._config.check_every == 0:
            self._model.eval()
            self.schedule.update(certainties(self._logits, self._new, self._replay.contexts, self._rng))
            self._model.train()
        n_active = self.schedule.n_active
        self._log.write(phase=phase.name, lr=phase.lr, n_active=n_active, n_new=len(drawn.new), **objective.figures)

    def _draw(self, phase: Phase) -> tuple[StepBatch, list[int]]:
        """The rows of a step, and the numbers of its replay rows among those of the context."""
        rng, config = self._rng, self._config
        context = int(rng.integers(len(self._replay.contexts)))
        facts = self.schedule.draw(config.batch_size, rng)
        falling = phase.name == FALL
        new = [worded(self._new.rows(context, fact, falling=falling), config.by_question, rng) for fact in facts]
        holds = config.kl_weight > 0
        numbers = self._sampler.draw(context, config.replay_batch, rng) if holds else []
        texts = self._replay.texts if holds and self.phases.step % TEXTS_EVERY == 0 else ()
        chosen = rng.choice(len(texts), min(TEXTS_AT_ONCE, len(texts)), replace=False) if texts else ()
        return StepBatch(context, new, self._sampler.rows(context, numbers), [texts[i] for i in chosen]), numbers

    def _see(self, drawn: StepBatch) -> TermInput:
        """New and replay rows in one forward behind their context; texts in one of their own."""
        none = torch.zeros(0, 1)
        new, replay, texts = none, none, none
        if drawn.new or drawn.replay:
            prefix = self._replay.contexts.prefixes[drawn.context]
            logits = self._logits(prefix, [*drawn.new, *(one.row for one in drawn.replay)])
            n_new = sum(len(row.ids) - row.n_prompt for row in drawn.new)
            new, replay = torch.split(logits, [n_new, len(logits) - n_new])  # slices would each have a whole gradient
        if drawn.texts:
            texts = self._logits((), [one.row for one in drawn.texts])
        return TermInput(drawn, new, replay, texts)

    def state(self) -> State:
        """All that the next steps depend on."""
        tensors = resume.of_weights(self._weights, self._optimizer) | resume.of_torch(self._model.device)
        tensors |= {f"moved.{context}": moved for context, moved in enumerate(self._sampler.state())}
        values = {
            "phases": self.phases.state(),
            "schedule": self.schedule.state(),
            "stream": resume.of_stream(self._rng),
            "entered": self._logits.state(),
            "log": self._log.lines,
        }
        return State(tensors, values)

    def go_on_from(self, state: State | None) -> None:
        """Stand where the state was taken; None = at the beginning."""
        if state is None:
            return
        resume.set_weights(state.tensors, self._weights, self._optimizer)
        resume.set_torch(state.tensors, self._model.device)
        moved: list[Tensor] = [state.tensors[f"moved.{i}"] for i in range(len(self._replay.contexts))]
        self._sampler.set_state(moved)
        self.phases.set_state(state.values["phases"])
        self.schedule.set_state(state.values["schedule"])
        resume.set_stream(self._rng, state.values["stream"])
        self._logits.set_state(state.values["entered"])
        self._log.again(state.values["log"])


def worded(mine: Sequence[Row], by_question: float, rng: np.random.Generator) -> Row:
    """One of a fact's rows: the first, its question, with this probability, else any of them."""
    return mine[0 if rng.random() < by_question else int(rng.integers(len(mine)))]
