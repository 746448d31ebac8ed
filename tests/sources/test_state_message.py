"""The state that a runtime sends is found in any pieces that it comes in, and believed only if it is one."""

from __future__ import annotations

import json
from time import perf_counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.sources.state_message import DEEPEST, MOST_BYTES, MalformedStateError, ProcessState, StateMessage

RUNC = (
    '{"ociVersion":"1.0.2-dev","fds":["seccompFd"],"pid":31185,"metadata":"policy=web;mknod=deny","state":'
    '{"ociVersion":"1.0.2-dev","id":"r2","status":"creating","pid":31185,"bundle":"/b","annotations":'
    '{"trial.note":"hello"}}}'
)

SAID: dict[str, Any] = json.loads(RUNC)

CRUN = json.dumps({**SAID, "ociVersion": "0.2.0"}, indent=4) + "\n"

EXEC = {"ociVersion": "0.2.0", "fds": ["seccompFd"], "pid": 0, "state": {"id": "c", "status": "running", "pid": 0}}


def read(*pieces: bytes) -> ProcessState:
    message = StateMessage()
    for piece in pieces:
        message.feed(piece)
    assert message.ended
    return message.parsed()


def changed(**members: Any) -> bytes:
    return json.dumps({**SAID, **members}).encode()


def of_state(**members: Any) -> bytes:
    return changed(state={**SAID["state"], **members})


def test_what_runc_sends_is_understood() -> None:
    found = read(RUNC.encode())

    assert (found.fds, found.pid, found.metadata) == (("seccompFd",), 31185, "policy=web;mknod=deny")
    state = found.state
    assert (state.id, state.status, state.pid, state.bundle) == ("r2", "creating", 31185, "/b")
    assert dict(state.annotations) == {"trial.note": "hello"}
    with pytest.raises(TypeError):
        state.annotations["trial.note"] = "other"  # type: ignore[index]


def test_what_crun_sends_is_the_same_in_other_words() -> None:
    assert read(CRUN.encode()) == read(changed(ociVersion="0.2.0"))


def test_who_was_executed_by_crun_has_no_number() -> None:
    found = read(json.dumps(EXEC).encode())

    assert (found.pid, found.state.pid, found.metadata, dict(found.state.annotations)) == (0, 0, "", {})


@pytest.mark.parametrize("text", [RUNC, CRUN], ids=["runc", "crun"])
def test_it_may_be_split_anywhere(text: str) -> None:
    whole = text.replace("hello", 'h\\"\\\\{é}').encode()
    for place in range(1, len(whole)):
        message = StateMessage()
        assert message.feed(whole[:place]) == (place >= len(whole.rstrip()))
        assert message.feed(whole[place:])
        assert message.parsed() == read(whole)


def test_single_bytes_are_found_to_be_the_whole() -> None:
    assert read(*(bytes([one]) for one in CRUN.encode())) == read(CRUN.encode())


TEXTS = st.text(max_size=12)
PIECES = st.lists(st.integers(1, 40), min_size=1)


@given(
    metadata=TEXTS,
    annotations=st.dictionaries(TEXTS, TEXTS, max_size=4),
    bundle=TEXTS,
    extra=st.recursive(
        st.none() | st.booleans() | st.integers() | TEXTS,
        lambda one: st.lists(one) | st.dictionaries(TEXTS, one),
        max_leaves=6,
    ),
    sizes=PIECES,
    ascii_only=st.booleans(),
    indent=st.sampled_from([None, 1]),
)
def test_whatever_it_says_it_comes_out_as_it_was_put_in(
    metadata: str, annotations: dict[str, str], bundle: str, extra: Any, sizes: list[int], ascii_only: bool,
    indent: int | None,
) -> None:  # fmt: skip
    state = {**SAID["state"], "annotations": annotations, "bundle": bundle, "extra": extra}
    said = {**SAID, "metadata": metadata, "state": state, "more": extra}
    data = json.dumps(said, ensure_ascii=ascii_only, indent=indent).encode()
    message, place, turn = StateMessage(), 0, 0
    while place < len(data):
        assert not message.ended
        size = sizes[turn % len(sizes)]
        message.feed(data[place : place + size])
        place, turn = place + size, turn + 1
    found = message.parsed()

    assert (found.metadata, dict(found.state.annotations), found.state.bundle) == (metadata, annotations, bundle)


@given(st.binary(max_size=80), PIECES)
def test_garbage_is_refused_or_waited_for_and_never_another_error(data: bytes, sizes: list[int]) -> None:
    message, place, turn = StateMessage(), 0, 0
    try:
        while place < len(data):
            size = sizes[turn % len(sizes)]
            message.feed(data[place : place + size])
            place, turn = place + size, turn + 1
        if message.ended:
            message.parsed()
    except MalformedStateError:
        pass


