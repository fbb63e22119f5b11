"""Whole benchmarks: the same scores as lm-eval's own backend, resumed after a kill, compared item by item."""

import json
import logging
import shutil
from pathlib import Path

import polars as pl
import pytest
import torch
from lm_eval.evaluator import simple_evaluate
from lm_eval.models.huggingface import HFLM

from knowpack.bench import tasks
from knowpack.bench.compare import Comparison, compare
from knowpack.bench.evaluate import evaluate
from knowpack.bench.outcomes import Sample, unit_of
from knowpack.config import BenchConfig
from knowpack.decode import packed
from knowpack.decode.transformers_asker import TransformersAsker
from knowpack.errors import BenchError
from knowpack.model.loaded import Loaded
from knowpack.records import Score, table
from knowpack.store import write_json, write_table

from .conftest import build

NAMES = ("truthfulqa_mc1", "truthfulqa_mc2", "arc_easy", "arc_challenge", "logiqa")


@pytest.fixture(scope="module")
def loaded() -> Loaded:
    return build("llama")


def config(data: Path, *names: str, **settings: object) -> BenchConfig:
    return BenchConfig(tasks=names or NAMES, data=str(data), **settings)  # type: ignore[arg-type]


def test_scores_are_those_of_lm_eval_with_its_own_backend(loaded: Loaded, data: Path, tmp_path: Path) -> None:
    scores = evaluate(TransformersAsker(loaded), config(data), tmp_path)
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    other = build("llama")
    objects = [part for each in tasks.load(NAMES, config(data)) for part in each.objects]
    with tasks.quiet():
        lm = HFLM(pretrained=other.model, tokenizer=other.tokenizer, batch_size=4)
        expected = simple_evaluate(model=lm, tasks=objects, task_manager=tasks.bare_manager())["results"]
    found = {(task, metric): (value, stderr) for task, metric, value, stderr, *_ in scores.iter_rows()}
    assert scores["higher_is_better"].all()
    assert set(scores["unit"]) == {"share"}
    for (task, metric), (value, stderr) in found.items():
        assert value == pytest.approx(expected[task][f"{metric},none"], abs=1e-3)
        assert stderr == pytest.approx(expected[task][f"{metric}_stderr,none"], abs=1e-3)
    assert len(found) == 2 + 3 * 2
    assert set(scores["n"].to_list()) == {5, 6, 2, 4}  # items of the raw files


def test_samples_keep_choice_and_gold_of_every_item(loaded: Loaded, data: Path, tmp_path: Path) -> None:
    evaluate(TransformersAsker(loaded), config(data, "arc_easy"), tmp_path)
    samples = pl.read_parquet(tmp_path / "arc_easy" / "samples.parquet")
    assert samples.filter(pl.col("metric") == "acc")["gold"].to_list() == ["0", "1", "2", "3", "0", "1"]
    right = samples.filter(pl.col("value") == 1)
    assert right["prediction"].to_list() == right["gold"].to_list()
    wrong = samples.filter(pl.col("value") == 0)
    assert not any(a == b for a, b in wrong.select("prediction", "gold").iter_rows())


def test_lm_evals_own_files_are_written(loaded: Loaded, data: Path, tmp_path: Path) -> None:
    evaluate(TransformersAsker(loaded), config(data, "arc_easy"), tmp_path)
    (results,) = (tmp_path / "lm_eval").rglob("results_*.json")
    (samples,) = (tmp_path / "lm_eval").rglob("samples_arc_easy_*.jsonl")
    assert json.loads(results.read_text())["n-samples"]["arc_easy"]["effective"] == 6
    assert len(samples.read_text().splitlines()) == 6


def test_the_callers_random_state_stays_as_it_was(loaded: Loaded, data: Path, tmp_path: Path) -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    evaluate(TransformersAsker(loaded), config(data, "arc_easy", limit=1), tmp_path)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_mmlu_is_five_shot_and_has_subjects_and_groups(loaded: Loaded, data: Path, tmp_path: Path) -> None:
    scores = evaluate(TransformersAsker(loaded), config(data, "mmlu", limit=1), tmp_path)
    names = scores["task"].to_list()
    assert len(names) == 57 + 5
    assert names[0] == "mmlu"
    assert scores["n"].to_list()[0] == 57
    kept = json.loads((tmp_path / "mmlu" / "task.json").read_text())
    assert set(kept["n_shots"].values()) == {5}
    (sample,) = list((tmp_path / "lm_eval").rglob("samples_mmlu_anatomy_*.jsonl"))
    prompt = json.loads(sample.read_text().splitlines()[0])["arguments"]["gen_args_0"]["arg_0"]
    assert prompt.count("Answer:") == 6  # five examples, and the question


