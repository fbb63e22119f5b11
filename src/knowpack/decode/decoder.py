"""Greedy or sampled answers to many questions behind one prefix, the same as plain `generate`, only faster.

prefix ids + K tails -> new ids for each tail. The prefix is computed once; a draft (what the fact was answered
before) is checked by one forward over tail and draft, and only rows that differ are decoded further; finished rows
leave the batch and others take their place. (DESIGN.md, "One base, many adapters".)
"""

from collections.abc import Sequence
from itertools import groupby

from knowpack.decode.attention import Prefix
from knowpack.decode.copied_cache import generate_copied
from knowpack.decode.forward import Forward
from knowpack.decode.kernels import KeyValue
from knowpack.decode.pool import Pool
from knowpack.decode.prompt_rows import nonempty, rows_of
from knowpack.decode.rows import Tree
from knowpack.decode.scoring import ScoredContinuation, Target, TargetRow, score_rows
from knowpack.decode.task import Row, Task
from knowpack.decode.ways import Way, Ways
from knowpack.decode.whole_prompts import generate_whole, score_whole
from knowpack.errors import ModelError
from knowpack.model.loaded import Loaded
from knowpack.model.memory import halved, let_go
from knowpack.probe.askers import Finished, Generated, Prompted, Until

__all__ = ["Decoder", "ScoredContinuation"]

ROW_TOKENS = 80
"""Up to so many tokens, its answer among them, a whole batch of rows is decoded at once; of longer ones fewer."""


