"""gossamer.native: channels and goroutines that Python shares with C."""
# SPDX-License-Identifier: Apache-2.0

import asyncio
import contextlib
import copy
import ctypes
import gc
import random
import struct
import sys
import threading
import weakref

import gossamer
import native_lib
import pytest
from gossamer import (
    Canceled,
    Chan,
    ChanClosed,
    DeadlineExceeded,
    Goroutine,
    WouldBlock,
    context,
    default,
    go,
    leakcheck,
    native,
    recv,
    runtime,
    select,
    send,
)
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.fixture(scope="session")
def built():
    return native_lib.with_cffi()


@pytest.fixture
def lib(built):
    return built.lib


@pytest.fixture
def ffi(built):
    return built.ffi


@pytest.fixture(scope="session")
def shared():
    return native_lib.with_ctypes()


@pytest.fixture(autouse=True)
def no_leaks():
    with leakcheck.scope(timeout=20):
        yield


def through(stage, elem, values, cap=0):
    """The values, sent through a goroutine of C."""
    a, b = native.Chan(elem, cap), native.Chan(elem, cap)
    g = native.go(stage, (a, b))

    def feed():
        with a:
            for v in values:
                a.send(v)

    go(feed)
    out = list(b)
    g.join(timeout=20)
    return out


# ---- elements ---------------------------------------------------------------------------------------------

LIMITS = {
    native.int32: (-(2**31), 2**31 - 1),
    native.uint32: (0, 2**32 - 1),
    native.int64: (-(2**63), 2**63 - 1),
    native.uint64: (0, 2**64 - 1),
}


@pytest.mark.parametrize("elem", LIMITS, ids=repr)
def test_int_limits(elem):
    ch = native.Chan(elem, 4)
    low, high = LIMITS[elem]
    for n in (low, high, 0, True):
        ch.send(n)
    assert [ch.recv() for _ in range(4)] == [low, high, 0, 1]
    for n in (low - 1, high + 1, 10**30, -(10**30), 10**5000):
        with pytest.raises(OverflowError, match=r"int out of range for u?int"):
            ch.send(n)
    for v in (1.0, "1", None, b"1"):
        with pytest.raises(TypeError):
            ch.send(v)
    assert len(ch) == 0


@pytest.mark.parametrize("elem", LIMITS, ids=repr)
def test_ints_through_c(elem, lib):
    low, high = LIMITS[elem]

    @settings(max_examples=30, deadline=None)
    @given(st.lists(st.integers(low, high), max_size=20), st.integers(0, 3))
    def check(values, cap):
        assert through(lib.copy4 if elem.size == 4 else lib.copy8, elem, values, cap) == values

    check()


def test_index_is_an_int():
    class Three:
        def __index__(self):
            return 3

    ch = native.Chan(native.int32, 1)
    ch.send(Three())
    assert ch.recv() == 3


def test_floats(lib):
    values = [0.0, -1.5, float("inf"), 1e300, 3]
    assert through(lib.copy8, native.float64, values) == values
    assert through(lib.copy4, native.float32, [0.5, float("-inf"), 2]) == [0.5, float("-inf"), 2.0]
    ch = native.Chan(native.float32, 1)
    with pytest.raises(OverflowError):
        ch.send(1e300)
    for v in ("1", None, 1j):
        with pytest.raises(TypeError):
            ch.send(v)
    with pytest.raises(OverflowError):
        native.Chan(native.float64, 1).send(10**400)
    ch.send(float("nan"))
    assert ch.recv() != 0


def test_structs(lib):
    elem = native.struct("<iq")
    assert elem.size == 12
    assert repr(elem) == "native.struct('<iq')"
    assert through(lib.copy12, elem, [(1, 2), (-1, 2**40), [3, 4]]) == [(1, 2), (-1, 2**40), (3, 4)]
    ch = native.Chan(elem, 1)
    for bad in ((1,), (1, 2, 3), (2**40, 1), ("x", 1)):
        with pytest.raises(struct.error):
            ch.send(bad)
    for bad in (1, None, b"123456789012", {1: 2}):
        with pytest.raises(TypeError):
            ch.send(bad)
    assert len(ch) == 0
    with pytest.raises(struct.error):
        native.struct("<what")


