"""A TCP port, or a range of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from spanbridge.settings.reading import Reader, Unusable

_FORM: Final = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")


@dataclass(frozen=True)
class Ports:
    """A range of TCP ports; most have one.

    Attributes:
        first: The first port.
        last: The last one, 0 if there is only the first.
    """

    first: int
    last: int = 0

    def __str__(self) -> str:
        return f"{self.first}-{self.last}" if self.last else str(self.first)

    @property
    def each(self) -> range:
        """The ports in order."""
        return range(self.first, (self.last or self.first) + 1)


def ports_or_off_of(raw: object) -> Ports | None:
    """One port, a range like ``9464-9471``, or ``off`` (or false) for none."""
    if raw is False or (isinstance(raw, str) and raw.strip().lower() == "off"):
        return None
    match = _FORM.fullmatch(str(raw).strip()) if isinstance(raw, str | int) else None
    if match is not None and not isinstance(raw, bool):
        ports = Ports(int(match[1]), int(match[2] or 0))
        if 1 <= ports.first <= 65_535 and ports.last <= 65_535 and ports.each:
            return ports
    raise Unusable(
        "it is neither a port from 1 to 65535 nor a range of them",
        "Write 9464, or 9464-9471 for eight processes, or off.",
    )


PORTS_OR_OFF: Final = Reader("port, range of ports, or `off`", ports_or_off_of)
