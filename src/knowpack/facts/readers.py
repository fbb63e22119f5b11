"""Rows of a table, whatever the file: CSV, TSV, JSONL, JSON, parquet, a workbook, a datasets folder, a hub dataset.

path or hub name -> iterator of `Row`. Errors name the file and the line.
"""

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import polars as pl

from knowpack.errors import FactsError
from knowpack.facts import delimited
from knowpack.facts.values import Value, parsed

LONGEST_LINE = 1 << 26
"""Bytes of a line, 64 MiB; a longer one is no table, or a packed file made to fill the memory."""
WORKBOOKS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")


class Row(NamedTuple):
    """One row of a table."""

    where: str
    """File and line (or row), for a message."""
    stem: str
    """The file's name up to its first dot."""
    values: dict[str, Value]
    """Column -> value as read."""


def rows(source: str, split: str | None = None, delimiter: str | None = None) -> Iterator[Row]:
    """All rows of a file, a folder made by `datasets`, or a hub dataset. Raises FactsError in one line.

    split: of a dataset, or the sheet of a workbook. delimiter: between the cells of a CSV; None = by the file itself.
    """
    path = Path(source)
    if path.is_file():
        return _file_rows(path, split, delimiter)
    if path.is_dir():
        return _folder_rows(path, split)
    if path.suffix or source.count("/") > 1 or source.startswith((".", "/", "~")):
        raise FactsError(f"there is no file {source}; expected a CSV, JSONL or parquet file, or a hub dataset's name")
    return _hub_rows(source, split)


def _file_rows(path: Path, split: str | None, delimiter: str | None) -> Iterator[Row]:
    if path.stat().st_size == 0:
        raise FactsError(f"{path} is empty; expected a table of facts")
    name = path.name.removesuffix(".gz")
    readers: dict[str, Callable[[Path], Iterator[Row]]] = {
        ".csv": lambda path: _csv_rows(path, delimiter),
        ".tsv": lambda path: _csv_rows(path, delimiter),
        ".jsonl": _jsonl_rows,
        ".ndjson": _jsonl_rows,
        ".json": _json_rows,
        ".parquet": _parquet_rows,
        **dict.fromkeys(WORKBOOKS, lambda path: _sheet_rows(path, split)),
    }
    kind = Path(name).suffix.lower()
    if split is not None and kind not in WORKBOOKS:
        raise FactsError(f"got --split {split}, which names a sheet or a part of a dataset; {path} has none")
    reader = readers.get(kind)
    if reader is None:
        raise FactsError(f"{path}: unknown kind of file; expected one of {', '.join(readers)} (.gz allowed for text)")
    return reader(path)


def _lines(path: Path) -> Iterator[str]:
    """Decoded lines with their line ends. Raises FactsError at the first that is not UTF-8."""
    opener = gzip.open if path.suffix == ".gz" else open
    with cast(BinaryIO, opener(path, "rb")) as handle:
        number = 0
        try:
            while raw := handle.readline(LONGEST_LINE + 1):
                number += 1
                if len(raw) > LONGEST_LINE:
                    raise FactsError(f"{path}, line {number}: over {LONGEST_LINE >> 20} MiB; expected a row a line")
                yield raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            byte = raw[error.start]
            raise FactsError(
                f"{path}, line {number}: not UTF-8 (byte 0x{byte:02x} at byte {error.start + 1}); save as UTF-8"
            ) from None
        except (OSError, EOFError) as error:
            raise FactsError(f"{path}, after line {number}: cannot be read: {error}") from None


def _csv_rows(path: Path, delimiter: str | None) -> Iterator[Row]:
    stem = path.name.split(".")[0]
    for number, values in delimited.cells(_lines(path), path, delimiter):
        yield Row(f"{path}, line {number}", stem, values)


def _jsonl_rows(path: Path) -> Iterator[Row]:
    stem = path.name.split(".")[0]
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            values = parsed(line)
        except ValueError as error:
            raise FactsError(f"{where}: no JSON: {error}") from None
        if not isinstance(values, dict):
            raise FactsError(f"{where}: got {type(values).__name__}, expected an object {{column: value}}")
        yield Row(where, stem, values)


def _json_rows(path: Path) -> Iterator[Row]:
    try:
        items = parsed("".join(_lines(path)))
    except ValueError as error:
        raise FactsError(f"{path}: no JSON: {error}") from None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise FactsError(f"{path}: expected a list of objects [{{column: value}}, ...]; or save it as JSONL")
    stem = path.name.split(".")[0]
    for number, values in enumerate(items, 1):
        yield Row(f"{path}, item {number}", stem, values)


def _parquet_rows(path: Path) -> Iterator[Row]:
    stem = path.name.split(".")[0]
    try:
        frame = pl.scan_parquet(path).collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise FactsError(f"{path}: no readable parquet file (truncated?): {str(error).splitlines()[0][:150]}") from None
    for number, values in enumerate(frame.iter_rows(named=True), 1):
        yield Row(f"{path}, row {number}", stem, values)


def _sheet_rows(path: Path, sheet: str | None) -> Iterator[Row]:
    """A workbook's only sheet, or the one named; dates and numbers as the workbook holds them."""
    try:
        import fastexcel
    except ImportError:
        raise FactsError(f"{path}: workbooks need one more package: pip install 'knowpack[excel]'") from None
    stem = path.name.split(".")[0]
    try:
        names = fastexcel.read_excel(path).sheet_names
        if sheet is None and len(names) == 1:
            sheet = names[0]
        if sheet not in names:
            got = f"got --split {sheet}" if sheet else "name one by --split"
            raise FactsError(f"{path} has the sheets {', '.join(names)}; {got}")
        frame = pl.read_excel(path, sheet_name=sheet, raise_if_empty=False)
    except (fastexcel.FastExcelError, pl.exceptions.PolarsError, OSError, ValueError) as error:
        raise FactsError(f"{path}: no readable workbook: {str(error).splitlines()[0][:150]}") from None
    for number, values in enumerate(frame.iter_rows(named=True), 2):
        yield Row(f"{path}, row {number}", stem, values)


def _folder_rows(path: Path, split: str | None) -> Iterator[Row]:
    import datasets

    try:
        data = datasets.load_from_disk(str(path))
    except (OSError, ValueError) as error:
        raise FactsError(
            f"{path}: no folder made by datasets' save_to_disk: {str(error).splitlines()[0][:150]}"
        ) from None
    return _dataset_rows(data, str(path), split)


def _hub_rows(name: str, split: str | None) -> Iterator[Row]:
    import datasets

    repo, _, subset = name.partition(":")
    try:
        data = datasets.load_dataset(repo, subset or None)
    except Exception as error:  # the hub's client raises many kinds
        raise FactsError(
            f"{name} is no file here, and no hub dataset that could be loaded: {str(error).splitlines()[0][:150]}"
        ) from None
    return _dataset_rows(data, name, split)


def _dataset_rows(data: object, name: str, split: str | None) -> Iterator[Row]:
    if isinstance(data, dict):
        if split is None and len(data) == 1:
            split = next(iter(data))
        if split not in data:
            raise FactsError(f"{name} has the splits {', '.join(data)}; got --split {split}")
        data = data[split]
    stem = name.rstrip("/").split("/")[-1].split(".")[0]
    for number, values in enumerate(cast("list[dict[str, Value]]", data), 1):
        yield Row(f"{name}, row {number}", stem, dict(values))
