"""What the page asks of the server, over HTTP: every path begins with the visit's secret.

Nothing here computes in the event loop: work goes to threads, and of one visit only a few questions are worked on at a
time. A body is read up to a limit, whatever its headers say.
"""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files as packaged
from pathlib import Path
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from eyeline.app import answers, files, uploads
from eyeline.app.answers import Answer
from eyeline.app.examples import Example
from eyeline.app.visits import StaleError, Visit, Visits
from eyeline.errors import Error, InputError
from eyeline.models.base import Model

T = TypeVar("T")

AT_ONCE = 6
"""Questions of one visit that are worked on at a time."""

THREADS = 64
BODY = 2**18
"""Bytes of a question."""

OVER = "this visit is over. Reload the page."

Handler = Callable[[Request], Awaitable[Response]]


class Routes:
    """The server's answers.

    Args:
        model: as `load` returned it.
        visits: of all visitors.
        examples: pictures that can be picked.
        folder: where files may lie while they are read or written.
    """

    def __init__(self, model: Model, visits: Visits, examples: dict[str, Example], folder: Path) -> None:
        self._model, self._visits, self._examples, self._folder = model, visits, examples, folder
        self._pool = ThreadPoolExecutor(THREADS, "eyeline answer")
        self._asking: dict[str, int] = {}

    def all(self) -> list[Route]:
        """Return them."""
        visit = "/visit/{token}"
        return [
            Route("/files/common.js", _common),
            Route(visit + "/picture", self._answered(self._picture), methods=["POST"]),
            Route(visit + "/example/{name}", self._answered(self._example), methods=["POST"]),
            Route(visit + "/probe", self._answered(self._probe), methods=["POST"]),
            Route(visit + "/patch", self._answered(self._patch), methods=["POST"]),
            Route(visit + "/start/{panel:int}", self._answered(self._start), methods=["POST"]),
            Route(visit + "/stop/{panel:int}", self._answered(self._stop), methods=["POST"]),
            Route(visit + "/map/{panel:int}", self._answered(self._map), methods=["POST"]),
            Route(visit + "/save/{panel:int}/{kind}", self._answered(self._save)),
            Route("/visit/{rest:path}", _nothing),
            Route("/files/{rest:path}", _nothing),
        ]

    def close(self) -> None:
        """Let the threads go."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _answered(self, work: Callable[[Request, Visit], Awaitable[Answer | Response]]) -> Handler:
        """Wrap what works on a visit: errors become sentences."""

        async def answer(request: Request) -> Response:
            visit = self._visits.get(request.path_params["token"])
            if visit is None:
                return JSONResponse({"error": OVER}, 404)
            try:
                with self._counted(visit):
                    found = await work(request, visit)
            except StaleError:
                return JSONResponse({"error": "a newer question has come"}, 409)
            except Error as error:
                return JSONResponse({"error": str(error)}, 400)
            except ClientDisconnect:
                return Response(status_code=400)
            return found if isinstance(found, Response) else JSONResponse(found)

        return answer

    @contextlib.contextmanager
    def _counted(self, visit: Visit) -> Iterator[None]:
        count = self._asking.get(visit.token, 0)
        if count >= AT_ONCE:
            raise StaleError
        self._asking[visit.token] = count + 1
        try:
            yield
        finally:
            left = self._asking[visit.token] - 1
            self._asking[visit.token] = left
            if not left:
                del self._asking[visit.token]

    async def _run(self, work: Callable[..., T], *given: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *given)

    async def _picture(self, request: Request, visit: Visit) -> Answer:
        name = request.query_params.get("name", "picture")[:500]
        path = await uploads.received(request.stream(), self._folder)
        try:
            batch = await self._run(uploads.opened, path, name, self._model)
        finally:
            path.unlink(missing_ok=True)
        return await self._run(visit.take, batch)

    async def _example(self, request: Request, visit: Visit) -> Answer:
        example = self._examples.get(request.path_params["name"])
        if example is None:
            raise InputError(f"an example must be one of {', '.join(self._examples) or 'none'}. Choose another.")
        batch = await self._run(uploads.opened, example.path, example.path.name, self._model)
        return await self._run(visit.take, batch)

    async def _probe(self, request: Request, visit: Visit) -> Answer:
        return await self._run(visit.probe, await _question(request))

    async def _patch(self, request: Request, visit: Visit) -> Answer:
        return await self._run(visit.patch, await _question(request))

    async def _start(self, request: Request, visit: Visit) -> Answer:
        return await self._run(visit.start, _panel(request), await _question(request))

    async def _stop(self, request: Request, visit: Visit) -> Answer:
        run = visit.runs.get(_panel(request))
        if run is not None:
            run.stop()
        return answers.state(run) if run is not None else {}

    async def _map(self, request: Request, visit: Visit) -> Answer:
        question, run = await _question(request), visit.runs.get(_panel(request))
        if run is None:
            return {}
        if question.get("seen") == [run.state, run.done]:
            return answers.state(run)
        return await self._run(answers.shown, run, question)

    async def _save(self, request: Request, visit: Visit) -> Response:
        kind, question = request.path_params["kind"], dict(request.query_params)
        name, content = await self._run(files.made, visit, _panel(request), kind, question, self._folder)
        disposition = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
        return Response(content, media_type=files.KINDS[kind], headers=disposition)


def _panel(request: Request) -> int:
    panel = int(request.path_params["panel"])
    if panel not in (0, 1):
        raise InputError(f"a panel must be 0 or 1, but got {panel}.")
    return panel


async def _question(request: Request) -> dict[str, Any]:
    """Read a question, which is a JSON object."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > BODY:
            raise InputError(f"a question must have at most {BODY} bytes, but this one has more.")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InputError("a question must be JSON, but this one is not.") from error
    if not isinstance(found, dict):
        raise InputError("a question must be a JSON object, but this one is not.")
    return found


async def _nothing(_: Request) -> Response:
    return JSONResponse({"error": "there is nothing here"}, 404)


async def _common(_: Request) -> Response:
    text = packaged("eyeline.page").joinpath("common.js").read_text(encoding="utf-8")
    return Response(text, media_type="text/javascript; charset=utf-8", headers={"cache-control": "no-cache"})
