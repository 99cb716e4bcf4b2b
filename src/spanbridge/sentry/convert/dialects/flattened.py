"""Lists that an instrumentation flattened to one attribute per leaf, put together again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from spanbridge.model.span import Attributes, AttributeValue

_MAX_DEPTH: Final = 12
"""Names with more dots than this after their index keep the rest as one."""


def unflattened(keys: Iterable[str], prefix: str, data: Attributes) -> list[AttributeValue]:
    """The list whose leaves are ``data``'s values under ``keys``, as ``<prefix>0.message.role``.

    The order is that of the indexes; a missing one leaves no gap.
    """
    tree: dict[str, object] = {}
    for key in keys:
        *above, leaf = key[len(prefix) :].split(".", _MAX_DEPTH)
        branch = tree
        for name in above:
            below = branch.get(name)
            if not isinstance(below, _Branch):
                # A leaf and a branch of one name: the leaf stays as what has no name.
                below = _Branch() if below is None else _Branch({"": below})
                branch[name] = below
            branch = below
        held = branch.get(leaf)
        if isinstance(held, _Branch):
            held[""] = data[key]
        else:
            branch[leaf] = data[key]
    found = _listed(_Branch(tree))
    return found if isinstance(found, list) else [found]


class _Branch(dict[str, object]):
    """A dict made here, in contrast to one that is a value."""


def _listed(branch: _Branch) -> AttributeValue:
    below = {
        name: _listed(value) if isinstance(value, _Branch) else value
        for name, value in branch.items()
    }
    if all(name.isascii() and name.isdigit() and len(name) < 9 for name in below):
        return [below[name] for name in sorted(below, key=int)]  # type: ignore[misc]
    return below  # type: ignore[return-value]
