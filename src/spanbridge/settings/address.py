"""Where a destination is: DSNs, URLs, and whether they leave this machine."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

from spanbridge.settings.masking import MASK, Secret, Shown, plain, show, url_without_secrets
from spanbridge.settings.reading import Reader, Unusable, text_of

_DSN_FORM: Final = "A DSN looks like https://<key>@<host>/<project>."
_PUBLIC_KEY: Final = re.compile(r"[A-Za-z0-9._~-]+")
_ORGANISATION: Final = re.compile(r"o(\d+)\.")
_KEY_LIKE: Final = re.compile(r"[A-Za-z0-9]{16,}")


@dataclass(frozen=True, repr=False)
class SentryDsn:
    """A parsed DSN that never shows its keys.

    Attributes:
        secret: The DSN as it was given.
        scheme: ``http`` or ``https``.
        host: Host name or address, without brackets.
        port: TCP port, the scheme's default if the DSN has none.
        path: Path prefix of the server, with a slash at both ends.
        project_id: Decimal digits.
        public_key: The key that authenticates the sender.
        secret_key: The second key of very old servers.
        org_id: Organisation id as Sentry's own hosts carry it, decimal digits.
    """

    secret: Secret
    scheme: Literal["http", "https"]
    host: str
    port: int
    path: str
    project_id: str
    public_key: str
    secret_key: str | None = None
    org_id: str | None = None

    @property
    def netloc(self) -> str:
        """Host and, unless it is the scheme's default, port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        is_default = self.port == {"http": 80, "https": 443}[self.scheme]
        return host if is_default else f"{host}:{self.port}"

    @property
    def place(self) -> str:
        """Host and project, which is what tells two projects of one server apart."""
        return f"{self.netloc}{self.path}{self.project_id}"

    @property
    def envelope_url(self) -> str:
        """Where envelopes are posted."""
        return f"{self.scheme}://{self.netloc}{self.path}api/{self.project_id}/envelope/"

    def reveal(self) -> str:
        """The DSN as it was given. Never log it."""
        return self.secret.reveal()

    def __str__(self) -> str:
        return f"{self.scheme}://{MASK}@{self.place}"

    def __repr__(self) -> str:
        return f"SentryDsn({str(self)!r})"


def dsn_of(raw: object) -> SentryDsn:
    """A DSN; what is wrong with it is said part by part.

    Source: Sentry develop docs, "SDK Overview", section "Parsing the DSN".
    """
    text = text_of(raw)
    scheme = _scheme_and_port_are_fine(text, _DSN_FORM)
    parts = urlsplit(text)
    host, path = parts.hostname or "", parts.path
    prefix, _, project = path.rpartition("/")
    if not path.strip("/"):
        raise Unusable("it has no project", _DSN_FORM)
    if not parts.username:
        raise Unusable("it has no key", _DSN_FORM)
    if not (project.isascii() and project.isdigit()):
        raise Unusable("its project is not a number", _DSN_FORM)
    if not _PUBLIC_KEY.fullmatch(parts.username):
        raise Unusable("its key has characters no key has", _DSN_FORM)
    organisation = _ORGANISATION.match(host)
    return SentryDsn(
        secret=Secret(text),
        scheme=scheme,
        host=host,
        port=parts.port or (443 if scheme == "https" else 80),
        path=f"{prefix}/",
        project_id=project.lstrip("0") or "0",
        public_key=parts.username,
        secret_key=parts.password or None,
        org_id=organisation[1] if organisation else None,
    )


DSN: Final = Reader("DSN", dsn_of)


def spotlight_in(text: str, _environ: Mapping[str, str]) -> object:
    """What ``SENTRY_SPOTLIGHT`` holds, unless it says no; the words are those of Sentry's SDK."""
    return None if text.strip().lower() in _NO else text


def spotlight_of(raw: object) -> SentryDsn:
    """Where Spotlight takes envelopes, for ``true`` or the URL of its stream."""
    text = text_of(raw)
    if text.lower() in _YES:
        return dsn_of(_SPOTLIGHT)
    _scheme_and_port_are_fine(text, "Use true, or a URL like http://localhost:8969/stream.")
    parts = urlsplit(text)
    # Any key and any project will do.
    return dsn_of(f"{parts.scheme}://spotlight@{parts.netloc.rpartition('@')[2]}/1")


_YES: Final = frozenset({"true", "t", "y", "yes", "on", "1"})
_NO: Final = frozenset({"false", "f", "n", "no", "off", "0", ""})
_SPOTLIGHT: Final = "http://spotlight@localhost:8969/1"

SPOTLIGHT: Final = Reader("`true` or URL", spotlight_of)


def mask_dsn(value: object) -> Shown:
    """A DSN as far as it can be shown: scheme, host and project, no key."""
    if isinstance(value, SentryDsn):
        return Shown(value)
    if not isinstance(value, str) or "://" not in value:
        return Shown(MASK)
    return show(_KEY_LIKE.sub(MASK, url_without_secrets(value)))


def mask_spotlight(value: object) -> Shown:
    """What ``SENTRY_SPOTLIGHT`` holds, which is no secret but may be a URL with one."""
    return Shown(value) if isinstance(value, SentryDsn) else mask_url(value)


def mask_url(value: object) -> Shown:
    """A URL without user name, password and query."""
    return show(url_without_secrets(value) if isinstance(value, str) else value)


def http_url_of(raw: object) -> str:
    """An ``http`` or ``https`` URL with a host."""
    text = text_of(raw)
    _scheme_and_port_are_fine(text, "A URL looks like https://<host>:<port>/<path>.")
    return text


def proxy_of(raw: object) -> str:
    """A proxy's URL; the empty text says that no proxy is to be used."""
    return "" if raw == "" else http_url_of(raw)


PROXY: Final = Reader("URL", proxy_of)


def _scheme_and_port_are_fine(text: str, fix: str) -> Literal["http", "https"]:
    if any(c.isspace() or not c.isprintable() for c in text):
        raise Unusable("it contains a space or a control character", fix)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        is_port = str(error).startswith("Port")
        raise Unusable(
            "its port is not a number from 1 to 65535" if is_port else "its host cannot be read",
            fix,
        ) from None
    if parts.scheme not in ("http", "https"):
        raise Unusable("it does not start with http:// or https://", fix)
    if not parts.hostname:
        raise Unusable("it has no host", fix)
    if port == 0:
        raise Unusable("its port is not a number from 1 to 65535", fix)
    return "https" if parts.scheme == "https" else "http"


def host_of(url: str) -> str:
    """Host and port of a URL, as a log line may show them."""
    return plain(urlsplit(url).netloc.rpartition("@")[2])


def is_loopback(host: str) -> bool:
    """Whether ``host`` (a name or an address, without port) is this machine by definition."""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