def test_large_structs(lib):
    text = bytes(range(200))
    assert through(lib.copy_200, native.struct("200s"), [(text,)] * 3) == [(text,)] * 3
    a, b = native.Chan(native.struct("200s"), 1), native.Chan(native.int32)
    assert select(send(a, (text,)), recv(b)).chan is a
    case = recv(a)
    assert select(recv(b), case) is case
    assert case.value == (text,)


def test_struct_without_fields():
    ch = native.Chan(native.struct(""), 3)
    ch.send(())
    assert ch.recv() == ()
    assert select(send(ch, ())).chan is ch


def test_elem_cannot_be_made():
    with pytest.raises(TypeError):
        native.Elem()
    assert repr(native.buffer) == "native.buffer"
    assert native.int64.size == 8


# ---- channels --------------------------------------------------------------------------------------------


def test_chan_arguments():
    for bad in (3, "int64", None, int):
        with pytest.raises(TypeError, match="needs to know its elements"):
            native.Chan(bad)
    with pytest.raises(TypeError):
        native.Chan()
    with pytest.raises(TypeError):
        native.Chan(native.int32, "3")
    for bad in (-1, 2**61, 2**100):
        with pytest.raises(ValueError, match="capacity"):
            native.Chan(native.int64, bad)
    with pytest.raises(TypeError):
        native.Chan(native.int32, name=3)


def test_chan_is_a_channel():
    ch = native.Chan(native.int32, 2, name="numbers")
    assert isinstance(ch, gossamer.SendChan)
    assert isinstance(ch, gossamer.RecvChan)
    assert (ch.cap, len(ch), ch.closed, bool(ch), ch.name) == (2, 0, False, True, "numbers")
    assert ch.elem is native.int32
    assert ch.pointer > 0
    assert "numbers" in repr(ch)
    assert native.Chan[int, int]
    with pytest.raises(TypeError):
        copy.copy(ch)
    assert ch.try_send(1)
    assert ch.try_send(2)
    assert not ch.try_send(3)
    assert len(ch) == 2
    assert ch.recv_ok() == (1, True)
    assert ch.try_recv() == 2
    assert ch.try_recv("none") == "none"
    with pytest.raises(WouldBlock):
        ch.try_recv()
    with pytest.raises(TimeoutError):
        ch.recv(timeout=0)
    with ch:
        ch.send(4)
    assert ch.closed
    assert not ch.close()
    with pytest.raises(ChanClosed):
        ch.send(5)
    with pytest.raises(ChanClosed):
        ch.try_send(5)
    assert list(ch) == [4]
    assert ch.recv_ok() == (None, False)
    with pytest.raises(ChanClosed):
        ch.recv()
    with pytest.raises(ChanClosed):
        ch.try_recv("none")


def test_views():
    ch = native.Chan(native.int64, 1)
    tx, rx = ch.sender(), ch.receiver()
    tx.send(7)
    assert rx.recv() == 7
    with pytest.raises(OverflowError):
        tx.send(2**70)
    assert not hasattr(rx, "send")
    del ch
    assert tx.try_send(8)
    tx.close()
    assert list(rx) == [8]


def test_timeout_and_ctx():
    ch = native.Chan(native.int64)
    with pytest.raises(TimeoutError):
        ch.send(1, timeout=0.001)
    with pytest.raises(TimeoutError):
        ch.recv(0.001)
    ctx = context.with_cancel()
    ctx.cancel()
    with pytest.raises(Canceled):
        ch.send(1, ctx=ctx)
    with pytest.raises(Canceled):
        ch.recv(ctx=ctx)
    with pytest.raises(TimeoutError), context.with_timeout(0.001):
        ch.recv()
    with pytest.raises(DeadlineExceeded):
        ch.recv_ok(ctx=context.with_timeout(0.001))
    assert len(ch) == 0


def test_conversion_comes_before_anything_is_sent(parked):
    ch = native.Chan(native.int32)
    g = parked(ch.recv)
    with pytest.raises(OverflowError):
        ch.send(2**40)
    with pytest.raises(TypeError):
        select(send(ch, "x"))
    assert g.status == "waiting"
    ch.send(1)
    assert g.join() == 1


def test_python_goroutines_meet(parked):
    ch = native.Chan(native.float64)
    sender = parked(ch.send, 2)
    assert sender.wait_reason == "chan send"
    assert ch.recv() == 2.0
    sender.join()
    receiver = parked(ch.recv)
    ch.send(3.5)
    assert receiver.join() == 3.5


