"""A server that dies, answers garbage, is slow or lacks the model: one clear line, nothing scored, nothing lost."""

import itertools
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fake_server import Reply, completion, listing, serving
from knowpack import store
from knowpack.config import ModelConfig, ProbeConfig
from knowpack.errors import ConfigError, KnowpackError, ModelError
from knowpack.probe.probe import probe
from knowpack.probe.turns import Shot, Turns
from knowpack.records import Fact, table
from knowpack.served.address import parse
from knowpack.served.opening import open_asker
from knowpack.settings import changed

SHOTS = [[Shot("q0", "a0")], [Shot("q1", "a1")]]
CHAT = [{"role": "user", "content": "Question: Q?"}]


def config(url: str, **served: object) -> ModelConfig:
    settings = {"retries": 0, "timeout_seconds": 60, "concurrency": 2, **served}
    return changed(ModelConfig(), {"name": f"served:{url}#tiny", **{f"served.{k}": v for k, v in settings.items()}})


def answering(reply: Callable[[dict], Reply]) -> Callable[[str, dict], Reply]:
    """The model `tiny`, which chats by `reply`."""
    return lambda path, body: reply(body) if path == "/v1/chat/completions" else listing("tiny", owned_by="someone")


def one_line(error: pytest.ExceptionInfo[KnowpackError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert text.isprintable()
    return text


GARBAGE: dict[str, tuple[Reply, str]] = {
    "a web page": ("<html>\n<title>Welcome\x1b[31m</title></html>", r"no JSON: <html> <title>Welcome \[31m"),
    "an empty body": ("", "no JSON"),
    "a list": ([1, 2], "no chat completion"),
    "no choices": ({"choices": []}, "no chat completion"),
    "an error with status 200": ({"error": {"message": "model\nis loading"}}, "no chat completion: model is loading"),
    "no text": (completion(None), "withheld an answer"),
    "parts in place of a text": (completion([{"type": "text", "text": "A"}]), "withheld an answer"),
    "a filter": (completion("", "content_filter"), r"withheld an answer \(finish_reason content_filter\)"),
    "thoughts and no answer": (completion("", "length"), "used up its tokens before an answer"),
    "a refusal by status": ((400, {"error": {"message": "System role not supported"}}), "status 400.*System role not"),
    "a key that is wanted": ((401, {"error": {"message": "no key"}}), "status 401.*no key"),
    "a page that is not there": ((404, "Not Found"), "refused a request"),
    "an error of the server": ((500, "boom"), "status 500"),
    "a cut connection": (None, "is gone"),
}


@pytest.mark.parametrize("case", GARBAGE)
def test_garbage_is_one_line_and_never_an_answer(case: str) -> None:
    reply, said = GARBAGE[case]
    with serving(answering(lambda body: reply)) as server, pytest.raises(ModelError, match=said) as error:
        open_asker(config(server.url)).answer([CHAT], max_new_tokens=4)
    one_line(error)


def test_an_answer_may_be_empty_where_the_model_ended_it() -> None:
    with serving(answering(lambda body: completion(""))) as server:
        assert open_asker(config(server.url)).answer([CHAT], max_new_tokens=4) == [""]


def test_a_server_that_is_not_there_is_one_line() -> None:
    with serving(lambda path, body: {}) as server:
        pass  # its port is free again
    with pytest.raises(ModelError, match=r"is gone \(2 tries: .*\); start it; what was answered is kept") as error:
        open_asker(config(server.url, retries=1))
    one_line(error)


def test_a_slow_server_is_said_to_be_slow() -> None:
    over = threading.Event()

    def late(body: dict) -> Reply:
        over.wait(60)
        return completion("late")

    said = r"did not answer within 0.2 s \(1 tries\); lower model.served.concurrency"
    with serving(answering(late)) as server:
        with pytest.raises(ModelError, match=said):
            open_asker(config(server.url, timeout_seconds=0.2)).answer([CHAT], max_new_tokens=4)
        over.set()


def test_a_request_that_failed_for_a_while_is_asked_again() -> None:
    failures = itertools.count()

    def at_last(body: dict) -> Reply:
        return completion("A") if next(failures) >= 2 else (503, {"error": {"message": "Loading model"}})

    with serving(answering(at_last)) as server:
        assert open_asker(config(server.url, retries=2)).answer([CHAT], max_new_tokens=4) == ["A"]
        assert len([path for path, _ in server.asked if "chat" in path]) == 3


def test_a_model_that_the_server_does_not_have_is_named_with_those_it_has() -> None:
    with (
        serving(lambda path, body: listing("big", "small")) as server,
        pytest.raises(ModelError, match="has no model tiny; it has big, small"),
    ):
        open_asker(config(server.url))


def test_no_more_requests_are_under_way_than_the_limit() -> None:
    lock, now, most = threading.Lock(), 0, 0
    together = threading.Barrier(3)  # the limit: a fourth is seen while the three wait a little longer

    def counted(body: dict) -> Reply:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        together.wait(60)
        time.sleep(0.05)
        with lock:
            now -= 1
        return completion(body["messages"][0]["content"])

    chats = [[{"role": "user", "content": str(i)}] for i in range(12)]
    with serving(answering(counted)) as server:
        found = open_asker(config(server.url, concurrency=3)).answer(chats, max_new_tokens=4)
    assert found == [str(i) for i in range(12)]  # in order, whoever came first
    assert most == 3


def test_a_server_that_dies_in_the_middle_loses_nothing_and_the_end_is_byte_for_byte_the_same(tmp_path: Path) -> None:
    facts = table([Fact(f"f{i}", f"Q{i}", (f"A{i}",)) for i in range(9)], Fact)
    counted = itertools.count(1)

    def dies(body: dict) -> Reply:
        said = completion("A" + body["messages"][-1]["content"][-1])
        return said if next(counted) <= 7 else None

    def lives(body: dict) -> Reply:
        return completion("A" + body["messages"][-1]["content"][-1])

    whole, torn = store.Chunks(tmp_path / "whole.parquet"), store.Chunks(tmp_path / "torn.parquet")
    with serving(answering(lives)) as server:
        asker = open_asker(config(server.url))
        probe(asker, facts, SHOTS, Turns(), ProbeConfig(), chunks=whole)
        identity = asker.identity
    with serving(answering(dies)) as server, pytest.raises(ModelError, match="what was answered is kept"):
        probe(open_asker(config(server.url)), facts, SHOTS, Turns(), ProbeConfig(), chunks=torn)
    kept = next(torn.folder.glob("*.jsonl"))
    assert len(kept.read_text().splitlines()) == 7
    with kept.open("a") as file:
        file.write('["a torn li')  # killed while it wrote
    with serving(answering(lives)) as server:
        asker = open_asker(config(server.url))
        assert asker.identity == identity  # at another port
        probe(asker, facts, SHOTS, Turns(), ProbeConfig(), chunks=torn)
        assert len([path for path, _ in server.asked if "chat" in path]) == 9 * 2 - 7
    assert torn.path.read_bytes() == whole.path.read_bytes()
    assert not torn.folder.exists()


@pytest.mark.parametrize(
    "name",
    [
        "served:http://host:1/v1",
        "served:host:1/v1#m",
        "served:ftp://host/v1#m",
        "served:http://host:port/v1#m",
        "served:#m",
        "served:http://host/v1#",
        "served:http://[::1/v1#m",
    ],
)
def test_an_address_that_is_none_is_one_line(name: str) -> None:
    with pytest.raises(ModelError, match="expected served:http://host:port/v1#NAME"):
        parse(name)


def test_a_key_in_the_address_is_refused_since_addresses_are_written_down() -> None:
    with pytest.raises(ModelError, match="put the key into OPENAI_API_KEY") as error:
        parse("served:http://user:secret@host/v1#m")
    assert "secret" not in str(error.value)


def test_what_the_server_says_and_the_users_mark_change_the_identity_and_the_url_does_not() -> None:
    def identity(mark: str | None = None, **fields: object) -> object:
        with serving(lambda path, body: listing("tiny", **fields)) as server:
            return open_asker(changed(config(server.url), {"revision": mark})).identity

    plain = identity(owned_by="x", created=1)
    assert identity(owned_by="x", created=2) == plain
    assert identity(owned_by="x", root="/models/a") != plain
    assert identity("second", owned_by="x") != plain


def test_sampling_is_sent_whole_so_that_a_servers_defaults_change_nothing() -> None:
    with serving(answering(lambda body: completion("A"))) as server:
        asker = open_asker(config(server.url))
        asker.answer([CHAT], max_new_tokens=4)
        asker.answer([CHAT], max_new_tokens=4, temperature=0.5, seed=(1 << 62) + 5)
    greedy, sampled = (body for path, body in server.asked if "chat" in path)
    assert greedy == {"model": "tiny", "messages": CHAT, "max_tokens": 4, "temperature": 0.0, "top_p": 1.0}
    assert sampled["temperature"] == 0.5
    assert 0 <= sampled["seed"] < 1 << 31


def test_settings_of_a_server_are_refused_of_a_model_that_is_none() -> None:
    with pytest.raises(ConfigError, match="read of served models only"):
        changed(ModelConfig(name="lab"), {"served.concurrency": 4})


def test_weights_and_adapters_of_a_server_that_has_none_are_refused_in_one_line(tmp_path: Path) -> None:
    with serving(answering(lambda body: completion("A"))) as server:
        with pytest.raises(ModelError, match="read of models that are asked by tokens"):
            open_asker(config(server.url, weights=str(tmp_path)))
        asker = open_asker(config(server.url))
        with pytest.raises(ModelError, match=r"takes no adapters .* compare with --tuned"), asker.with_adapter("a"):
            pass
