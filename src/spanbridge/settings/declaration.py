"""How a setting is declared: once, beside its field, with all a loader or a reader needs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

from spanbridge.settings.masking import Shown, masked_repr_of, show
from spanbridge.settings.profiles import Profile
from spanbridge.settings.reading import Reader

T = TypeVar("T")
Place = Literal["anywhere", "top", "nowhere"]

PREFIX: Final = "SPANBRIDGE_"
_METADATA_KEY: Final = "spanbridge.option"


def as_written(text: str, _environ: Mapping[str, str]) -> object:
    """The text of a variable, unchanged."""
    return text


@dataclass(frozen=True)
class Variable:
    """An environment variable that can give a setting its value.

    Attributes:
        name: The variable.
        extract: Takes the value out of the variable's text (and, if need be, of its neighbours);
            ``None`` if there is none in it.
        reader: Reads the value, where the variable's form differs from the setting's own.
        part: The part of the variable that is read, as a user names it.
    """

    name: str
    extract: Callable[[str, Mapping[str, str]], object] = as_written
    reader: Reader[object] | None = None
    part: str = ""

    @property
    def label(self) -> str:
        """The variable as an error message and the reference page name it."""
        return f"{self.part} in {self.name}" if self.part else self.name


@dataclass(frozen=True)
class Option:
    """The declaration of one setting.

    Attributes:
        key: Field name; also the argument's name and the key in the settings file.
        default: The value if nobody says anything.
        sentence: What it is for.
        reader: How a value is read.
        unit: Unit of the value, empty if it has none.
        unset: What an empty default means, in words.
        empty: What any other empty value means, in words.
        variables: Variables of other products, weakest first. Its own variable is derived.
        by_profile: The default where the environment's profile decides it.
        mask: Makes a value safe to show.
        has_file_variant: Whether ``…_FILE`` variables name a file that holds the value.
        is_privacy: Whether an unusable value withholds every remote destination.
        is_address: Whether setting it chooses the destination, if no list of them is given.
        is_shorthand: Whether a top-level key or argument sets it for the kind's own destination.
        has_safe_default: Whether a destination whose value is unusable goes on with the default
            rather than being left out.
        careful: What it goes on with where the default might send more than was wanted.
        in_file: Where the settings file may set it; ``top`` is outside environment tables.
    """

    key: str
    default: object
    sentence: str
    reader: Reader[object]
    unit: str = ""
    unset: str = ""
    empty: str = "none"
    variables: tuple[Variable, ...] = ()
    by_profile: Callable[[Profile], object] | None = None
    mask: Callable[[object], Shown] = show
    has_file_variant: bool = False
    is_privacy: bool = False
    is_address: bool = False
    is_shorthand: bool = False
    has_safe_default: bool = False
    careful: Callable[[Profile], object] | None = None
    in_file: Place = "anywhere"

    def default_in(self, profile: Profile) -> object:
        """The default under ``profile``."""
        return self.by_profile(profile) if self.by_profile else self.default

    def meaning_of(self, value: object) -> str:
        """What an empty value means, in words; empty where the value says it, or nothing does."""
        if value not in (None, (), ""):
            return ""
        if value != self.default:
            return self.empty
        return self.unset or (self.empty if value == () else "")

    @property
    def can_do_without(self) -> bool:
        """Whether a destination goes on where the value is unusable."""
        return self.has_safe_default or self.careful is not None

    def fallback_in(self, profile: Profile) -> object:
        """What it goes on with under ``profile``."""
        return self.careful(profile) if self.careful else self.default_in(profile)


def option(
    default: T,
    sentence: str,
    reader: Reader[T],
    *,
    variables: tuple[Variable | str, ...] = (),
    is_compared: bool = True,
    **details: Any,
) -> T:
    """Declare a setting as a dataclass field.

    Args:
        default: The field's default.
        sentence: What the setting is for.
        reader: How a value is read.
        variables: Variables of other products, weakest first.
        is_compared: Whether two trees that differ in it are different.
        details: Further attributes of :class:`Option`, checked by its constructor.
    """
    declared = Option(
        key="",  # known once the class is made
        default=default,
        sentence=sentence,
        reader=reader,
        variables=tuple(Variable(v) if isinstance(v, str) else v for v in variables),
        **details,
    )
    return dataclasses.field(
        default=default, compare=is_compared, metadata={_METADATA_KEY: declared}
    )


def options_of(cls: type) -> Mapping[str, Option]:
    """The declarations of a class by key, in order."""
    if cls not in _options_by_class:
        _options_by_class[cls] = {
            field.name: dataclasses.replace(field.metadata[_METADATA_KEY], key=field.name)
            for field in dataclasses.fields(cls)
            if _METADATA_KEY in field.metadata
        }
    return _options_by_class[cls]


_options_by_class: Final[dict[type, Mapping[str, Option]]] = {}


def masked_repr(tree: Any) -> str:
    """The ``repr`` of a dataclass of options, with what must not be shown masked."""
    options = options_of(type(tree))
    parts = []
    for field in dataclasses.fields(tree):
        if not field.repr:
            continue
        value = getattr(tree, field.name)
        declared = options.get(field.name)
        if value is not None and declared is not None and declared.mask is not show:
            value = declared.mask(value)
        parts.append(f"{field.name}={masked_repr_of(value)}")
    return f"{type(tree).__name__}({', '.join(parts)})"
