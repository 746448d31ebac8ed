"""Programs of this machine open nothing but what the base set has, and what is theirs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from monitor.cli import machine
from monitor.policy import text
from monitor.policy.action import Allow
from monitor.policy.deciders import deciders
from tests.conftest import require

POLICY = '[policy]\nversion = 1\nknown-as-of = "6.1"\n[files]\n'

OPENED = re.compile(r'openat\(AT_FDCWD, "(/[^"]*)", (\S+?)[,)].* = \d+')


@pytest.mark.parametrize(
    "command",
    [
        ["true"],
        ["date"],
        ["env", "LC_ALL=C.UTF-8", "TZ=Europe/Berlin", "date"],
        ["sh", "-c", "date > /dev/null 2> /dev/null < /dev/zero"],
        ["env", "LC_ALL=C.UTF-8", "iconv", "-f", "latin1", "-t", "utf-8", "/dev/null"],
        ["getent", "ahosts", "localhost"],
        ["env", "GIT_CONFIG_NOSYSTEM=1", "git", "--version"],
        ["openssl", "rand", "4"],
    ],
    ids=" ".join,
)
def test_what_programs_need_of_the_system_is_in_the_base_set(command: list[str], tmp_path: Path) -> None:
    require("strace", shutil.which("strace") is not None)
    program = next(word for word in command if word != "env" and "=" not in word)
    require(program, shutil.which(program) is not None)
    log = tmp_path / "log"
    subprocess.run(
        ["strace", "-f", "-qq", "-e", "trace=openat", "-o", log, *command],
        check=True,
        capture_output=True,
        env={"PATH": "/usr/bin:/bin"},
        stdin=subprocess.DEVNULL,
    )
    decides = deciders(text.loads(POLICY), machine.resolve)

    opened = OPENED.findall(log.read_text())
    refused = [
        name
        for name, flags in opened
        for access in ("read", "write")
        if access == ("write" if "O_WRONLY" in flags else "read")
        and (found := decides.path(access, machine.resolve(os.fsencode(name)))) is not None
        and found.decision.action != Allow()
    ]

    assert opened
    assert refused == []
