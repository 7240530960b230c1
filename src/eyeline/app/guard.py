"""The door of the server: who may ask, for what, and what every answer carries.

A page of another site that is open in the same browser can send requests to this machine's own addresses, and a name
of its own can be made to point here. So the Host header must be one of ours, an Origin must be that host, and only the
explorer's own paths are answered. The headers keep the page from asking anything of another server.
"""

import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

PATHS = ("/_nicegui/", "/_nicegui_ws/", "/visit/", "/files/")
"""What is answered beside the page itself."""

LOCAL = ("127.0.0.1", "localhost", "::1")

POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
"""NiceGUI's page needs inline scripts and eval; nothing can be loaded from or sent to another server."""

HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


class Guard:
    """Wraps the server's app.

    Args:
        app: what answers.
        host: address that is listened on.
    """

    def __init__(self, app: Asgi, host: str) -> None:
        self.app = app
        self._open = host not in LOCAL
        """Whether other machines may ask: then by any address, or by this machine's own name."""
        self._names = {*LOCAL, host.lower(), *([socket.gethostname().lower()] if self._open else [])}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
        why, status = self._refusal(scope, headers)
        if why and scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": why})
            return
        if why:
            await _answer(send, status, why)
            return
        scope["headers"] = [each for each in scope["headers"] if not each[0].lower().startswith(b"x-forwarded")]

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *_encoded(HEADERS.items())]
            await send(message)

        await self.app(scope, receive, with_headers)

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[str, int]:
        """Return why a request is not answered, or "", and the status that says so."""
        host = headers.get("host", "").lower()
        if not self._ours(host):
            return "the Host header names another machine", 403
        origin = headers.get("origin")
        if origin is not None and origin.lower() not in (f"http://{host}", f"https://{host}"):
            return "the request comes from another site", 403
        if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate":
            return "the request comes from another site", 403
        path = scope["path"]
        if path not in ("/", "/favicon.ico") and not path.startswith(PATHS):
            return "there is nothing here", 404
        return "", 200

    def _ours(self, host: str) -> bool:
        name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
        if name in self._names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return self._open  # an address cannot be made to point elsewhere, as a name can


async def _answer(send: Send, status: int, why: str) -> None:
    body = f"Refused: {why}.\n".encode()
    headers = _encoded([("content-type", "text/plain; charset=utf-8"), ("content-length", str(len(body)))])
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *_encoded(HEADERS.items())]})
    await send({"type": "http.response.body", "body": body})


def _encoded(pairs: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(key.encode(), value.encode("latin-1")) for key, value in pairs]
