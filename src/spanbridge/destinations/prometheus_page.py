"""The page that Prometheus reads, as WSGI and ASGI applications.

Nothing of the Prometheus client is imported until there is a page: an application mounts it once
and runs unchanged where metrics go elsewhere, or nowhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from spanbridge.runtime.guard import GUARD

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, MutableMapping
    from typing import TypeAlias

    WsgiApp: TypeAlias = Callable[[dict[str, Any], Callable[..., object]], Iterable[bytes]]
    Message: TypeAlias = MutableMapping[str, Any]
    Receive: TypeAlias = Callable[[], Awaitable[Message]]
    Send: TypeAlias = Callable[[Message], Awaitable[None]]
    AsgiApp: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

_TEXT: Final = ("Content-Type", "text/plain; charset=utf-8")


class Rendered(NamedTuple):
    """An answer."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Page(Protocol):
    """Something that can be read."""

    def render(self, accept: str, accept_encoding: str) -> Rendered:
        """The page in the best form its reader takes. Raises if it cannot be made in time."""


PAGES: Final[dict[str, Page]] = {}
"""The pages there are now, by the names of their destinations."""

_REASONS: Final = {
    200: "OK",
    404: "Not Found",
    405: "Method Not Allowed",
    503: "Service Unavailable",
}


def render(destination: str, method: str, accept: str, accept_encoding: str) -> Rendered:
    """The answer to a request. Never raises: a failure of ours is a failed scrape, no more."""
    if method not in ("GET", "HEAD"):
        return Rendered(405, (_TEXT, ("Allow", "GET, HEAD")), b"Use GET.\n")
    page = PAGES.get(destination)
    if page is None:
        return Rendered(404, (_TEXT,), b"No metrics are shown here: the destination is not on.\n")
    try:
        rendered = page.render(accept, accept_encoding)
    except TimeoutError as error:
        GUARD.report(f"{destination}: no page", str(error))
        return Rendered(503, (_TEXT,), b"The metrics could not be collected in time.\n")
    except Exception as error:
        GUARD.caught(f"{destination}.page", error)
        return Rendered(503, (_TEXT,), b"The metrics could not be shown.\n")
    return rendered if method == "GET" else rendered._replace(body=b"")


def wsgi_app(
    destination: str,
) -> Callable[[dict[str, Any], Callable[..., object]], Iterable[bytes]]:
    """The page of ``destination`` as a WSGI application."""

    def application(
        environ: dict[str, Any], start_response: Callable[..., object]
    ) -> Iterable[bytes]:
        rendered = render(
            destination,
            environ["REQUEST_METHOD"],
            environ.get("HTTP_ACCEPT", ""),
            environ.get("HTTP_ACCEPT_ENCODING", ""),
        )
        status = f"{rendered.status} {_REASONS[rendered.status]}"
        length = ("Content-Length", str(len(rendered.body)))
        start_response(status, [*rendered.headers, length])
        return [rendered.body]

    return application


def asgi_app(destination: str) -> AsgiApp:
    """The page of ``destination`` as an ASGI application."""

    async def application(scope: Message, receive: Receive, send: Send) -> None:
        import asyncio

        if scope["type"] != "http":
            return
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        # A collection runs callbacks of the application's, which may block.
        rendered = await asyncio.to_thread(
            render,
            destination,
            scope["method"],
            headers.get(b"accept", ""),
            headers.get(b"accept-encoding", ""),
        )
        encoded = [(name.lower().encode(), value.encode()) for name, value in rendered.headers]
        encoded.append((b"content-length", str(len(rendered.body)).encode()))
        await send({"type": "http.response.start", "status": rendered.status, "headers": encoded})
        await send({"type": "http.response.body", "body": rendered.body})

    return application
