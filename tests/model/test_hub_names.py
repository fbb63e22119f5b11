"""A typo in a model's name is one line within seconds, with or without a network."""

import socket
from pathlib import Path

import pytest

from knowpack.config import ModelConfig
from knowpack.errors import ModelError
from knowpack.model import hub_names
from knowpack.model.load import load

KNOWN = ("lab", "smollm2")


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, int]]:
    """No hub answers; the addresses that were asked."""
    asked: list[tuple[str, int]] = []

    def refuse(address: tuple[str, int], timeout: float) -> socket.socket:
        asked.append(address)
        raise OSError("Network is unreachable")

    monkeypatch.setattr(socket, "create_connection", refuse)
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HF_HUB_OFFLINE", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    return asked


def test_a_typo_offline_asks_once_and_names_what_was_meant(offline: list[tuple[str, int]]) -> None:
    with pytest.raises(ModelError, match=r"smolm2 is no folder here .* cannot be reached; .* did you mean smollm2\?"):
        hub_names.checked("smolm2", KNOWN)
    assert offline == [("huggingface.co", 443)]


def test_a_model_with_a_typo_is_refused_before_transformers_waits_for_the_hub(offline: list[tuple[str, int]]) -> None:
    with pytest.raises(ModelError, match="cannot be reached"):
        load(ModelConfig(name="nobody/no-such-model"))
    assert len(offline) == 1


def test_a_name_that_no_hub_could_have_is_not_asked_for(offline: list[tuple[str, int]]) -> None:
    with pytest.raises(ModelError, match="is no model"):
        hub_names.checked("my model", KNOWN)
    assert offline == []


def test_another_endpoint_is_the_one_that_is_asked(
    offline: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://mirror.example:8080")
    with pytest.raises(ModelError, match=r"mirror\.example cannot be reached"):
        hub_names.checked("owner/model", KNOWN)
    assert offline == [("mirror.example", 8080)]
