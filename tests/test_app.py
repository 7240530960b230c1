"""The explorer's server without a browser: what it answers, what it refuses, and that nothing of it is left behind."""

import base64
import gc
import io
import os
import re
import struct
import threading
import time
import weakref
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

import eyeline
from served import NAMES, NASTY, SIZE, Visitor, model, picture, served

pytest.importorskip("nicegui")


@pytest.fixture(scope="module")
def opened():
    return model()


@pytest.fixture(scope="module")
def server(opened, tmp_path_factory):
    patch = pytest.MonkeyPatch()
    folder = tmp_path_factory.mktemp("server")
    temporary = folder / "temporary"
    temporary.mkdir()
    patch.chdir(folder)
    patch.setattr("tempfile.tempdir", str(temporary))
    patch.setattr("eyeline.app.page.RECONNECT", 0.2)
    with served(opened) as (address, visits):
        yield address, visits, temporary
    assert [each.name for each in temporary.iterdir() if not each.name.startswith("torchinductor")] == []
    assert sorted(each.name for each in folder.iterdir()) == ["temporary"]
    patch.undo()


@pytest.fixture
def visitor(server):
    made = Visitor(server[0])
    yield made
    visit = server[1].get(made.token)
    if visit is not None:
        server[1].close(visit)
    made.close()


def floats(text):
    return np.frombuffer(base64.b64decode(text), dtype="<f4").reshape(SIZE)


def fitted(opened, content):
    return eyeline.explain(opened, Image.open(io.BytesIO(content)), "gradient").images


# --- what it answers ------------------------------------------------------------------------------------------


def test_the_page_asks_nothing_of_another_server_and_sets_no_cookie(visitor):
    assert visitor.page.status_code == 200
    assert "set-cookie" not in visitor.page.headers
    policy = visitor.page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy
    addresses = re.findall(r"(?:src|href)=[\"'](?!/|data:)([^\"']*)", visitor.page.text)
    assert addresses == []
    assert visitor.http.get("/files/common.js").status_code == 200


def test_names_with_markup_stay_text(visitor):
    assert "<script>alert(2)" not in visitor.page.text
    found = visitor.bring(picture(), f"../../{NASTY}.png")
    assert found["name"] == "script><img src=x onerror=alert(1)>.png"
    visitor.ask("start/0", {"method": "gradient", "settings": {}, "view": "class", "first": "0"})
    visitor.finished(first="0")
    report = visitor.save(0, "html")
    assert report.headers["content-disposition"].startswith('attachment; filename="script--img-src-x')
    assert "<script>alert" not in report.text
    assert "<img" not in re.sub(r"<script.*?</script>", "", report.text, flags=re.DOTALL)


def test_predictions_and_covers_are_the_models_own(visitor, opened):
    image = fitted(opened, content := picture(3))
    found = visitor.bring(content)
    own = opened.scores(image)[0]
    assert [each["class"] for each in found["predictions"]] == np.argsort(-own).tolist()
    for each in found["predictions"]:
        assert each["score"] == pytest.approx(own[each["class"]], abs=1e-6)
    rows, columns = np.indices(SIZE) + 0.5
    disc = np.hypot(rows - 12, columns - 9.5) <= 5
    covered = np.where(disc[..., None], eyeline.Constant(0.25)(image), image)
    asked = {"shape": "disc", "row": 12, "column": 9.5, "size": 10, "baseline": "constant:0.25"}
    painted = {"shape": "painted", "pixels": base64.b64encode(np.packbits(disc)).decode(), "baseline": "constant:0.25"}
    for question in (asked, painted):
        now = visitor.ask("probe", question)
        assert now["covered"] == disc.sum()
        for each in now["predictions"]:
            assert each["score"] == pytest.approx(opened.scores(covered)[0][each["class"]], abs=2e-6)


