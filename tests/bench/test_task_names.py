"""Names of benchmarks, read off the task files: at once, without lm-eval, and none is missed that lm-eval has."""

import subprocess
import sys
from pathlib import Path

import pytest

from knowpack.bench.task_names import check_names, known, lm_eval_tasks
from knowpack.config import BenchConfig
from knowpack.errors import BenchError

ALONE = """
import sys
from knowpack.bench.task_names import check_names
from knowpack.config import BenchConfig
check_names(BenchConfig(tasks=("lab_mc", "mmlu", "truthfulqa_mc1", "arc_easy", "logiqa", "hellaswag")))
try:
    check_names(BenchConfig(tasks=("hellaswog",)))
except Exception as error:
    print(error)
print({"torch", "lm_eval", "transformers", "datasets"} & set(sys.modules))
"""


def test_a_wrong_name_is_told_without_torch_and_lm_eval() -> None:
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, check=True)
    told, imported = done.stdout.splitlines()
    assert told.startswith("unknown benchmark task 'hellaswog'; near names: hellaswag")
    assert imported == "set()"


@pytest.mark.slow
def test_no_name_of_lm_eval_s_own_index_is_missed() -> None:
    from lm_eval.tasks._index import TaskIndex

    expected = set(TaskIndex.build([lm_eval_tasks()]))
    found = set(known(lm_eval_tasks()))
    assert len(expected) > 10_000
    assert expected <= found
    assert len(found - expected) < 20  # files that lm-eval cannot read


def test_names_are_found_however_the_yaml_is_written(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text('task: my_quiz # the first\n"tag":\n- one_tag\n  - "other tag"\nmetric: acc\n')
    (tmp_path / "b.yaml").write_text("group: 'all'\ntask:\n  - my_quiz\n  - task: inner\ntag: [p, q]\n")
    (tmp_path / "_template").write_text("tag: from_template\n")
    (tmp_path / "utils.py").write_text("task: no\n")
    (tmp_path / "c.yaml").write_text("description: |\n  task: no\n")
    expected = {"my_quiz", "one_tag", "other tag", "all", "inner", "p", "q", "from_template"}
    assert set(known(tmp_path)) == expected
    check_names(BenchConfig(tasks=("my_quiz", "from_template"), include=str(tmp_path)))
    with pytest.raises(BenchError, match="unknown benchmark task 'my_quizz'; near names: my_quiz"):
        check_names(BenchConfig(tasks=("my_quizz",), include=str(tmp_path)))
