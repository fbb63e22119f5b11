"""examples/quickstart.ipynb runs from its first cell to its last, and packs what it says it packs.

What is put in its place, for time: fewer facts, replay and questions beside the probe.
"""

import os
import re
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[1] / "examples" / "quickstart.ipynb"
SOURCE = Path(__file__).parents[1] / "src"
BESIDE = '"further.n_facts": 10, "further.n_forms": 5, "further.n_distractors": 2'
REPLAY = '"train.n_replay": 200, "train.n_made_up": 100, "train.n_texts": 20, "train.replay_batch": 32'
SMALLER = {
    "sample=200": "sample=60",
    '"train.n_replay": 800': f"{REPLAY}, {BESIDE}",
    '"facts.sample_seed": 1': f'"facts.sample_seed": 1, {BESIDE}',
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Jupyter's own
def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(SOURCE), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells)  # outputs would hold paths of one machine
    for text, smaller in SMALLER.items():
        assert any(text in cell.source for cell in notebook.cells), text
        for cell in notebook.cells:
            cell.source = cell.source.replace(text, smaller)
    place = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=1800, startup_timeout=600, resources=place).execute()
    shown = [out.data["text/plain"] for cell in notebook.cells for out in cell.get("outputs", []) if "data" in out]
    (packed,) = [text for text in shown if text.startswith("lab + packed")]
    learned = re.search(r"New facts answered: (\d+)%.*n = 20", packed)
    assert learned is not None, packed
    assert int(learned[1]) >= 80, packed
    assert "verdict: " in shown[-1]
    assert (tmp_path / "out" / "packed" / "report.html").is_file()
