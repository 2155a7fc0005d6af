"""What the steps of the Python driver give, in the table's words."""
# SPDX-License-Identifier: Apache-2.0

import signal

import gossamer


class Failed(Exception):
    """A step that is a panic in Go; its text is Go's message."""


class Caused(Exception):
    """An error of the table, which is a number."""


class Flow(list):
    """What a list of steps gave so far. Of a body: what `give` and `error` said."""

    value = error = None


def word(ok):
    return ["true" if ok else "false"]


def item(value):
    return ["nil" if value is None else str(value)]


def found(value, ok):
    return item(value) + word(ok)


def received(value, ok):
    """The words of a receive. Only the channel of a timer gives a float."""
    if not ok:
        return ["0", "false"]
    if isinstance(value, signal.Signals):
        return [value.name.removeprefix("SIG"), "true"]
    return ["tick" if isinstance(value, float) else str(value), "true"]


def sent(send, *args, **kwargs):
    try:
        return send(*args, **kwargs)
    except gossamer.ChanClosed:
        raise Failed("send on closed channel") from None


def why(error):
    """The word of an error, or of an end of a context."""
    if isinstance(error, gossamer.DeadlineExceeded):
        return ["deadline"]
    if isinstance(error, gossamer.Canceled):
        return ["canceled"]
    return item(error)


def obeying(words, call, *args, **kwargs):
    """words(what the call gave); or the word for the end of its context."""
    try:
        got = call(*args, **kwargs)
    except gossamer.Canceled as e:
        return why(e)
    return words(got)


def done(_):
    return ["true"]
