"""What a push sends, and what it must not: facts, paths of this machine. No hub is asked; its client is a double that
has the real one's signatures."""

import json
from pathlib import Path
from unittest.mock import create_autospec

import httpx2
import peft
import polars as pl
import pytest
import yaml
from huggingface_hub import HfApi, ModelCard, RepoUrl, parse_eval_result_entries
from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError
from typer.testing import CliRunner

import tiny
from knowpack import records, store
from knowpack.cli.main import app
from knowpack.config import PlainRecipe
from knowpack.errors import ConfigError, ModelError
from knowpack.export import push
from knowpack.model.locations import CONFIG
from knowpack.records import Example, Kind, Score
from knowpack.train import card

SECRET = "the safe's number"


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """As plain peft leaves it, and as ours: paths from the root in its settings, its card and beside it."""
    model = tiny.llama(len(tiny.tokenizer()))
    model.name_or_path = model.config._name_or_path = str(tmp_path / "models" / "mine")
    wrapped = peft.get_peft_model(model, peft.LoraConfig(r=2, target_modules=["up_proj"], task_type="CAUSAL_LM"))
    wrapped.save_pretrained(str(tmp_path / "out" / "adapter"), save_embedding_layers=False)
    folder = tmp_path / "out" / "adapter"
    (folder / "knowpack.json").write_text(json.dumps({"base": str(tmp_path / "models" / "mine")}))
    (folder / "train_log.jsonl").write_text('{"step": 1, "loss": 2.0}\n')
    (folder / "tensorboard").mkdir()
    (folder / "tensorboard" / "events.out.tfevents.1.host").write_bytes(b"host")
    (folder / "epoch-1").mkdir()
    (folder / "epoch-1" / "adapter_model.safetensors").write_bytes(b"")
    rows = [
        Example("a", "f1", Kind.UNKNOWN, SECRET, "4711"),
        Example("b", "f1", Kind.PARAPHRASE, "How does one open it?", "4711"),
        Example("c", "f2", Kind.REPLAY, "What is the capital of France?", "Paris"),
    ]
    store.write_table(tmp_path / "out" / "examples.parquet", records.table(rows, Example))
    return folder


def content(sent: push.Sent) -> bytes:
    return sent.content if isinstance(sent.content, bytes) else sent.content.read_bytes()


def test_neither_facts_nor_checkpoints_nor_a_path_of_this_machine_is_sent(adapter: Path, tmp_path: Path) -> None:
    assert str(tmp_path).encode() in (adapter / CONFIG).read_bytes() + (adapter / "README.md").read_bytes()
    sent = {one.path: content(one) for one in push.files(adapter)}
    assert sorted(sent) == sorted(
        ["README.md", CONFIG, "adapter_model.safetensors", "knowpack.json", "train_log.jsonl"]
    )
    whole = b"".join(sent.values())
    assert str(tmp_path).encode() not in whole
    assert SECRET.encode() not in whole
    assert json.loads(sent[CONFIG])["base_model_name_or_path"] == "mine"
    assert json.loads(sent["knowpack.json"])["base"] == "mine"
    data = ModelCard(sent["README.md"].decode()).data
    assert data.base_model is None, "of a folder there is no hub name"
    assert [tag for tag in data.tags if tag.startswith("base_model")] == []


def test_what_is_sent_is_an_adapter_that_peft_loads_and_its_base_the_hubs_name(adapter: Path, tmp_path: Path) -> None:
    (adapter / "knowpack.json").write_text(json.dumps({"base": "smollm2"}))
    copy = tmp_path / "copy"
    copy.mkdir()
    for one in push.files(adapter):
        (copy / one.path).write_bytes(content(one))
    again = peft.PeftModel.from_pretrained(tiny.llama(len(tiny.tokenizer())), str(copy))
    assert again.peft_config["default"].base_model_name_or_path == "HuggingFaceTB/SmolLM2-135M-Instruct"
    data = ModelCard.load(copy / "README.md").data
    assert data.base_model == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert "base_model:adapter:HuggingFaceTB/SmolLM2-135M-Instruct" in data.tags


