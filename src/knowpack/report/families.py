"""The kinds of cells of a study: those that differ in the number of new facts only, and are joined by a line.

Cell -> key ("none", "highly_known 1", ...); ReportData -> key -> cells by their number of facts.
"""

from knowpack.report.finished_run import Cell
from knowpack.report.report_data import AUGMENTATIONS, ReportData


def family(cell: Cell) -> str:
    """Cells of one family are joined by a line over n: none, "highly_known 1", ..."""
    return cell.augmentation if cell.augmentation in ("none", "sham", "pack") else f"{cell.augmentation} {cell.k}"


def family_name(key: str) -> str:
    """A family in words."""
    kind, _, k = key.partition(" ")
    return f"+{k} {AUGMENTATIONS[kind]}" if k else "no additions" if kind == "none" else kind


def families(data: ReportData) -> dict[str, list[tuple[str, Cell]]]:
    """Key -> (label, cell), the fewest facts first; shams are no family."""
    cells_of: dict[str, list[tuple[str, Cell]]] = {}
    for label, cell in sorted(data.labels(), key=lambda pair: pair[1].n_unknown):
        if cell.augmentation != "sham":
            cells_of.setdefault(family(cell), []).append((label, cell))
    return cells_of
