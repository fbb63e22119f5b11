"""The public names exist, are sorted, and no name is a module's too (a submodule would take its place)."""

from pathlib import Path

import knowpack


def test_every_public_name_can_be_had() -> None:
    assert knowpack.__all__ == sorted(knowpack.__all__)
    for name in knowpack.__all__:
        assert getattr(knowpack, name).__name__ == name or "_" in name


def test_no_public_name_is_a_module() -> None:
    rooms = {path.stem for path in Path(knowpack.__file__).parent.iterdir()}
    assert not rooms & set(knowpack.__all__)
