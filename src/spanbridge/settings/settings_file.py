"""The settings file: TOML, or YAML where pyyaml is installed."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from spanbridge.settings.file_lines import Lines, lines_of_toml, lines_of_yaml
from spanbridge.settings.reading import Unusable
from spanbridge.settings.secret_file import read_regular_file

LARGEST_FILE_BYTES: Final = 256 * 1024
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
        text = content.decode("utf-8")
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


def line_of_table(path: str, section: str, key: str, number: int) -> int | None:
    """The line where one of several tables of the same name starts, for an error message.

    Args:
        path: The settings file; empty for what stands in none.
        section: The environment's table that holds the list, empty for the top level.
        key: Name of the list.
        number: Position in the list, from 1.

    Returns:
        ``None`` unless the file is TOML with ``[[key]]`` headers.
    """
    if not path.lower().endswith(".toml"):
        return None
    name = re.escape(f"{section}.{key}" if section else key)
    try:
        text = read_regular_file(path, LARGEST_FILE_BYTES).decode("utf-8")
    except (Unusable, UnicodeDecodeError):
        return None
    header = re.compile(rf"^[ \t]*\[\[[ \t]*{name}[ \t]*\]\]", re.MULTILINE)
    starts = [found.start() for found in header.finditer(text)]
    return text.count("\n", 0, starts[number - 1]) + 1 if number <= len(starts) else None


def _parse_toml(text: str) -> tuple[object, Lines]:
    import tomllib  # only for people who have a file

    try:
        return tomllib.loads(text), lines_of_toml(text)
    except ValueError as error:  # TOMLDecodeError, or a number with thousands of digits
        raise Unusable(f"the file is not valid TOML ({error})", "Correct it there.") from None


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