class Decoder:
    """Answers and log-probabilities of one model; keeps the keys and values of prefixes it has seen."""

    def __init__(self, loaded: Loaded, *, batch_size: int = 128) -> None:
        if batch_size < 1:
            raise ModelError(f"got batch_size={batch_size}, expected at least 1")
        self.loaded = loaded
        self.batch_size = batch_size
        """Rows computed at once; halved where memory runs out."""
        self._forward = Forward(loaded)
        self._ways = Ways(self._forward)
        self._room: Pool | None = None

    def forget(self) -> None:
        """Call when the weights have changed: drops all keys and values."""
        self._forward.forget()
        self._room = None

    def generate(
        self,
        prefix: Sequence[int],
        tails: Sequence[Sequence[int]],
        *,
        max_new_tokens: int,
        stop_ids: Sequence[int] | frozenset[int] | None = None,
        drafts: Sequence[Sequence[int] | None] | None = None,
        temperature: float = 0.0,
        seed: int | None = None,
        until: Until | None = None,
        finished: Finished | None = None,
    ) -> list[list[int]]:
        """The ids that follow prefix + tail, for each tail; the stop token is left out.

        Greedy at temperature 0. Above it sampled: the same prefix, tail and seed give the same answer in any batch
        and order (the k-th of equal tails in one call gives the k-th sample). Drafts change the speed, not the ids.
        until: an answer's ids so far -> whether it has ended. finished: called at the end of each answer.
        """
        answers = self.generate_each(
            [Prompted(prefix, tails, drafts)],
            max_new_tokens=max_new_tokens,
            stop_ids=stop_ids,
            temperature=temperature,
            seed=seed,
            until=until,
            finished=finished,
        )[0]
        return [one.ids for one in answers]

    def generate_each(
        self,
        prompts: Sequence[Prompted],
        *,
        max_new_tokens: int,
        stop_ids: Sequence[int] | frozenset[int] | None = None,
        temperature: float = 0.0,
        seed: int | None = None,
        until: Until | None = None,
        finished: Finished | None = None,
        top_k: int | None = None,
    ) -> list[list[Generated]]:
        """`generate` for several prefixes at once: rows of all of them take their steps together.

        The ids are those of one call a prefix. A step costs about the same for ten rows as for a hundred (the weights
        are read once), so the last, slow rows of ten prompts in one batch take a tenth of the time.
        """
        stops = self.loaded.stop_ids if stop_ids is None else frozenset(stop_ids)
        if temperature > 0 and seed is None:
            raise ModelError(f"temperature={temperature} samples: it needs a seed")
        task = Task(max_new_tokens, stops, temperature, until, finished, self.loaded.name, top_k)
        each = [rows_of(one, task, seed) for one in prompts]
        longest = max((len(row.prefix) + len(row.tail) for rows in each for row in rows), default=0)
        self.loaded.check_fits(longest, max_new_tokens)
        way = self._ways.at(longest + max_new_tokens) if longest else Way.SHARED
        waiting = [row for rows in each for row in rows]
        freed = False
        while waiting:
            try:
                self._answer(way, waiting, task)
            except (RuntimeError, MemoryError) as error:
                self.batch_size = halved(error, self.batch_size, "row", again=not freed)
            else:
                break
            let_go(self.forget)
            freed = True
            waiting = [row for row in waiting if not row.done]
            for row in waiting:
                row.restart()
        return [
            [Generated(row.out, tuple(row.logprobs) or None, tuple(row.likeliest) or None) for row in rows]
            for rows in each
        ]

    def logprobs(
        self,
        prefix: Sequence[int],
        tails: Sequence[Sequence[int]],
        continuations: Sequence[Sequence[int]],
    ) -> list[ScoredContinuation]:
        """How likely each continuation is after prefix + its tail."""
        prefix, tails = nonempty(prefix, tails)
        behind = [len(tail) + len(answer) for tail, answer in zip(tails, continuations, strict=True)]
        self.loaded.check_fits(len(prefix) + max(behind, default=0))
        if self._ways.at(len(prefix) + max(behind, default=0)) is not Way.SHARED:
            pairs = zip(tails, continuations, strict=True)
            return score_whole(self.loaded, [([*prefix, *tail], answer) for tail, answer in pairs])
        rows = []
        for i, (tail, answer) in enumerate(zip(tails, continuations, strict=True)):
            if answer:
                targets = [Target(len(tail) - 1 + k, token, i) for k, token in enumerate(answer)]
                rows.append(TargetRow(Tree([*tail, *answer[:-1]]), targets))
        return score_rows(self._forward, prefix, rows, len(tails), free=self.forget)

    def _answer(self, way: Way, rows: Sequence[Row], task: Task) -> None:
        """Bring all rows to their ends in this way."""
        if way is Way.COPIED:
            for _, mine in groupby(rows, key=lambda row: id(row.prefix)):
                generate_copied(self.loaded, list(mine), task, self.batch_size)
        elif way is Way.WHOLE:
            generate_whole(self.loaded, rows, task, self.batch_size)
        else:
            with self._forward.session():
                self._decode(rows, task)

    def _decode(self, rows: Sequence[Row], task: Task) -> None:
        ids = {id(row.prefix): row.prefix for row in rows}  # one sequence a `Prompted`
        behind = {key: self._forward.prefix(prefix, self.forget) for key, prefix in ids.items()}
        order = {key: place for place, key in enumerate(ids)}
        # prefix by prefix, as given; within one the longest are taken first
        waiting = sorted(rows, key=lambda row: (-order[id(row.prefix)], len(row.tail) + len(row.draft)))
        capacity = max(len(row.tail) for row in rows) + task.max_new_tokens
        at_once = max(1, self.batch_size * min(capacity, ROW_TOKENS) // capacity)
        size = (min(2 * at_once, len(rows)), capacity)  # a batch joins up to at_once - 1 active rows
        pool: Pool | None = None
        active: list[Row] = []
        while waiting or active:
            if waiting and len(active) < at_once:
                batch = _next(waiting, at_once)
                pool = self._open(behind[id(batch[0].prefix)], batch, task, pool, size)
                active.extend(row for row in batch if not row.done)
                continue
            assert pool is not None, "rows are active, so a pool holds them"
            prefixes = [behind[id(row.prefix)] for row in active]
            logits = self._forward.step(prefixes, pool, [row.out[-1] for row in active])
            places = [(row, len(row.out)) for row in active]
            for row, chosen in zip(active, task.choose(logits, places), strict=True):
                task.accept(row, chosen)
            unfinished = [i for i, row in enumerate(active) if not row.done]
            if len(unfinished) < len(active):
                active = [active[i] for i in pool.retire(unfinished)]

    def _open(
        self, prefix: Prefix | None, batch: list[Row], task: Task, pool: Pool | None, size: tuple[int, int]
    ) -> Pool:
        """One forward over tails and drafts; what holds is accepted, the rest goes on in the pool of (rows, tokens)."""
        trees = [Tree([*row.tail, *row.draft]) for row in batch]
        targets = [range(len(row.tail) - 1, len(row.tail) + len(row.draft)) for row in batch]
        logits, rows = self._forward.rows(prefix, trees, targets, keep=True)
        tokens = iter(task.choose(logits, [(row, k) for row in batch for k in range(len(row.draft) + 1)]))
        for row in batch:
            chosen = [next(tokens) for _ in range(len(row.draft) + 1)]
            for k, one in enumerate(chosen):
                task.accept(row, one)
                if row.done or k == len(row.draft) or one.token != row.draft[k]:
                    break
        unfinished = [i for i, row in enumerate(batch) if not row.done]
        kept = rows.kept or []
        pool = pool or self._pool(kept, *size)
        if unfinished:  # the last accepted token is not in the cache: the next step puts it there
            pool.admit(rows, unfinished, [len(batch[i].tail) + len(batch[i].out) - 1 for i in unfinished])
        return pool

    def _pool(self, kept: list[KeyValue], n_rows: int, capacity: int) -> Pool:
        """Room for the rows that are decoded; that of the call before where it is large enough."""
        room = self._room
        if room is None or room.n_rows < n_rows or room.capacity < capacity:
            room = self._room = None  # freed before the next is taken
            self._room = room = Pool.empty(kept, n_rows, capacity)
        room.clear()
        return room


def _next(waiting: list[Row], n: int) -> list[Row]:
    """Take up to n rows behind one prefix off the end."""
    batch = [waiting.pop()]
    while waiting and len(batch) < n and waiting[-1].prefix is batch[0].prefix:
        batch.append(waiting.pop())
    return batch
