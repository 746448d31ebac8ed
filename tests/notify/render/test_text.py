"""Strings and numbers as text: what strace writes, and what no target can forge."""

from __future__ import annotations

import ast
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import testing
from monitor.notify.render import text
from monitor.testing import call
from tests.conftest import require

ALL = bytes(range(256))

# What strace -s 256 wrote of write(1, ALL, 256).
ALL_AS_STRACE_WRITES_IT = (
    r'"\0\1\2\3\4\5\6\7\10\t\n\v\f\r\16\17\20\21\22\23\24\25\26\27\30\31\32\33\34\35\36\37'
    r""" !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"""
    r"\177\200\201\202\203\204\205\206\207\210\211\212\213\214\215\216\217"
    r"\220\221\222\223\224\225\226\227\230\231\232\233\234\235\236\237"
    r"\240\241\242\243\244\245\246\247\250\251\252\253\254\255\256\257"
    r"\260\261\262\263\264\265\266\267\270\271\272\273\274\275\276\277"
    r"\300\301\302\303\304\305\306\307\310\311\312\313\314\315\316\317"
    r"\320\321\322\323\324\325\326\327\330\331\332\333\334\335\336\337"
    r"\340\341\342\343\344\345\346\347\350\351\352\353\354\355\356\357"
    r'\360\361\362\363\364\365\366\367\370\371\372\373\374\375\376\377"'
)


def test_every_byte_is_escaped_as_strace_does():
    assert text.quoted(ALL) == ALL_AS_STRACE_WRITES_IT


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        # Behind an octal escape, an octal digit would be read as part of it; 8 and 9 would not.
        (b"\0000", r'"\0000"'),
        (b"\0007", r'"\0007"'),
        (b"\0008", r'"\08"'),
        (b"\0009", r'"\09"'),
        (b"\000a", r'"\0a"'),
        (b"\n0", r'"\n0"'),
        (b"\3777", r'"\3777"'),
        (b"\33[31m", r'"\33[31m"'),
        (b'"', r'"\""'),
        (b"", '""'),
    ],
)
def test_escapes_are_as_short_as_can_be(data, expected):
    assert text.quoted(data) == expected


def test_pairs_of_bytes_are_written_as_strace_writes_them(tmp_path):
    """Each byte before each kind of character that may stand behind an escape."""
    require("strace", shutil.which("strace") is not None)
    data = b"".join(bytes([first, second]) for first in range(256) for second in b'0789aA\\"\n\xff')
    (tmp_path / "data").write_bytes(data)
    output = tmp_path / "lines"
    command = ["strace", "-qq", "-e", "trace=write", "-s", str(len(data)), "-o", output, "cat", tmp_path / "data"]
    subprocess.run(command, stdout=subprocess.PIPE, check=True)
    assert output.read_text().startswith(f"write(1, {text.quoted(data)}, {len(data)})")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"x" * 32, f'"{"x" * 32}"'),
        (b"x" * 33, f'"{"x" * 32}"...'),
        (b"x" * 31 + b"\0" + b"7", f'"{"x" * 31}\\0"...'),
        (b"x" * 31 + b"\0", f'"{"x" * 31}\\0"'),
        (b"", '""'),
    ],
)
def test_what_is_longer_than_the_limit_is_cut(data, expected):
    assert str(call("write", fd=1, buf=data)) == f"write(1, {expected}, {len(data)})"


@given(st.binary(max_size=200))
def test_a_string_can_be_read_back_by_the_rules_of_c(data):
    assert ast.literal_eval(f"b{text.quoted(data)}") == data


@given(st.binary(max_size=200))
def test_no_string_ends_its_line_or_its_quotes(data):
    for written in (text.quoted(data), text.quoted(data, cut=True), text.hex_quoted(data), text.bracketed(data)):
        assert written.isascii()
        assert written.isprintable()
    inside = text.quoted(data)[1:-1]
    assert '"' not in inside.replace("\\\\", "").replace('\\"', "")
    assert not set("<>") & set(text.bracketed(data)[1:-1])


@given(st.text(max_size=50))
def test_a_name_cannot_talk_to_a_terminal(name):
    try:
        name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return  # no bytes were ever that
    assert text.printable(name).isascii()
    assert text.printable(name).isprintable()


@pytest.mark.parametrize(
    "hostile",
    [
        b'", O_RDONLY) = 3\nopenat(AT_FDCWD, "/etc/shadow',
        b"\33]0;title\7",
        b"\r\33[2K",
        b"\x9b31m",
        "\N{RIGHT-TO-LEFT OVERRIDE}".encode(),
        b"\\",
    ],
)
def test_a_path_cannot_forge_a_line(hostile):
    line = str(testing.call("openat", pathname=hostile))
    assert line.isascii()
    assert line.isprintable()
    assert line == f"openat(0, {text.quoted(hostile)}, O_RDONLY)"


def test_numbers_as_c_writes_them():
    assert text.address(0) == "NULL"
    assert text.address(16) == "0x10"
    assert text.hexadecimal(0) == "0"
    assert text.hexadecimal(255) == "0xff"
    assert text.padded(0) == "00000000"
    assert text.padded(0x1234) == "0x001234"
    assert text.padded(0x123456789) == "0x123456789"
    assert text.padded(5, 16) == "0x00000000000005"
    assert text.octal(0o644) == "0644"
    assert text.octal(0) == "000"
    assert text.octal(0o7) == "007"


def test_lists_and_structs():
    assert text.array([]) == "[]"
    assert text.array(["1", "2"], cut=True) == "[1, 2, ...]"
    assert text.structure([("a", "1"), ("", "2")]) == "{a=1, 2}"
    assert text.structure([], cut=True) == "{...}"
