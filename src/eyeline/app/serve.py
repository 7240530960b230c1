"""`eyeline serve`: the explorer on this machine."""

import os
import socket
import tempfile
import threading
import warnings
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from eyeline.app.examples import examples
from eyeline.app.guard import LOCAL, Guard
from eyeline.app.routes import Routes
from eyeline.app.visits import Visits
from eyeline.errors import InputError, UnsupportedError, require
from eyeline.models.base import Model

Say = Callable[[str], None]

WARNING = (
    "{host} is not this machine alone: whoever can reach it over the network can use the model and this computer's "
    "time. There is no password, and what is sent is not encrypted."
)


@contextmanager
def app(model: Model, host: str) -> Iterator[tuple[Guard, Visits]]:
    """Yield the server's app and its visits; what it writes lies in a folder that goes with it.

    Raises:
        UnsupportedError: the model takes no pictures, or pictures of any size.
        MissingDependencyError: the app extra is not installed.
    """
    _pictures(model)
    with tempfile.TemporaryDirectory(prefix="eyeline-") as name:
        os.environ["NICEGUI_STORAGE_PATH"] = str(Path(name) / "nicegui")  # nothing is stored; in case it ever is
        require("nicegui", "app")
        from fastapi import FastAPI
        from nicegui import ui

        from eyeline.app.page import register

        # NiceGUI looks at every object that there is, and torch has one that complains.
        warnings.filterwarnings("ignore", "`torch.distributed.reduce_op`", FutureWarning)
        visits, shown = Visits(model), examples()
        routes = Routes(model, visits, shown, Path(name))
        served = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        served.router.routes.extend(routes.all())
        register(model, visits, shown)
        # No storage secret: there are no cookies. No relay is asked; no style is made in the browser.
        ui.run_with(
            served, title="eyeline", favicon=ICON, dark=None, message_history_length=50, tailwind=False,
            storage_secret=None, on_air=None, show_welcome_message=False,
        )  # fmt: skip
        try:
            yield Guard(served, host), visits
        finally:
            routes.close()


ICON = (
    '<svg viewBox="0 0 32 32" xmlns="http://www.w3.org/2000/svg"><path d="M2 16Q16 2 30 16Q16 30 2 16z" '
    'fill="#2f6fdf"/>'
    '<rect x="11" y="11" width="10" height="10" fill="#fff"/></svg>'
)


def serve(model: Model, host: str, port: int, show: bool, say: Say) -> None:
    """Serve the explorer until Ctrl-C.

    Args:
        model: as `load` returned it.
        host: address to listen on; 127.0.0.1 is this machine alone.
        port: 0 takes a free one.
        show: open the page in the browser.
        say: takes a line for the reader.

    Raises:
        InputError: the address cannot be listened on.
    """
    require("nicegui", "app")
    import uvicorn

    held = _bound(host, port)
    address = f"http://{f'[{host}]' if ':' in host else host}:{held.getsockname()[1]}/"
    with held, app(model, host) as (guard, _):
        if host not in LOCAL:
            say(WARNING.format(host=host))
        say(f"The page is at {address} until Ctrl-C.")
        if show:
            # beside the server, which a browser in the terminal waits for
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        config = uvicorn.Config(
            guard, log_level="warning", ws_max_size=2**20, server_header=False, proxy_headers=False,
            timeout_graceful_shutdown=2,
        )  # fmt: skip
        uvicorn.Server(config).run(sockets=[held])


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    held = socket.socket(family, socket.SOCK_STREAM)
    try:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((host, port))
        held.listen()  # whoever follows the address before the server runs waits for it, and is not refused
    except OSError as error:
        held.close()
        raise InputError(
            f"--host and --port must be an address of this machine that is free, but {host!r}, {port} is not "
            f"({error.strerror or error}). Pass another --port, or 0 for any."
        ) from error
    return held


def _pictures(model: Model) -> None:
    if model.axes != 2 or model.channels not in (None, 1, 3):
        raise UnsupportedError(
            f"the page must have a model of pictures, but this one takes {model.axes} axes and {model.channels} "
            "channels. Use eyeline explain."
        )
    if model.input_size is None:
        raise InputError("the page must know the model's size of pictures, but it takes any. Pass --input-size.")
