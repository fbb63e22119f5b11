"""The public names exist, are sorted, and no name but the four calls is a module's (it would take its place)."""

from pathlib import Path

import knowpack


def test_every_public_name_can_be_had() -> None:
    assert knowpack.__all__ == sorted(knowpack.__all__)
    for name in knowpack.__all__:
        found = getattr(knowpack, name)
        assert found.__name__.rpartition(".")[2] == name or "_" in name


def test_no_public_name_is_a_module() -> None:
    rooms = {path.stem for path in Path(knowpack.__file__).parent.iterdir()}
    assert rooms & set(knowpack.__all__) == set(knowpack.CALLS)


def test_every_settings_class_can_be_had_from_the_package() -> None:
    from knowpack import config

    sections = {name for name, found in vars(config).items() if isinstance(found, type) and name.endswith("Config")}
    assert {"RunConfig", "ServedConfig", "FurtherConfig"} <= sections
    assert sections <= set(knowpack.__all__)
