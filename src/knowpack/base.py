"""The base model: loaded once a process, measured once for all runs.

RunConfig -> Base: whoever answers, the facts and prompts, and a folder `work/base/<hash>/` with what it
answered. The hash covers the weights, the tokenizer, the facts, the prompts and the grader's rules, so whatever shares
them shares the measurement (DESIGN: one base, many adapters).
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import polars as pl

from knowpack import store
from knowpack.config import BenchConfig, FactsConfig, ProbeConfig, RunConfig, fingerprint
from knowpack.decode.transformers_asker import TransformersAsker, left_out, weights_of
from knowpack.errors import FactsError
from knowpack.facts import sources
from knowpack.facts.chosen import facts_of, sampled, shot_pool
from knowpack.measure.grading import GRADER_VERSION
from knowpack.measure.knowledge import knowledge_map
from knowpack.measure.stakes import at_stake
from knowpack.model.loaded import Loaded
from knowpack.probe.askers import Asker, TextAnswers, TokenAsker, by_ids
from knowpack.probe.by_text import turns_for
from knowpack.probe.fresh import fresh_sets
from knowpack.probe.probe import probe
from knowpack.probe.prompts import Prompter, Shot, draw_shots
from knowpack.probe.turns import Turns
from knowpack.progress import SILENT, Progress
from knowpack.records import Knowledge, Response
from knowpack.served.opening import open_asker

KEY_QUESTION = "What is it?"  # its ids under every prompt stand in the key
SHOTS = {"shots", "shots_seed", "shots_in_order", "shot_answers"}  # the shots themselves are in the key
NOT_IN_THE_KEY = {"noise", "n_floors", "n_held_out_forms"}  # they leave the first set of answers as it is


class ByIds(NamedTuple):
    """Whoever answers by token ids, with what renders them."""

    asker: TokenAsker
    prompter: Prompter


@dataclass(frozen=True, slots=True)
class Base:
    """A base model in memory, what it is asked, and where its answers lie."""

    folder: Path
    """work/base/<hash>/"""
    asker: Asker
    """Whoever answers."""
    prompter: Prompter | Turns
    """Turns where the model is asked by text."""
    facts: pl.DataFrame
    """Fact table: every fact that is probed."""
    shots: list[list[Shot]]
    """The few-shot draws, one a prompt."""
    config: RunConfig
    """The run it was opened for."""

    def serves(self, config: RunConfig) -> bool:
        """Does another run ask the same model the same facts under the same prompts?"""
        return _asks(self.config) == _asks(config)

    def tuned(self, adapter: str | Path) -> AbstractContextManager[Asker]:
        """The base with an adapter on it, inside the block; do not ask the base meanwhile."""
        return self.asker.with_adapter(adapter)

    @property
    def by_ids(self) -> ByIds:
        """Asker and prompter of a model that is asked by token ids. Raises ModelError where it is asked by text."""
        asker = by_ids(self.asker, "this")
        assert isinstance(self.prompter, Prompter)
        return ByIds(asker, self.prompter)

    @property
    def loaded(self) -> Loaded:
        """The weights in memory, for training. Raises ModelError where the model is served elsewhere."""
        return weights_of(self.asker, "training")

    def check_unchanged(self) -> None:
        """The base's weights are bit for bit what they were; anything else is a bug and stops the study."""
        if isinstance(self.asker, TransformersAsker):
            self.asker.check_unchanged()

    @property
    def responses(self) -> pl.LazyFrame:
        """What the base answered (Response table, form 0)."""
        return store.scan_table(self.folder / "responses.parquet", Response)

    @property
    def knowledge(self) -> pl.DataFrame:
        """What the base knows (Knowledge table, both graders)."""
        return store.read_table(self.folder / "knowledge.parquet", Knowledge)

    def fresh(self, number: int) -> pl.DataFrame | None:
        """What the base knows under the number-th set of fresh prompts, from 1 (Knowledge); None = not asked."""
        path = self.folder / fresh_name(number) / "knowledge.parquet"
        return store.read_table(path, Knowledge) if path.is_file() else None


