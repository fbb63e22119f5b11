"""One page of HTML: the summary, the charts' library and as many facts as fit; the rest in chunks beside it.

Measured -> report.html (+ report_files/). Texts travel as JSON only and are shown by textContent; the page's
content-security-policy allows its own scripts by hash and no network. Chunks are scripts that hand over a base64
text (gzip of JSON), because a page opened from disk may load a script beside it but may not fetch a file.
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
from knowpack.records import Response
from knowpack.report import explorer, summary
from knowpack.report.measured import Measured
from knowpack.report.source import Run, Source

LIMIT = 9_000_000  # bytes of data in the page; with the charts' library it stays below 15 MB
FACTS_LIMIT = 25_000  # facts in the page; the rest is loaded when asked for
FOLDER = "report_files"
README = "Parts of report.html beside this folder; keep the two together.\n"


def write(measured: Measured, path: Path, *, progress: Progress = SILENT) -> Path:
    """Write the page (and its chunks) to `path`; the chunks first, so that a page never lacks them."""
    given = measured.source
    value = summary.summary(measured)
    chunks = path.with_name(FOLDER)
    inline: dict[str, str] = {}
    outside: list[str] = []
    left = LIMIT
    with (
        store.atomic(chunks, replace=_is_ours(chunks)) as folder,
        progress.stage("report: facts", 1 + len(given.runs)) as advance,
    ):
        folder.mkdir()
        for name, data in _assets(given, advance):
            text = dumps(data)
            size = len(text.encode())
            if size <= left:
                inline[name] = text
                left -= size
            else:
                left = 0  # what comes later is asked for less
                (folder / f"{name}.js").write_text(chunk(name, text), encoding="ascii")
                outside.append(name)
        (folder / "README.txt").write_text(README)
    value["chunks"] = {"folder": FOLDER, "names": sorted(outside), "block": explorer.BLOCK, "facts_block": FACTS_LIMIT}
    store.write_text(path, html(given.title, dumps(value), inline, chunked=bool(outside)))
    return path


def _is_ours(folder: Path) -> bool:
    told = folder / "README.txt"
    return told.is_file() and told.read_text(encoding="utf-8", errors="replace") == README


def dumps(value: object) -> str:
    """JSON that cannot end the script element it stands in: every < is written as \\u003c."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def chunk(name: str, text: str) -> str:
    """A script that hands `text` to the page."""
    packed = base64.b64encode(gzip.compress(text.encode(), compresslevel=6, mtime=0)).decode()
    return f'knowpackChunk("{name}","{packed}");\n'


def html(title: str, data: str, inline: dict[str, str], *, chunked: bool) -> str:
    """The page as text."""
    from plotly.offline import get_plotlyjs

    plotly = get_plotlyjs()
    style = _asset("page.css")
    script = "".join(f"{_asset(name)}\n" for name in ("core.js", "charts.js", "explorer.js", "detail.js", "page.js"))
    policy = _policy([script, plotly], style, chunked=chunked)
    blocks = "\n".join(
        f'<script type="application/json" id="asset-{name}">{text}</script>' for name, text in inline.items()
    )
    # Plotly's map styles, which the policy would refuse and no chart here needs, are left out where this id exists.
    guard = re.search(r'getElementById\("([0-9a-f]{64})"\)', plotly)
    parts = {
        "TITLE": _escaped(title),
        "POLICY": policy,
        "STYLE": style,
        "SUMMARY": data,
        "ASSETS": blocks,
        "GUARD": f'<template id="{guard[1]}"></template>\n' if guard else "",
        "SCRIPT": script,
        "PLOTLY": plotly,
    }
    return re.sub("%%([A-Z]+)%%", lambda mark: parts[mark[1]], _asset("page.html"))  # one pass: data are not read again


def _assets(given: Source, advance: Advance) -> Iterator[tuple[str, object]]:
    """What the explorer asks for, the most wanted first."""
    table = given.facts
    ids = table.select("fact_id")
    blocks = [table.slice(first, FACTS_LIMIT) for first in range(0, len(table), FACTS_LIMIT)]
    yield "facts-0", explorer.facts(blocks[0])
    for index, run in enumerate(given.runs):
        yield f"run-{index}", explorer.run_columns(run, ids)
    for number, block in enumerate(blocks[1:], start=1):
        yield f"facts-{number}", explorer.facts(block)
    yield from _answers("base", given.runs[0], ids, base=True)
    advance(1)
    for index, run in enumerate(given.runs):
        yield from _answers(str(index), run, ids, base=False)
        advance(1)


def _answers(name: str, run: Run, ids: pl.DataFrame, *, base: bool) -> Iterator[tuple[str, object]]:
    responses = run.base_table("responses.parquet", Response) if base else run.responses()
    if responses is not None:
        for block in explorer.answers(responses, ids):
            yield f"answers-{name}-{block.number}", block.value


def _policy(scripts: list[str], style: str, *, chunked: bool) -> str:
    """What the page may do: run its own scripts, take its own style, and nothing over a network.

    Plotly makes an empty <style> and fills it by script (hence the hash of ""), and writes style attributes; with no
    address to load from, such an attribute can leak nothing.
    """
    hashes = " ".join(_hash(script) for script in scripts)
    beside = " 'self' file:" if chunked else ""  # file: for browsers in which 'self' is no file beside the page
    return (
        f"default-src 'none'; script-src {hashes}{beside}; style-src {_hash(style)} {_hash('')}; "
        f"style-src-elem {_hash(style)} {_hash('')}; style-src-attr 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _asset(name: str) -> str:
    return resources.files("knowpack.report").joinpath("assets", name).read_text(encoding="utf-8")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
