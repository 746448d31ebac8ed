"""The policy file: any bytes; what is accepted is written, read again, and edited."""

from __future__ import annotations

import tempfile
from pathlib import Path

from monitor.errors import PolicyError
from monitor.policy import edit, text
from monitor.policy.action import Deny
from monitor.policy.model import Rule
from monitor.policy.variables import Variables
from tests.fuzz.frame import Fuzzer

VARIABLES = Variables({"PROJECT": "/srv/p*", "X": "y"}, home="/home/me")

HARDENING = '[policy]\nversion = 1\n[[syscalls]]\nnames = ["ptrace"]\naction = "deny"\n'


def presets(name: str) -> str:
    if name == "hardening":
        return HARDENING
    message = f"there is no preset {name!r}"
    raise PolicyError(message)


def parse(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "policy.toml")
        path.write_bytes(data)
        policy = text.load(path, variables=VARIABLES, presets=presets)
    again = text.loads(text.dumps(policy), variables=VARIABLES, presets=presets)
    assert text.dumps(again) == text.dumps(policy)
    assert again.tables == policy.tables
    edit.add_rule(data.decode(), Rule(["openat"], Deny()))


SEEDS = rb"""
[policy]
version = 1
name = "a"
include = ["preset:hardening"]
syscalls-default = "deny"
known-as-of = "6.1"

[[syscalls]]
names = ["socket"]
when = "domain != AF_UNIX"
action = "deny"
errno = "EAFNOSUPPORT"

[[syscalls]]
names = ["@file-system", "!open"]
action = "allow"
arches = ["x86_64"]
--------
[policy]
version = 1
extends = "preset:hardening"
syscalls-default = { action = "trap", data = 3 }
[[syscalls]]
names = ["getpid"]
action = "handle"
handler = "h"
parameters = { a = [1, { b = 2.5 }], c = 1979-05-27 }
--------
[policy]
version = 1
known-as-of = "6.1"
arches = ["x86_64", "aarch64"]
other-arch = "enosys"
[files]
read = ["/usr", "$PROJECT"] # why
write = [
  "!$PROJECT/.git",
  "**/x*",
]
otherwise = "ask"
[[files.rules]]
paths = ["~/a"]
access = ["delete"]
action = "deny"
errno = 1
--------
[policy]
version = 1
[network]
connect = ["tcp://127.0.0.1:*", "unix:/run/app.sock"]
[exec]
allow = ['/usr/bin']
[limits]
processes = 64
[[grants]]
call = "openat"
paths = ["/a", "!/a/*"]
access = ["read", "write"]
when = "flags & O_ACCMODE == O_RDONLY"
verdict = "allow"
expires = 2027-01-01T00:00:00Z
"""

WORDS = (
    b"[policy]\n", b"[[syscalls]]\n", b"[files]\n", b"[[files.rules]]\n", b"[[grants]]\n", b"version = 1\n",
    b'"', b"'", b'"""', b"'''", b"[", b"]", b"{", b"}", b"=", b"\n", b"#", b",", b".", b"\\", b"\\x41", b"\\u0041",
    b"\r\n", b"\xff", b"\0", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"1e400", b"nan", b"true", b"9" * 5000, b"[" * 3000,
    b"{a=" * 500, b"1979-05-27T07:32:00", b"errno = 512\n", b'action = "return"\nvalue = 1\n', b'action = "ask"\n',
    b"mutable = true\n", b'include = ["policy.toml"]\n', b'include = ["/dev/null"]\n', b'"preset:x"', b"$X", b"${",
    b"~", b"!", b"**/", b"known-as-of", b'when = "arg0 == 1"\n', b'reason = "\\n\\u007f"\n',
)  # fmt: skip

FUZZER = Fuzzer(parse, seeds=tuple(SEEDS.split(b"--------\n")), words=WORDS)