def test_interrupt_of_python(parked):
    ch = native.Chan(native.int64)
    for wait in (ch.recv, lambda: ch.send(1), lambda: select(recv(ch), send(ch, 3)), lambda: next(ch)):
        g = parked(wait)
        assert g.interrupt()
        with pytest.raises(Canceled):
            g.join()
    assert len(ch) == 0


def test_close_wakes_all(parked):
    ch = native.Chan(native.int64)
    waiting = [parked(ch.recv_ok), parked(list, ch), parked(select, recv(ch))]
    ch.close()
    first, second, third = (g.join() for g in waiting)
    assert (first, second, third.ok) == ((None, False), [], False)


def test_select():
    a, b = native.Chan(native.int64, 1), native.Chan(native.buffer, 1)
    plain = Chan(1)
    ra, rb, rp = recv(a), recv(b), recv(plain)
    assert select(ra, rb, rp, default) is default
    assert select(ra, rb, rp, timeout=0.001) is None
    sb = send(b, b"abc")
    assert select(ra, sb, rp) is sb
    assert select(ra, rb) is rb
    assert bytes(rb.value) == b"abc"
    assert select(sb) is sb  # again
    assert select(send(b, b"more"), send(a, 5)).chan is a
    assert select(ra) is ra
    assert (ra.value, ra.ok) == (5, True)
    plain.send("x")
    assert select(ra, rp) is rp
    a.close()
    assert select(ra) is ra
    assert (ra.value, ra.ok) == (None, False)
    with pytest.raises(ChanClosed):
        select(send(a, 1))
    with pytest.raises(OverflowError):
        select(rb, send(native.Chan(native.int32, 1), 2**40), rp)
    assert bytes(select(recv(b.receiver())).value) == b"abc"


def test_select_gives_back_what_it_did_not_send():
    ch, other = native.Chan(native.buffer), native.Chan(native.int32, 1)
    data = bytearray(b"abc")
    case = send(ch, data)
    assert select(case, default) is default
    assert select(case, send(other, 1)).chan is other
    with pytest.raises(OverflowError):
        select(case, send(other, 2**40))
    data.append(1)  # BufferError while C may have it


def test_select_of_many():
    chans = [native.Chan(native.int64, 1) for _ in range(20)]
    for i, ch in enumerate(chans):
        assert select(*(send(c, i) if c is ch else recv(c) for c in chans)).chan is ch
        case = select(*map(recv, chans))
        assert (case.chan, case.value) == (ch, i)


def test_async():
    ch = native.Chan(native.int64)

    async def main():
        task = asyncio.create_task(ch.asend(3))
        assert await ch.arecv() == 3
        await task
        go(ch.close)
        return [v async for v in ch]

    assert asyncio.run(main()) == []


def test_thread_uses_it(lib):
    a, b = native.Chan(native.int64), native.Chan(native.int64)
    g = native.go(lib.square, (a, b))
    got = []

    def work():
        for n in range(100):
            a.send(n)
            got.append(b.recv())
        a.close()

    t = threading.Thread(target=work)
    t.start()
    t.join()
    g.join()
    assert got == [n * n for n in range(100)]


# ---- goroutines --------------------------------------------------------------------------------------------


def test_square(lib):
    assert through(lib.square, native.int64, range(1000)) == [n * n for n in range(1000)]
    assert through(lib.square, native.int64, range(1000), cap=64) == [n * n for n in range(1000)]


def test_a_python_stage_after_a_c_stage_after_a_python_stage(lib):
    n, n2, text = native.Chan(native.int64, 10), native.Chan(native.int64, 10), Chan(10)

    def produce():
        with n:
            for i in range(500):
                n.send(i)

    def format():
        with text:
            for v in n2:
                text.send(str(v))

    go(produce)
    native.go(lib.square, (n, n2))
    go(format)
    assert list(text) == [str(i * i) for i in range(500)]


def test_ways_to_name_a_function(lib, ffi, shared):
    cast = ctypes.cast(shared.nothing, ctypes.c_void_p).value
    for fn in (lib.nothing, ffi.addressof(lib, "nothing"), shared.nothing, cast,
               int(ffi.cast("uintptr_t", ffi.addressof(lib, "nothing"))),
               ctypes.CFUNCTYPE(None, ctypes.c_void_p)(cast)):  # fmt: skip
        g = native.go(fn)
        assert isinstance(g, Goroutine)
        assert g.join() is None


