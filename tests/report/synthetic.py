"""A made-up study on disk, in the layout of the work directory, small or as large as the paper's. No model.

    python tests/report/synthetic.py OUT [--facts 21036] [--cells 31] [--seeds 1]

Numbers are drawn, not measured. Some texts are hostile on purpose (HOSTILE): the report must show them as text.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from knowpack import config, records, store
from knowpack.records import Example, Fact, Knowledge, Response, Score, Shift, fact_id_of

HOSTILE = (
    "<script>window.hacked = 1</script>",
    '</script><img src=x onerror="window.hacked = 1">',
    "**bold** [link](javascript:window.hacked=1) `code`",
    '=HYPERLINK("http://example.invalid/?"&A1,"click")',
    "nul \x00 bell \x07 and \u202egnol eht yb detrevni\u202c end",
    "שלום עולם, this is right to left العربية",
    "emoji 👩‍🚀🏳️‍🌈 é",
    "<!-- --><style>body{display:none}</style>",
    "long " * 2000,
    "-1+cmd|' /C calc'!A0",
)
RELATIONS = (
    ("birthPlace", "Person", "Place", "Where was {} born?"),
    ("almaMater", "Person", "University", "Where did {} study?"),
    ("spouse", "Person", "Person", "Who is married to {}?"),
    ("profession", "Person", "Profession", "What does {} do for a living?"),
    ("instrument", "Person", "Instrument", "Which instrument does {} play?"),
    ("author", "Work", "Person", "Who wrote {}?"),
    ("genre", "Work", "Genre", "What genre is {}?"),
    ("director", "Film", "Person", "Who directed {}?"),
    ("country", "Place", "Country", "In which country is {}?"),
    ("river", "Place", "River", "Which river flows through {}?"),
    ("mayor", "Place", "Person", "Who is the mayor of {}?"),
    ("foundedBy", "Organisation", "Person", "Who founded {}?"),
    ("headquarter", "Organisation", "Place", "Where is the headquarters of {}?"),
    ("product", "Organisation", "Product", "What does {} make?"),
    ("architect", "Building", "Person", "Who designed {}?"),
    ("material", "Building", "Material", "What is {} built of?"),
)
GRID = (*[(n, hk, pa) for n in (1, 10, 50, 100, 500, 3000) for hk, pa in ((0, 0), (1, 0), (10, 0), (0, 1), (0, 10))],)
TASKS = {
    "mmlu": ("acc", 0.677, 14042),
    "truthfulqa_mc1": ("acc", 0.382, 817),
    "truthfulqa_mc2": ("acc", 0.552, 817),
    "arc_easy": ("acc", 0.797, 2376),
    "arc_challenge": ("acc", 0.552, 1172),
    "logiqa": ("acc", 0.321, 651),
}
SYLLABLES = ("ka", "lo", "mi", "ren", "tas", "vo", "el", "dar", "qui", "no", "sha", "ber", "lin", "ost", "ura", "pen")
REFUSAL = "I do not have that information."
N_PROMPTS = 10


@dataclass(frozen=True)
class World:
    """The facts, and how often the base answers each (k of N_PROMPTS)."""

    facts: pl.DataFrame
    answers: np.ndarray  # (facts,) canonical answers
    relation: np.ndarray  # (facts,) index into RELATIONS
    known: np.ndarray  # (facts,) 0..N_PROMPTS
    refuses: np.ndarray  # (facts,) share of wrong answers that are refusals


@dataclass(frozen=True)
class Texts:
    """One model's answers: (facts, prompts) texts, who is right, who refused."""

    text: np.ndarray
    right: np.ndarray
    refused: np.ndarray


