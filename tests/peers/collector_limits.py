"""Where the gateway holds back less than the library, or more, and why.

The guide gives the same reasons; a test compares them.
"""

from __future__ import annotations

from typing import Final

_CODES: Final = (
    "A character that is itself written in a code (`%41KIA…`, `pass\\u0077ord`) hides what it is "
    "part of: of codes, only quotes, `@`, `=`, `:`, `/`, `+` and blanks are read."
)
_ERRORS: Final = (
    "An error of a database or of pydantic that is percent-encoded as a whole, as in a URL, keeps "
    "its values."
)
LESS: Final = {
    "%41KIAC4N4RYC4N4RYC4N4": _CODES,
    r'{"pass\u0077ord": "hunter2"}': _CODES,
    "/x?msg=Key%20(email)%3D(hunter2)%20already%20exists.": _ERRORS,
}
"""Texts of the library's tests that pass with their secret, and the reason."""

OTHERS: Final = (
    "Attributes of links cannot be reached: no processor of the Collector has them.",
    "Statements of databases and documents of GraphQL pass as they are: spanbridge cuts their "
    "literals in the application.",
)
"""Further reasons."""

MORE: Final = (
    "git@github.com",  # looks like an address of somebody
    "sk-learn-pipeline-with-many-named-steps",  # nothing asks for a digit in it
    "4111111111111112",  # nor for a checksum
    "email::text",  # nor for what stands behind the colon
)
"""What passes in the library, and not here."""