@pytest.mark.parametrize("bad", [None, "nothing", len, print, 1.5, True, object()])
def test_what_is_no_function(bad):
    with pytest.raises(TypeError):
        native.go(bad)


def test_null_is_no_function(ffi):
    for null in (0, ffi.NULL, ctypes.c_void_p(None)):
        with pytest.raises(ValueError, match="null"):
            native.go(null)


def test_ways_to_pass_an_argument(lib, ffi, shared):
    class Long(ctypes.Structure):
        _fields_ = (("x", ctypes.c_long),)

    record, number, array = Long(), ctypes.c_long(), (ctypes.c_long * 2)()
    numbers, memory = ffi.new("long[2]"), bytearray(8)
    for arg, read in (
        (record, lambda: record.x),
        (ctypes.byref(number), lambda: number.value),
        (ctypes.pointer(array), lambda: array[0]),
        (numbers, lambda: numbers[0]),
        (memory, lambda: memory[0]),
    ):
        assert read() == 0
        native.go(shared.store, arg).join()
        assert read() == 7
    array[1] = 0
    native.go(lib.store, ctypes.addressof(array) + 8).join()
    assert array[1] == 7
    native.go(lib.store, ctypes.c_void_p(ctypes.addressof(array))).join()
    number.value = 0
    native.go(lib.store, number).join()
    assert number.value == 7


def test_words(lib):
    out = ctypes.c_long()
    native.go(lib.add_words, (40, ctypes.pointer(out), 2)).join()
    assert out.value == 42
    native.go(lib.add_words, (-(2**63), ctypes.addressof(out), 2**63 - 1)).join()
    assert out.value == -1
    native.go(lib.add_words, (2**64 - 1, ctypes.byref(out), None)).join()
    assert out.value == -1
    with pytest.raises(OverflowError):
        native.go(lib.add_words, (2**64, 0, 0))


def test_arguments_that_c_cannot_have(lib):
    for bad in ("text", 1.5, [1], {}, object(), (1, "x"), (b"bytes",)):
        with pytest.raises(TypeError):
            native.go(lib.nothing, bad)
    with pytest.raises(TypeError, match=r"C needs a native\.Chan"):
        native.go(lib.nothing, Chan())
    with pytest.raises(BufferError):
        native.go(lib.nothing, memoryview(bytearray(10))[::2])


def test_handle(lib):
    stop = native.Chan(native.int64)
    g = native.go(lib.square, (stop, stop), name="squares")
    assert g.name == "squares"
    assert "test_native.py" in g.site
    assert g.creator == runtime.goid()
    while g.status != "waiting":
        runtime.gosched()
    assert g.wait_reason == "chan receive"
    assert g in runtime.goroutines()
    assert "squares" in runtime.stack(all=True)
    assert str(g.id) in repr(g)
    assert len(g.stack()) == 0
    assert g.exception() is None
    with pytest.raises(TimeoutError):
        g.join(timeout=0.001)
    with pytest.raises(Canceled):
        g.join(ctx=cancelled())
    stop.close()
    case = recv(g)
    assert select(case) is case
    assert g.join() is None
    assert g.status == "dead"
    assert g not in runtime.goroutines()
    assert not g.interrupt()


def cancelled():
    ctx = context.with_cancel()
    ctx.cancel()
    return ctx


def test_await(lib):
    async def main():
        await native.go(lib.nothing)
        with pytest.raises(native.Panic):
            await native.go(lib.panics, 3)

    asyncio.run(main())


def test_name(lib, shared):
    assert native.go(lib.nothing).name == "nothing"
    assert native.go(shared.nothing).name == "nothing"
    assert native.go(native._address(lib.nothing)).name == "native"
    with pytest.raises(TypeError):
        native.go(lib.nothing, name=3)


def test_stack_size(lib):
    out = ctypes.c_long()
    native.go(lib.fill_stack, out, stack_size=1 << 20).join()
    assert out.value == 1
    for bad in (0, -1, 2**62):
        with pytest.raises((ValueError, MemoryError)):
            native.go(lib.nothing, stack_size=bad)
    with pytest.raises(TypeError):
        native.go(lib.nothing, stack_size="big")


