"""The settings file: TOML, or YAML where pyyaml is installed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from spanbridge.settings.file_lines import (
    Lines,
    lines_of_toml,
    lines_of_yaml,
    value_beside_tables,
)
from spanbridge.settings.masking import show
from spanbridge.settings.reading import Unusable
from spanbridge.settings.secret_file import read_regular_file

LARGEST_FILE_BYTES: Final = 256 * 1024
_DESTINATIONS: Final = "destinations"
SUFFIXES: Final = (".toml", ".yaml", ".yml")


class SettingsFile(NamedTuple):
    """What a settings file says, and where in it."""

    content: Mapping[Any, object]
    lines: Lines


def read_settings_file(path: str) -> SettingsFile:
    """The keys of the file at ``path``.

    Raises:
        Unusable: It cannot be read, is of an unknown format, or is malformed.
    """
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in SUFFIXES:
        raise Unusable("its format is unknown", "Use a .toml, .yaml or .yml file.")
    content = read_regular_file(path, LARGEST_FILE_BYTES)
    try:
        text = content.decode("utf-8-sig")  # some editors write a mark before the first line
        table, lines = _parse_toml(text) if suffix == ".toml" else _parse_yaml(text)
    except UnicodeDecodeError:
        raise Unusable("the file is not UTF-8 text", "Save it as UTF-8.") from None
    except RecursionError:
        raise Unusable("the file is nested too deeply", "Flatten it.") from None
    if table is None:  # an empty YAML document
        return SettingsFile({}, {})
    if not isinstance(table, Mapping):
        raise Unusable("the file holds no keys", "Write one 'key: value' a line.")
    return SettingsFile(table, lines)


def _parse_toml(text: str) -> tuple[object, Lines]:
    import tomllib  # only for people who have a file

    try:
        return tomllib.loads(text), lines_of_toml(text)
    except ValueError as error:  # TOMLDecodeError, or a number with thousands of digits
        raise _two_forms(text) or Unusable(
            f"the file is not valid TOML ({error})", "Correct it there."
        ) from None


def _two_forms(text: str) -> Unusable | None:
    """What is wrong if the destinations are listed and have tables: in TOML only one can be."""
    found = value_beside_tables(text, _DESTINATIONS)
    if found is None:
        return None
    key, line_of_list, line_of_table = found
    return Unusable(
        f"{show(key)} is a list in line {line_of_list} and has a table in line {line_of_table}, "
        "which TOML does not allow together",
        "Remove the list, and write enabled = true or false in the tables.",
    )


def _parse_yaml(text: str) -> tuple[object, Lines]:
    try:
        import yaml  # optional, and only for people who have a file
    except ImportError:
        raise Unusable(
            "reading YAML needs a package that is not installed",
            "Run: pip install pyyaml, or use a .toml file.",
        ) from None

    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        lines = lines_of_yaml(root)
        return None if root is None else loader.construct_document(root), lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "no line known"
        raise Unusable(f"the file is not valid YAML ({where})", "Correct it there.") from None
    except Unusable:
        raise
    except (yaml.YAMLError, ValueError) as error:
        raise Unusable(
            f"the file is not valid YAML ({type(error).__name__})", "Correct it."
        ) from None
