"""The lab's benchmarks: shipped items are the world's, about nobody of the fact set; lm-eval loads the task files."""

import math

import polars as pl
import pytest

from knowpack.lab import benchmarks, files
from knowpack.lab.benchmarks import true_mass

TASKS = ["lab_arc", "lab_mc", "lab_mc_letters", "lab_reading", "lab_truth_mc1", "lab_truth_mc2"]


def test_the_shipped_items_are_made_from_the_shipped_world() -> None:
    made = benchmarks.items(files.world())
    assert set(made) == {path.stem for path in files.task_dir().glob("*.parquet")}
    for name, frame in made.items():
        assert frame.equals(pl.read_parquet(files.task_dir() / f"{name}.parquet")), name


def test_every_item_has_its_answer_among_distinct_choices() -> None:
    for name, frame in benchmarks.items(files.world()).items():
        for question, choices, labels, answer in frame.iter_rows():
            assert len(set(choices)) == len(choices) == len(labels), (name, question)
            assert labels[answer] == 1
            assert 0 < sum(labels) < len(labels)


def test_no_item_is_about_a_subject_of_the_facts() -> None:
    subjects = set(files.facts()["subject"])
    for frame in benchmarks.items(files.world()).values():
        for question in frame["question"]:
            words = question.replace("?", "").replace(".", "").split()
            assert not {" ".join(words[i : i + 2]) for i in range(len(words) - 1)} & subjects


def test_the_right_choice_is_everywhere_as_often() -> None:
    for name in ("choice", "worded", "reading"):
        counts = pl.read_parquet(files.task_dir() / f"{name}.parquet")["answer"].value_counts()
        n = counts["count"].sum()
        assert len(counts) == 4
        assert all(abs(count - n / 4) < 5 * math.sqrt(n * 0.25 * 0.75) for count in counts["count"])


def test_mass_of_true_choices_is_normalised_by_hand() -> None:
    # probabilities .4, .2, .2 of which the first and the last are true: .6 / .8
    results = [(math.log(0.4), True), (math.log(0.2), False), (math.log(0.2), False)]
    assert true_mass({"labels": [1, 0, 1]}, results)["acc"] == pytest.approx(0.75)


def test_lm_eval_finds_and_loads_every_task_without_a_network() -> None:
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=[str(files.task_dir())], include_defaults=False)
    assert sorted(manager.all_subtasks) == TASKS
    tasks = manager.load(["lab_mc", "lab_truth_mc2", "lab_reading"])["tasks"]
    mc = tasks["lab_mc"]
    doc = mc.eval_docs[0]
    assert mc.doc_to_text(doc).startswith("Question: ")
    assert mc.doc_to_text(doc).endswith("\nAnswer:")
    assert mc.doc_to_choice(doc) == doc["choices"]
    assert mc.config.num_fewshot == 5
    assert len(tasks["lab_truth_mc2"].eval_docs) == 240