def test_a_card_of_ours_needs_no_change(adapter: Path) -> None:
    (adapter / "knowpack.json").write_text(json.dumps({"base": "owner/model"}))
    told = store.read_table(adapter.parent / "examples.parquet", Example)
    card.write(adapter, "owner/model", "0a1b", told, PlainRecipe(), 7)
    (mine,) = [one for one in push.files(adapter) if one.path == "README.md"]
    assert mine.content == adapter / "README.md"


def test_facts_are_sent_where_they_are_asked_for_and_not_the_replayed_ones(adapter: Path) -> None:
    (sent,) = [one for one in push.files(adapter, facts=True) if one.path == "facts.parquet"]
    told = pl.read_parquet(content(sent))
    assert told.rows() == [(SECRET, "4711"), ("How does one open it?", "4711")]
    (adapter.parent / "examples.parquet").unlink()
    with pytest.raises(ConfigError, match=r"there is no .*examples\.parquet"):
        push.files(adapter, facts=True)


def measured(folder: Path, limit: int | None) -> None:
    scores = [Score("arc_easy", "acc_norm", 0.6332, 0.01, 2376, True, "share"), Score("lab_mc", "acc", 1.0, 0.0, 9)]
    store.write_table(folder / "scores.parquet", records.table(scores, Score))
    for task in ("arc_easy", "lab_mc"):
        about = {"settings": {"limit": limit}, "n_shots": {task: 0}}
        store.write_json(folder / "bench" / task / "task.json", about)


def test_scores_of_whole_benchmarks_are_sent_as_the_hubs_client_reads_them(adapter: Path) -> None:
    measured(adapter.parent, None)
    sent = {one.path: content(one) for one in push.files(adapter)}
    assert [path for path in sent if path.startswith(".")] == [".eval_results/arc_easy.yaml"]
    (entry,) = parse_eval_result_entries(yaml.safe_load(sent[".eval_results/arc_easy.yaml"]))
    assert (entry.dataset_id, entry.task_id, entry.value) == ("allenai/ai2_arc", "ARC-Easy", 63.32)
    assert "0-shot" in str(entry.notes)
    assert "n = 2376" in str(entry.notes)


def test_a_score_of_some_items_is_no_score_of_the_benchmark(adapter: Path) -> None:
    measured(adapter.parent, 100)
    assert not [one for one in push.files(adapter) if one.path.startswith(".")]


def test_all_goes_in_one_commit_into_a_repository_that_is_made(adapter: Path) -> None:
    api = create_autospec(HfApi, instance=True)
    api.create_commit.return_value.repo_url = RepoUrl("https://huggingface.co/me/facts")
    sent = push.files(adapter)
    assert push.push(sent, "me/facts", private=True, api=api) == "https://huggingface.co/me/facts"
    api.create_repo.assert_called_once_with("me/facts", private=True, exist_ok=True, repo_type="model")
    (call,) = api.create_commit.call_args_list
    assert [one.path_in_repo for one in call.kwargs["operations"]] == [one.path for one in sent]
    assert [one.upload_info.size for one in call.kwargs["operations"]] == [one.n_bytes for one in sent]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (LocalTokenNotFoundError("x"), "hf auth login"),
        (HfHubHTTPError("no", response=httpx2.Response(403, request=httpx2.Request("POST", "https://x"))), "may write"),
        (httpx2.ConnectError("Name or service\nnot known"), "me/facts was not sent: Name or service not known"),
    ],
)
def test_a_hub_that_refuses_or_is_not_there_is_one_line(adapter: Path, error: Exception, said: str) -> None:
    api = create_autospec(HfApi, instance=True)
    api.create_repo.side_effect = error
    with pytest.raises(ModelError, match=said) as caught:
        push.push(push.files(adapter), "me/facts", api=api)
    assert "\n" not in str(caught.value)


def test_dry_run_lists_the_files_and_a_wrong_name_is_said_before(
    adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.HfApi.create_repo", lambda *_, **__: pytest.fail("the hub was asked"))
    done = CliRunner().invoke(app, ["push", str(adapter), "me/facts", "--dry-run"])
    assert done.exit_code == 0, done.output
    assert [line.split()[1] for line in done.stdout.splitlines()[:-1]] == [one.path for one in push.files(adapter)]
    assert done.stdout.splitlines()[-1] == "nothing was sent; without --dry-run these go to me/facts"
    for name in ("facts", "me/fa cts", "a/b/c"):
        with pytest.raises(ConfigError, match="expected owner/name"):
            push.checked(name)
