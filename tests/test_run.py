"""One run and a study of them on a random model: what is made, what is kept, what a failure leaves."""

import datetime
import gc
import hashlib
import importlib
import json
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

import templates
import tiny
from knowpack import run as stages
from knowpack import run_epochs, store
from knowpack.base import Base, measure_base, open_base
from knowpack.config import FactsConfig, RunConfig, StudyConfig
from knowpack.diff import diff, trained_on
from knowpack.errors import ConfigError, FactsError, LockedError, ModelError, StoreError
from knowpack.facts.from_config import sampled
from knowpack.manifest import begin
from knowpack.measure.confidence import RiskCoverage
from knowpack.measure.grading import GRADER_VERSION
from knowpack.measure.group_harm import GroupHarm
from knowpack.model import chat
from knowpack.model.load import load
from knowpack.model.loaded import weights_hash
from knowpack.pack.request import Request, identity
from knowpack.progress import SILENT
from knowpack.records import Figure, Knowledge, Response, Shift
from knowpack.report import build
from knowpack.settings import override
from knowpack.state import cells, listing
from knowpack.study import study

SETTINGS = [
    "probe.n_prompts=2",
    "probe.n_shots=2",
    "probe.max_new_tokens=6",
    "mix.n_unknown=3",
    "train.lr=1e-2",
    "train.epochs=2",
    "train.checkpoint_each_epoch=true",
]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> RunConfig:
    return tiny.run_config(tiny.save_all(tmp_path_factory.mktemp("run")), SETTINGS)


@pytest.fixture(scope="module")
def done(config: RunConfig) -> Path:
    return stages.run(config)


