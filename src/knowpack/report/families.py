"""The kinds of cells of a study: by what is added to the new facts, and those that a line may join.

Cell -> key ("none", "highly_known 1", ...); ReportData -> key -> cells by their number of facts; -> `Joined`.
"""

from typing import NamedTuple

from knowpack.report import palette
from knowpack.report.finished_run import Cell
from knowpack.report.report_data import AUGMENTATIONS, ReportData, run_of

MOST_NAMES = 3  # cells that a kind's name lists


class Joined(NamedTuple):
    """Cells that differ in the number of new facts alone: one line, one slope."""

    key: str
    """Its family, which has the colour."""
    name: str
    """The family in words; where several kinds are of one family, with the cells."""
    shape: str
    """The family's for its first kind, another for the next."""
    cells: list[tuple[str, Cell]]
    """(label, cell), the fewest facts first."""


def family(cell: Cell) -> str:
    """What is added to the new facts: none, "highly_known 1", ..."""
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


def joined(data: ReportData) -> list[Joined]:
    """The cells of each family by base and recipe: two models, two learning rates or a biased mix are no line."""
    kinds = []
    for key, cells in families(data).items():
        of: dict[str, list[tuple[str, Cell]]] = {}
        for label, cell in cells:
            of.setdefault(run_of(data, label).recipe, []).append((label, cell))
        first = palette.MARKERS.get(key, "o")
        shapes = [first, *(shape for shape in palette.SHAPES if shape != first)]
        for i, mine in enumerate(of.values()):
            name = family_name(key) + (f" ({_listed(mine)})" if len(of) > 1 else "")
            kinds.append(Joined(key, name, shapes[i % len(shapes)], mine))
    return kinds


def _listed(cells: list[tuple[str, Cell]]) -> str:
    labels = [label for label, _ in cells]
    return "; ".join(labels if len(labels) <= MOST_NAMES else [*labels[: MOST_NAMES - 1], "…", labels[-1]])
