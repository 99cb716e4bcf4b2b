"""The places a value can come from, and the search through them, strongest first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

from spanbridge.errors import ConfigurationError
from spanbridge.settings.declaration import PREFIX, Option, Variable
from spanbridge.settings.doubt import strays
from spanbridge.settings.masking import Shown, as_in_a_file, plain, show
from spanbridge.settings.otlp_variables import RESOURCE_VARIABLE
from spanbridge.settings.reading import FaultyPart, Reader, Unusable
from spanbridge.settings.secret_file import secret_file_variable

Path: TypeAlias = tuple[str, ...]
_HOMES_OF_SETTINGS: Final = frozenset({"destinations", "environment"})
"""Settings in whose tables others stand; in that of the environment because ``environments`` was
meant."""


@dataclass(frozen=True)
class Found:
    """A value as a user wrote it.

    Attributes:
        value: Not read yet.
        setting: The setting as the user wrote it.
        reader: How this source writes the value, if not in the setting's own form.
        source: Who gave it, for logs.
        table: The table it stands in, if it stands in one, and not in a variable.
        path: Where in that table.
    """

    value: object
    setting: str
    reader: Reader[object] | None = None
    source: str = ""
    table: Table | None = None
    path: Path = ()

    def read(self, option: Option) -> object:
        """The typed value. Raises ``ConfigurationError``, or ``PartlyUnusable`` for a list."""
        stray = self._stray(option)
        if stray is not None:
            raise stray
        try:
            return (self.reader or option.reader).convert(self.value)
        except Unusable as error:
            raise self.error(option, error) from None

    def error(self, option: Option, unusable: Unusable) -> ConfigurationError:
        """What is wrong with the value, with the value masked as the setting asks."""
        shown = self.shown(option)
        return ConfigurationError(self.setting, shown, plain(unusable.problem), unusable.fix)

    def _stray(self, option: Option) -> ConfigurationError | None:
        """What is wrong with a setting of privacy that got into the table of another setting."""
        is_at_home = option.is_privacy or option.key in _HOMES_OF_SETTINGS
        if self.table is None or is_at_home or not isinstance(self.value, Mapping):
            return None
        for stray in strays(self.value):
            place = self.table.label((*self.path, *stray.path))
            value = stray.value if self._is_python else as_in_a_file(stray.value)
            return ConfigurationError(place, show(value), stray.problem, stray.fix)
        return None

    def shown(self, option: Option) -> Shown:
        """The value as its writer would know it again, masked as the setting asks."""
        return option.mask(self.value if self._is_python else as_in_a_file(self.value))

    @property
    def _is_python(self) -> bool:
        return self.table is not None and not self.table.origin

    def error_of_part(self, part: FaultyPart) -> ConfigurationError:
        """What is wrong with one part of the value, and in which line of a file."""
        value = part.value if self._is_python else as_in_a_file(part.value)
        shown = Shown("not set") if value is None else show(value)
        place = f"{plain(part.place)}, {self.setting_with(part.path)}"
        return ConfigurationError(place, shown, plain(part.problem), plain(part.fix))

    def setting_with(self, part: str) -> str:
        """The setting as the user wrote it; in a file with the line of a part of the value."""
        return self.setting if self.table is None else self.table.label_of_part(self.path, part)


@dataclass(frozen=True)
class Table:
    """Nested keys, as arguments or a settings file give them.

    Attributes:
        content: The keys and values.
        origin: The file's name, empty for arguments.
        section: The environment table this is, if it is one.
        lines: In which line of the file a key stands, by its path in this table.
        is_command_line: Whether the arguments are a command's options.
    """

    content: Mapping[Any, object]  # YAML keys may be anything
    origin: str = ""
    section: str = ""
    lines: Mapping[Path, int] = field(default_factory=dict)
    is_command_line: bool = False

    def find(self, path: Path) -> Found | None:
        """The value at ``path``. ``None`` as a value means that nothing is said."""
        level: object = self.content
        for key in path:
            if not isinstance(level, Mapping) or key not in level:
                return None
            level = level[key]
        if level is None:
            return None
        label = self.label(path)
        source = label if self.origin or self.is_command_line else "argument"
        return Found(level, label, source=source, table=self, path=path)

    def destination_names(self) -> tuple[str, ...]:
        """The destinations that have a table of their own in this one, even an empty one."""
        tables = self.content.get("destinations")
        if not isinstance(tables, Mapping):
            return ()
        return tuple(name for name in tables if isinstance(name, str))

    def label(self, path: Path) -> str:
        """The key at ``path`` as its writer would name it."""
        line = self.lines.get(path)
        if line is None:  # [a.b] says where b stands, and so where a begins
            below = (line for known, line in self.lines.items() if known[: len(path)] == path)
            line = min(below, default=None)
        return self._label(path, line)

    def label_of_part(self, path: Path, part: str) -> str:
        """The same with the line of a part of the value, or else of what that part stands in.

        Args:
            path: The key's.
            part: List positions, from 1, and keys, with dots.
        """
        lines = {".".join(known): line for known, line in self.lines.items()}
        within = ".".join((*path, part))
        while within not in lines and within:
            within = within.rpartition(".")[0]
        return self._label(path, lines.get(within))

    def _label(self, path: Path, line: int | None) -> str:
        if self.is_command_line:
            return f"--{path[0]}"
        if not self.origin:
            keys = "".join(f"[{key!r}]" for key in path[1:])
            return plain(f"configure({path[0]}=...){keys}")
        sections = (*((self.section,) if self.section else ()), ".".join(path[:-1]))
        section = ".".join(part for part in sections if part)
        where = f"[{section}] of {self.origin}" if section else self.origin
        return plain(f"{path[-1]} in {where}" + (f" line {line}" if line is not None else ""))

    def shown(self, value: object, option: Option) -> Shown:
        """A value in it as its writer would know it again, masked as the setting asks."""
        return option.mask(as_in_a_file(value) if self.origin else value)

    def environment(self, name: str) -> Table | None:
        """The table of the environment ``name``, if there is one; in another case, if need be."""
        within = ("environments", self._spelling_of(name))
        found = self.find(within)
        if found is None or not isinstance(found.value, Mapping):
            return None
        lines = {path[2:]: line for path, line in self.lines.items() if path[:2] == within}
        return Table(found.value, self.origin, ".".join(map(str, within)), lines)

    def _spelling_of(self, environment: str) -> str:
        return next(iter(self.spellings_of(environment)), environment)

    def spellings_of(self, environment: str) -> tuple[str, ...]:
        """How the tables for ``environment`` are spelt: exactly so, else all in another case."""
        tables = self.content.get("environments")
        if not isinstance(tables, Mapping):
            return ()
        # YAML's form of an empty table is nothing at all.
        usable = (name for name, it in tables.items() if it is None or isinstance(it, Mapping))
        names = [name for name in usable if isinstance(name, str)]
        if environment in names:
            return (environment,)
        return tuple(name for name in names if name.lower() == environment.lower())


@dataclass(frozen=True)
class Place:
    """Where one setting can stand.

    Attributes:
        option: Its declaration.
        paths: In tables, the more specific first.
        variables: In the environment, weakest first.
    """

    option: Option
    paths: tuple[Path, ...]
    variables: tuple[Variable, ...]


def top_level_place(option: Option) -> Place:
    """Where a setting of the whole stands."""
    own = own_variables(f"{PREFIX}{option.key.upper()}", option)
    return Place(option, ((option.key,),), (*option.variables, *own))


def destination_place(option: Option, name: str, kind: str | None) -> Place:
    """Where a setting of the destination ``name`` stands.

    Variables of other products, and top-level keys, speak of the destination that is named like
    its kind: a vendor's key must never go to another destination.
    """
    own = own_variables(destination_variable(name, option.key), option)
    paths: tuple[Path, ...] = (("destinations", name, option.key),)
    if name != kind:
        return Place(option, paths, own)
    if option.is_shorthand:
        paths = (*paths, (option.key,))
    foreign = tuple(with_file_variants(option.variables, option))
    return Place(option, paths, (*foreign, *own))


def destination_variable(name: str, key: str) -> str:
    """The variable that sets ``key`` of the destination ``name``."""
    return f"{PREFIX}{name.replace('-', '_')}_{key}".upper()


def own_variables(variable: str, option: Option) -> tuple[Variable, ...]:
    """The setting's own variable, and the one that names a file if it has that."""
    return tuple(with_file_variants((Variable(variable),), option))