@given(st.integers(0, len(RUNC)), st.binary(max_size=3), st.integers(0, 3))
def test_a_damaged_message_is_refused_waited_for_or_one_that_says_something(place: int, put: bytes, cut: int) -> None:
    data = RUNC.encode()
    message = StateMessage()
    try:
        if message.feed(data[:place] + put + data[place + cut :]):
            assert message.parsed().state.id
    except MalformedStateError:
        pass


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"[1]", "is no JSON object"),
        (b"  x", "is no JSON object"),
        (b"\xef\xbb\xbf{}", "is no JSON object"),
        (b"{}x", "behind its end"),
        (b"{}{}", "behind its end"),
        (b"{]", "is no JSON"),
        (b'{"a":}', "is no JSON"),
        (b'{"a":"\xff"}', "is not UTF-8"),
        (b'{"a":NaN}', "is no JSON: NaN"),
        (b'{"a":-Infinity}', "is no JSON: -Infinity"),
        (b'{"a":' + b"9" * 5000 + b"}", "is no JSON"),
        (b'{"a":' + b"[" * DEEPEST, "levels deep"),
        (b'{"a":1,"a":1}', "has a member twice"),
        (b"{}", "fds is a list"),
        (changed(fds=[]), "fds is a list"),
        (changed(fds="seccompFd"), "fds is a list"),
        (changed(fds=[1]), "fds is no text"),
        (changed(fds=["other"]), "names seccompFd once, not 0 times"),
        (changed(fds=["seccompFd", "seccompFd"]), "not 2 times"),
        (changed(pid=-1), "pid is no number"),
        (changed(pid=True), "pid is no number"),
        (changed(pid="1"), "pid is no number"),
        (changed(pid=1 << 31), "pid is no number"),
        (changed(metadata=1), "metadata is no text"),
        (changed(metadata=None), "metadata is no text"),
        (changed(metadata="\ud800"), "metadata is no text that could be written down"),
        (changed(ociVersion=1), "ociVersion is no text"),
        (changed(state=None), "state is no object"),
        (changed(state=[]), "state is no object"),
        (json.dumps({"fds": ["seccompFd"]}).encode(), "state is missing"),
        (of_state(id=""), "state.id is a name"),
        (of_state(id=None), "state.id is no text"),
        (of_state(id="x" * 1025), "state.id is a name"),
        (of_state(id="a\nb"), "state.id is a name"),
        (of_state(pid="1"), "state.pid is no number"),
        (of_state(status=1), "state.status is no text"),
        (of_state(bundle=1), "state.bundle is no text"),
        (of_state(ociVersion=1), "state.ociVersion is no text"),
        (of_state(annotations=[]), "state.annotations is no object"),
        (of_state(annotations={"a": 1}), "state.annotations is no text"),
    ],
)  # fmt: skip
def test_what_is_no_state_is_refused_with_why(data: bytes, why: str) -> None:
    with pytest.raises(MalformedStateError, match=why.replace("[", r"\[")):
        read(data)


@pytest.mark.parametrize(
    "data",
    [
        changed(pid=None),
        changed(ociVersion=""),
        changed(unknown={"deep": [1, {"x": None}]}),
        changed(fds=["other", "seccompFd"]),
        of_state(annotations=None),
        of_state(unknown=1),
        of_state(id="x" * 1024),
        b" \r\n\t" + RUNC.encode() + b"\r\n \t",
    ],
)
def test_what_is_unusual_is_none_the_less_a_state(data: bytes) -> None:
    assert read(data).state.id


def test_a_long_message_is_taken_and_a_longer_one_refused() -> None:
    room = MOST_BYTES - len(of_state(annotations={"a": ""}))
    long = of_state(annotations={"a": "x" * room})
    assert len(long) == MOST_BYTES
    assert len(read(long).state.annotations["a"]) == room
    with pytest.raises(MalformedStateError, match="is longer than"):
        read(long[:-1], b" ", long[-1:])
    with pytest.raises(MalformedStateError, match="is longer than"):
        read(b" " * (MOST_BYTES + 1))


def test_each_byte_is_looked_at_once() -> None:
    """Sixteen times as much takes about sixteen times as long, and not two hundred and fifty-six."""

    def seconds(length: int, filling: bytes) -> float:
        data = b'{"a":"' + filling * (length // len(filling))
        message, begin = StateMessage(), perf_counter()
        for place in range(0, len(data), 64):
            message.feed(data[place : place + 64])
        return perf_counter() - begin

    for filling in (b"x", b"\\n", b'","', b'":[],"'):
        seconds(1 << 12, filling)
        assert min(seconds(1 << 18, filling) for _ in range(3)) < 100 * min(seconds(1 << 14, filling) for _ in range(5))
