# SPDX-License-Identifier: Apache-2.0
"""Goroutines of gossamer in gdb, in a running process or a core dump.

    (gdb) source /usr/share/gossamer/gossamer-gdb.py
    (gdb) info goroutines            number, name, state, labels, where it was started
    (gdb) goroutine 7 bt             what goroutine 7 is doing; any backtrace options may follow
    (gdb) goroutine 7 info locals    a command in its innermost frame; "frame 3" picks another first
    (gdb) goroutine all bt

The library needs no debug information; stripped, its own functions have no names. amd64 and arm64.
"""

import contextlib
import re
import struct

import gdb
import gdb.unwinder

STATES = ("free", "runnable", "running", "waiting", "dead")
FREE, RUNNABLE, RUNNING, WAITING, DEAD = range(5)
MAIN, FOREIGN, LOCKED = 1, 2, 8

# What gosi_switch leaves on the stack it leaves: (registers and their offsets, size). See core/src/asm.
AMD64 = ("rip", "rsp", dict(r15=8, r14=16, r13=24, r12=32, rbx=40, rbp=48, rip=56), 64)
ARM64 = (
    "pc",
    "sp",
    {**{f"x{19 + i}": 8 * i for i in range(12)}, "pc": 88, **{f"d{8 + i}": 96 + 8 * i for i in range(8)}},
    176,
)


def frame_layout():
    name = gdb.selected_inferior().architecture().name()
    return ARM64 if name.startswith("aarch64") else AMD64


# ---- memory -------------------------------------------------------------------
def read(at, size):
    return bytes(gdb.selected_inferior().read_memory(at, size))


def number(at, size=8):
    return int.from_bytes(read(at, size), "little")


def string(at, most=4096):
    """What stands at an address, to its 0; read in pieces, as the next page may not be there."""
    text = b""
    while at and len(text) < most and 0 not in text:
        n = 64 - at % 64
        text += read(at, n)
        at += n
    return text.split(b"\0")[0].decode(errors="replace")


def symbol(name):
    found = gdb.lookup_static_symbol(name) if hasattr(gdb, "lookup_static_symbol") else None
    if found is not None:
        return int(found.value().address)
    try:
        return int(gdb.parse_and_eval(f"(long)&{name}"))
    except gdb.error:
        raise gdb.GdbError(f"no symbol {name}: is libgossamer.so loaded?") from None


def layout():
    """{"g.id": offset, ...}: the table gos_debug_layout, see gossamer/host.h."""
    at, entry = symbol("gos_debug_layout"), {}
    while True:
        name, value = struct.unpack("<24sQ", read(at, 32))
        name = name.rstrip(b"\0").decode()
        if not name:
            return entry
        entry[name] = value
        at += 32


def where(pc):
    """An address in words: main+0x2c, and its line where that is known."""
    text = gdb.execute(f"info symbol {pc:#x}", to_string=True).strip()
    m = re.match(r"(\S+)(?: \+ (\d+))? in section", text)
    words = (m[1] + (f"+{int(m[2]):#x}" if m[2] else "")) if m else f"{pc:#x}"
    line = gdb.find_pc_line(pc - 1)
    return f"{words} at {line.symtab.filename}:{line.line}" if line.symtab else words


# ---- goroutines ---------------------------------------------------------------
def ice_of(fiber, o):
    """Where the bytes of a frozen stack are kept: see core/src/stack/freeze.h. 0: it is not frozen."""
    slab = o["slabs"]
    for _ in range(number(o["nslabs"], 4)):
        lo, hi, cells = (number(slab + o[f"slab.{n}"]) for n in ("lo", "hi", "cells"))
        if lo <= fiber < hi:
            cell = number(cells + 8 * ((fiber - lo) >> number(slab + o["slab.cls"], 4))) if cells else 0
            return 0 if cell & 7 else cell
        slab += o["slab.size"]
    return 0


