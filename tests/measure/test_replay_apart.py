"""Harm where the replay never was, by hand."""

from test_harm import known

from knowpack.measure import replay_apart
from knowpack.measure.stakes import Draw, untrained
from knowpack.records import Fact, table

FACTS = table(
    [
        Fact(f"f{i}", "Q", ("A",), subject=("s0", "s0", "s1", "s2", None)[i], relation=("r", "r", "r", "q", "q")[i])
        for i in range(5)
    ],
    Fact,
)


def lost(replayed: list[Fact]) -> dict[str, tuple[float, int | None]]:
    """All five known; the adapter loses f2 under B, and f2 and f3 under A."""
    found = untrained(known("HHHHH"), known("HHMUH"), [Draw(known("HHHHH"), known("HHMHH"))], FACTS, set(), "default")
    made = replay_apart.figures(found, FACTS, table(replayed, Fact), "default")
    return {one.name: (one.value, one.n) for one in made}


def test_subjects_and_relations_without_replay_are_counted_apart() -> None:
    found = lost([Fact("x", "Q", ("A",), subject="s0", relation="r")])
    assert found["known_lost_net_no_replay_subject"] == (0.5, 2)  # f2 and f3; f4 has no subject
    assert found["known_lost_raw_no_replay_subject"] == (1.0, 2)
    assert found["known_lost_net_no_replay_relation"] == (0.0, 2)  # f3 and f4
    assert found["known_lost_raw_no_replay_relation"] == (0.5, 2)


def test_nothing_replayed_and_everything_replayed_give_no_figure() -> None:
    assert lost([]) == {}
    every = [Fact(f"x{i}", "Q", ("A",), subject=f"s{i}", relation=("r", "q", "q")[i]) for i in range(3)]
    assert lost(every) == {}