def test_panic_is_the_exception(lib):
    g = native.go(lib.panics, 3)
    with pytest.raises(native.Panic, match="^lost 3 keys$"):
        g.join()
    assert isinstance(g.exception(), gossamer.Error)
    g = native.go(lib.panics, 4)
    g.done.recv_ok()
    assert str(g.exception()) == "lost 4 keys"


def test_goexit_is_an_end_as_any_other(lib):
    assert native.go(lib.leaves).join() is None


def test_panic_that_nobody_collects_is_reported(program):
    r = program("""
        import ctypes
        from gossamer import native
        lib = ctypes.CDLL(native.get_library())
        g = native.go(lib.gos_panic, b"all is lost", name="careless")
        g.done.recv_ok()
        del g
    """)
    assert r.code == 0, r
    assert r.err.count("gossamer.native.Panic: all is lost") == 1, r
    assert "careless" in r.err


def test_interrupt_and_context(lib):
    ch, out = native.Chan(native.int64), ctypes.c_long()
    for end, code in ((lambda g, ctx: g.interrupt(), -3), (lambda g, ctx: ctx.cancel(), -3)):
        ctx = context.with_cancel()
        g = native.go(lib.wait_ctx, (ch, ctx, ctypes.pointer(out)))
        while g.status != "waiting":
            runtime.gosched()
        end(g, ctx)
        g.join()
        assert out.value == code
    native.go(lib.wait_ctx, (ch, context.with_timeout(0.001), ctypes.pointer(out))).join()
    assert out.value == -2
    g = native.go(lib.wait_ctx, (ch, context.background(), ctypes.pointer(out)))
    ch.send(1)
    g.join()
    assert out.value == 0


# ---- both at once --------------------------------------------------------------------------------------------


def test_c_and_python_run_at_the_same_time(lib):
    """Neither of them ever waits, or lets the other run: each waits for the other's step in a loop of its own."""
    words = (ctypes.c_long * 2)()
    g = native.go(lib.answer, words)
    try:
        for n in range(1, 2001, 2):
            words[0] = n
            while words[0] != n + 1:
                pass
    finally:
        words[1] = 1
    assert g.join() is None


def test_two_of_c_and_two_of_python_at_the_same_time(lib):
    words = [(ctypes.c_long * 2)() for _ in range(2)]
    gs = [native.go(lib.answer, w) for w in words]

    def ask(w):
        for n in range(1, 201, 2):
            w[0] = n
            while w[0] != n + 1:
                pass
        w[1] = 1

    for g in [go(ask, w) for w in words] + gs:
        g.join()


# ---- buffers ------------------------------------------------------------------------------------------------

PAIR = native.struct("qq")


def address(data):
    return ctypes.addressof(ctypes.c_char.from_buffer(data))


def test_bytes_are_not_copied_into_c(lib):
    a, b = native.Chan(native.buffer), native.Chan(PAIR)
    g = native.go(lib.sum, (a, b))
    data = bytearray(range(256))
    for _ in range(3):
        a.send(data)
        assert b.recv() == (sum(data), address(data))
    for other in (bytes(data), memoryview(data)[10:20], memoryview(b"abc"), b"", (ctypes.c_char * 3)(b"a", b"b", b"c")):
        a.send(other)
        assert b.recv()[0] == sum(bytes(other))
    a.close()
    g.join()


def test_what_is_no_buffer():
    ch = native.Chan(native.buffer, 1)
    for bad in ("text", 3, None, [1], memoryview(bytes(10))[::2]):
        with pytest.raises((TypeError, BufferError)):
            ch.send(bad)
    assert len(ch) == 0


def test_c_gives_up_what_it_was_sent(lib):
    """From the message on that C sent after it had released the buffer, Python has it back."""
    chans = native.Chan(native.buffer), native.Chan(native.int64), native.Chan(native.int64)
    data, (ch, ready, on) = bytearray(b"abc"), chans
    g = native.go(lib.keep_one, chans)
    ch.send(data)
    ready.recv()
    with pytest.raises(BufferError):
        data.append(1)
    on.send(1)
    ready.recv()
    data.append(1)
    g.join()


class Bytes(bytearray):
    """Can be referred to weakly."""


def test_c_gives_up_although_python_asks_for_nothing(lib):
    ch = native.Chan(native.buffer, 1000)
    many = [Bytes(10000) for _ in range(500)]
    refs = [weakref.ref(x) for x in many]
    while many:
        ch.send(many.pop())
    g = native.go(lib.swallow, ch)
    while sum(r() is not None for r in refs) > 2 << 20 >> 12:
        runtime.gosched()  # no operation on a native channel
    ch.close()
    g.join()
    assert not any(r() for r in refs)


