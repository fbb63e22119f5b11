"""One cell of the pack table: how it is trained, what is measured of it."""

import time
from collections.abc import Callable, Sequence

import polars as pl

import anchored
from knowpack.config import KeepRecipe, MixConfig, ProbeConfig
from knowpack.decode.decoder import Decoder
from knowpack.measure import harm
from knowpack.measure.knowledge import knowledge_map
from knowpack.measure.stakes import Draw, untrained
from knowpack.model.merge import merged
from knowpack.pack import plan
from knowpack.pack.request import HELD_OUT
from knowpack.probe.probe import probe
from knowpack.records import Kind
from knowpack.train import replay_prompts
from knowpack.train.base_answers import Replay, build
from knowpack.train.contexts import Contexts
from knowpack.train.mix import mix
from knowpack.train.objective import Term
from knowpack.train.train import train
from pack_cells import MIXES, Cell
from pack_world import OTHER_WORDINGS, TASKS, World, highly


def examples(world: World, cell: Cell, facts: pl.DataFrame) -> tuple[pl.DataFrame, Replay | None, float]:
    """The example table; for pack also the base's answers to the replay prompts, and the CPU seconds they took."""
    if cell.mix is not None:
        known = knowledge_map(world.base_candidates)
        config = MixConfig(n_unknown=cell.n, held_out_wordings=HELD_OUT, **MIXES[cell.mix])
        extra = world.highly_known(10 * cell.n) if "n_highly_known" in MIXES[cell.mix] else None
        return mix(facts, known, config, cell.seed, extra=extra), None, 0.0
    keep = cell.train
    assert isinstance(keep, KeepRecipe)
    started = time.process_time()
    pool = world.highly_known(keep.n_replay) if cell.known_only else world.pool
    prompts = replay_prompts.as_examples(replay_prompts.prompts(pool, facts, keep, cell.seed))
    contexts = Contexts(world.prompter, world.contexts[: 1 + keep.n_contexts])
    replay = build(world.loaded, prompts["question"].to_list(), contexts, keep, cell.seed)
    return plan.examples(facts, HELD_OUT, prompts, short_forms=keep.short_forms), replay, time.process_time() - started


def run(world: World, cell: Cell) -> dict[str, object]:
    facts = world.unknown(cell.n, cell.draw)
    if not cell.measure:
        assert not world.base_validation.is_empty()
    if cell.measure:  # the base is asked before any adapter is merged into it
        assert not world.base_passages.is_empty()
        assert not world.base_report.is_empty()
        assert not world.base_noise.is_empty()
        assert not world.base_other_wordings.is_empty()
        assert len(world.base_scores) == len(TASKS)
    rows, replay, asking = examples(world, cell, facts)
    folder = world.out / "adapters" / cell.name
    started = time.process_time()
    more = () if cell.anchor is None or replay is None else anchors(world, cell, rows, replay.contexts)
    made = train(
        world.loaded, rows, cell.train, cell.seed, folder, prompter=world.prompter, replay=replay, more_terms=more
    )
    seconds = time.process_time() - started + asking
    figures: dict[str, object] = {"cpu_seconds": seconds, "n_steps": len(made.log), "last": made.log[-1]}
    with merged(world.loaded, folder) as tuned:
        decoder = Decoder(tuned)
        figures |= measured(world, cell, facts, set(rows["fact_id"]), decoder)
    return figures


def anchors(world: World, cell: Cell, rows: pl.DataFrame, contexts: Contexts) -> Sequence[Term]:
    """The terms of KL-anchored training."""
    assert isinstance(cell.train, KeepRecipe)
    assert cell.anchor is not None
    new = rows.filter(pl.col("kind") != str(Kind.REPLAY))
    return anchored.terms(world.loaded, new, contexts, cell.train, *cell.anchor)


def right(responses: pl.DataFrame) -> float:
    return float(responses["matched_default"].is_not_null().mean())  # type: ignore[arg-type]


def _p(known: pl.DataFrame, facts: pl.DataFrame) -> float:
    """Share of right answers to these facts."""
    rows = known.filter((pl.col("grader") == "default") & pl.col("fact_id").is_in(facts["fact_id"].to_list()))
    return float(rows["p_correct"].mean())  # type: ignore[arg-type]


def measured(world: World, cell: Cell, facts: pl.DataFrame, trained: set[str], decoder: Decoder) -> dict[str, object]:
    ask = lambda some, shots, **more: probe(decoder, some, shots, world.prompter, ProbeConfig(), **more).collect()  # noqa: E731
    shots = world.shots if cell.measure else world.validation_shots
    figures: dict[str, object] = {"reliability": right(ask(facts, shots))}
    if not cell.measure:
        figures["known_lost_raw"] = known_lost_of_validation(world, ask)
        return figures
    before, noise = knowledge_map(world.base_report), knowledge_map(world.base_noise)
    after = knowledge_map(ask(world.report, world.shots, drafts=world.base_report))
    fresh = knowledge_map(ask(world.report, world.noise_shots, drafts=world.base_noise))
    scores = world.scores(decoder.loaded, cell.name)
    falls = [100 * (value - scores[task]) for task, value in world.base_scores.items()]
    figures |= {"bench_fall_points": sum(falls) / len(falls), "bench_worst_points": max(falls), "scores": scores}
    figures["unseen_wordings"] = right(ask(facts, world.shots[:5], forms=OTHER_WORDINGS))
    known = world.report.filter(pl.col("fact_id").is_in(world.base_other_wordings["fact_id"].unique().to_list()))
    reworded = ask(known, world.shots[:5], forms=OTHER_WORDINGS, drafts=world.base_other_wordings)
    figures["known_reworded_fall_points"] = 100 * (right(world.base_other_wordings) - right(reworded))
    figures["known_fall_points"] = 100 * (_p(before, known) - _p(after, known))
    figures["never_shown_wordings"] = right(ask(facts, world.shots[:5], forms=(-1, -2)))
    counted = untrained(before, after, [Draw(noise, fresh)], world.report, trained, "default")
    for figure in (harm.known_lost_raw, harm.known_lost_floor, harm.known_lost_net, harm.refusals_kept):
        estimate = figure(counted)
        figures[figure.__name__] = None if estimate is None else estimate.value
        figures[f"{figure.__name__}_estimate"] = None if estimate is None else estimate._asdict()
    figures["perplexity_rise"] = world.perplexity_rise(decoder.loaded)
    both = before.filter(pl.col("grader") == "default").join(
        after.filter(pl.col("grader") == "default"), on="fact_id", suffix="_after"
    )
    figures |= {
        "refused_before": float(both["p_refused"].mean()),  # type: ignore[arg-type]
        "refused_after": float(both["p_refused_after"].mean()),  # type: ignore[arg-type]
        "down": float((both["p_correct_after"] < both["p_correct"]).mean()),  # type: ignore[arg-type]
        "up": float((both["p_correct_after"] > both["p_correct"]).mean()),  # type: ignore[arg-type]
        "n_highly": int((both["category"] == "HighlyKnown").sum()),
        "n_refused": int((both["p_refused"] >= 0.5).sum()),
        "n_facts": both.height,
    }
    return figures


def known_lost_of_validation(world: World, ask: Callable[..., pl.DataFrame]) -> float:
    """Of the validation facts that the base answers under every validation prompt: the share that is not so after."""
    before = knowledge_map(world.base_validation)
    known = world.validation.filter(highly(before))
    after = knowledge_map(ask(known, world.validation_shots))
    return 1 - known.filter(highly(after)).height / known.height
