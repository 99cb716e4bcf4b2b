"""What a server answers, read as it arrives. No network."""

from __future__ import annotations

import httptools
import msgspec

from spanbridge.errors import SpanbridgeError

MAX_HEAD_BYTES = 65_536
"""A longer head is not read to its end."""

DETAIL_BYTES = 200
"""How much of a refusal's body is kept for the log."""

_READ_HEADERS = frozenset({b"x-sentry-rate-limits", b"retry-after"})


class Answer(msgspec.Struct, frozen=True):
    """What the server said."""

    status: int
    rate_limits: str | None = None
    """``X-Sentry-Rate-Limits``."""
    retry_after: str | None = None
    """``Retry-After``."""
    detail: str = ""
    """The first printable characters of a refusal's body."""


class ExchangeError(SpanbridgeError):
    """No answer was received. Whether the server got the request is unknown.

    Args:
        cause: Low-cardinality, e.g. ``"timeout"``.
        detail: More for a log line.
    """

    def __init__(self, cause: str, detail: str = "") -> None:
        self.cause = cause
        self.detail = detail
        super().__init__(f"{cause}: {detail}" if detail else cause)


class AnswerReader:
    """Follows the answers of one connection; the parser calls the ``on_`` methods."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self.start()

    def start(self) -> None:
        """Expect the next answer."""
        self.status = 0
        """The final status once its head is complete, else 0."""
        self.is_complete = False
        self.is_untouched = True
        """Whether no byte of the answer has been seen."""
        self.body_bytes = 0
        self.allows_another_request = False
        self._head_bytes = 0
        self._headers: dict[bytes, bytes] = {}
        self._detail = b""

    def feed(self, data: bytes) -> None:
        """Take received bytes.

        Raises:
            ExchangeError: they are not HTTP.
        """
        self.is_untouched = False
        if not self.status:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self.status:
                raise ExchangeError("protocol", str(error)) from error
            self.is_complete = True  # a broken body does not make the status less true
            self.allows_another_request = False
        if not self.status and self._head_bytes > MAX_HEAD_BYTES:
            raise ExchangeError("protocol", f"more than {MAX_HEAD_BYTES} bytes of headers")

    def answer(self) -> Answer:
        """What has been read."""
        return Answer(
            self.status,
            self._text(b"x-sentry-rate-limits"),
            self._text(b"retry-after"),
            self._printable_detail() if self._detail else "",
        )

    def _printable_detail(self) -> str:
        return "".join(filter(str.isprintable, self._detail.decode("utf-8", "replace")))

    def on_message_begin(self) -> None:
        """The first byte of an answer, a prelude or something unasked for."""
        if self.is_complete:
            self.allows_another_request = False  # something nobody asked for follows the answer
        self._headers = self._headers if self.is_complete else {}

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; repeated ones are joined as HTTP allows."""
        if self.is_complete:
            return
        name = name.lower()
        if name in _READ_HEADERS:
            known = self._headers.get(name)
            self._headers[name] = value if known is None else b"%b, %b" % (known, value)

    def on_headers_complete(self) -> None:
        """The head is complete: the status is known."""
        status = self._parser.get_status_code()
        if status >= 200 and not self.is_complete:  # 100 Continue and the like are only a prelude
            self.status = status

    def on_body(self, data: bytes) -> None:
        """A piece of the body, without the framing."""
        self.body_bytes += len(data)
        if self.status >= 400 and len(self._detail) < DETAIL_BYTES:
            self._detail += data[: DETAIL_BYTES - len(self._detail)]

    def on_message_complete(self) -> None:
        """The answer has ended where it said it would."""
        if self.status and not self.is_complete:
            self.is_complete = True
            self.allows_another_request = self._parser.should_keep_alive()

    def _text(self, name: bytes) -> str | None:
        value = self._headers.get(name)
        return None if value is None else value.decode("latin-1").strip()