def open_base(
    config: RunConfig, progress: Progress = SILENT, *, asker: Asker | None = None, facts: pl.DataFrame | None = None
) -> Base:
    """Load the model, the facts and the prompts; nothing is measured yet. asker, facts: loaded already."""
    table = sources.load(facts_of(config)) if facts is None else facts
    pool = shot_pool(config)
    if config.bench.tasks:  # a typo is said before minutes of work
        from knowpack.bench.tasks import check_names

        check_names(config.bench)
    if asker is None:
        with progress.stage(f"loading {config.model.name}", None):
            asker = open_asker(config.model, config.probe.batch_size)
    facts = _to_ask(table, config, asker, progress)
    probe_config = config.probe
    if config.bench.tasks:
        by_ids(asker, "a benchmark")
    prompter = prompter_for(asker, probe_config)
    shots = draw_shots(
        pool, probe_config.n_prompts, probe_config.n_shots, probe_config.draw_seed, exclude=facts["question"].to_list()
    )
    key = {
        **asker.identity._asdict(),
        "facts": store.hash_table(facts),
        "shots": [[list(shot) for shot in draw] for draw in shots],
        "prompts": store.hash_of([_as_asked(prompter, draw) for draw in shots]),
        "probe": _probe_key(config),
        "grader": GRADER_VERSION,
    }
    folder = Path(config.work) / "base" / store.hash_of(key)
    return Base(folder, asker, prompter, facts, shots, config)


def with_something_to_lose(
    facts: pl.DataFrame, config: RunConfig, asker: Asker, progress: Progress = SILENT
) -> pl.DataFrame:
    """Of facts.screen facts, those that the base answers right, or refuses, under its first prompt; all of the table
    where no screen is asked.

    A HighlyKnown fact is answered right under every prompt, so none is lost by this: which facts are HighlyKnown, and
    what becomes of them under fresh prompts, is as if all had been asked everything. Of the other categories only a
    part is left, so their shares are not the table's. The answers are kept like any base's.
    Raises FactsError where none is answered.
    """
    n = config.facts.screen
    if n is None:
        return facts
    many = _drawn(facts, config, n)
    once = config.probe.model_copy(update={"n_prompts": 1, "noise": False, "logprob": False, "n_samples": 0})
    screening = config.model_copy(update={"facts": FactsConfig(), "probe": once, "bench": BenchConfig()})
    base = open_base(screening, progress, asker=asker, facts=many)
    measure_base(base, screening, progress)
    chosen = many.join(at_stake(base.knowledge), on="fact_id", how="semi", maintain_order="left")
    if chosen.is_empty():
        raise FactsError(f"the model answers none of {many.height} facts under its first prompt: nothing can be lost")
    return chosen


def _to_ask(table: pl.DataFrame, config: RunConfig, asker: Asker, progress: Progress) -> pl.DataFrame:
    """The facts of a table that are asked under all prompts, in its order: a sample, of all or of those that can be
    lost, and some that the screening left out."""
    to_lose = with_something_to_lose(table, config, asker, progress)
    chosen = sampled(to_lose, config.facts)
    if config.facts.screen is None or config.facts.n_unanswered == 0:
        return chosen
    many = _drawn(table, config, config.facts.screen)
    rest = many.join(to_lose, on="fact_id", how="anti", maintain_order="left")
    chosen = pl.concat([chosen, _drawn(rest, config, config.facts.n_unanswered)])
    return many.join(chosen, on="fact_id", how="semi", maintain_order="left")


def _drawn(facts: pl.DataFrame, config: RunConfig, n: int) -> pl.DataFrame:
    """n of the facts, by the sample's seed."""
    return sampled(facts, FactsConfig(sample=n, sample_seed=config.facts.sample_seed))


def _as_asked(prompter: Prompter | Turns, draw: list[Shot]) -> list[int] | list[dict[str, str]]:
    """A prompt as the model gets it: what a template prints is more than its text (a date, a switch)."""
    if isinstance(prompter, Turns):
        return prompter.messages(draw, KEY_QUESTION)
    return prompter.encode(draw, KEY_QUESTION)


def prompter_for(asker: Asker, config: ProbeConfig) -> Prompter | Turns:
    """What renders the prompts: ids by the model's tokenizer, or turns where it is asked by text."""
    if isinstance(asker, TextAnswers):
        return turns_for(config)
    return Prompter(asker.tokenizer, chat=config.chat, system=config.system, second_bos=config.second_bos)


def measure_base(base: Base, config: RunConfig, progress: Progress = SILENT) -> None:
    """Ask the base everything, and again under fresh prompts; what is on disk already is kept."""
    if is_measured(base, config):  # read by all, held by none
        return
    with store.folder_lock(base.folder, progress):
        if not store.read_manifest(base.folder):
            store.write_manifest(base.folder, {"command": "knowpack", "base_hash": base.folder.name, "files": {}})
        if not (base.folder / "facts.parquet").is_file():
            store.write_table(base.folder / "facts.parquet", base.facts)
        if not (base.folder / "probe.json").is_file():
            store.write_json(base.folder / "probe.json", _described(base, config))
        _ask(base.asker, base, base.facts, base.shots, config.probe, base.folder, None, progress)
        ask_fresh(base, base.asker, base.folder, config, progress)
        if config.bench.tasks:
            from knowpack.bench.evaluate import evaluate

            evaluate(base.asker, config.bench, bench_folder(base, config), progress=progress)
        store.record_all(base.folder)
        manifest = store.read_manifest(base.folder)
        measured = manifest.get("measured")
        keys = {_measured_key(config), *(measured if isinstance(measured, list) else [])}
        store.write_manifest(base.folder, manifest | {"measured": sorted(keys)})