def test_bytes_that_nobody_receives():
    ch = native.Chan(native.buffer, 3)
    x = Bytes(b"abc")
    ref = weakref.ref(x)
    ch.send(x)
    del x
    assert ref()
    del ch
    native.Chan(native.int32).try_recv(None)
    gc.collect()
    assert ref() is None


def test_send_that_fails_keeps_nothing():
    ch = native.Chan(native.buffer)
    data = bytearray(3)
    assert not ch.try_send(data)
    with pytest.raises(TimeoutError):
        ch.send(data, timeout=0)
    ch.close()
    with pytest.raises(ChanClosed):
        ch.send(data)
    data.append(1)


def test_bytes_of_c_are_not_copied_into_python(lib):
    before, views = lib.alive(), []
    out = native.Chan(native.buffer)
    g = native.go(lib.make_buffers, (out, 300, 100))
    for i, view in enumerate(out):
        assert isinstance(view, memoryview)
        assert view.readonly
        assert len(view) == 100
        assert view == bytes([i % 256]) * 100
        if i < 10:
            views.append(view)
    g.join()
    del view
    assert lib.alive() == before + 10
    views[0].release()
    assert lib.alive() == before + 9
    part = views[1][3:5]
    del views
    assert part == b"\1\1"
    assert lib.alive() == before + 1
    del part
    assert lib.alive() == before


def test_empty_buffers_of_c(lib):
    out = native.Chan(native.buffer)
    native.go(lib.make_buffers, (out, 2, 0))
    assert [bytes(v) for v in out] == [b"", b""]


def test_buffers_of_c_that_nobody_receives(lib):
    before = lib.alive()
    out = native.Chan(native.buffer, 10)
    native.go(lib.make_buffers, (out, 10, 5)).join()
    assert lib.alive() == before + 10
    case = recv(out)
    assert select(case).value == bytes(5)
    del out, case
    gc.collect()
    assert lib.alive() == before


def test_wrong_buffer_of_c(lib):
    out = native.Chan(native.buffer)
    g = native.go(lib.send_wrong_buffer, out)
    with pytest.raises(ValueError, match="without data"):
        out.recv()
    g.join()


def test_bytes_that_come_back(lib):
    data = bytearray(b"abc")
    a, b = native.Chan(native.buffer), native.Chan(native.buffer)
    g = native.go(lib.copy_buffers, (a, b))
    a.send(data)
    view = b.recv()
    assert view == b"abc"
    data[0] = ord("x")
    assert view == b"xbc"
    with pytest.raises(BufferError):
        data.append(1)
    view.release()
    data.append(1)
    a.close()
    g.join()


# ---- lifetimes ------------------------------------------------------------------------------------------------


def test_channel_lives_as_long_as_c_uses_it(lib):
    a, b = native.Chan(native.int64), native.Chan(native.int64)
    tx = a.sender()
    ref = weakref.ref(b)
    g = native.go(lib.square, (a, b))
    rx = b.receiver()
    del a, b
    gc.collect()
    assert ref() is not None
    tx.send(3)
    assert rx.recv() == 9
    tx.close()
    g.join()
    del rx
    gc.collect()
    assert ref() is None


def test_c_may_retain_it(lib):
    ch = native.Chan(native.int64)
    rx = ch.receiver()
    native.go(lib.hand_on, ch).join()
    del ch
    assert rx.recv() == 5


def test_argument_lives_until_the_end(lib):
    words = (ctypes.c_long * 2)()
    ref = weakref.ref(words)
    stop = words[1:]  # a copy
    assert stop == [0]
    at = ctypes.addressof(words)
    g = native.go(lib.answer, words)
    del words
    gc.collect()
    assert ref() is not None
    ctypes.c_long.from_address(at + ctypes.sizeof(ctypes.c_long)).value = 1
    g.join()
    gc.collect()
    assert ref() is None


def test_handle_may_be_dropped(lib):
    ch, out = native.Chan(native.int64), native.Chan(native.int64)
    native.go(lib.square, (ch, out))
    gc.collect()
    ch.send(5)
    assert out.recv() == 25
    ch.close()
    assert out.recv_ok() == (None, False)