def test_an_epochs_reliability_is_of_greedy_answers_alone(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers drawn at a temperature, which the knowledge map does not count as right or wrong, were in the mean."""
    sampled_beside, n_samples = override(config, ["probe.n_samples=2", f"work={tmp_path}"]), []
    probe = run_epochs.probe

    def watched(asker: Any, facts: pl.DataFrame, *rest: Any, **more: Any) -> pl.LazyFrame:
        n_samples.append(rest[-1].n_samples)
        return probe(asker, facts, *rest, **more)

    monkeypatch.setattr(run_epochs, "probe", watched)
    stages.run(sampled_beside)
    assert n_samples == [0, 0], "one an epoch"


def test_a_kill_while_epochs_are_measured_trains_nothing_again(
    config: RunConfig, done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The adapter was put in its place when all epochs were measured, and a kill before that lost the training."""
    probe, step = run_epochs.probe, torch.optim.AdamW.step
    n_asked, n_steps = 0, 0

    def killed_at_the_second(*given: Any, **more: Any) -> pl.LazyFrame:
        nonlocal n_asked
        n_asked += 1
        if n_asked == 2:
            more["chunks"].size(1)  # in the middle of it
            raise KeyboardInterrupt
        return probe(*given, **more)

    def counted(self: torch.optim.AdamW, *given: object) -> object:
        nonlocal n_steps
        n_steps += 1
        return step(self, *given)

    monkeypatch.setattr(run_epochs, "probe", killed_at_the_second)
    monkeypatch.setattr(torch.optim.AdamW, "step", counted)
    elsewhere = override(config, [f"work={tmp_path}"])
    with pytest.raises(KeyboardInterrupt):
        stages.run(elsewhere)
    before = n_steps
    folder = stages.run(elsewhere)
    assert (before, n_steps) == (2, 2), "two epochs of one batch, once"
    assert n_asked == 3, "the first epoch once, the second again"
    assert not (folder / "training").exists()
    names = {str(path.relative_to(done)) for path in (done / "adapter").rglob("*") if path.is_file()}
    assert {"adapter/train_log.jsonl", "adapter/epoch-02/adapter_model.safetensors"} <= names
    for name in names:
        assert (folder / name).read_bytes() == (done / name).read_bytes(), name


def test_a_run_leaves_every_table(done: Path) -> None:
    responses = store.read_table(done / "responses.parquet", Response)
    assert responses.height == 12 * 2
    assert store.read_table(done / "held_out.parquet", Response)["form"].unique().to_list() == [3]
    assert store.read_table(done / "knowledge.parquet", Knowledge).height == 12 * 2  # two graders
    shifts = store.read_table(done / "shifts.parquet", Shift)
    assert shifts.filter(trained=True).height == 3 * 2
    assert json.loads((done / "status.json").read_text()) == {"state": "done"}
    lines = [json.loads(line) for line in (done / "train_log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines if "reliability" in line] == [1, 2]
    assert {"versions", "stages", "base_hash", "facts_hash"} <= json.loads((done / "manifest.json").read_text()).keys()
    assert responses["answer_logprob"].is_between(-1000, 0).all()
    assert responses["answer_tokens"].is_between(1, 6).all()
    found = {one["name"] for one in json.loads((done / "figures.json").read_text())}
    assert {"confidence_change", "ece", "brier_base", "aurc_change"} <= found
    assert store.read_table(done / "risk_coverage.parquet", RiskCoverage)["model"].unique(maintain_order=True).len() > 0
    assert {"wording_right_change", "consistency", "text_nats_change", "margin_won"} <= found
    assert store.read_table(done / "group_harm.parquet", GroupHarm).columns[:3] == ["grader", "by", "group"]


def test_show_lists_the_stages_in_their_order(done: Path) -> None:
    (line,) = listing(done)
    assert (line.state, line.stages) == ("done", "mix train further-base probe further knowledge shifts figures")


def test_running_again_repeats_nothing(config: RunConfig, done: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in done.rglob("*.parquet")}
    assert stages.run(config) == done
    assert {path: path.stat().st_mtime_ns for path in done.rglob("*.parquet")} == before


def test_a_run_that_trained_every_probed_fact_has_a_report(config: RunConfig) -> None:
    every = ["mix.n_unknown=12", "train.epochs=1", "train.checkpoint_each_epoch=false", "probe.noise=false"]
    folder = stages.run(override(config, every))
    shifts = store.read_table(folder / "shifts.parquet", Shift)
    assert shifts["trained"].all()
    assert build(folder).is_file()


def test_grades_by_other_rules_are_kept_apart(config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    base = open_base(config)
    asked = identity(Request(out=Path("out")), base.facts, base.facts)
    monkeypatch.setattr("knowpack.base.base.GRADER_VERSION", GRADER_VERSION + 1)
    monkeypatch.setattr("knowpack.pack.request.GRADER_VERSION", GRADER_VERSION + 1)
    assert open_base(config).folder != base.folder
    assert identity(Request(out=Path("out")), base.facts, base.facts) != asked


def test_the_hash_covers_what_changes_a_result_and_nothing_else(config: RunConfig) -> None:
    base = open_base(config)

    def name(*settings: str) -> str:
        return stages.folder_of(override(config, list(settings)), base).name

    assert name("probe.batch_size=3") == name("train.track=none") == name()
    assert len({name(), name("seed=1"), name("train.lr=2e-2"), name("mix.n_unknown=4"), name("grader=paper")}) == 5


def test_what_a_template_prints_is_in_the_bases_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A date in it, say: other prompts are another base's, though template, facts and weights are the same."""
    folder = tiny.save_all(tmp_path)
    tokens = tiny.tokenizer()
    tokens.chat_template = templates.DATED
    tokens.save_pretrained(folder / "model")
    config = tiny.run_config(folder, SETTINGS)
    first = open_base(config).folder
    assert open_base(config).folder == first
    monkeypatch.setattr(chat, "TODAY", chat.TODAY + datetime.timedelta(days=1))
    assert open_base(config).folder != first


def test_another_seed_is_another_base_where_answers_are_sampled_and_the_same_one_where_all_are_greedy(
    config: RunConfig,
) -> None:
    """Without shots the seed was nowhere in the key: the samples of the first seed were read as the second's."""
    base = open_base(override(config, ["probe.n_shots=0"]))

    def folder(*settings: str) -> Path:
        return open_base(override(base.config, list(settings)), asker=base.asker).folder

    assert folder("probe.shots_seed=1") == base.folder
    assert folder("probe.n_samples=2", "probe.shots_seed=1") != folder("probe.n_samples=2")


def test_the_base_is_bit_for_bit_what_it_was_after_every_stage(config: RunConfig, tmp_path: Path) -> None:
    config = override(config, [f"work={tmp_path}", "bench.tasks=[lab_mc]", "bench.limit=3"])
    base = open_base(config)
    before = {name: weight.clone() for name, weight in base.loaded.model.state_dict().items()}

    def unchanged() -> None:
        assert weights_hash(base.loaded.model) == base.loaded.weights_hash == weights_hash(load(config.model).model)
        now = base.loaded.model.state_dict()
        assert now.keys() == before.keys()
        assert all(now[name].equal(before[name]) for name in before)

    folder = stages.folder_of(config, base)
    measure_base(base, config)
    unchanged()
    begin(folder, config, base)
    stages.make_examples(folder, config, base)
    unchanged()
    stages.make_adapter(folder, config, base, SILENT)
    unchanged()
    with base.tuned(folder / "adapter") as tuned:
        assert tuned.identity.weights != base.loaded.weights_hash
        stages.measure(folder, config, base, tuned, SILENT)
    unchanged()
    assert (folder / "scores.parquet").is_file()
    diff(config, config.model.model_copy(update={"adapter": str(folder / "adapter")}), tmp_path / "diff")
    unchanged()


def test_a_kill_between_likelihoods_and_passages_repeats_no_likelihoods(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """likelihoods.parquet stood there, whole, and was asked and written again."""
    config = override(config, [f"work={tmp_path}"])
    write = store.write_table

    def killed(path: Path, frame: pl.DataFrame) -> None:
        if (path.parent.name, path.name) == ("tuned", "passages.parquet"):
            raise KeyboardInterrupt
        write(path, frame)

    with monkeypatch.context() as patched:
        patched.setattr(store, "write_table", killed)
        with pytest.raises(KeyboardInterrupt):
            stages.run(config)
    (there,) = tmp_path.glob("runs/*/further/tuned/likelihoods.parquet")
    before = there.stat().st_mtime_ns
    stages.run(config)
    assert there.stat().st_mtime_ns == before
    assert there.with_name("passages.parquet").is_file()


def test_a_config_written_after_a_kill_has_its_settings_in_the_same_order(config: RunConfig, tmp_path: Path) -> None:
    """Ctrl-C between manifest.json and config.yaml: it came back from the manifest, by the alphabet."""
    config = override(config, [f"work={tmp_path}"])
    base = open_base(config)
    folder = stages.folder_of(config, base)
    begin(folder, config, base)
    whole = (folder / "config.yaml").read_bytes()
    (folder / "config.yaml").unlink()
    begin(folder, config, base)
    assert (folder / "config.yaml").read_bytes() == whole


def test_the_card_says_what_was_measured(done: Path) -> None:
    card = (done / "adapter" / "README.md").read_text()
    figures = json.loads((done / "figures.json").read_text())
    (told,) = [one for one in figures if (one["name"], one["grader"]) == ("reliability", "default")]
    assert told["n"] == 3
    assert f"| trained facts answered | {told['value']:.3f} [" in card
    assert "n = 3 |" in card


def test_diff_of_an_adapter_from_anywhere(config: RunConfig, done: Path, tmp_path: Path) -> None:
    after = config.model.model_copy(update={"adapter": str(done / "adapter")})
    out = diff(config, after, tmp_path / "diff", trained_on(done / "examples.parquet"))
    ours = store.read_table(out / "shifts.parquet", Shift)
    assert ours.equals(store.read_table(done / "shifts.parquet", Shift))
    file = (done / "adapter" / "adapter_model.safetensors").read_bytes()
    assert json.loads((out / "tuned.json").read_text())["adapter_hash"] == hashlib.sha256(file).hexdigest()[:16]


def test_an_adapter_that_changes_nothing_does_no_harm_net_of_noise(tmp_path: Path) -> None:
    """On the lab, whose facts do flip from prompt to prompt: the floor is not 0, every net figure is."""
    from peft import LoraConfig, get_peft_model

    lab = RunConfig(facts=FactsConfig(sample=250), work=str(tmp_path / "work"))
    lab = override(lab, ["probe.n_prompts=4", "probe.max_new_tokens=8"])
    loaded = load(lab.model)
    null = get_peft_model(loaded.model, LoraConfig(r=1, target_modules=["down_proj"]))  # type: ignore[arg-type]  # B is 0
    null.save_pretrained(tmp_path / "null")
    with pytest.warns(UserWarning, match="changes no logit"):
        out = diff(lab, lab.model.model_copy(update={"adapter": str(tmp_path / "null")}), tmp_path / "diff")
    (doubt,) = json.loads((out / "tuned.json").read_text())["doubts"]
    assert "changes no logit: it is measured, and it is the base" in doubt
    figures = [Figure(**one) for one in json.loads((out / "figures.json").read_text())]
    found = {one.name: one for one in figures if one.grader == "default"}
    assert found["harm_floor"].value > 0
    for name in ("known_lost_net", "harm_net", "gain_net", "refusals_lost_net"):
        assert found[name].value == 0.0, name
        assert found[name].low < 0.0 < found[name].high, name  # type: ignore[operator]
        assert "draw" in found[name].method
    assert sorted(path.name for path in out.glob("fresh-*")) == ["fresh-1", "fresh-2"]


def test_diff_says_that_there_is_no_adapter_before_it_asks_the_base(config: RunConfig, tmp_path: Path) -> None:
    elsewhere = override(config, [f"work={tmp_path / 'work'}"])
    with pytest.raises(ModelError, match="no adapter folder"):
        diff(elsewhere, config.model.model_copy(update={"adapter": str(tmp_path / "none")}), tmp_path / "diff")
    with pytest.raises(FactsError, match="no fact file"):
        trained_on(tmp_path / "none.csv")
    assert not list(tmp_path.rglob("*.parquet"))


def test_diff_of_a_whole_model_against_itself_finds_nothing(config: RunConfig, tmp_path: Path) -> None:
    out = diff(config, config.model, tmp_path / "diff")
    shifts = store.read_table(out / "shifts.parquet", Shift)
    assert shifts["delta_p"].abs().max() == 0
    assert shifts["kinship"].is_null().all(), "nobody said what it was trained on"


def test_a_diff_folder_belongs_to_one_adapter(config: RunConfig, done: Path, tmp_path: Path) -> None:
    diff(config, config.model, tmp_path / "diff")
    after = config.model.model_copy(update={"adapter": str(done / "adapter")})
    with pytest.raises(ConfigError, match="other model or adapter"):
        diff(config, after, tmp_path / "diff")


def test_a_cell_that_fails_is_reported_and_the_others_go_on(config: RunConfig, done: Path) -> None:
    grid = StudyConfig(
        name="grid",
        base=config,
        cells=(
            {"label": "impossible", "mix.n_unknown": 2, "mix.n_highly_known": 1},
            {"label": "fine", "mix.n_unknown": 2},
        ),
    )
    ended = list(cells(study(grid)))
    assert [cell.state for cell in ended] == ["failed", "done"]
    assert "mix.n_highly_known=1" in str(ended[0].error)
    assert not (ended[0].folder / "figures.json").exists()


def test_a_mix_that_no_model_could_give_is_said_before_one_is_loaded(
    config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was said after the base had been asked everything."""

    def loaded(*args: object) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(importlib.import_module("knowpack.base.open_base"), "open_asker", loaded)
    with pytest.raises(FactsError, match=r"^mix.n_unknown=1000 asks for more facts than there are: 12;"):
        stages.run(override(config, ["mix.n_unknown=1000"]))
    with pytest.raises(FactsError, match=r"^wordings: mix.n_paraphrase=2 needs 2 wordings .* 0 of 12 facts have them"):
        study(StudyConfig(name="no", base=config, cells=({"label": "a"}, {"label": "wordings", "mix.n_paraphrase": 2})))


def test_what_only_the_knowledge_map_tells_is_said_before_anything_else_is_asked(
    config: RunConfig, tmp_path: Path
) -> None:
    """A random model knows no fact, which its first answers say: fresh prompts and benchmarks are not asked."""
    lacking = override(config, [f"work={tmp_path}", "mix.n_unknown=2", "mix.n_highly_known=1", "bench.tasks=[lab_mc]"])
    with pytest.raises(FactsError, match="needs 2 HighlyKnown facts, there are 0"):
        stages.run(lacking)
    (base,) = (tmp_path / "base").iterdir()
    assert {path.name for path in base.iterdir() if path.is_dir()} == set()
    assert store.read_table(base / "responses.parquet", Response).height == 12 * 2
    (told,) = (tmp_path / "runs").rglob("status.json")
    assert json.loads(told.read_text())["state"] == "failed"


def test_a_missing_table_of_extras_is_said_before_the_base_is_asked(config: RunConfig, tmp_path: Path) -> None:
    lacking = override(config, [f"work={tmp_path / 'work'}", f"mix.extra_facts={tmp_path / 'none.csv'}"])
    with pytest.raises(FactsError, match="no fact file"):
        stages.run(lacking)
    with pytest.raises(FactsError, match="no fact file"):
        study(StudyConfig(name="lacking", base=lacking, cells=({"label": "a"},)))
    assert not list((tmp_path / "work").rglob("responses.parquet*"))


def test_a_run_is_named_by_what_its_extras_hold_so_that_a_lost_table_is_said(config: RunConfig, tmp_path: Path) -> None:
    """Named by the path, it was taken for the run of other facts under that path."""
    extras = tmp_path / "extras.parquet"
    extras.write_bytes(Path(config.facts.path).read_bytes())
    given = override(config, [f"work={tmp_path / 'work'}", f"mix.extra_facts={extras}"])
    folder = stages.run(given)
    (tmp_path / "elsewhere").mkdir()
    elsewhere = extras.rename(tmp_path / "elsewhere" / extras.name)
    assert stages.run(override(given, [f"mix.extra_facts={elsewhere}"])) == folder
    with pytest.raises(FactsError, match=r"^there is no fact file .*extras\.parquet"):
        stages.run(given)


def test_a_study_loads_the_base_once(config: RunConfig, done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from knowpack.served import opening

    loads = []
    monkeypatch.setattr(opening, "load", lambda model: loads.append(model) or load(model))
    two = ({"label": "a", "mix.n_unknown": 2}, {"label": "b", "mix.n_unknown": 1, "probe.noise": False})
    study(StudyConfig(name="once", base=config, cells=two, seeds=(1, 2)))
    assert len(loads) == 1


def test_a_study_of_two_models_has_one_of_them_in_memory_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last cell's was kept from the check of all cells on, and the one before while the next was loaded."""
    one = tiny.run_config(tiny.save_all(tmp_path / "one"), [*SETTINGS, f"work={tmp_path / 'work'}"])
    other = tiny.save_model(tmp_path / "two" / "model", chat=False)
    grid = {"name": "two", "base": one.model_dump(mode="json"), "cells": [{"label": "a"}, {"label": "b"}]}
    grid["cells"][1]["model.name"] = str(other)
    models: list[weakref.ref[Any]] = []
    alive: list[int] = []

    def opened(*args: Any, **more: Any) -> Base:
        gc.collect()
        alive.append(sum(model() is not None for model in models))
        base = open_base(*args, **more)
        models.append(weakref.ref(base.loaded.model))
        return base

    monkeypatch.setattr("knowpack.study.open_base", opened)
    folder = study(StudyConfig.model_validate(grid))
    assert [cell.state for cell in cells(folder)] == ["done", "done"]
    assert alive == [0, 0, 0, 0], "both for the check, both for their cells, one after the other"


def test_a_sample_keeps_the_proportions() -> None:
    facts = tiny.facts(300)
    taken = sampled(facts, FactsConfig(sample=30))
    assert taken.height == 30
    assert taken["relation"].value_counts()["count"].to_list() == [10, 10, 10]
    assert sampled(facts, FactsConfig(sample=30))["fact_id"].equals(taken["fact_id"])


def test_a_folder_that_another_holds_is_waited_for_and_the_wait_is_said(tmp_path: Path) -> None:
    said: list[str] = []
    other = store.lock(tmp_path)

    class Telling:
        @contextmanager
        def stage(self, label: str, total: int | None) -> Iterator[Callable[[int], None]]:
            said.append(label)
            other.__exit__(None, None, None)  # the other process ends meanwhile
            yield lambda n: None

    other.__enter__()
    with store.folder_lock(tmp_path, Telling()), pytest.raises(LockedError), store.lock(tmp_path):
        pass
    assert said == [f"waiting for another process that works in {tmp_path}"]
    with store.lock(tmp_path):
        pass  # it was let go


def test_a_folder_that_cannot_be_written_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write"), store.folder_lock(tmp_path / "file", SILENT):
        pass
