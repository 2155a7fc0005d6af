#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Libraries nobody planned for, used by several goroutines at once beside a ticker: python cases.py NAME

Each function without an underscore is a case. It fails by an exception; run.py looks for anything on stderr besides, and
for a process that does not end. The last line of the output is the ticker's worst delay in milliseconds.
"""

import contextlib
import http.server
import logging
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

from gossamer import Chan, Ticker, aio, errgroup, go, runtime, sleep

N = 8
STEP = 0.005


# ---- what the cases share --------------------------------------------------------------------------------------
def _together(fn, n=N, **kwargs):
    """fn(0) ... fn(n - 1), each in a goroutine of its own."""
    return errgroup.map(fn, range(n), **kwargs)


class _Hello(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        time.sleep(0.01)
        body = b"hello " + self.path.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def _web(handler=_Hello):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        serving = go(server.serve_forever, 0.01)
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join()


def _fetch(port, n):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{n}") as answer:
        return answer.read().decode()


def _port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def _until(ready):
    while not ready():
        sleep(0.002)


def _connects(port):
    def ready():
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            return False
        return True

    return ready


# ---- HTTP ---------------------------------------------------------------------------------------------------------
def requests():
    import requests

    with _web() as base, requests.Session() as session:
        answers = _together(lambda n: (session.get(f"{base}/{n}").text, requests.get(f"{base}/x{n}").text))
    assert answers == [(f"hello /{n}", f"hello /x{n}") for n in range(N)]


def urllib3():
    import urllib3

    with _web() as base, urllib3.PoolManager(maxsize=2, block=True) as pool:
        answers = _together(lambda n: [pool.request("GET", f"{base}/{n}").data for _ in range(3)])
    assert answers == [[f"hello /{n}".encode()] * 3 for n in range(N)]


def httpx():
    import asyncio

    import httpx

    async def fetch(base, n):
        async with httpx.AsyncClient() as client:
            return [r.text for r in await asyncio.gather(*[client.get(f"{base}/{n}") for _ in range(3)])]

    with _web() as base, httpx.Client() as client:
        assert _together(lambda n: client.get(f"{base}/{n}").text) == [f"hello /{n}" for n in range(N)]
        assert _together(lambda n: asyncio.run(fetch(base, n))) == [[f"hello /{n}"] * 3 for n in range(N)]
        assert _together(lambda n: aio.run(fetch(base, n))) == [[f"hello /{n}"] * 3 for n in range(N)]


def aiohttp():
    import asyncio

    import aiohttp
    from aiohttp import web

    async def fetch(base, n):
        async with aiohttp.ClientSession() as session, session.get(f"{base}/{n}") as answer:
            return await answer.text()

    async def serve(started, stop):
        async def hello(request):
            await aio.wrap(time.sleep)(0.01)
            return web.Response(text="hello " + request.path)

        app = web.Application()
        app.router.add_get("/{n}", hello)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        await started.asend(site._server.sockets[0].getsockname()[1])
        await stop.arecv()
        await runner.cleanup()

    started, stop = Chan(), Chan()
    server = go(asyncio.run, serve(started, stop))
    base = f"http://127.0.0.1:{started.recv()}"
    assert _together(lambda n: asyncio.run(fetch(base, n))) == [f"hello /{n}" for n in range(N)]
    assert _together(lambda n: aio.run(fetch(base, n))) == [f"hello /{n}" for n in range(N)]
    stop.send(None)
    server.join()


def flask():
    import flask
    import werkzeug.serving

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app = flask.Flask(__name__)

    @app.route("/<n>")
    def hello(n):
        sleep(0.005)
        time.sleep(0.005)
        flask.g.n = n
        return go(lambda: f"hello {n} {flask.g.n} {flask.request.path}").join()  # context variables go along

    server = werkzeug.serving.make_server("127.0.0.1", 0, app, threaded=True)
    serving = go(server.serve_forever)

    def get(n):
        return _fetch(server.server_port, n)

    assert _together(get) == [f"hello {n} {n} /{n}" for n in range(N)]
    server.shutdown()
    serving.join()
    server.server_close()


def waitress():
    import waitress

    def app(environ, start):
        time.sleep(0.005)
        start("200 OK", [("Content-Type", "text/plain")])
        return [go(environ["PATH_INFO"].encode).join()]

    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # it warns when all of its threads are at work
    server = waitress.create_server(app, host="127.0.0.1", port=0, threads=3)
    serving = go(server.run)

    def get(n):
        return _fetch(server.effective_port, n)

    assert _together(get) == [f"/{n}" for n in range(N)]
    server.task_dispatcher.shutdown()  # its threads still use what close() closes
    server.close()
    serving.join()


def uvicorn():
    import fastapi
    import httpx
    import uvicorn

    app = fastapi.FastAPI()

    @app.get("/sync/{n}")
    def plain(n: int):
        time.sleep(0.005)
        return go(lambda: n).join()

    @app.get("/async/{n}")
    async def coroutine(n: int):
        return await go(lambda: (time.sleep(0.005), n)[1])

    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
    serving = go(server.run)
    _until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        answers = _together(lambda n: (client.get(f"/sync/{n}").json(), client.get(f"/async/{n}").json()))
    assert answers == [(n, n) for n in range(N)]
    server.should_exit = True
    serving.join()


def websockets():
    from websockets.sync.client import connect
    from websockets.sync.server import serve

    def echo(ws):
        for message in ws:
            ws.send(message)

    def talk(n):
        with connect(f"ws://127.0.0.1:{port}") as ws:
            for i in range(5):
                ws.send(f"{n} {i}")
                assert ws.recv() == f"{n} {i}"

    with serve(echo, "127.0.0.1", 0) as server:
        port = server.socket.getsockname()[1]
        serving = go(server.serve_forever)
        _together(talk)
        server.shutdown()
        serving.join()


def grpcio():
    from concurrent import futures

    import grpc

    def double(request, ctx):
        time.sleep(0.002)
        return go(lambda: request * 2).join()

    def count(request, ctx):
        for i in range(3):
            sleep(0.001)
            yield request + str(i).encode()

    handler = grpc.method_handlers_generic_handler(
        "test",
        {
            "Double": grpc.unary_unary_rpc_method_handler(double),
            "Count": grpc.unary_stream_rpc_method_handler(count),
        },
    )
    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        double_, count_ = channel.unary_unary("/test/Double"), channel.unary_stream("/test/Count")

        def call(n):
            me = str(n).encode()
            for _ in range(5):
                assert double_(me, timeout=20) == me * 2
                assert list(count_(me, timeout=20)) == [me + b"0", me + b"1", me + b"2"]
                assert double_.future(me).result() == me * 2

        _together(call)
    server.stop(None).wait()


def pyzmq():
    import zmq

    with zmq.Context() as ctx:

        def serve(ready):
            with ctx.socket(zmq.ROUTER) as s:
                ready.send(s.bind_to_random_port("tcp://127.0.0.1"))
                for _ in range(N * 5):
                    who, empty, what = s.recv_multipart()
                    sleep(0)
                    s.send_multipart([who, empty, what.upper()])

        def ask(n):
            with ctx.socket(zmq.REQ) as s:
                s.connect(f"tcp://127.0.0.1:{port}")
                for i in range(5):
                    s.send_string(f"m{n}.{i}")
                    sleep(0)
                    assert s.recv_string() == f"M{n}.{i}"

        ready = Chan()
        server = go(serve, ready)
        port = ready.recv()
        _together(ask)
        server.join()


def paramiko():
    import paramiko

    key = _together(lambda n: paramiko.RSAKey.generate(2048) if n else paramiko.ECDSAKey.generate(), 3)[0]

    class Server(paramiko.ServerInterface):
        def check_auth_password(self, username, password):
            return paramiko.AUTH_SUCCESSFUL if password == "secret" else paramiko.AUTH_FAILED

        def get_allowed_auths(self, username):
            return "password"

        def check_channel_request(self, kind, chanid):
            return paramiko.OPEN_SUCCEEDED

        def check_channel_exec_request(self, channel, command):
            go(self.run, channel, command)
            return True

        def run(self, channel, command):
            channel.sendall(command.upper())
            channel.send_exit_status(0)
            channel.close()

    def session(n):
        here, there = socket.socketpair()
        server = paramiko.Transport(there)
        server.add_server_key(key)
        serving = go(server.start_server, server=Server())  # it waits for the client
        client = paramiko.Transport(here)
        client.start_client(timeout=30)
        serving.join()
        client.auth_password("user", "secret")
        channel = client.open_session()
        channel.exec_command(f"say {n}")
        answer = channel.makefile().read()
        client.close()
        server.close()
        return answer

    assert _together(session, 4) == [f"SAY {n}".encode() for n in range(4)]


# ---- databases and data ------------------------------------------------------------------------------------------
def sqlalchemy():
    import sqlalchemy as sa

    with tempfile.TemporaryDirectory() as folder:
        engine = sa.create_engine(f"sqlite:///{folder}/db", connect_args={"timeout": 30})
        meta = sa.MetaData()
        rows = sa.Table(
            "rows", meta, sa.Column("id", sa.Integer, primary_key=True), sa.Column("n", sa.Integer)
        )
        meta.create_all(engine)

        def work(n):
            for _ in range(5):
                with engine.begin() as db:
                    db.execute(rows.insert().values(n=n))
                sleep(0)
            with engine.connect() as db:
                return db.execute(sa.select(sa.func.count()).where(rows.c.n == n)).scalar()

        assert _together(work) == [5] * N
        engine.dispose()


def sqlalchemy_async():
    import asyncio

    import sqlalchemy as sa
    from sqlalchemy.ext.asyncio import create_async_engine

    async def work(n):
        engine = create_async_engine("sqlite+aiosqlite://")
        async with engine.begin() as db:
            await db.execute(sa.text("create table t (n)"))
            for i in range(5):
                await db.execute(sa.text("insert into t values (:i)"), {"i": i})
                await go(time.sleep, 0.001)
            answer = (await db.execute(sa.text("select sum(n) from t"))).scalar()
        await engine.dispose()
        return answer

    assert _together(lambda n: asyncio.run(work(n))) == [10] * N
    assert _together(lambda n: aio.run(work(n))) == [10] * N


def duckdb():
    import duckdb

    def work(n):
        with duckdb.connect() as db:
            db.create_function(
                "later", lambda x: (time.sleep(0.001), sleep(0), x + n)[2], ["BIGINT"], "BIGINT"
            )
            return db.sql("select sum(later(i)) from range(10) t(i)").fetchall()[0][0]

    assert _together(work) == [45 + 10 * n for n in range(N)]


def fakeredis():
    import fakeredis

    r = fakeredis.FakeRedis()

    def work(n):
        for _ in range(20):
            r.incr("n")
            r.rpush("q", n)
        return r.blpop("q", timeout=5) is not None

    assert all(_together(work)) and int(r.get("n")) == 20 * N


def numpy():
    import numpy as np

    def work(n):
        with np.errstate(divide="ignore" if n % 2 else "raise"):
            a = np.random.default_rng(n).random((200, 200))
            b = np.linalg.inv(a) @ a
            sleep(0)
            try:
                np.ones(3) / 0
                return bool(np.allclose(b, np.eye(200))), "ignored"
            except FloatingPointError:
                return bool(np.allclose(b, np.eye(200))), "raised"

    assert _together(work) == [(True, "ignored" if n % 2 else "raised") for n in range(N)]
    assert list(np.vectorize(lambda x: (sleep(0), time.sleep(0.001), x * 2)[2])(np.arange(5))) == [
        0,
        2,
        4,
        6,
        8,
    ]


def pandas():
    import pandas as pd

    def work(n):
        df = pd.DataFrame({"k": [i % 3 for i in range(300)], "v": range(300)})
        text = df.to_csv(index=False)
        sleep(0)
        import io

        again = pd.read_csv(io.StringIO(text))
        slow = again["v"].head(5).map(lambda v: (time.sleep(0.001), sleep(0), v + n)[2])
        return again.groupby("k")["v"].sum().tolist(), slow.tolist()

    assert _together(work) == [([14850, 14950, 15050], [n, n + 1, n + 2, n + 3, n + 4]) for n in range(N)]


def scipy():
    from scipy import integrate, optimize
    from sklearn.cluster import KMeans
    from sklearn.ensemble import RandomForestClassifier

    def waits(x):
        time.sleep(0.0002)
        sleep(0)
        return (x - 3) ** 2

    def work(n):
        import numpy as np

        a = float(optimize.minimize_scalar(waits).x)
        b = integrate.quad(lambda x: (sleep(0), x)[1], 0, 2)[0]
        x = np.random.default_rng(n).random((200, 4))
        labels = KMeans(3, n_init=2, random_state=0).fit(x).labels_
        forest = RandomForestClassifier(5, n_jobs=2, random_state=0).fit(x, labels)
        return round(a, 3), round(b, 3), forest.score(x, labels) > 0.9

    assert _together(work, 4) == [(3.0, 2.0, True)] * 4


def pyarrow():
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with tempfile.TemporaryDirectory() as folder:

        def work(n):
            table = pa.table({"n": list(range(1000)), "s": [str(i) for i in range(1000)]})
            pq.write_table(table, f"{folder}/{n}")
            sleep(0)
            return pc.sum(pq.read_table(f"{folder}/{n}")["n"]).as_py()

        assert _together(work) == [499500] * N


def polars():
    import polars as pl

    def work(n):
        df = pl.DataFrame({"n": range(20)})
        out = df.select(
            pl.col("n").map_elements(lambda v: (time.sleep(0.001), sleep(0), v + n)[2], return_dtype=pl.Int64)
        )
        return out["n"].sum()

    assert _together(work) == [190 + 20 * n for n in range(N)]


# ---- formats ---------------------------------------------------------------------------------------------------
def lxml():
    from lxml import etree

    def work(n):
        tree = etree.fromstring("<r>" + "".join(f"<i>{i}</i>" for i in range(200)) + "</r>")
        sheet = etree.XSLT(
            etree.XML(
                '<x:stylesheet version="1.0" xmlns:x="http://www.w3.org/1999/XSL/Transform" xmlns:f="f">'
                '<x:template match="/r"><o><x:value-of select="f:wait(sum(i))"/></o></x:template></x:stylesheet>'
            ),
            extensions={("f", "wait"): lambda ctx, v: (time.sleep(0.001), sleep(0), v + n)[2]},
        )
        try:
            etree.fromstring(f"<bad{n}>")
        except etree.XMLSyntaxError as e:
            assert f"bad{n}" in str(e), e
        return float(sheet(tree).getroot().text)

    assert _together(work) == [19900 + n for n in range(N)]


def pillow():
    import io

    from PIL import Image, ImageFilter

    class Pipe(io.BytesIO):
        def write(self, data):
            sleep(0)
            time.sleep(0.0002)
            return super().write(data)

    def work(n):
        image = Image.new("RGB", (300, 300), (n, 0, 0)).filter(ImageFilter.GaussianBlur(3))
        f = Pipe()
        image.save(f, "PNG")
        f.seek(0)
        return Image.open(f).resize((30, 30)).getpixel((5, 5))

    assert _together(work) == [(n, 0, 0) for n in range(N)]


def protobuf():
    from google.protobuf import json_format, struct_pb2

    def work(n):
        s = struct_pb2.Struct()
        s.update({"n": n, "list": [1, 2, {"deep": True}]})
        sleep(0)
        t = struct_pb2.Struct.FromString(s.SerializeToString())
        return json_format.MessageToDict(t)["n"]

    assert _together(work) == list(range(N))


def orjson():
    import msgpack
    import orjson
    import yaml

    def default(o):
        time.sleep(0.0005)
        sleep(0)
        return list(o)

    def work(n):
        data = {"n": n, "set": {1}}
        a = orjson.loads(orjson.dumps([data] * 10, default=default))
        b = msgpack.unpackb(
            msgpack.packb([data] * 10, default=default), object_hook=lambda d: (sleep(0), d)[1]
        )
        c = yaml.safe_load(yaml.safe_dump({"n": n, "set": [1]}))
        assert a == b and a[9] == c
        return c["n"]

    assert _together(work) == list(range(N))


def pydantic():
    import pydantic

    class Item(pydantic.BaseModel):
        n: int
        inner: "Item | None" = None

        @pydantic.field_validator("n")
        @classmethod
        def check(cls, v):
            time.sleep(0.0005)
            sleep(0.0005)
            if v < 0:
                raise ValueError("negative")
            return v

    Item.model_rebuild()

    def work(n):
        for _ in range(10):
            item = Item.model_validate({"n": n, "inner": {"n": n + 1}})
            assert item.inner.n == n + 1
            try:
                Item(n=-1)
            except pydantic.ValidationError as e:
                assert "negative" in str(e)
        return Item.model_validate_json(item.model_dump_json()).n

    assert _together(work) == list(range(N))


def jinja2():
    import jinja2

    env = jinja2.Environment()

    def work(n):
        t = env.from_string("{% for i in range(5) %}{{ wait(i) }}{% endfor %}{{ n }}")
        return t.render(n=n, wait=lambda i: (sleep(0), time.sleep(0.001), i)[2])

    assert _together(work) == [f"01234{n}" for n in range(N)]


def regex():
    import regex

    def work(n):
        return regex.sub(r"\d+", lambda m: (sleep(0), time.sleep(0.001), str(int(m[0]) + n))[2], "1 2 3 4")

    assert _together(work) == [" ".join(str(i + n) for i in range(1, 5)) for n in range(N)]


def cryptography():
    from cryptography.exceptions import InvalidSignature
    from cryptography.fernet import Fernet
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    def work(n):
        key = rsa.generate_private_key(65537, 2048)
        f = Fernet(Fernet.generate_key())
        pad, h = padding.PKCS1v15(), hashes.SHA256()
        signed = key.sign(b"%d" % n, pad, h)
        sleep(0)
        key.public_key().verify(signed, b"%d" % n, pad, h)
        try:
            key.public_key().verify(signed, b"other", pad, h)
        except InvalidSignature:
            return f.decrypt(f.encrypt(b"%d" % n))

    assert _together(work, 4) == [b"%d" % n for n in range(4)]


# ---- tools ----------------------------------------------------------------------------------------------------------
def click():
    import click
    from click.testing import CliRunner

    @click.command()
    @click.argument("n", type=int)
    @click.option("--twice", is_flag=True)
    def main(n, twice):
        answers = _together(lambda i: click.get_current_context(silent=True) is None and i * n, 3)
        click.echo(sum(answers) * (2 if twice else 1))

    result = CliRunner().invoke(main, ["5", "--twice"], catch_exceptions=False)
    assert result.output == "30\n", result.output
    assert go(lambda: CliRunner().invoke(main, ["x"]).exit_code).join() == 2


def rich():
    import io

    import tqdm
    from rich.console import Console
    from rich.progress import Progress

    console = Console(file=io.StringIO(), force_terminal=True)
    with Progress(console=console) as progress:
        task = progress.add_task("work", total=N * 10)

        def work(n):
            with tqdm.tqdm(total=10, file=io.StringIO(), position=n) as bar:
                for _ in range(10):
                    time.sleep(0.001)
                    sleep(0)
                    bar.update()
                    progress.advance(task)
                return bar.n

        assert _together(work) == [10] * N
    assert progress.finished


def loguru():
    import structlog
    from loguru import logger

    lines = []
    logger.remove()
    logger.add(lambda m: (sleep(0), lines.append(m.record["message"])), format="{message}")
    logger.add(lambda m: lines.append(m.record["message"]), enqueue=True)
    log = structlog.wrap_logger(
        None, processors=[structlog.contextvars.merge_contextvars, lambda *a: _raise(a[2])]
    )

    def work(n):
        structlog.contextvars.bind_contextvars(n=n)
        for i in range(5):
            with logger.contextualize(n=n):
                logger.info(f"{n} {i}")
            time.sleep(0.0005)
        return structlog.contextvars.get_contextvars()["n"]

    assert _together(work) == list(range(N))
    assert log is not None
    logger.complete()
    assert sorted(lines) == sorted(f"{n} {i}" for n in range(N) for i in range(5) for _ in range(2))
    logger.remove()


def _raise(e):
    raise e


def tenacity():
    import cachetools
    import tenacity

    cache = cachetools.TTLCache(100, 60)
    lock, calls = threading.RLock(), []

    @cachetools.cached(cache, lock=lock)
    def load(n):
        calls.append(n)
        time.sleep(0.001)
        return n * 2

    tries = {}

    @tenacity.retry(stop=tenacity.stop_after_attempt(5), wait=tenacity.wait_fixed(0.002))
    def flaky(n):
        tries[n] = tries.get(n, 0) + 1
        if tries[n] < 3:
            raise OSError("again")
        return load(n)

    assert _together(flaky) == [n * 2 for n in range(N)] and sorted(calls) == list(range(N))


def joblib():
    import joblib

    def work(n):
        return joblib.Parallel(2, backend="threading")(joblib.delayed(pow)(n, i) for i in range(3))

    assert _together(work) == [[n**i for i in range(3)] for n in range(N)]
    got = _together(lambda n: joblib.Parallel(2)(joblib.delayed(pow)(n, i) for i in range(3)), 2)  # processes
    assert got == [[n**i for i in range(3)] for n in range(2)]


def watchdog():
    from watchdog.events import FileSystemEventHandler
    from watchdog.observers import Observer

    seen = Chan(1000)

    class Handler(FileSystemEventHandler):
        def on_created(self, event):
            seen.send(Path(event.src_path).name)

    with tempfile.TemporaryDirectory() as folder:
        observer = Observer()
        observer.schedule(Handler(), folder)
        observer.start()
        _together(lambda n: Path(folder, f"f{n}").write_text("x"))
        names = {seen.recv(timeout=20) for _ in range(N)}
        observer.stop()
        observer.join()
    assert names == {f"f{n}" for n in range(N)}


def psutil():
    import psutil

    def work(n):
        with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as p:
            process = psutil.Process(p.pid)
            assert process.is_running() and process.ppid() == os.getpid()
            p.stdin.close()
            return process.wait(timeout=30)

    assert _together(work) == [0] * N
    assert len(psutil.Process().threads()) >= 1


def apscheduler():
    from apscheduler.schedulers.background import BackgroundScheduler

    ran = Chan(100)
    scheduler = BackgroundScheduler()
    for n in range(3):
        scheduler.add_job(ran.send, "interval", args=[n], seconds=0.05)
    scheduler.start()
    assert {ran.recv(timeout=20) for _ in range(9)} == {0, 1, 2}
    scheduler.shutdown()


def celery():
    import celery

    app = celery.Celery(broker="memory://", backend="cache+memory://")
    app.conf.task_always_eager = True

    @app.task
    def add(a, b):
        time.sleep(0.001)
        sleep(0)
        return a + b

    assert _together(lambda n: add.delay(n, 1).get(disable_sync_subtasks=False)) == [n + 1 for n in range(N)]


# ---- other ways of doing several things ---------------------------------------------------------------------------
def trio():
    import anyio
    import trio

    async def work(n):
        async def part(i):
            await trio.sleep(0.001)
            got.append(await trio.to_thread.run_sync(lambda: (time.sleep(0.001), sleep(0), i)[2]))

        got = []
        async with trio.open_nursery() as nursery:
            for i in range(3):
                nursery.start_soon(part, i)
        with trio.move_on_after(0.01) as scope:
            await trio.sleep_forever()
        return sorted(got), scope.cancelled_caught

    async def any_work(n):
        send, receive = anyio.create_memory_object_stream(5)
        async with anyio.create_task_group() as tasks, send, receive:
            tasks.start_soon(send.send, n)
            value = await receive.receive()
        return await anyio.to_thread.run_sync(lambda: go(lambda: value).join())

    assert _together(lambda n: trio.run(work, n)) == [([0, 1, 2], True)] * N
    for backend in "trio", "asyncio":
        assert _together(lambda n: anyio.run(any_work, n, backend=backend)) == list(range(N))  # noqa: B023


def greenlet():
    import greenlet

    def work(n):
        def child(x):
            while x < 5:
                time.sleep(0.0005)
                x = main.switch(x * 10)

        main, c = greenlet.getcurrent(), greenlet.greenlet(child)
        return [c.switch(i) for i in range(5)]

    def locked(n):
        with runtime.lock_os_thread():

            def child(x):
                while x < 5:
                    sleep(0.0005)
                    x = main.switch(x * 10)

            main, c = greenlet.getcurrent(), greenlet.greenlet(child)
            return [(sleep(0.0005), c.switch(i))[1] for i in range(5)]

    assert _together(work) == [[0, 10, 20, 30, 40]] * N
    assert _together(locked) == [[0, 10, 20, 30, 40]] * N


def gevent():
    import gevent

    def work(n):
        with runtime.lock_os_thread():
            jobs = [gevent.spawn(lambda i: (gevent.sleep(0.001), i + n)[1], i) for i in range(3)]
            gevent.joinall(jobs)
            return [j.value for j in jobs]

    assert _together(work) == [[n, n + 1, n + 2] for n in range(N)]


def cffi():
    import ctypes

    import cffi

    ffi = cffi.FFI()
    ffi.cdef("void qsort(void *, size_t, size_t, int (*)(const void *, const void *)); int usleep(unsigned);")
    lib = ffi.dlopen(None)

    def work(n):
        @ffi.callback("int(const void *, const void *)")
        def compare(a, b):
            sleep(0.0002)
            time.sleep(0.0002)
            x, y = ffi.cast("int *", a)[0], ffi.cast("int *", b)[0]
            return x - y

        numbers = ffi.new("int[]", [5, 3, n + 6, 1, 4])
        lib.qsort(numbers, 5, 4, compare)
        lib.usleep(2000)

        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
        other = (ctypes.c_int * 5)(5, 3, n + 6, 1, 4)
        ctypes.CDLL(None).qsort(other, 5, 4, kind(lambda a, b: (sleep(0.0002), a[0] - b[0])[1]))
        assert list(other) == list(numbers)
        return list(numbers)

    assert _together(work) == [[1, 3, 4, 5, n + 6] for n in range(N)]


def futures():
    import multiprocessing as mp
    from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

    def work(n):
        with ThreadPoolExecutor(2) as pool:
            return sum(pool.map(lambda i: (time.sleep(0.001), go(lambda: i).join())[1], range(5)))

    assert _together(work) == [10] * N
    for method in "fork", "spawn", "forkserver":

        def processes(n):
            with ProcessPoolExecutor(2, mp_context=mp.get_context(method)) as pool:  # noqa: B023
                return list(pool.map(abs, [-n, -1]))

        assert _together(processes, 2) == [[0, 1], [1, 1]]


def multiprocessing():
    import multiprocessing as mp

    def work(n):
        fork = mp.get_context("fork")
        q = fork.Queue()
        p = fork.Process(target=_child, args=(n, q))
        p.start()
        answer = q.get(timeout=30)
        p.join()
        with fork.Pool(2) as pool:
            return answer, p.exitcode, pool.map(abs, [-1, -2])

    assert _together(work, 4) == [(n + 1, 0, [1, 2]) for n in range(4)]


def _child(n, q):
    q.put(go(lambda: (sleep(0.001), time.sleep(0.001), n + 1)[2]).join())


# ---- tests --------------------------------------------------------------------------------------------------------
TESTS = """
import time, threading, pytest, gossamer
from gossamer import Chan, errgroup, go, sleep
from hypothesis import given, settings, strategies as st