def with_file_variants(variables: tuple[Variable, ...], option: Option) -> Iterator[Variable]:
    """Each variable after its ``_FILE`` variant, if the setting has those."""
    for variable in variables:
        if option.has_file_variant:
            yield secret_file_variable(variable.name)
        yield variable


@dataclass(frozen=True)
class Sources:
    """All that was said, by whom.

    Attributes:
        arguments: Of ``configure()``.
        environ: The environment variables.
        tables: Of the settings file, strongest first.
        resource: What a tracer provider that somebody set before says about the program.
        declared: Of OpenTelemetry's configuration file, strongest first.
    """

    arguments: Table
    environ: Mapping[str, str]
    tables: tuple[Table, ...] = ()
    resource: Mapping[str, object] = field(default_factory=dict)
    declared: tuple[Table, ...] = ()

    @property
    def all_tables(self) -> tuple[Table, ...]:
        """Arguments, then what OpenTelemetry's file declares, then the settings file."""
        return (self.arguments, *self.declared, *self.tables)

    def within(self, environment: str) -> Sources:
        """The same with the environment's own table in front of the file's others."""
        return replace(
            self,
            tables=_with_inner(self.tables, environment),
            declared=_with_inner(self.declared, environment),
        )

    def find(self, place: Place) -> Found | None:
        """What the strongest source says. Raises ``ConfigurationError`` for a secret's file."""
        return next(self.said(place), None)

    def said(self, place: Place) -> Iterator[Found]:
        """Everything that is said about one setting, strongest first."""
        for table in (self.arguments, *self.declared):
            yield from self._in_table(table, place)
        for variable in reversed(place.variables):
            found = self._in_variable(variable)
            if found is not None:
                yield found
        for table in self.tables:
            yield from self._in_table(table, place)
        for variable in reversed(place.variables):
            if variable.name == RESOURCE_VARIABLE and (value := self.resource.get(variable.part)):
                label = f"{variable.part} in the tracer provider's resource"
                yield Found(str(value), label, source=label)

    def _in_table(self, table: Table, place: Place) -> Iterator[Found]:
        for path in place.paths:
            found = table.find(path)
            if found is not None:
                yield found

    def _in_variable(self, variable: Variable) -> Found | None:
        text = self.environ.get(variable.name, "").strip()
        if not text:  # the OpenTelemetry specification: empty is unset
            return None
        try:
            value = variable.extract(text, self.environ)
        except Unusable as error:
            raise ConfigurationError(variable.label, show(text), error.problem, error.fix) from None
        if value is None:
            return None
        return Found(value, variable.label, variable.reader, source=variable.label)


def _with_inner(tables: tuple[Table, ...], environment: str) -> tuple[Table, ...]:
    inner = [table.environment(environment) for table in tables]
    return (*(table for table in inner if table), *tables)