def test_a_map_is_the_librarys_and_other_questions_come_from_it(visitor, opened):
    content = picture(4)
    visitor.bring(content, "four.png")
    settings = {"window": "8", "stride": "4", "baseline": "mean"}
    visitor.ask("start/0", {"method": "occlusion", "settings": settings, "view": "class", "first": "1"})
    found = visitor.finished()
    same = eyeline.explain(
        opened, Image.open(io.BytesIO(content)), target=1, window=8, stride=4, baseline=eyeline.Mean()
    )
    np.testing.assert_allclose(floats(found["map"]), same.maps[0], atol=2e-6)
    assert found["unit"] == "probability"
    contrast = visitor.finished(view="contrast", first="2", second=NAMES[0])
    np.testing.assert_allclose(floats(contrast["map"]), same.to(eyeline.Contrast(2, 0)).maps[0], atol=2e-6)
    flips = visitor.finished(view="flips")
    np.testing.assert_array_equal(floats(flips["map"]), eyeline.flips(same).share[0])
    saved = visitor.save(0, "npz", view="class", first="2")
    assert saved.headers["content-disposition"] == 'attachment; filename="four.occlusion.npz"'
    loaded = np.load(io.BytesIO(saved.content))
    np.testing.assert_allclose(loaded["maps"], same.to(2).maps, atol=2e-6)
    drawn = Image.open(io.BytesIO(visitor.save(0, "png", view="class", first="1").content))
    assert "drop in probability" in drawn.info["Description"]


def test_a_map_fills_in_raster_order_and_is_stopped(visitor, slow):
    visitor.bring(picture(5))
    visitor.ask("start/0", {"method": "occlusion", "settings": {"window": "6", "stride": "2"}, "first": "1"})
    counts = []
    while len(counts) < 3:
        found = visitor.ask("map/0", {"view": "class", "first": "1", "seen": None})
        if "map" in found and found["state"] == "running":
            reached = np.frombuffer(base64.b64decode(found["reached"]), dtype=bool).reshape(SIZE)
            assert reached.any()
            later = np.flatnonzero(~reached.any(axis=1))
            assert later.size == 0 or (later == np.arange(later[0], SIZE[0])).all(), "rows fill from the top"
            counts.append(reached.sum())
            assert not found["done"] or found["left"] > 0
    assert counts == sorted(counts)
    visitor.ask("stop/0")
    assert visitor.finished()["state"] == "stopped"
    assert visitor.save(0, "npz").status_code == 400
    slow.clear()


@pytest.fixture
def slow(monkeypatch):
    """Let every part of a run take a moment."""
    is_on = threading.Event()
    is_on.set()
    from eyeline.app.runs import Run

    advanced = Run.advanced

    def slowly(run, *given):
        if is_on.is_set():
            time.sleep(0.05)
        advanced(run, *given)

    monkeypatch.setattr(Run, "advanced", slowly)
    return is_on