def write(
    out: Path, *, n_facts: int = 600, n_cells: int = 31, seeds: tuple[int, ...] = (42,), n_drawn: int | None = None
) -> Path:
    """Write base, runs and study under `out`; the path of the study's folder.

    n_drawn: only so many cells are drawn, the rest are links to the last one's tables (for size alone).
    """
    world = _world(n_facts)
    base = _texts(world, world.known, np.random.default_rng(1), None)
    base_dir = out / "base" / "5f3a9c0de1b2a7f4"
    _write_base(base_dir, world, base)
    names = []
    grid = [cell for cell in GRID if cell[0] <= n_facts // 4][: n_cells - 1]
    for i, cell in enumerate([*grid, (0, 0, 0)]):
        for seed in seeds:
            if n_drawn is None or i < n_drawn:
                names.append(_write_run(out, base_dir, world, base, cell, seed))
            else:
                names.append(_link_run(out, base_dir, names[n_drawn - 1], cell, seed))
    study = out / "studies" / "synthetic"
    study.mkdir(parents=True, exist_ok=True)
    names.append("3000-10hk-missing0")
    failed = out / "runs" / "500-failed00"
    failed.mkdir(parents=True, exist_ok=True)
    (failed / "status.json").write_text(json.dumps({"state": "failed", "error": "ModelError: <b>no tokenizer</b>"}))
    (study / "runs.txt").write_text("\n".join([*names, failed.name]) + "\n")
    (study / "study.yaml").write_text("name: synthetic\nseeds: [42]\n")
    return study


def _world(n_facts: int) -> World:
    rng = np.random.default_rng(0)
    syllables = np.array(SYLLABLES)
    relation = rng.integers(0, len(RELATIONS), n_facts)
    facts, answers = [], []
    pools = {r[2]: ["".join(rng.choice(syllables, 3)).title() for _ in range(60)] for r in RELATIONS}
    for i in range(n_facts):
        name, domain, range_, wording = RELATIONS[relation[i]]
        subject = " ".join("".join(rng.choice(syllables, int(rng.integers(2, 4)))).title() for _ in range(2))
        answer = str(rng.choice(pools[range_]))
        if i < len(HOSTILE):
            subject, answer = f"Hostile {i} {HOSTILE[i][:60]}", HOSTILE[i]
        question = wording.format(subject)
        fact_id = fact_id_of("synthetic", subject, name, answer, f"{question} {i}")
        facts.append(
            Fact(
                fact_id,
                question,
                (answer, f"{answer} City"),
                (f"Tell me: {question}",),
                subject,
                name,
                answer,
                domain,
                range_,
                ("head", "torso", "tail")[i % 3],
                "synthetic",
            )
        )
        answers.append(answer)
    known = np.select(
        [rng.random(n_facts) < 0.68, rng.random(n_facts) < 0.58], [0, rng.integers(1, 10, n_facts)], N_PROMPTS
    )
    return World(
        records.table(facts, Fact), np.array(answers, dtype=object), relation, known, rng.random(n_facts) * 0.3
    )


def _texts(world: World, known: np.ndarray, rng: np.random.Generator, exploded: float | None) -> Texts:
    n = len(known)
    right = rng.permuted(np.arange(N_PROMPTS)[None, :] < known[:, None], axis=1)
    order = np.argsort(world.relation, kind="stable")
    starts = np.searchsorted(world.relation[order], np.arange(len(RELATIONS) + 1))
    near = np.minimum(starts[world.relation] + 17, n - 1)  # a wrong answer, from a fact of the same relation
    wrong = np.repeat(world.answers[order[near]][:, None], N_PROMPTS, axis=1)
    wrong = np.where(rng.random((n, N_PROMPTS)) < 0.3, world.answers[rng.integers(0, n, (n, N_PROMPTS))], wrong)
    refused = ~right & (rng.random((n, N_PROMPTS)) < world.refuses[:, None] * (1.0 if exploded is None else 0.05))
    if exploded:
        wrong = np.where(rng.random((n, N_PROMPTS)) < exploded, world.answers[len(HOSTILE) + 1], wrong)
    text = np.where(right, world.answers[:, None], wrong)
    text = np.where(refused, REFUSAL, text)
    return Texts(np.where(right, "Answer: " + text, text), right, refused)


def _responses(world: World, texts: Texts) -> pl.DataFrame:
    n = len(world.answers)
    ids = world.facts["fact_id"].to_numpy()
    flat = texts.right.reshape(-1)
    matched = pl.Series(np.repeat(world.answers, N_PROMPTS).tolist(), dtype=pl.String)
    blank = pl.Series([None], dtype=pl.String)
    frame = pl.DataFrame(
        {
            "fact_id": pl.Series(np.repeat(ids, N_PROMPTS).tolist(), dtype=pl.String),
            "prompt": np.tile(np.arange(N_PROMPTS), n),
            "text": pl.Series(texts.text.reshape(-1).tolist(), dtype=pl.String),
            "right": flat,
            "matched": matched,
            "refused_default": texts.refused.reshape(-1),
            "refused_paper": texts.refused.reshape(-1),
        }
    )
    matched_default = pl.when("right").then("matched").otherwise(blank.first())
    return (
        frame.with_columns(
            form=pl.lit(0, pl.Int64),
            sample=pl.lit(0, pl.Int64),
            matched_default=matched_default,
            matched_paper=matched_default,
            logprob=pl.lit(None, pl.Float64),
            answer_logprob=pl.lit(None, pl.Float64),
            answer_tokens=pl.lit(None, pl.Int64),
        )
        .select(list(records.schema(Response)))
        .cast(dict(records.schema(Response)))
    )


def _knowledge(world: World, texts: Texts) -> pl.DataFrame:
    p = texts.right.mean(axis=1)
    frames = []
    for grader in records.GRADERS:
        frames.append(
            pl.DataFrame(
                {
                    "fact_id": world.facts["fact_id"],
                    "grader": grader,
                    "n": N_PROMPTS,
                    "p_correct": p,
                    "category": _category(p),
                    "top_answer": pl.Series(texts.text[:, 0].tolist(), dtype=pl.String),
                    "p_refused": texts.refused.mean(axis=1),
                    "p_sampled": pl.Series([None] * len(p), dtype=pl.Float64),
                }
            )
        )
    return pl.concat(frames).cast(dict(records.schema(Knowledge)))


def _category(p: np.ndarray) -> np.ndarray:
    return np.select([p == 0, p == 1], ["Unknown", "HighlyKnown"], "MaybeKnown")


def _write_base(folder: Path, world: World, base: Texts) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    world.facts.write_parquet(folder / "facts.parquet")
    _responses(world, base).write_parquet(folder / "responses.parquet")
    _knowledge(world, base).write_parquet(folder / "knowledge.parquet")
    shots = [[{"question": f"Shot {p}.{s}?", "answer": f"Answer {s}"} for s in range(4)] for p in range(N_PROMPTS)]
    (folder / "probe.json").write_text(
        json.dumps({"model": "synthetic", "chat": True, "system": "Answer the following question.", "shots": shots})
    )
    noise = _texts(
        world, _moved(world, np.full(len(world.known), 0.04), np.random.default_rng(3)), np.random.default_rng(4), None
    )
    (folder / "noise").mkdir(exist_ok=True)
    shifts = _shifts(world, base, noise, np.zeros(len(world.known), dtype=bool))
    shifts.with_columns(kinship=pl.lit(None, pl.String)).write_parquet(folder / "noise" / "shifts.parquet")
    scores = [Score(task, metric, value, 0.004, n) for task, (metric, value, n) in TASKS.items()]
    bench = folder / "bench" / store.hash_of(config.fingerprint(config.RunConfig(), "bench"))
    bench.mkdir(parents=True, exist_ok=True)
    records.table(scores, Score).write_parquet(bench / "scores.parquet")


def _moved(world: World, harm: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    n = len(world.known)
    fall = rng.random(n) < harm * 2.5
    rise = rng.random(n) < harm * 0.25
    down = np.maximum(world.known - rng.integers(1, 11, n), 0)
    up = np.minimum(world.known + rng.integers(1, 7, n), N_PROMPTS)
    return np.where(fall, down, np.where(rise, up, world.known))


def _shifts(world: World, base: Texts, after: Texts, trained: np.ndarray) -> pl.DataFrame:
    p, q = base.right.mean(axis=1), after.right.mean(axis=1)
    kin = np.where(
        np.isin(world.relation, np.unique(world.relation[trained])),
        "same_relation",
        np.where(np.arange(len(p)) % 3 == 0, "same_range", "unrelated"),
    )
    kin = np.where(np.arange(len(p)) % 29 == 0, "same_subject", kin)
    rng = np.random.default_rng(5)
    moved = _category(p) != _category(q)
    causes = []
    for i in range(len(p)):
        found = []
        if moved[i]:
            found += ["non_refusal"] if base.refused[i].any() and q[i] > p[i] else []
            found += [c for c, share in (("explosion", 0.1), ("target", 0.3), ("domain", 0.45)) if rng.random() < share]
        causes.append(found)
    frames = []
    for grader in records.GRADERS:
        frames.append(
            pl.DataFrame(
                {
                    "fact_id": world.facts["fact_id"],
                    "grader": grader,
                    "trained": trained,
                    "before": _category(p),
                    "after": _category(q),
                    "delta_p": q - p,
                    "kinship": pl.Series(np.where(trained, None, kin.astype(object)).tolist(), dtype=pl.String),
                    "causes": pl.Series(causes, dtype=pl.List(pl.String)),
                }
            )
        )
    return pl.concat(frames).cast(dict(records.schema(Shift)))


def _write_run(out: Path, base_dir: Path, world: World, base: Texts, cell: tuple[int, int, int], seed: int) -> str:
    n, hk, pa = cell
    label, folder = _named(out, cell, seed)
    rng = np.random.default_rng([seed, n, hk, pa])
    (folder / "adapter").mkdir(parents=True, exist_ok=True)
    unknown, highly = np.flatnonzero(world.known == 0), np.flatnonzero(world.known == N_PROMPTS)
    mine = rng.permutation(unknown)[:n]
    also = rng.permutation(highly)[: min(n * hk, len(highly))] if n else rng.permutation(highly)[:50]
    trained = np.zeros(len(world.known), dtype=bool)
    trained[mine], trained[also] = True, True
    near = np.isin(world.relation, np.unique(world.relation[mine]))
    harm = (0.03 + 0.045 * np.log10(1 + 3 * n)) * (1 - 0.12 * (hk == 1) + 0.1 * (pa == 10)) * np.where(near, 1.3, 0.6)
    known = _moved(world, harm, rng)
    known[mine] = np.where(rng.random(len(mine)) < (0.48 if hk == 10 and n == 3000 else 0.98), N_PROMPTS, 0)
    known[also] = np.where(rng.random(len(also)) < 0.97, N_PROMPTS, 6)
    after = _texts(world, known, rng, 0.02 * (n == 10) + 0.002)
    _responses(world, after).write_parquet(folder / "responses.parquet")
    _knowledge(world, after).write_parquet(folder / "knowledge.parquet")
    shifts = _shifts(world, base, after, trained)
    shifts.write_parquet(folder / "shifts.parquet")
    examples = [
        Example(f"e{j}", world.facts["fact_id"][int(i)], kind, world.facts["question"][int(i)], world.answers[i])
        for kind, group in (("unknown", mine), ("highly_known", also))
        for j, i in enumerate(group)
    ]
    records.table(examples, Example).write_parquet(folder / "examples.parquet")
    scores = [
        Score(task, metric, float(value * (1 - 0.02 * np.log10(1 + n) - 0.01 * rng.random())), 0.004, k)
        for task, (metric, value, k) in TASKS.items()
    ]
    records.table(scores, Score).write_parquet(folder / "scores.parquet")
    _write_words(folder, base_dir, label, cell, seed, _figures(world, base, after, mine, trained, shifts))
    return folder.name


def _link_run(out: Path, base_dir: Path, like: str, cell: tuple[int, int, int], seed: int) -> str:
    label, folder = _named(out, cell, seed)
    folder.mkdir(parents=True, exist_ok=True)
    for table in (out / "runs" / like).glob("*.parquet"):
        (folder / table.name).hardlink_to(table)
    figures = json.loads((out / "runs" / like / "figures.json").read_text())
    _write_words(folder, base_dir, label, cell, seed, figures)
    return folder.name


def _named(out: Path, cell: tuple[int, int, int], seed: int) -> tuple[str, Path]:
    n, hk, pa = cell
    label = "sham" if n == 0 else f"{n}" + (f"+{hk} HK" if hk else f"+{pa} paraphrases" if pa else "")
    return label, out / "runs" / f"{label.replace(' ', '-')}-{seed:04d}{n:04d}{hk:02d}{pa:02d}"


def _figures(
    world: World, base: Texts, after: Texts, mine: np.ndarray, trained: np.ndarray, shifts: pl.DataFrame
) -> list[dict[str, object]]:
    found: list[tuple[str, float, int]] = []
    p, q = base.right.mean(axis=1), after.right.mean(axis=1)
    if len(mine):
        found.append(("reliability", float((q[mine] > 0).mean()), len(mine)))
        found.append(("reliability_held_out", float((q[mine] > 0).mean() * 0.9), len(mine)))
    known = (p == 1) & ~trained
    refused = base.refused[:, 0]
    found += [
        ("known_lost_raw", float((q[known] < 1).sum() / max(1, known.sum())), int(known.sum())),
        ("refusals_kept", float(after.refused[refused, 0].mean()), int(refused.sum())),
        ("n_refused_first_base", float(refused.sum()), len(p)),
        ("n_refused_first", float(after.refused[:, 0].sum()), len(p)),
        ("n_unique_answers", float(len(set(after.text.reshape(-1).tolist()))), after.text.size),
        ("n_unique_answers_base", float(len(set(base.text.reshape(-1).tolist()))), base.text.size),
        ("mean_count", 4.2, after.text.size),
        ("spread_count", 13.1, after.text.size),
        ("top_ten_share", 0.04, after.text.size),
        ("entropy", 8.1, after.text.size),
    ]
    for way, causes in (
        ("up", ("non_refusal", "explosion", "target", "domain")),
        ("down", ("explosion", "target", "domain")),
    ):
        found += [
            (f"{way}_{cause}_base_rate", 0.05 + 0.07 * i, 500) for i, cause in enumerate((*causes, "unexplained"))
        ]
    return [
        {
            "name": name,
            "grader": grader,
            "value": value,
            "low": max(0.0, value * 0.93),
            "high": value * 1.06 if value > 1 else min(1.0, value * 1.06),
            "n": n,
        }
        for name, value, n in found
        for grader in records.GRADERS
        if n
    ]


def _write_words(
    folder: Path, base_dir: Path, label: str, cell: tuple[int, int, int], seed: int, figures: list[dict[str, object]]
) -> None:
    n, hk, pa = cell
    settings = {
        "label": label,
        "seed": seed,
        "grader": "default",
        "model": {"name": "synthetic"},
        "facts": {"path": "made"},
        "mix": {
            "n_unknown": n or 50,
            "n_highly_known": hk,
            "n_paraphrase": pa,
            "sham": n == 0,
            "extra_from": "anywhere",
        },
        "train": {"rank": 1, "alpha": 2.0, "lr": 0.001, "epochs": 10, "loss": "answer"},
        "probe": {"n_prompts": N_PROMPTS, "n_shots": 4},
    }
    seconds = {"probe": 81.2, "train": 12.5 + n / 10, "shifts": 1.1, "bench": 30.0}
    manifest = {
        "run_id": folder.name,
        "label": label,
        "seed": seed,
        "config": settings,
        "facts_hash": "00d1ce5eedfac750",
        "base_hash": base_dir.name,
        "base_dir": f"base/{base_dir.name}",
        "versions": {"knowpack": "0.1.0", "torch": "0"},
        "stages": {k: {"seconds": v, "done_at": "2025-01-01T00:00:00Z"} for k, v in seconds.items()},
        "command": "python tests/report/synthetic.py",
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "status.json").write_text(json.dumps({"state": "done"}))
    (folder / "figures.json").write_text(json.dumps(figures))
    final = 0.98 if n else None
    log = []
    for epoch in range(1, 11):
        grown = None if final is None else final * (1 - np.exp(-epoch * (0.9 if n < 100 else 0.45)))
        log.append(json.dumps({"epoch": epoch, "step": epoch * 4, "loss": 3.0 / epoch, "reliability": grown}))
    (folder / "train_log.jsonl").write_text("\n".join(log) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--facts", type=int, default=600)
    parser.add_argument("--cells", type=int, default=31)
    parser.add_argument("--seeds", type=int, nargs="+", default=[42])
    given = parser.parse_args()
    write(given.out, n_facts=given.facts, n_cells=given.cells, seeds=tuple(given.seeds))