class Goroutine:
    def __init__(self, at, o):
        self.at = at
        self.id = number(at + o["g.id"])
        self.creator = number(at + o["g.creator"])
        self.status, self.reason, self.flags = (number(at + o[f"g.{n}"], 1) for n in ("status", "reason", "flags"))
        self.sp = number(at + o["g.sp"])
        self.site = number(at + o["g.site"])
        self.realm = number(at + o["g.realm"])
        fiber = number(at + o["g.fiber"])
        self.ice = ice_of(fiber, o) if fiber else 0
        if self.ice:
            self.ice += o["ice.bytes"]  # they begin with what lay at sp
            self.stack = self.sp, fiber
        else:
            self.stack = (number(fiber + o["fiber.lo"]), number(fiber + o["fiber.top"])) if fiber else None
        extra = number(at + o["g.extra"])
        self.name = string(extra + o["extra.name"], 64) if extra else ""
        self.labels = self.read_labels(number(extra + o["extra.labels"]), o) if extra else {}
        self.state = STATES[self.status] if self.status < len(STATES) else "?"
        if self.status == WAITING:
            self.state = string(number(o["reasons"] + 8 * self.reason)) or "waiting"
        if self.flags & LOCKED:
            self.state += ", locked to thread"
        if self.ice:
            self.state += ", frozen"

    @staticmethod
    def read_labels(at, o):
        if not at:
            return {}
        words = read(at + o["labels.text"], number(at + o["labels.n"])).decode(errors="replace").split("\0")
        return dict(zip(words[::2], words[1::2]))

    def headline(self):
        name = f" ({self.name})" if self.name else ""
        labels = " {" + ", ".join(f'{k}:"{v}"' for k, v in self.labels.items()) + "}" if self.labels else ""
        return f"goroutine {self.id}{name} [{self.state}]{labels}"

    def creation(self):
        site = f"created by {where(self.site)}" if self.site and not self.realm else ""
        return site + (f" in goroutine {self.creator}" if site and self.creator else "")

    def thread(self):
        """The thread whose stack pointer is in this goroutine's stack. Main has the process's own, above all others."""
        best = None
        selected = gdb.selected_thread()
        try:
            for t in gdb.selected_inferior().threads():
                t.switch()
                sp = int(gdb.newest_frame().read_register("sp")) & (2**64 - 1)
                if self.stack and self.stack[0] <= sp < self.stack[1]:
                    return t
                if not self.stack and (best is None or sp > best[0]):
                    best = sp, t
        finally:
            if selected:
                selected.switch()
        return best[1] if best else None


def goroutines():
    o = layout()
    found = []
    chunk = number(o["chunks"])
    while chunk:
        for i in range(o["chunk.count"]):
            at = chunk + o["chunk.g"] + i * o["g.size"]
            status, flags = number(at + o["g.status"], 1), number(at + o["g.flags"], 1)
            if status not in (FREE, DEAD) and not flags & FOREIGN:
                found.append(Goroutine(at, o))
        chunk = number(chunk + o["chunk.next"])
    return sorted(found, key=lambda g: g.id)


# ---- unwinding ----------------------------------------------------------------
class FrameId:
    def __init__(self, sp, pc):
        self.sp, self.pc = sp, pc


class ParkedUnwinder(gdb.unwinder.Unwinder):
    """While it is set to a goroutine, the selected thread's innermost frame seems to have been called by the
    goroutine's. No register is written, so that it works in a core dump too."""

    def __init__(self):
        super().__init__("gossamer")
        self.g = self.top = None

    def __call__(self, pending):
        if self.g is None:
            return None
        pc_name, sp_name, saved, size = frame_layout()
        pc, sp = pending.read_register(pc_name), pending.read_register(sp_name)
        if (int(pc), int(sp)) != self.top:
            return None
        # Its own id must be below all that follow: gdb thinks that a stack grows towards lower addresses.
        info = pending.create_unwind_info(FrameId(gdb.Value(self.g.sp).cast(sp.type), pc))
        for name, offset in saved.items():
            value = pending.read_register(name)
            raw = read(self.g.sp + offset, 8).ljust(value.type.sizeof, b"\0")
            info.add_saved_register(name, gdb.Value(raw, value.type))
        info.add_saved_register(sp_name, gdb.Value(self.g.sp + size).cast(sp.type))
        return info

    @contextlib.contextmanager
    def set(self, g):
        pc_name, sp_name, _, _ = frame_layout()
        frame = gdb.newest_frame()
        self.top = int(frame.read_register(pc_name)), int(frame.read_register(sp_name))
        self.g = g
        gdb.invalidate_cached_frames()
        try:
            yield
        finally:
            self.g = None
            gdb.invalidate_cached_frames()


