"""The explorer's server for tests: in a thread of the test's process, on a free port of loopback."""

import html
import io
import json
import re
import socket
import threading
import time
from contextlib import contextmanager

import httpx
import numpy as np
import torch
from PIL import Image
from torch import nn

import eyeline

SIZE = (32, 28)
NASTY = "</script><img src=x onerror=alert(1)>"
NAMES = ("red </script><script>alert(2)</script>", "green", "blue", "grey & `${1}`")


def model():
    """A small network of colours; its names carry markup."""
    torch.manual_seed(0)
    body = (nn.Conv2d(3, 8, 5, stride=2, padding=2), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU())
    network = nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)).eval()
    return eyeline.load(network, input_size=SIZE, classes=NAMES, output="logit", scores="probability")


def picture(seed=0, kind="PNG", size=(40, 50)):
    pixels = np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, kind)
    return held.getvalue()


@contextmanager
def served(opened, host="127.0.0.1"):
    """Serve a model; yield the address and the visits."""
    import uvicorn

    from eyeline.app.serve import app

    with app(opened, host) as (guard, visits), socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(guard, log_level="warning", ws_max_size=2**20, server_header=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [held]}, daemon=True)
        thread.start()
        until = time.monotonic() + 30
        while not server.started:
            assert thread.is_alive()
            assert time.monotonic() < until
            time.sleep(0.02)
        try:
            yield f"http://127.0.0.1:{held.getsockname()[1]}", visits
        finally:
            server.should_exit = True
            thread.join(20)


class Visitor:
    """One visitor, without a browser."""

    def __init__(self, address):
        self.http = httpx.Client(base_url=address, timeout=60)
        self.page = self.http.get("/")
        text = html.unescape(self.page.text)
        self.token = re.search(r'"token":"([\w-]+)"', text)[1]
        self.client_id = re.search(r"client_id\W+([\w-]{36})", text)[1]

    def ask(self, path, question=None, status=200, **settings):
        content = settings.pop("content", json.dumps(question or {}))
        answer = self.http.post(f"/visit/{self.token}/{path}", content=content, **settings)
        assert answer.status_code == status, answer.text
        return answer.json()

    def bring(self, content, name="mine.png", status=200):
        return self.ask("picture", status=status, content=content, params={"name": name})

    def save(self, panel, kind, **question):
        return self.http.get(f"/visit/{self.token}/save/{panel}/{kind}", params=question)

    def finished(self, panel=0, **question):
        """Wait for the end of a map."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            found = self.ask(f"map/{panel}", {"view": "class", "first": "1", **question})
            if found["state"] in ("done", "failed", "stopped"):
                return found
            time.sleep(0.02)
        raise AssertionError("the map does not end")

    def close(self):
        self.http.close()
