"""Settings of systemd: any text to a policy that can be decided, written and read again."""

from __future__ import annotations

from monitor.abi.arch import Arch
from monitor.policy.formats import systemd
from tests.fuzz.frame import Fuzzer

ARGS = (0, 1, (1 << 64) - 1, 1 << 31, 2, 0)


def parse(data: bytes) -> None:
    loaded = systemd.load(data)
    again = systemd.load(systemd.dump(loaded.policy, machine=Arch.X86_64).text.encode())
    for nr in (0, 41, 59, 165):
        action = loaded.policy.decide(Arch.X86_64, nr, ARGS).action
        assert again.policy.decide(Arch.X86_64, nr, ARGS).action == action


FUZZER = Fuzzer(
    parse,
    seeds=(
        b"[Service]\nSystemCallFilter=@system-service\nSystemCallFilter=~@privileged:EPERM kill:0\n",
        b"SystemCallErrorNumber=EPERM\nSystemCallFilter=read\n",
        b"SystemCallFilter=~@mount ptrace:ENOSYS reboot:kill\nSystemCallArchitectures=native x86\n",
        b"SystemCallLog=openat\nSystemCallLog=~read\n",
        b"# comment\n[Service]\nSystemCallFilter= openat \\\n; within\n read\n",
        b"SystemCallFilter=\nRestrictNamespaces=yes\n",
    ),
    words=(
        b"SystemCallFilter=", b"SystemCallLog=~", b"SystemCallErrorNumber=", b"SystemCallArchitectures=", b"~",
        b":", b"@", b"@default", b"@known", b"@nothing", b":kill", b":4096", b":EWHAT", b"\\\n", b"\n", b"[Unit]\n",
        b"[", b"]", b" ", b"\xff", b"\0", b"x32", b"vax", b"=", b"\r", b"\x1c", b"\xe2\x80\xa8",
    ),
)  # fmt: skip
