"""singleflight: one call for many."""
# SPDX-License-Identifier: Apache-2.0

import pickle

import pytest
from gossamer import Canceled, Chan, Goroutine, context, go, runtime
from gossamer.singleflight import Group, Result


def test_do():
    g = Group()
    assert g.do("k", lambda a, b=2: a + b, 1) == (3, False)
    assert g.do("k", lambda a, b=2: a + b, 1, b=5) == (6, False)
    with pytest.raises(ZeroDivisionError):
        g.do("k", lambda: 1 / 0)
    assert g.do("k", int) == (0, False)


def waiting(gs: list[Goroutine]):
    return all(g.wait_reason == "chan receive" for g in gs)


def test_followers_share(settle):
    group, ch, calls = Group(), Chan(), []

    def work():
        calls.append(1)
        return ch.recv()

    gs = [go(group.do, "k", work) for _ in range(10)]
    other = go(group.do, "other", lambda: "alone")
    settle(*gs)
    assert waiting(gs) and calls == [1]
    ch.send("x")
    assert [g.join() for g in gs] == [("x", True)] * 10
    assert other.join() == ("alone", False)
    assert group.do("k", lambda: "again") == ("again", False)


def test_followers_share_the_exception(settle):
    group, ch = Group(), Chan()

    def work():
        ch.recv()
        raise KeyError("mine")

    gs = [go(group.do, "k", work) for _ in range(5)]
    settle(*gs)
    ch.send(None)
    for g in gs:
        with pytest.raises(KeyError, match="mine"):
            g.join()


def test_do_chan(settle):
    group, ch = Group(), Chan()
    outs = [group.do_chan("k", ch.recv) for _ in range(3)]
    for out in outs:
        with pytest.raises(TimeoutError):
            out.recv(timeout=0)
    ch.send(7)
    for out in outs:
        assert out.recv() == Result(7, None, True)
    r = group.do_chan("k", lambda: 1 / 0).recv()
    assert isinstance(r.error, ZeroDivisionError) and r.value is None and not r.shared


def test_do_chan_gives_its_result_when_the_context_has_ended(settle):
    group, quit = Group(), Chan()

    def work():
        quit.recv(ctx=context.background())
        return 7

    leader = go(group.do, "followed", work)
    settle(leader)
    with context.with_cancel() as ctx:
        returns = group.do_chan("returns", work)
        follows = group.do_chan("followed", work)
        canceled = group.do_chan("canceled", Chan().recv)
        ctx.cancel()
    quit.send(None)
    quit.send(None)
    assert returns.recv() == Result(7, None, False)
    assert follows.recv() == Result(7, None, True)
    result = canceled.recv()
    assert isinstance(result.error, Canceled) and not result.shared


def test_forget(settle):
    group, ch = Group(), Chan()
    first = go(group.do, "k", ch.recv)
    settle(first)
    group.forget("k")
    assert group.do("k", lambda: "second") == ("second", False)
    third_ch = Chan()
    third = go(group.do, "k", third_ch.recv)
    settle(third)
    ch.send("first")  # its end does not touch the third
    assert first.join() == ("first", False)
    fourth = go(group.do, "k", lambda: "not called")
    settle(fourth)
    third_ch.send("third")
    assert third.join() == fourth.join() == ("third", True)
    group.forget("nothing")


def test_interrupted_follower(settle):
    group, ch = Group(), Chan()
    leader = go(group.do, "k", ch.recv)
    settle(leader)
    follower = go(group.do, "k", ch.recv)
    settle(follower)
    follower.interrupt(KeyError)
    with pytest.raises(KeyError):
        follower.join()
    ch.send(1)
    assert leader.join()[0] == 1


def test_keys():
    group = Group()
    assert group.do((1, "a"), int) == group.do(None, int) == (0, False)
    with pytest.raises(TypeError, match="unhashable"):
        group.do([], int)
    with pytest.raises(TypeError):
        pickle.dumps(group)


def test_goexit_ends_all_who_share(settle):
    group, ch, ended, after = Group(), Chan(), [], []

    def work():
        ch.recv_ok()
        runtime.goexit()

    def ask(i):
        try:
            group.do("k", work)
            after.append(i)
        except BaseException as e:  # it unwinds, as goexit() does anywhere
            ended.append(type(e).__name__)
            raise

    gs = [go(ask, i) for i in range(5)]
    settle(*gs)
    assert waiting(gs)
    out = group.do_chan("k", work)
    ch.close()
    assert [g.join() for g in gs] == [None] * 5
    assert ended == ["_Goexit"] * 5 and after == []
    result = out.recv()
    assert result.value is None and isinstance(result.error, Canceled) and result.shared
    assert group.do("k", lambda: "again") == ("again", False)


def test_goexit_alone():
    group = Group()
    assert go(group.do, "k", runtime.goexit).join() is None
    result = group.do_chan("k", runtime.goexit).recv()
    assert isinstance(result.error, Canceled) and not result.shared


def test_goexit_while_main_shares(program):
    r = program(
        """
        from gossamer import *
        from gossamer.singleflight import Group
        group, ch = Group(), Chan()
        def work():
            ch.recv()
            runtime.goexit()
        go(group.do, "k", work)
        runtime.gosched()
        go(ch.send, 1)
        try:
            group.do("k", work)
        except Deadlock as e:
            print(e.report)
        """,
        timeout=30,
    )
    assert r.code == 0 and "goroutine 1 [chan receive (nil chan)]" in r.out, r