def test_many(lib):
    def one(i):
        a, b = native.Chan(native.int64), native.Chan(native.int64, i % 3)
        g = native.go(lib.square, (a, b))
        a.send(i)
        assert b.recv() == i * i
        a.close()
        g.join()

    for g in [go(one, i) for i in range(300)]:
        g.join()


def test_memory_is_flat(lib):
    def rounds(n):
        for _ in range(n):
            native.go(lib.nothing).join()
            with contextlib.suppress(native.Panic):
                native.go(lib.panics, 1).join()
            ch = native.Chan(native.buffer, 2)
            ch.send(bytes(1000))
            ch.send(b"x")
            ch.recv()
        gc.collect()
        return sys.getallocatedblocks()

    rounds(50)
    before = rounds(200)
    assert rounds(1000) - before < 200


EXIT = """
    import ctypes, sys
    from gossamer import native
    lib = ctypes.CDLL(sys.argv[1])
    ch, held = native.Chan(native.int64), native.Chan(native.buffer)
    keep = [native.go(lib.spin), native.go(lib.park), native.go(lib.square, (ch, ch)), native.go(lib.swallow, held)]
    keep.append(native.go(lib.keep_one, (held, native.Chan(native.int64), ch)))
    held.send(bytearray(100))
    buffers = native.Chan(native.buffer, 4)
    native.go(lib.make_buffers, (buffers, 100, 10))
    view = buffers.recv()
    print("done", flush=True)
"""


@pytest.mark.parametrize("more", ["", "sys.exit(3)", "raise KeyError('x')", "import os; os._exit(3)", "del keep, view"])
def test_exit_while_c_goes_on(program, shared, more):
    for _ in range(3):
        r = program(EXIT + "    " + more, shared._name)
        assert r.out == "done\n", r
        assert r.code == {"": 0, "del keep, view": 0, "raise KeyError('x')": 1}.get(more, 3), r
        assert ("KeyError" in r.err) == (r.code == 1), r
        assert "Fatal" not in r.err, r


def test_c_goes_on_sending_while_python_ends(program, shared):
    source = """
        import ctypes, sys
        from gossamer import native
        lib = ctypes.CDLL(sys.argv[1])
        out, bufs = native.Chan(native.buffer, 100), native.Chan(native.buffer, 100)
        native.go(lib.make_buffers, (bufs, 10**9, 10))
        native.go(lib.swallow, out)
        for v in bufs:
            out.send(b"x" * 100)
            n = globals().get("n", 0) + 1
            if n == 500: break
        """
    for _ in range(5):
        r = program(source, shared._name)
        assert (r.code, r.err) == (0, ""), r


def test_fork(program, shared):
    r = program(
        """
        import ctypes, os, sys
        from gossamer import native
        lib = ctypes.CDLL(sys.argv[1])
        a, b = native.Chan(native.int64), native.Chan(native.int64)
        held = native.Chan(native.buffer)
        native.go(lib.swallow, held)
        g = native.go(lib.square, (a, b))
        held.send(b"abc")
        over = [native.go(lib.nothing) for _ in range(3)]
        panic = native.go(lib.panics, 3)
        for x in (*over, panic):
            while x.status != "dead":  # ended, but not seen by Python
                pass
        pid = os.fork()
        if not pid:
            assert g.status == panic.status == "dead"
            for x in (g, panic):
                try:
                    x.join()
                    raise SystemExit("joined")
                except RuntimeError as e:
                    assert "parent" in str(e), e
            a, b, data = native.Chan(native.int64), native.Chan(native.int64), bytearray(3)
            held.close()
            held = native.Chan(native.buffer)
            x, y = native.go(lib.square, (a, b)), native.go(lib.swallow, held)
            held.send(data)
            a.send(5)
            assert b.recv() == 25
            a.close(); held.close()
            x.join(); y.join()
            data.append(1)
            try:
                native.go(lib.panics, 4).join()
            except native.Panic:
                os._exit(0)
            os._exit(3)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        a.send(4)
        assert b.recv() == 16
        a.close(); held.close()
        g.join()
        print("fine")
        """,
        shared._name,
    )
    assert (r.code, r.out) == (0, "fine\n"), r


