"""select over file descriptors: readable and writable."""
# SPDX-License-Identifier: Apache-2.0

import gc
import os
import socket
import weakref

import pytest
from gossamer import Chan, default, go, readable, recv, select, send, writable


@pytest.fixture
def pair():
    a, b = socket.socketpair()
    a.setblocking(False)
    b.setblocking(False)
    yield a, b
    a.close()
    b.close()


def test_ready_at_once(pair):
    a, b = pair
    w, r = writable(a), readable(b)
    assert select(r, default) is default
    assert select(w) is w and w.ok and w.value is None and w.chan is a and w.index == 0
    a.send(b"x")
    assert select(None, r) is r and r.index == 1 and b.recv(10) == b"x"
    assert select(r, timeout=0) is None
    assert "readable" in repr(r) and "writable" in repr(w)


def test_waits(pair, settle):
    a, b = pair
    ch = Chan()
    r, c = readable(b.fileno()), recv(ch)

    def wait():
        return select(r, c)

    g = go(wait)
    settle(g)
    assert g.wait_reason == "select"
    a.send(b"x")
    assert g.join() is r
    b.recv(1)
    g = go(wait)
    settle(g)
    ch.send(5)
    assert g.join() is c and c.value == 5


def test_timeout(pair):
    assert select(readable(pair[0]), timeout=0.001) is None


def test_echo_server(pair):
    a, b = pair

    def serve():
        r, w = readable(b), writable(b)
        while True:
            select(r)
            data = b.recv(3)
            if not data:
                return "end"
            while data:
                select(w)
                data = data[b.send(data) :]

    g = go(serve)
    got = b""
    a.sendall(b"hello, world")
    r = readable(a)
    while len(got) < 12:
        select(r)
        got += a.recv(100)
    assert got == b"hello, world"
    a.shutdown(socket.SHUT_WR)
    assert g.join() == "end"


def test_many(pair):
    pipes = [os.pipe() for _ in range(20)]
    cases = [readable(r) for r, _ in pipes]
    try:
        for i in (13, 0, 19):
            os.write(pipes[i][1], b"x")
            assert select(*cases) is cases[i]
            os.read(pipes[i][0], 1)
    finally:
        for fds in pipes:
            for fd in fds:
                os.close(fd)


def test_regular_file_is_ready(tmp_path):
    with open(tmp_path / "f", "w") as f:
        w = writable(f)
        assert select(w) is w


def test_with_a_send_case_that_fails(pair):
    ch = Chan()
    ch.close()
    with pytest.raises(Exception, match="closed channel"):
        select(readable(pair[0]), send(ch, 1))


def test_closed_files(pair, tmp_path):
    f = open(tmp_path / "f", "w")
    r = readable(f)
    f.close()
    with pytest.raises(ValueError, match="closed"):
        select(r)
    with pytest.raises(ValueError):
        readable(f)
    fd = os.open(tmp_path / "f", os.O_RDONLY)
    r = readable(fd)
    os.close(fd)
    with pytest.raises(OSError, match="Bad file"):
        select(r)


@pytest.mark.parametrize("bad", ["x", None, 1.5, -1, object()])
def test_bad_files(bad):
    for make in (readable, writable):
        with pytest.raises((TypeError, ValueError)):
            make(bad)


def test_case_in_a_cycle():
    class File:
        def fileno(self):
            return 0

    f = File()
    f.case = readable(f)
    w = weakref.ref(f)
    del f
    gc.collect()
    assert w() is None