def is_measured(base: Base, config: RunConfig) -> bool:
    """Is all there that `measure_base` makes for this config?"""
    measured = store.read_manifest(base.folder).get("measured")
    if not isinstance(measured, list) or _measured_key(config) not in measured:
        return False
    return not store.lacking(base.folder) and not store.lacking(bench_folder(base, config))


def _measured_key(config: RunConfig) -> str:
    return store.hash_of([fingerprint(config, "probe"), bench_key(config)])


def bench_folder(base: Base, config: RunConfig) -> Path:
    """Where the base's own scores lie."""
    return base.folder / "bench" / store.hash_of(bench_key(config))


def bench_key(config: RunConfig) -> dict[str, object]:
    """What changes the scores: the settings, and the content of benchmark data in a folder."""
    key = fingerprint(config, "bench")
    if config.bench.tasks and config.bench.data is not None:
        from knowpack.bench.data import content

        return key | {"bench_data": content(Path(config.bench.data))}
    return key


def probe_into(config: RunConfig, out: Path, progress: Progress = SILENT, *, asker: Asker | None = None) -> Base:
    """Probe config.model (its adapter merged, where it names one) into a folder of the user's choice."""
    base = replace(open_base(config, progress, asker=asker), folder=out)
    store.claim(out, "knowpack probe", _described(base, config))
    measure_base(base, config, progress)
    return base


def fresh_name(number: int) -> str:
    """The folder of a set of fresh prompts, in the base's as in a run's."""
    return f"fresh-{number}"


def ask_fresh(base: Base, asker: Asker, into: Path, config: RunConfig, progress: Progress) -> None:
    """Ask the base, or the base with an adapter, under every set of fresh prompts.

    The first set asks all facts, the others those with something to lose. -> into/fresh-1/, into/fresh-2/, ...
    """
    plain = config.probe.model_copy(update={"logprob": False, "n_samples": 0})
    for number, shots in enumerate(fresh_sets(shot_pool(config), config.probe, base.facts["question"].to_list()), 1):
        name = fresh_name(number)
        chosen = base.facts if number == 1 else base.facts.join(at_stake(base.knowledge), on="fact_id", how="semi")
        if chosen.is_empty():
            return
        theirs = base.folder / (name if into != base.folder else "") / "responses.parquet"
        drafts = store.scan_table(theirs, Response)
        _ask(asker, base, chosen, shots, plain, into / name, drafts, progress)


def _ask(
    asker: Asker,
    base: Base,
    facts: pl.DataFrame,
    shots: list[list[Shot]],
    config: ProbeConfig,
    into: Path,
    drafts: pl.LazyFrame | None,
    progress: Progress,
) -> None:
    """responses.parquet and knowledge.parquet of these facts under these prompts; what is there is kept."""
    responses = into / "responses.parquet"
    if not responses.is_file():
        chunks = store.Chunks(responses)
        probe(asker, facts, shots, base.prompter, config, chunks=chunks, drafts=drafts, progress=progress)
    if not (into / "knowledge.parquet").is_file():
        store.write_table(into / "knowledge.parquet", knowledge_map(store.read_table(responses, Response)))


def _asks(config: RunConfig) -> dict[str, object]:
    return (
        config.model_dump(include={"model", "facts", "work"})
        | _probe_key(config)
        | {"pool": (config.probe.shots, config.probe.draw_seed, config.probe.shot_answers)}
    )


def _probe_key(config: RunConfig) -> dict[str, object]:
    section = fingerprint(config, "probe")["probe"]
    assert isinstance(section, dict)
    return {name: value for name, value in section.items() if name not in NOT_IN_THE_KEY | SHOTS}


def _described(base: Base, config: RunConfig) -> dict[str, object]:
    """probe.json: what the base was asked with, for the report and for a person."""
    return {
        "model": base.asker.name,
        "weights_hash": base.asker.identity.weights,
        "adapter": config.model.adapter,
        "n_facts": base.facts.height,
        "facts_hash": store.hash_table(base.facts),
        "generation_config_left_out": left_out(base.asker),
        "chat": base.prompter.chat,
        "system": base.prompter.system,
        "shots": [[shot._asdict() for shot in draw] for draw in base.shots],
        "probe": _probe_key(config),
        "grader": GRADER_VERSION,
    }