def test_deadlock_with_c(program, shared):
    r = program(
        """
        import ctypes, sys
        from gossamer import Deadlock, native
        lib = ctypes.CDLL(sys.argv[1])
        a, b = native.Chan(native.int64), native.Chan(native.int64)
        native.go(lib.square, (a, b), name="squares")
        try:
            b.recv()
        except Deadlock as e:
            assert "squares" in e.report, e.report
            print("deadlock")
        a.send(3)
        print(b.recv())
        """,
        shared._name,
    )
    assert (r.code, r.out) == (0, "deadlock\n9\n"), r


@pytest.mark.parametrize("wait", ["b.recv()", "a.send(1)", "select(recv(b), send(a, 1))", "keep[0].join()"])
def test_ctrl_c(program, shared, wait):
    r = program(
        f"""
        import ctypes, os, signal, sys
        from gossamer import go, native, recv, runtime, select, send
        lib = ctypes.CDLL(sys.argv[1])
        a, b = native.Chan(native.int64), native.Chan(native.int64)
        keep = [native.go(lib.spin), native.go(lib.park)]
        main = runtime.goroutines()[0]

        @go
        def interrupt():
            while main.status != "waiting":
                runtime.gosched()
            os.kill(os.getpid(), signal.SIGINT)

        try:
            {wait}
        except KeyboardInterrupt:
            print("interrupted")
        native.go(lib.square, (a, b))
        a.send(3)
        print(b.recv())
        """,
        shared._name,
    )
    assert (r.code, r.out) == (0, "interrupted\n9\n"), r


def test_mixed(lib):
    """Stages that end early, buffers dropped at any point, waits given up."""
    rand = random.Random(1)

    def early():
        out = native.Chan(native.buffer, rand.randrange(3))
        g = native.go(lib.make_buffers, (out, rand.randrange(30), 10))
        kept = [v for v in out if rand.random() < 0.2 or rand.random() < 0.05 and not out.close()]
        out.close()
        g.join()
        return all(len(v) == 10 for v in kept)

    def copies():
        a, b = (native.Chan(native.buffer, rand.randrange(3)) for _ in range(2))
        g = native.go(lib.copy_buffers, (a, b))
        data, case, sent, got = [bytes([i]) * 300 for i in range(20)], recv(b), 0, 0
        while got < len(data):
            if select(send(a, data[sent]) if sent < len(data) else None, case) is case:
                assert case.value == data[got]
                got += 1
            else:
                sent += 1
        a.close()
        g.join()
        return True

    def given_up():
        ch, out = native.Chan(native.int64), ctypes.c_long()
        g = native.go(lib.wait_ctx, (ch, context.with_timeout(rand.random() / 1000), ctypes.pointer(out)))
        if rand.random() < 0.5:
            g.interrupt()
        g.join()
        return out.value in (-2, -3)

    def many(fn):
        return all(fn() for _ in range(30))

    before = lib.alive()
    gs = [go(many, fn) for fn in (early, copies, given_up) for _ in range(4)]
    assert all(g.join() for g in gs)
    del gs
    gc.collect()
    assert lib.alive() == before


def test_shutdown_ends_it(program, shared):
    r = program(
        """
        import ctypes, sys
        from gossamer import native, runtime
        lib = ctypes.CDLL(sys.argv[1])
        ch = native.Chan(native.int64)
        gs = [native.go(lib.square, (ch, ch)), native.go(lib.park), native.go(lib.panics, 3)]
        assert runtime.shutdown(timeout=20)
        spins = native.go(lib.spin)
        assert not runtime.shutdown(timeout=0.01)
        print([g.status for g in gs], spins.status)
        """,
        shared._name,
    )
    assert (r.code, r.out) == (0, "['dead', 'dead', 'dead'] running\n"), r


def test_leakcheck_sees_it(lib):
    ch = native.Chan(native.int64)
    with pytest.raises(leakcheck.Leak, match="square"):
        with leakcheck.scope(timeout=0):
            g = native.go(lib.square, (ch, ch))
    ch.close()
    g.join()


def test_callback_into_python(shared):
    """A thread of the runtime calls Python: it gets the GIL as any thread does; goroutines cannot be had there."""
    seen = []

    @ctypes.CFUNCTYPE(None, ctypes.c_void_p)
    def callback(arg):
        seen.append(arg)
        try:
            Chan(1).send(1)
        except RuntimeError as e:
            seen.append(e)

    native.go(callback, 5).join()
    assert seen[0] == 5
    assert isinstance(seen[1], RuntimeError)