def test_a_killed_bench_goes_on_where_it_was(
    loaded: Loaded, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = evaluate(TransformersAsker(loaded), config(data, batch_size=2), tmp_path / "whole")
    monkeypatch.setattr("knowpack.bench.journal.SECONDS", 0.0)  # every batch reaches the disk
    real, seen = packed._score_rows, []

    def dying(*arguments: object) -> object:
        seen.append(arguments)
        if len(seen) == 5:
            raise KeyboardInterrupt
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(packed, "_score_rows", dying)
    with pytest.raises(KeyboardInterrupt):
        evaluate(TransformersAsker(loaded), config(data, batch_size=2), tmp_path / "killed")
    n_whole, seen[:] = 0, []
    monkeypatch.setattr(packed, "_score_rows", lambda *arguments: seen.append(arguments) or real(*arguments))
    n_whole = len(list((tmp_path / "killed" / "partial").rglob("*.parquet")))
    again = evaluate(TransformersAsker(loaded), config(data, batch_size=2), tmp_path / "killed")
    assert n_whole == 4  # four batches were kept
    assert again.equals(whole)
    for name in NAMES:
        files = [tmp_path / run / name / "samples.parquet" for run in ("whole", "killed")]
        assert files[0].read_bytes() == files[1].read_bytes()
    assert not (tmp_path / "killed" / "partial").exists()


def test_a_kill_leaves_all_files_of_a_benchmark_or_none(
    loaded: Loaded, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between samples and settings, it left two files that the next run wrote again."""

    def dying(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("knowpack.bench.evaluate.write_json", dying)
    with pytest.raises(KeyboardInterrupt):
        evaluate(TransformersAsker(loaded), config(data, "arc_easy"), tmp_path)
    assert not (tmp_path / "arc_easy").exists()
    monkeypatch.undo()
    evaluate(TransformersAsker(loaded), config(data, "arc_easy"), tmp_path)
    names = sorted(path.name for path in (tmp_path / "arc_easy").iterdir())
    assert names == ["samples.parquet", "scores.parquet", "task.json"]


def test_a_task_that_is_done_is_not_run_again(loaded: Loaded, data: Path, tmp_path: Path) -> None:
    first = evaluate(TransformersAsker(loaded), config(data, "arc_easy"), tmp_path)
    stamp = (tmp_path / "arc_easy" / "samples.parquet").stat().st_mtime_ns
    both = evaluate(TransformersAsker(loaded), config(data, "arc_easy", "logiqa"), tmp_path)
    assert (tmp_path / "arc_easy" / "samples.parquet").stat().st_mtime_ns == stamp
    assert both.head(2).equals(first)
    limited = evaluate(TransformersAsker(loaded), config(data, "arc_easy", limit=3), tmp_path)
    assert limited["n"].to_list() == [3, 3]  # another setting is another measurement


def test_a_subject_without_data_is_named(loaded: Loaded, data: Path, tmp_path: Path) -> None:
    half = tmp_path / "half"
    (half / "mmlu").mkdir(parents=True)
    for folder in (data / "mmlu").iterdir():
        if folder.name != "anatomy":
            (half / "mmlu" / folder.name).symlink_to(folder)
    with pytest.raises(BenchError, match=r"no data for the task mmlu_anatomy: .*anatomy is missing"):
        evaluate(TransformersAsker(loaded), config(half, "mmlu"), tmp_path / "out")


def test_a_truncated_parquet_is_one_clear_line(loaded: Loaded, data: Path, tmp_path: Path) -> None:
    file = tmp_path / "logiqa" / "logiqa" / "test.parquet"
    file.parent.mkdir(parents=True)
    file.write_bytes((data / "logiqa" / "logiqa" / "test.parquet").read_bytes()[:-20])
    with pytest.raises(BenchError, match=r"test.parquet is no readable parquet file .*`knowpack bench prepare`"):
        evaluate(TransformersAsker(loaded), config(tmp_path, "logiqa"), tmp_path / "out")


def test_a_row_without_gold_is_never_a_silent_zero(loaded: Loaded, data: Path, tmp_path: Path) -> None:
    frame = pl.read_parquet(data / "logiqa" / "logiqa" / "test.parquet")
    broken = frame.with_columns(pl.when(pl.col("label") == "d").then(None).otherwise(pl.col("label")).alias("label"))
    write_table(tmp_path / "logiqa" / "logiqa" / "test.parquet", broken)
    with pytest.raises(BenchError, match=r"test.parquet: 1 row\(s\) without label"):
        evaluate(TransformersAsker(loaded), config(tmp_path, "logiqa"), tmp_path / "out")


@pytest.mark.parametrize(
    ("task", "column", "gold", "said"),
    [
        ("logiqa/logiqa", "label", "", r"logiqa, item 1: no gold answer can be read"),
        ("arc/ARC-Easy", "answerKey", "Z", r"arc_easy, item 1: no gold answer can be read"),
        ("mmlu/anatomy", "answer", 7, r"mmlu_anatomy, item 1: the gold answer 7 is none of its 4 choices"),
    ],
)
def test_a_gold_answer_that_is_no_choice_is_never_a_silent_zero(
    loaded: Loaded, data: Path, tmp_path: Path, task: str, column: str, gold: object, said: str
) -> None:
    shutil.copytree(data / task.split("/")[0], tmp_path / task.split("/")[0])
    file = tmp_path / task / "test.parquet"
    second = pl.int_range(pl.len()) == 1
    write_table(
        file, pl.read_parquet(file).with_columns(pl.when(second).then(pl.lit(gold)).otherwise(column).alias(column))
    )
    name = said.split(",")[0]
    with pytest.raises(BenchError, match=said):
        evaluate(TransformersAsker(loaded), config(tmp_path, name), tmp_path / "out")
    assert (
        evaluate(TransformersAsker(loaded), config(tmp_path, name, limit=1), tmp_path / "out")["n"].to_list()[0] == 1
    )  # before it


def test_other_content_under_the_same_names_is_read_anew(data: Path, tmp_path: Path) -> None:
    def questions(folder: Path) -> list[str]:
        (benchmark,) = tasks.load(["arc_easy"], config(folder, "arc_easy"))
        return [doc["question"] for doc in benchmark.tasks()[0].eval_docs]

    before = questions(data)
    shutil.copytree(data / "arc", tmp_path / "arc")
    file = tmp_path / "arc" / "ARC-Easy" / "test.parquet"
    write_table(file, pl.read_parquet(file).reverse())
    assert questions(tmp_path) == before[::-1]


def test_a_task_whose_data_are_not_prepared_says_which_are(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object) -> None:
        raise ConnectionError("Couldn't reach the hub")

    monkeypatch.setattr(tasks.TaskManager, "load", unreachable)
    with pytest.raises(BenchError, match="--data holds mmlu, truthfulqa, arc, logiqa; the data of other tasks"):
        tasks.load(["arc_easy"], config(data, "arc_easy"))


def test_a_benchmark_that_a_prepared_folder_lacks_keeps_its_own_place(data: Path, tmp_path: Path) -> None:
    """LogiQA alone has to be prepared, since the hub has a script for it; MMLU's folder need not lie beside it."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "logiqa").symlink_to(data / "logiqa")
    (tmp_path / "yaml").mkdir()
    names = ["arc_easy", "logiqa"]
    manager = tasks._manager(names, BenchConfig(tasks=tuple(names)))
    tasks.redirect(manager, names, tmp_path / "data", tmp_path / "yaml")
    assert [file.name for file in (tmp_path / "yaml").iterdir()] == ["logiqa.yaml"]
    with pytest.raises(BenchError, match=r"no data for the task arc_easy: .*yaml holds none of mmlu, truthfulqa, arc"):
        tasks.redirect(manager, names, tmp_path / "yaml", tmp_path / "yaml")


def test_data_behind_a_script_are_one_line_and_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """`datasets` 4 runs no script, and LogiQA's place on the hub holds one (lm-evaluation-harness, issue 3171)."""
    import datasets

    def load_dataset(*_: object, **__: object) -> None:
        raise RuntimeError(said)

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    said = "Dataset scripts are no longer supported, but found logiqa.py"
    with pytest.raises(BenchError, match=r"cannot load the data of logiqa .*docs/bench.md"):
        tasks.load(["logiqa"], BenchConfig(tasks=("logiqa",)))
    said = "something else"
    with pytest.raises(RuntimeError, match="something else"):
        tasks.load(["logiqa"], BenchConfig(tasks=("logiqa",)))


def test_few_shots_of_a_task_without_examples_are_an_error(loaded: Loaded, data: Path, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="arc_easy: 3 few-shot examples asked for, its data have none"):
        evaluate(TransformersAsker(loaded), config(data, "arc_easy", num_fewshot=3), tmp_path)


def test_a_group_and_its_own_task_are_asked_together(loaded: Loaded, data: Path, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="name the group or its task, not both"):
        evaluate(TransformersAsker(loaded), config(data, "mmlu", "mmlu_anatomy", limit=1), tmp_path)


@pytest.mark.slow
def test_an_unknown_task_lists_the_near_names(loaded: Loaded, data: Path, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"unknown benchmark task 'arc_eazy'; near names: arc_easy"):
        evaluate(TransformersAsker(loaded), config(data, "arc_eazy"), tmp_path)


def test_only_the_place_of_the_data_differs_from_lm_evals_task(data: Path) -> None:
    from lm_eval.tasks._yaml_loader import load_yaml

    (benchmark,) = tasks.load(["arc_challenge"], config(data, "arc_challenge"))
    (task,) = benchmark.tasks()
    manager = tasks._manager(["arc_challenge"], BenchConfig(tasks=("arc_challenge",)))
    own = load_yaml(manager.task_index["arc_challenge"].yaml_path, resolve_func=False)
    ours = task.config.to_dict()
    differ = {key for key in own if key not in ("tag", "metadata", "include") and ours.get(key) != own[key]}
    assert differ == {"dataset_path", "training_split"}  # no train split was found for ARC


def outcomes(folder: Path, **values: list[float]) -> Path:
    for task, found in values.items():
        rows = [Sample(task, i, f"h{i}", "acc", value, "0", "0") for i, value in enumerate(found)]
        write_table(folder / task / "samples.parquet", table(rows, Sample))
        write_table(folder / task / "scores.parquet", table([Score(task, "acc", 0.0, None, len(found))], Score))
        write_json(folder / task / "task.json", {"groups": {}})
    return folder


def test_flips_are_tested_exactly_and_corrected_over_tasks(tmp_path: Path) -> None:
    base = outcomes(tmp_path / "a", one=[1.0] * 12 + [0.0] * 8, two=[1.0] * 20, three=[0.3, 0.4, 0.5, 0.2] * 5)
    other = outcomes(
        tmp_path / "b",
        one=[0.0] * 10 + [1.0] * 2 + [1.0] * 2 + [0.0] * 6,  # 10 lost, 2 won
        two=[1.0] * 20,
        three=[0.2, 0.3, 0.4, 0.1] * 5,
    )
    frame = compare(base, other)
    rows = {row["task"]: row for row in frame.to_dicts()}
    assert list(frame.columns) == [field for field in Comparison.__slots__]
    assert (rows["one"]["n_lost"], rows["one"]["n_won"]) == (10, 2)
    assert rows["one"]["p"] == pytest.approx(2 * (1 + 12 + 66) / 2**12)  # two-sided binomial tail, by hand
    assert rows["one"]["difference"] == pytest.approx(-0.4)
    assert (rows["two"]["p"], rows["two"]["difference"]) == (1.0, 0.0)
    assert rows["three"]["n_lost"] is None
    assert rows["three"]["p"] == pytest.approx(1 / 2001)  # no redrawn difference is as far out
    assert rows["three"]["p_holm"] == pytest.approx(3 / 2001)  # the smallest of three, times three
    assert rows["one"]["p_holm"] == pytest.approx(2 * rows["one"]["p"])


def test_different_items_are_not_compared(tmp_path: Path) -> None:
    base = outcomes(tmp_path / "a", one=[1.0] * 5)
    other = outcomes(tmp_path / "b", one=[1.0] * 4)
    with pytest.raises(BenchError, match="the two models saw different items"):
        compare(base, other)
    with pytest.raises(BenchError, match="no benchmark in common"):
        compare(base, outcomes(tmp_path / "c", two=[1.0]))


@pytest.mark.parametrize(
    ("metric", "values", "unit"),
    [
        ("acc", [0.0, 1.0], "share"),
        ("bleu_max", [0.4, 0.9], "points"),  # all below 1: still BLEU
        ("rougeL_diff", [-3.0, 2.0], "points"),
        ("bleu_acc", [0.0, 1.0], "share"),
        ("perplexity", [3.0, 20.0], ""),
    ],
)
def test_a_metric_has_its_own_unit(metric: str, values: list[float], unit: str) -> None:
    assert unit_of(metric, pl.Series(values)) == unit