@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers()))
def test_order(numbers):
    ch = Chan(2)
    def send():
        with ch:
            for n in numbers: ch.send(n)
    go(send)
    assert list(ch) == numbers

@pytest.mark.parametrize("n", range(10))
def test_blocking(n):
    assert errgroup.map(lambda i: (time.sleep(0.001), i)[1], range(n)) == list(range(n))

@pytest.mark.timeout(20)
def test_in_time():
    sleep(0.01)

@pytest.mark.asyncio
async def test_async():
    assert await go(lambda: 1) == 1
"""


def _pytest(tests, *args):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_it.py").write_text(tests)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *args]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def pytest():
    for args in [], ["-n2"], ["--timeout=30"], ["--timeout=30", "--timeout-method=thread"]:
        done = _pytest(TESTS, *args)
        assert done.returncode == 0 and "13 passed" in done.stdout, done.stdout + done.stderr
    hangs = "import pytest\nfrom gossamer import *\ndef test_x():\n  go(sleep, 60)\n  Chan().recv()\n"
    for method in "signal", "thread":
        done = _pytest(hangs, "--timeout=0.5", f"--timeout-method={method}")
        assert done.returncode == 1 and "Timeout" in done.stdout + done.stderr, (
            method,
            done.stdout + done.stderr,
        )


def coverage():
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "p.py").write_text(
            "import time\nfrom gossamer import go\ndef f():\n    time.sleep(0.001)\n    return 1\ngo(f).join()\n"
        )
        run = [sys.executable, "-m", "coverage"]
        subprocess.run([*run, "run", "p.py"], cwd=folder, check=True)
        out = subprocess.run(
            [*run, "report", "--fail-under=100"], cwd=folder, capture_output=True, text=True, check=False
        )
        assert out.returncode == 0, out.stdout + out.stderr


# ---- one case -----------------------------------------------------------------------------------------------------
def _ticks(worst):
    with Ticker(STEP) as ticker:
        last = time.monotonic()
        for _ in ticker:
            now = time.monotonic()
            worst[0] = max(worst[0], now - last - STEP)
            last = now


def main(name):
    worst = [0.0]
    go(_ticks, worst)
    globals()[name]()
    print(f"{worst[0] * 1e3:.1f}")


if __name__ == "__main__":
    main(sys.argv[1])
