"""Logits where adapters begin at some layer: what the layers below give never changes, so it is computed once a row.

context ids + rows -> logits as `shared.answer_logits` gives them. The hidden states that enter the first adapted layer
are kept, row by row; a step of training then runs the layers from there on. An architecture whose layers cannot be
entered in the middle (it scales embeddings, adds positions) is run whole.

Why they may be left out: let h_l = f_l(h_(l-1)) be the hidden states after layer l, and theta the adapter's weights,
all of them in layers >= first. Then h_(first-1) depends on the token ids alone: it is the same at every step, so it is
stored; and dh_(first-1)/dtheta = 0, so no gradient goes below. Attention is causal, so that the states of a context do
not depend on the row behind it; and those of a row, once computed behind its context, hold all that the context's
keys and values in the lower layers had to give. The layers above need the context's keys and values at each step, with
their gradients. (No dropout is left out: the base is run without, and peft's is inside the adapted layers.)
"""

from collections.abc import Sequence
from functools import partial
from typing import cast

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import PreTrainedModel

from knowpack.decode.attention import Prefix, attached
from knowpack.decode.products import replaced
from knowpack.decode.rows import Rows, Tree, pack
from knowpack.train.batch import Row
from knowpack.train.shared import answer_logits, can_pack, prefix_of, run, same_logits, wanted_places

ROWS_AT_ONCE = 256
NUMBERS_KEPT = 1_000_000_000  # of all hidden states together; rows beyond that are computed each time


class _Caught(Exception):  # noqa: N818  # no error: the layers above need not run
    """The hidden states that were wanted are there."""


class Logits:
    """The adapted model as a function of context and rows; `first` is the first layer with an adapter."""

    def __init__(self, model: PeftModel, first: int) -> None:
        self._model, self._first = model, first
        self._core = cast(PreTrainedModel, model.get_base_model())
        self._kept: dict[tuple[int, ...], dict[tuple[int, ...], Tensor]] = {}
        self._n_numbers = 0
        self._later: list[tuple[tuple[int, ...], list[tuple[int, ...]]]] = []
        """What was computed and kept since `prepare`: a context and the rows of one forward."""
        self.skips = (
            first > 0
            and can_pack(self._core)
            and same_logits(self._core, partial(answer_logits, self._core), self._upper, same_sums=True)
        )
        """Whether the layers below the first adapted one are computed once a row only."""

    def __call__(self, context: Sequence[int], rows: Sequence[Row]) -> Tensor:
        """Logits that predict each target of `shared.places(rows)`, # (n_targets, vocabulary), float32."""
        if not self.skips:
            return answer_logits(self._model, context, rows)
        return self._upper(tuple(context), rows)

    def prepare(self, context: Sequence[int], rows: Sequence[Row]) -> None:
        """Compute what enters the first adapted layer at these rows now, in large batches, while there is room."""
        for start in range(0, len(rows) if self.skips else 0, ROWS_AT_ONCE):
            if self._n_numbers >= NUMBERS_KEPT:
                break  # what is not kept would be computed for nothing
            self._entering(tuple(context), [row.ids[:-1] for row in rows[start : start + ROWS_AT_ONCE]])
        self._later.clear()

    def state(self) -> list[list[list[int]]]:
        """As JSON: for each forward below since `prepare`, the context and its rows."""
        return [[list(context), *map(list, rows)] for context, rows in self._later]

    def set_state(self, state: list[list[list[int]]]) -> None:
        """Compute again what was kept, in the same forwards: a row's last bits depend on what is beside it."""
        for context, *rows in state:
            self._entering(tuple(context), [tuple(row) for row in rows])

    def _upper(self, context: tuple[int, ...], rows: Sequence[Row]) -> Tensor:
        inputs = [row.ids[:-1] for row in rows]
        entering = self._entering(context, inputs)
        # the layers below stay in their places: of an architecture whose layers have types (Gemma 3), the model's
        # loop gives each the positions and mask of its number
        below = dict.fromkeys(self._stack()[: self._first], _handed_on)
        with attached(self._core), replaced(below):
            prefix = self._prefix(context) if context else None
            packed = pack([Tree(ids) for ids in inputs], self._core.device)
            places = wanted_places(packed, rows)
            return self._run(prefix, packed, torch.cat(entering), places)[: sum(len(r.ids) - r.n_prompt for r in rows)]

    def _prefix(self, context: tuple[int, ...]) -> Prefix:
        """The context's keys and values in the layers from `first` on, with their gradients."""
        packed = pack([Tree(context)], self._core.device, keep=True)
        self._run(None, packed, self._kept[()][context], [0])
        kept = packed.kept or []
        return prefix_of(context, [*kept[:1] * self._first, *kept])  # the lower layers' places are never read

    def _run(self, prefix: Prefix | None, rows: Rows, hidden: Tensor, places: list[int]) -> Tensor:
        spare = hidden.new_zeros(len(rows.ids) - len(hidden), hidden.shape[1])
        return run(self._core, prefix, rows, places, torch.cat([hidden, spare]))

    @torch.no_grad()
    def _entering(self, context: tuple[int, ...], rows: Sequence[tuple[int, ...]]) -> list[Tensor]:
        """What enters the first adapted layer at each row's tokens, # (tokens, hidden) a row."""
        if context and context not in self._kept.setdefault((), {}):
            self._kept[()][context] = self._hidden((), [context])[0]
        kept = self._kept.setdefault(context, {})
        missing = [ids for ids in dict.fromkeys(rows) if ids not in kept]
        computed = dict(zip(missing, self._hidden(context, missing), strict=True)) if missing else {}
        if self._n_numbers < NUMBERS_KEPT:
            kept.update(computed)
            if missing:
                self._later.append((context, missing))
            self._n_numbers += sum(one.numel() for one in computed.values())
        return [kept[ids] if ids in kept else computed[ids] for ids in rows]

    def _hidden(self, context: tuple[int, ...], rows: Sequence[tuple[int, ...]]) -> list[Tensor]:
        caught: list[Tensor] = []

        def catch(_: nn.Module, args: tuple[Tensor, ...], named: dict[str, Tensor]) -> None:
            caught.append(args[0] if args else named["hidden_states"])
            if len(caught) == n_forwards:
                raise _Caught

        n_forwards = 2 if context else 1  # the context, then the rows
        training = self._core.training
        self._core.train(False)
        hook = self._stack()[self._first].register_forward_pre_hook(catch, with_kwargs=True)
        try:
            answer_logits(self._core, context, [Row((*ids, 0), len(ids)) for ids in rows])
        except _Caught:
            pass
        finally:
            hook.remove()
            self._core.train(training)
        flat = caught[-1][0]  # (tokens, hidden): the rows, after their context
        parts = torch.split(flat[: sum(map(len, rows))], [len(ids) for ids in rows])
        return [part.clone() for part in parts]

    def _stack(self) -> nn.ModuleList:
        n_layers = self._core.config.num_hidden_layers
        stacks = [
            child
            for child in self._core.base_model.children()
            if isinstance(child, nn.ModuleList) and len(child) == n_layers
        ]
        if len(stacks) != 1:
            raise NotImplementedError("no single list of layers")
        return stacks[0]


def _handed_on(hidden_states: Tensor, *_: object, **others: object) -> Tensor:
    """A layer that changes nothing, in place of one whose work is done."""
    return hidden_states
