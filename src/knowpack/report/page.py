"""One page of HTML: what it opens with is there without a script, the rest as data in it and in chunks beside it.

ReportData -> report.html (+ report_files/). Markup comes from markup.py alone, which escapes all it is given; facts and
answers travel as JSON (large ones as base64 of gzip) and are shown by textContent. The content-security-policy allows
the page's own script by hash and no network. Chunks are scripts that hand over a text, because a page opened from disk
may load a script beside it but may not fetch a file.
"""

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import polars as pl

from knowpack import store
from knowpack.progress import SILENT, Advance, Progress
from knowpack.records import GRADERS, Response
from knowpack.report import explorer, first_screen, study_view, summary, views
from knowpack.report.finished_run import Run
from knowpack.report.markup import Markup, escaped
from knowpack.report.report_data import ReportData

LIMIT = 1_500_000  # bytes of data in the page, as they stand in it; the page stays below 2 MB
PLAIN = 20_000  # characters; what is longer is packed
FACTS_LIMIT = 25_000  # facts in the page; the rest is loaded when asked for
SCRIPTS = ("core", "explorer", "list", "detail", "near", "page")
FOLDER = "report_files"
README = "Parts of report.html beside this folder; keep the two together.\n"


def write(data: ReportData, path: Path, *, progress: Progress = SILENT) -> Path:
    """Write the page (and its chunks) to `path`; the chunks first, so that a page never lacks them."""
    source = data.source
    value = summary.summary(data)
    opening = summary.opening(data).run
    slots = views.view(data, opening, "default") | {"study": study_view.section(data, "default")}
    chunks = path.with_name(FOLDER)
    inline: dict[str, str] = {}
    outside: list[str] = []
    left = LIMIT
    with (
        store.atomic(chunks, replace=_is_ours(chunks)) as folder,
        progress.stage("report: facts", 1 + len(source.runs)) as advance,
    ):
        folder.mkdir()
        for name, content in _assets(data, opening, advance):
            text = dumps(content)
            payload = text if len(text) < PLAIN else packed(text)
            size = len(payload.encode())
            if size <= left:
                inline[name] = payload
                left -= size
            else:
                left = 0  # what comes later is asked for less
                (folder / f"{name}.js").write_text(chunk(name, text), encoding="ascii")
                outside.append(name)
        (folder / "README.txt").write_text(README)
    value["chunks"] = {"folder": FOLDER, "names": sorted(outside), "block": explorer.BLOCK, "facts_block": FACTS_LIMIT}
    store.write_text(
        path, html(first_screen.title(data), source.kind, slots, dumps(value), inline, chunked=bool(outside))
    )
    return path


def _is_ours(folder: Path) -> bool:
    readme = folder / "README.txt"
    return readme.is_file() and readme.read_text(encoding="utf-8", errors="replace") == README


def dumps(value: object) -> str:
    """JSON that cannot end the script element it stands in: every < is written as \\u003c."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def chunk(name: str, text: str) -> str:
    """A script that hands `text` to the page."""
    return f'knowpackChunk("{name}","{packed(text)}");\n'


def packed(text: str) -> str:
    """Base64 of gzip, the same bytes every time."""
    return base64.b64encode(gzip.compress(text.encode(), compresslevel=6, mtime=0)).decode()


def html(title: str, kind: str, slots: dict[str, Markup], data: str, inline: dict[str, str], *, chunked: bool) -> str:
    """The page as text."""
    style = _asset("page.css")
    script = "".join(f"{_asset(f'{name}.js')}\n" for name in SCRIPTS)
    blocks = "\n".join(
        f'<script type="{"application/json" if text[:1] in "{[" else "text/plain"}" id="asset-{name}">{text}</script>'
        for name, text in inline.items()
    )
    parts = {
        "TITLE": escaped(title),
        "KIND": escaped(kind),
        "POLICY": _policy(script, style, chunked=chunked),
        "STYLE": style,
        "SUMMARY": data,
        "ASSETS": blocks,
        "SCRIPT": script,
        "CITATION": escaped(study_view.citation() if kind in ("study", "run") else ""),
        **{name.upper(): markup for name, markup in slots.items()},
    }
    return re.sub("%%([A-Z]+)%%", lambda mark: parts[mark[1]], _asset("page.html"))  # one pass: data are not read again


def _assets(data: ReportData, opening: int, advance: Advance) -> Iterator[tuple[str, object]]:
    """What the script asks for, the most wanted first."""
    source = data.source
    table = source.facts
    ids = table.select("fact_id")
    blocks = [table.slice(first, FACTS_LIMIT) for first in range(0, len(table), FACTS_LIMIT)]
    yield "facts-0", explorer.facts(blocks[0])
    for index, run in enumerate(source.runs):
        yield f"run-{index}", explorer.run_columns(run, ids)
    for index in sorted(range(len(source.runs)), key=lambda i: i != opening):
        for grader in GRADERS:
            yield f"view-{index}-{grader}", views.view(data, index, grader)
    for grader in GRADERS:
        yield f"study-{grader}", {"study": study_view.section(data, grader)}
    for number, block in enumerate(blocks[1:], start=1):
        yield f"facts-{number}", explorer.facts(block)
    for name, run in summary.base_parts(source):
        yield from _answers(name, run, ids, base=True)
    advance(1)
    for index, run in enumerate(source.runs):
        yield from _answers(str(index), run, ids, base=False)
        advance(1)


def _answers(name: str, run: Run, ids: pl.DataFrame, *, base: bool) -> Iterator[tuple[str, object]]:
    responses = run.base_table("responses.parquet", Response) if base else run.responses()
    if responses is not None:
        for block in explorer.answers(responses, ids):
            yield f"answers-{name}-{block.number}", block.value


def _policy(script: str, style: str, *, chunked: bool) -> str:
    """What the page may do: run its own script, take its own style, and nothing over a network."""
    beside = " 'self' file:" if chunked else ""  # file: for browsers in which 'self' is no file beside the page
    return (
        f"default-src 'none'; script-src {_hash(script)}{beside}; style-src {_hash(style)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _asset(name: str) -> str:
    return resources.files("knowpack.report").joinpath("assets", name).read_text(encoding="utf-8")