@pytest.mark.parametrize(
    ("path", "question", "words"),
    [
        ("probe", {"shape": "star"}, "shape must be one of"),
        ("probe", {"shape": "disc", "row": "NaN"}, "row must be a number"),
        (
            "probe",
            {"shape": "disc", "row": 1, "column": 1, "size": 2, "baseline": "image:/etc/passwd"},
            "baseline must",
        ),
        ("probe", {"shape": "painted", "pixels": "AAAA"}, "one bit each"),
        ("start/0", {"method": "magic", "settings": {}}, "method must be one of"),
        ("start/0", {"method": "occlusion", "settings": {"memory": "9"}, "first": "0"}, "a setting must be one of"),
        ("start/0", {"method": "superpixels", "settings": {"labels": "secret.npy"}}, "a setting must be one of"),
        ("start/0", {"method": "baselineagreement", "settings": {"inner": "superpixels:labels=x.npy"}}, "in Python"),
        ("start/0", {"method": "rise", "settings": {"masks": "1000000000"}}, "at most"),
        ("start/0", {"method": "occlusion", "settings": {"window": "many"}, "first": "0"}, "whole numbers"),
        ("start/0", {"method": "occlusion", "settings": {}, "first": "nobody"}, "class name must be one"),
        ("start/7", {"method": "occlusion", "settings": {}}, "a panel must be 0 or 1"),
        ("example/nobody", {}, "an example must be one of"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(visitor, path, question, words):
    visitor.bring(picture())
    assert words in visitor.ask(path, question, status=400)["error"]


def test_too_many_windows_are_refused(visitor, monkeypatch):
    monkeypatch.setattr("eyeline.app.visits.WINDOWS", 100)
    visitor.bring(picture())
    asked = {"method": "occlusion", "settings": {"window": "3", "stride": "1"}, "first": "0"}
    assert "at most 100 windows" in visitor.ask("start/0", asked, status=400)["error"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"[" * 100_000, b"x" * 2**19])
def test_questions_that_are_none_are_refused(visitor, body):
    assert "a question must" in visitor.ask("probe", content=body, status=400)["error"]


def test_before_a_picture_nothing_is_computed(visitor):
    for path in ("probe", "start/0", "patch"):
        assert "a picture first" in visitor.ask(path, {"shape": "disc"}, status=400)["error"]
    assert visitor.ask("map/1") == {}


# --- bad files ------------------------------------------------------------------------------------------------


def png(width, height, data=b"", depth=8, colour=2):
    """A PNG whose header says any size."""

    def part(kind, content):
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", data) + part(b"IEND", b"")


def bomb():
    """A PNG of 200 megapixels that is whole: black, in some kilobytes."""
    press, row = zlib.compressobj(9), bytes(1 + 20_000 // 8)
    return png(20_000, 10_000, b"".join(press.compress(row) for _ in range(10_000)) + press.flush(), 1, 0)


BAD = {
    "empty": b"",
    "text": b"just words",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "html": b"<html><script>alert(1)</script></html>",
    "cut short": picture()[:600],
    "cut short JPEG": picture(kind="JPEG")[:900],
    "bytes after a PNG's head": b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 9,
    "200 megapixels": bomb(),
    "a bomb that only says so": png(60_000, 60_000),
    "70 megapixels": png(10_000, 7_000),
    "20 megapixels of 16 bits": png(5_000, 4_000, depth=16),
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) run\n",
    "zip": b"PK\x03\x04" + bytes(300),
    "pickle": b"cos\nsystem\n(S'true'\ntR.",
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_files_are_refused_in_a_sentence_and_gone(visitor, server, kind):
    said = visitor.bring(BAD[kind], "mine.png", status=400)["error"]
    assert re.search(r"must .*(but|Choose)", said), said
    assert "/" not in said.replace("1/", "")
    assert "picture-" not in said
    assert not list(server[2].glob("*/picture-*"))
    assert visitor.bring(picture())["name"] == "mine.png"


def test_100_megabytes_are_refused_while_they_arrive(visitor, server):
    sent = 0

    def parts():
        nonlocal sent
        for _ in range(100):
            sent += 2**20
            yield bytes(2**20)

    import httpx

    try:
        said = visitor.bring(parts(), status=400)["error"]
        assert "at most 32 MB" in said
    except httpx.WriteError:  # the server has closed before all was sent, which is its right
        pass
    assert not list(server[2].glob("*/picture-*"))
    visitor.http.get("/files/common.js")


# --- who may ask ----------------------------------------------------------------------------------------------

REFUSED = [
    {"host": "evil.example"},
    {"host": "127.0.0.1.evil.example"},
    {"host": "192.0.2.7"},
    {"origin": "http://evil.example"},
    {"origin": "null"},
    {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
]


@pytest.mark.parametrize("headers", REFUSED, ids=str)
def test_other_sites_are_refused(visitor, headers):
    for path in ("/", "/files/common.js", "/_nicegui_ws/socket.io/?EIO=4&transport=polling"):
        assert visitor.http.get(path, headers=headers).status_code == 403
    posted = visitor.http.post(f"/visit/{visitor.token}/probe", content="{}", headers=headers)
    assert posted.status_code == 403
    assert handshake(visitor, headers) == 403


def test_our_own_page_is_let_in(visitor):
    host = visitor.http.base_url.netloc.decode()
    assert handshake(visitor, {"origin": f"http://{host}"}) == 101
    assert visitor.http.get("/", headers={"host": host.replace("127.0.0.1", "localhost")}).status_code == 200
    followed = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert visitor.http.get("/", headers=followed).status_code == 200


def handshake(visitor, headers):
    """Ask for a websocket and return the status."""
    import socket

    host, port = visitor.http.base_url.host, visitor.http.base_url.port
    given = {
        "host": f"{host}:{port}", "connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13",
        "sec-websocket-key": base64.b64encode(bytes(16)).decode(), **headers,
    }  # fmt: skip
    lines = "".join(f"{key}: {value}\r\n" for key, value in given.items())
    with socket.create_connection((host, port), timeout=10) as connection:
        path = "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
        connection.sendall(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode())
        return int(connection.recv(64).split()[1])


@pytest.mark.parametrize(
    "path",
    [
        "/docs",
        "/openapi.json",
        "/etc/passwd",
        "/visit/",
        "/files/../serve.py",
        "/_nicegui/x",
        "/visit/a/example/..%2f..%2fetc",
    ],
)
def test_there_is_nothing_else(visitor, path):
    assert visitor.http.get(path).status_code == 404


def test_a_visit_is_known_by_its_secret_alone(server, visitor):
    visitor.bring(picture(), "secret.png")
    other = Visitor(server[0])
    assert other.token != visitor.token
    assert len(other.token) >= 32
    assert "a picture first" in other.ask("probe", {"shape": "disc"}, status=400)["error"]
    wrong = other.http.post("/visit/guess/map/0", content="{}")
    assert (wrong.status_code, wrong.json()["error"]) == (404, "this visit is over. Reload the page.")
    other.close()


def test_other_addresses_are_open_only_to_their_own_names():
    from eyeline.app.guard import Guard

    local, everywhere = Guard(None, "127.0.0.1"), Guard(None, "0.0.0.0")
    asked = {"path": "/"}
    for host, allowed in (("192.0.2.7:8080", True), ("[2001:db8::1]:80", True), ("rebound.example", False)):
        assert local._refusal(asked, {"host": host})[1] == 403
        assert (everywhere._refusal(asked, {"host": host})[1] == 200) is allowed


# --- many at once ---------------------------------------------------------------------------------------------


def test_twenty_visitors_at_once_get_their_own_and_leave_nothing(server, opened):
    address, visits, _ = server
    before = len(visits)
    held, memory = [], resident()

    def visit(seed):
        visitor = Visitor(address)
        content = picture(seed)
        own = opened_scores[seed]
        found = visitor.bring(content, f"{seed}.png")
        assert found["name"] == f"{seed}.png"
        assert {each["class"]: each["score"] for each in found["predictions"]} == pytest.approx(own, abs=1e-6)
        asked = {"method": "occlusion", "settings": {"window": "6", "stride": "3"}, "view": "class", "first": "1"}
        visitor.ask("start/0", asked)
        visitor.ask("start/1", {**asked, "method": "gradient", "settings": {}})
        for place in range(5):
            question = {"shape": "rectangle", "row": place * 4, "column": 9, "size": 7, "baseline": "blur"}
            now = visitor.ask("probe", question)
            assert {each["class"]: each["clean"] for each in now["predictions"]} == pytest.approx(own, abs=1e-6)
        if seed % 2:  # the others go in the middle of their maps
            for panel in (0, 1):
                done = visitor.finished(panel)
                assert done["state"] == "done", done["words"]
        visit = visits.get(visitor.token)
        held.extend(weakref.ref(each) for each in (visit._covering, visit._batch, *visit.runs.values()))
        visits.close(visit)
        visitor.close()

    opened_scores = [dict(enumerate(opened.scores(fitted(opened, picture(seed)))[0].tolist())) for seed in range(20)]
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(visit, range(20)))
    until = time.monotonic() + 10
    while visits.busy() and time.monotonic() < until:
        time.sleep(0.05)
    assert visits.busy() == 0
    assert len(visits) <= before
    while any(each() is not None for each in held) and time.monotonic() < until:
        gc.collect()
    assert [each() for each in held if each() is not None] == []
    assert len(held) == 80
    assert resident() - memory < 200e6


def resident():
    """Bytes that the process holds, by Linux."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_flood_of_drags_keeps_the_newest(visitor):
    visitor.bring(picture(6))

    def ask(place):
        question = {"shape": "rectangle", "row": place, "column": 9, "size": 7, "baseline": "blur"}
        return visitor.http.post(f"/visit/{visitor.token}/probe", json=question).status_code

    with ThreadPoolExecutor(30) as pool:
        found = list(pool.map(ask, range(60)))
    assert set(found) <= {200, 409}
    assert 200 in found
    assert ask(3) == 200


def test_closing_the_page_stops_its_work(server, visitor, slow):
    """The page's own connection, made and dropped as a browser does."""
    import asyncio

    import socketio

    visitor.bring(picture(7))
    asked = {"method": "occlusion", "settings": {"window": "4", "stride": "1"}, "view": "class", "first": "1"}

    async def stay():
        query = f"client_id={visitor.client_id}&tab_id=t&document_id=d&next_message_id=0&implicit_handshake=true"
        client = socketio.AsyncClient()
        await client.connect(f"{server[0]}/?{query}", socketio_path="/_nicegui_ws/socket.io", transports=["websocket"])
        await asyncio.get_running_loop().run_in_executor(None, visitor.ask, "start/0", asked)
        run = server[1].get(visitor.token).runs[0]
        await asyncio.sleep(0.3)
        assert run.state == "running"
        await client.disconnect()
        return run

    run = asyncio.run(stay())
    assert run.join(10)
    assert run.state == "stopped"
    until = time.monotonic() + 5
    while server[1].get(visitor.token) is not None and time.monotonic() < until:
        time.sleep(0.05)
    assert server[1].get(visitor.token) is None
    slow.clear()


# --- the command ----------------------------------------------------------------------------------------------


def test_another_address_is_said_to_be_open(monkeypatch, opened):
    from eyeline.app import serve

    said, bound = [], []
    monkeypatch.setattr("uvicorn.Server.run", lambda server, sockets: bound.append(sockets[0].getsockname()[0]))
    monkeypatch.setattr(serve, "app", lambda model, host: __import__("contextlib").nullcontext((None, None)))
    serve.serve(opened, "127.0.0.1", 0, False, said.append)
    assert not any("password" in line for line in said)
    serve.serve(opened, "0.0.0.0", 0, False, said.append)
    assert bound == ["127.0.0.1", "0.0.0.0"]
    assert any("whoever can reach it" in line and "no password" in line for line in said)


def test_what_the_page_cannot_show_is_refused(opened):
    from eyeline.app.serve import _bound, _pictures
    from eyeline.errors import InputError, UnsupportedError

    with pytest.raises(UnsupportedError, match="a model of pictures"):
        _pictures(eyeline.load(lambda images: images.sum(axis=1), input_size=(6,)))
    with pytest.raises(InputError, match="--input-size"):
        _pictures(eyeline.load(lambda images: images.sum(axis=(1, 2))))
    with _bound("127.0.0.1", 0) as held:
        held.listen()
        with pytest.raises(InputError, match="that is free"):
            _bound("127.0.0.1", held.getsockname()[1])
