"""Facts that stay current: what a pack said of updates, of facts packed earlier and of those taken back.

ReportData -> a Table; the figures are measure/current.py's, by the default grader.
"""

from knowpack.measure.current import NAMES
from knowpack.records import Estimate
from knowpack.report.report_data import ReportData, Table, Value

COUNTS = {
    "new": "new",
    "known": "known already, trained along",
    "updates": "updates",
    "earlier": "packed earlier",
    "removed": "taken back",
    "removed_earlier": "taken back earlier",
}


def current(data: ReportData) -> Table:
    """A line a figure; empty where a pack only added facts, or was none."""
    rows: list[tuple[Value, ...]] = []
    counted = ""
    for run in data.source.runs:
        packed = run.read("pack.json")
        counts, estimates = packed.get("counts"), packed.get("current")
        if not isinstance(counts, dict) or not isinstance(estimates, dict):
            continue
        counted = ", ".join(f"{counts[name]} {label}" for name, label in COUNTS.items() if counts.get(name))
        if "own_kept" in estimates or any(
            counts.get(name) for name in ("known", "updates", "earlier", "removed", "removed_earlier")
        ):
            rows += [(label, Estimate(**estimates[name])) for name, label in NAMES.items() if name in estimates]
    note = (
        f"Facts: {counted}. An update is a fact that the base, or an earlier pack, answers otherwise. Counted over "
        "answers, those of one fact together; each update with its old answer is in pack.json."
    )
    return Table("current", "Facts that stay current", ("figure", "share"), rows, note)