parked = ParkedUnwinder()
gdb.unwinder.register_unwinder(None, parked, replace=True)


def in_thread(g, command):
    t = g.thread()
    if t is None:
        raise gdb.GdbError(f"goroutine {g.id} is {g.state}, on no thread that can be found")
    selected = gdb.selected_thread()
    t.switch()
    try:
        return gdb.execute(command, to_string=True)
    finally:
        selected.switch()


def frozen(g):
    """gdb cannot look into a stack that is not there; the process can bring it back."""
    pc_name, _, saved, _ = frame_layout()
    return (
        f"#0  {where(number(g.ice + saved[pc_name]))}\n"
        f"(frozen: in a running process \"call (char)gosi_stack_touch({g.sp:#x})\" thaws it)\n"
    )


def on_stack(g, command):
    """The output of a command in g's innermost frame; a backtrace begins there."""
    if g.ice:
        return frozen(g)
    if g.stack and not g.stack[0]:
        raise gdb.GdbError("its stack is not in this core dump")
    if g.status == RUNNING:
        return in_thread(g, command)
    if not g.sp:
        return "(has not run yet)\n" if not g.stack else "(is being switched)\n"
    backtrace = re.match(r"(bt|backtrace|where)\b", command)
    with parked.set(g):
        gdb.newest_frame().older().select()
        text = gdb.execute(command, to_string=True)
    if not backtrace:
        return text
    # Frame 0 is the thread's own; the others move up by one.
    frames = re.split(r"^(?=#\d+ )", text, flags=re.MULTILINE)
    own = [f for f in frames if not re.match(r"#0 ", f)]
    return "".join(re.sub(r"^#(\d+)( *)", lambda m: f"#{int(m[1]) - 1:<{len(m[1] + m[2]) - 1}} ", f) for f in own)


# ---- commands --------------------------------------------------------------------
class InfoGoroutines(gdb.Command):
    """List goroutines: number, name, state, labels, and where each was started."""

    def __init__(self):
        super().__init__("info goroutines", gdb.COMMAND_STATUS)

    def invoke(self, _arg, _from_tty):
        for g in goroutines():
            creation = g.creation()
            print(g.headline() + (f", {creation}" if creation else ""))


class GoroutineCommand(gdb.Command):
    """goroutine N COMMAND, goroutine all COMMAND: a command, such as bt, in a goroutine's innermost frame."""

    def __init__(self):
        super().__init__("goroutine", gdb.COMMAND_STACK)

    def invoke(self, arg, _from_tty):
        words = arg.split(None, 1)
        if not words or not (words[0] == "all" or words[0].isdigit()):
            raise gdb.GdbError("goroutine N COMMAND, or goroutine all COMMAND")
        command = words[1] if len(words) > 1 else "bt"
        chosen = [g for g in goroutines() if words[0] == "all" or g.id == int(words[0])]
        if not chosen:
            raise gdb.GdbError(f"there is no goroutine {words[0]}")
        for g in chosen:
            if words[0] == "all":
                print(f"\n{g.headline()}:")
            try:
                print(on_stack(g, command), end="")
            except (gdb.error, gdb.GdbError) as e:
                if words[0] != "all":
                    raise gdb.GdbError(str(e)) from None
                print(f"({e})")


InfoGoroutines()
GoroutineCommand()
