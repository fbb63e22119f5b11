"""Whether an adapter does anything at all is a line of every command that measures one."""

from pathlib import Path

import peft
import pytest

import tiny
from commands import call, options

SMALL = ["probe.n_prompts=1", "probe.n_shots=1", "probe.max_new_tokens=4", "probe.noise=false"]


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What tiny.save_all leaves, and two adapters by plain peft: loud/, and silent/, whose B is zero."""
    folder = tiny.save_all(tmp_path_factory.mktemp("live"))
    for name in ("loud", "silent"):
        wrapped = peft.get_peft_model(
            tiny.llama(len(tiny.tokenizer())),
            peft.LoraConfig(r=2, target_modules=["up_proj"], task_type="CAUSAL_LM", init_lora_weights=name == "silent"),
        )
        wrapped.save_pretrained(str(folder / name), save_embedding_layers=False)
    return folder


@pytest.mark.filterwarnings("ignore:the adapter .* changes no logit")
@pytest.mark.parametrize("command", ["probe", "diff", "bench"])
def test_a_live_adapter_is_said_to_be_live_and_one_of_zeros_is_not(
    given: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    bench = ["--model", given / "model", "--tasks", "lab_mc", "--limit", 2]
    more = ["further.n_facts=0", "further.n_forms=0"] if command == "diff" else []
    asked = bench if command == "bench" else options(given, [*SMALL, *more])
    monkeypatch.chdir(tmp_path)  # the work directory
    for name, line in (("loud", "this adapter is live: it moves a logit by up to "), ("silent", "it moves no logit")):
        out = tmp_path / name
        assert call(monkeypatch, command, *asked, "--adapter", given / name, "--out", out, "--quiet") == 0
        assert line in capsys.readouterr().out
