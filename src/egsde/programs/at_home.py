"""A web application whose pages name nothing elsewhere, and whose browser asks for nothing else."""

from __future__ import annotations

import re
from typing import Any

POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; "
    "connect-src 'self' ws: data: blob:"
)
ELSEWHERE = re.compile(
    rb"<(script|link|meta)\b[^>]*https?://(?!127\.0\.0\.1|localhost)[^>]*>(\s*</script>)?"
)


class AtHome:
    """An ASGI application with `POLICY` on every answer, and HTML without `ELSEWHERE`."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        started: dict[str, Any] | None = None
        body = b""

        async def sent(message: dict[str, Any]) -> None:
            nonlocal started, body
            if message["type"] == "http.response.start":
                headers = [
                    (key, value) for key, value in message["headers"]
                    if key.lower() != b"content-security-policy"
                ]  # fmt: skip
                headers.append((b"content-security-policy", POLICY.encode()))
                kind = dict(headers).get(b"content-type", b"")
                message = {**message, "headers": headers}
                if kind.startswith(b"text/html"):
                    started = message
                    return
            elif message["type"] == "http.response.body" and started is not None:
                body += message.get("body", b"")
                if message.get("more_body"):
                    return
                body = ELSEWHERE.sub(b"", body)
                headers = [(k, v) for k, v in started["headers"] if k.lower() != b"content-length"]
                headers.append((b"content-length", str(len(body)).encode()))
                await send({**started, "headers": headers})
                started, message = None, {"type": "http.response.body", "body": body}
            await send(message)

        await self.app(scope, receive, sent)
