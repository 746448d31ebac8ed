"""
The policies that ship: each says why, compiles for every machine, and says what its name promises.

Two of them are written by a program: ``python -m tests.policy.test_presets`` writes them anew.
"""

from __future__ import annotations

from errno import EACCES, EAFNOSUPPORT, EBUSY, ENOSYS, EPERM
from pathlib import Path
from typing import Final

import pytest
from attrs import evolve

import monitor
from monitor.abi.arch import Arch
from monitor.abi.syscalls import number_of
from monitor.policy import shipped, text
from monitor.policy.action import Action, Allow, Deny, KillProcess, Return
from monitor.policy.compile import compile_policy
from monitor.policy.formats import docker

FOLDER: Final = Path(monitor.__file__).parent / "policy" / "presets"

MACHINES: Final = [Arch.X86_64, Arch.AARCH64, Arch.RISCV64, Arch.PPC64LE, Arch.S390X, Arch.LOONGARCH64]

WRITTEN: Final[dict[str, tuple[docker.Shipped, str]]] = {
    "docker-default": ("moby", "what Docker lets a container do that has its 14 default capabilities"),
    "containers-default": ("containers-common", "what Podman, Buildah and CRI-O let such a container do"),
}

HEAD: Final = """\
# Written by `python -m tests.policy.test_presets` from the profile in the tables; not by hand.
#
# Capabilities are those that a container of Docker has by default, the kernel is 5.14 or newer, the runtime is
# runc.  Other choices: `convert` of the profile itself.

"""


def written(name: str) -> str:
    profile, reason = WRITTEN[name]
    policy = docker.shipped(profile, name=name).policy
    return HEAD + text.dumps(evolve(policy, reason=f"{reason} ({policy.origin.file})"))


def decided(name: str, call: str, *args: int, arch: Arch = Arch.X86_64) -> Action:
    nr = number_of(arch, call)
    assert nr is not None
    policy = text.load(f"preset:{name}")
    return policy.decide(arch, nr, (*(arg & 0xFFFFFFFF_FFFFFFFF for arg in args), *(0,) * (6 - len(args)))).action


def test_these_presets_ship() -> None:
    assert shipped.names() == [
        "beneath-files",
        "containers-default",
        "docker-default",
        "hardening",
        "no-network",
        "strict-mode-1",
        "system-service",
    ]


@pytest.mark.parametrize("name", shipped.names())
def test_each_rule_of_a_preset_has_a_reason(name: str) -> None:
    policy = text.load(f"preset:{name}")

    assert policy.reason
    assert policy.name == name
    assert [rule.names for rule in policy.all_rules() if not rule.reason] == []


@pytest.mark.parametrize("name", shipped.names())
@pytest.mark.parametrize("machine", MACHINES)
def test_each_preset_compiles_for_every_machine(name: str, machine: Arch) -> None:
    assert len(compile_policy(text.load(f"preset:{name}"), machine.family()).program) < 500


@pytest.mark.parametrize("name", WRITTEN)
def test_a_written_preset_is_what_the_tables_give(name: str) -> None:
    assert (FOLDER / f"{name}.toml").read_text() == written(name)


@pytest.mark.parametrize("name", WRITTEN)
def test_a_written_preset_says_what_the_profile_says(name: str) -> None:
    original = docker.shipped(WRITTEN[name][0], name=name).policy
    read = text.load(f"preset:{name}")

    assert read.default == original.default
    assert [(rule.names, rule.action, rule.when, rule.arches) for rule in read.rules] == [
        (rule.names, rule.action, rule.when, rule.arches) for rule in original.rules
    ]


CLONE_NEWUSER: Final = 0x10000000
UNSHARE_EMPTY_MNTNS: Final = 0x00100000
AT_EMPTY_PATH: Final = 0x1000

NOBODY: Final = 0x7FFFFFFF
"""A process that is not there: what is let through by mistake does no harm."""


def _ioc(direction: int, kind: int, number: int, size: int) -> int:
    """``_IOC``: include/uapi/asm-generic/ioctl.h."""
    return direction << 30 | size << 16 | kind << 8 | number


_WRITE, _READ = 1, 2
_XFS, _BTRFS = ord("X"), 0x94
_HANDLE_REQUEST: Final = 56
"""``struct xfs_fsop_handlereq``: fs/xfs/libxfs/xfs_fs.h."""

BY_OTHER_WAYS: Final = (
    *(_ioc(_READ | _WRITE, _XFS, number, _HANDLE_REQUEST) for number in (104, 105, 106, 107, 108)),
    *(_ioc(_READ | _WRITE, _XFS, number, size) for number, size in ((62, 40), (63, 64), (101, 32), (102, 32))),
    _ioc(_WRITE, _XFS, 122, _HANDLE_REQUEST + 32),
    _ioc(_WRITE, _XFS, 123, _HANDLE_REQUEST + 16),
    _ioc(_READ, _XFS, 127, 64),
    _ioc(_READ, _XFS, 125, 4),
    *(_ioc(_READ | _WRITE, _BTRFS, number, 4096) for number in (17, 18, 62)),
    *(_ioc(_READ | _WRITE, _BTRFS, number, 56) for number in (35, 36, 59)),
    _ioc(_READ | _WRITE, _BTRFS, 17, 112),
    _ioc(_WRITE, _BTRFS, 38, 72),
)
"""ioctls that read, open or end what is behind no descriptor that the program has: linux/btrfs.h, xfs_fs.h."""

HARDENED: Final[list[tuple[str, tuple[int, ...], int]]] = [
    ("io_uring_setup", (), ENOSYS),
    ("io_uring_enter", (), ENOSYS),
    ("io_uring_register", (), ENOSYS),
    ("seccomp", (1, 8), EBUSY),
    ("clone3", (), ENOSYS),
    ("clone", (CLONE_NEWUSER | 17,), EPERM),
    ("unshare", (CLONE_NEWUSER,), EPERM),
    ("unshare", (0x80,), EPERM),
    ("unshare", (UNSHARE_EMPTY_MNTNS,), EPERM),
    ("setns", (), EPERM),
    ("chroot", (), EPERM),
    ("pivot_root", (), EPERM),
    *((call, (), EPERM) for call in ("mount", "umount2", "fsopen", "fsconfig", "fsmount", "fspick", "move_mount")),
    *((call, (), EPERM) for call in ("mount_setattr", "open_tree", "open_tree_attr")),
    *((call, (), ENOSYS) for call in ("statmount", "listmount", "uselib")),
    *((call, (), EPERM) for call in ("ptrace", "process_vm_readv", "process_vm_writev", "kcmp", "pidfd_getfd")),
    *((call, (), EPERM) for call in ("process_madvise", "process_mrelease", "move_pages", "migrate_pages")),
    *((call, (), EPERM) for call in ("open_by_handle_at", "name_to_handle_at", "userfaultfd", "bpf")),
    *((call, (), EPERM) for call in ("perf_event_open", "keyctl", "add_key", "request_key", "kexec_load")),
    *((call, (), EPERM) for call in ("kexec_file_load", "init_module", "finit_module", "delete_module")),
    *((call, (), EPERM) for call in ("swapon", "swapoff", "acct", "quotactl", "quotactl_fd", "reboot")),
    *((call, (), EPERM) for call in ("iopl", "ioperm", "modify_ldt")),
    ("execveat", (-1, 0, 0, 0, AT_EMPTY_PATH), EPERM),
    ("mq_open", (), EACCES),
    ("mq_unlink", (), EACCES),
    ("shmget", (1, 4096), EACCES),
    ("semget", (1, 1), EACCES),
    ("msgget", (1,), EACCES),
    ("ioctl", (-1, 0x5412), EPERM),
    ("ioctl", (-1, 0x541C), EPERM),
    ("ioctl", (-1, 0xFFFFFFFF_00005412), EPERM),
    ("ioctl", (-1, 0x40086602), EPERM),
    ("ioctl", (-1, 0xC0045877), EPERM),
    ("ioctl", (-1, 0x5000940F), EPERM),
    ("ioctl", (-1, 0x5000943F), EPERM),
    ("ioctl", (-1, 0x40087602), EPERM),
    ("ioctl", (-1, 0x40047211), EPERM),
    *(("ioctl", (-1, request), EPERM) for request in BY_OTHER_WAYS),
    ("ioctl", (-1, 0xAA00), EPERM),
    ("ioctl", (-1, 0x8901), EPERM),
    ("ioctl", (-1, 0x8902), EPERM),
    ("file_setattr", (-1, 0, 0, 0, AT_EMPTY_PATH), EPERM),
    ("fcntl", (-1, 1024), EPERM),
    ("fcntl", (-1, 1040), EPERM),
    ("fcntl", (-1, 1026), EPERM),
    ("fcntl", (-1, 8), EPERM),
    ("prctl", (35,), EPERM),
    ("prctl", (0x59616D61,), EPERM),
    ("prlimit64", (NOBODY, 7), EPERM),
    *(
        (call, (NOBODY,), EPERM)
        for call in ("sched_setscheduler", "sched_setparam", "sched_setattr", "sched_setaffinity")
    ),
    ("setpriority", (0, NOBODY, 5), EPERM),
    ("ioprio_set", (1, NOBODY, 0), EPERM),
    ("kill", (-1, 0), EPERM),
]


@pytest.mark.parametrize(("call", "args", "errno"), HARDENED)
def test_hardening_refuses(call: str, args: tuple[int, ...], errno: int) -> None:
    assert decided("hardening", call, *args) == Deny(errno)


@pytest.mark.parametrize(
    ("call", "args"), [("setpriority", (1,)), ("setpriority", (2,)), ("ioprio_set", (2,)), ("ioprio_set", (3,))]
)
def test_hardening_knows_that_a_group_and_a_user_without_a_number_are_ones_own(
    call: str, args: tuple[int, ...]
) -> None:
    """The supervisor is among them.  Not tried for real: what is let through by mistake does harm."""
    assert decided("hardening", call, *args) == Deny(EPERM)


@pytest.mark.parametrize("arch", [Arch.PPC64LE, Arch.S390X])
@pytest.mark.parametrize("number", [2, 13, 23, 1 << 16 | 23], ids=hex)
def test_hardening_knows_the_call_behind_which_some_machines_have_system_v_ipc(arch: Arch, number: int) -> None:
    assert decided("hardening", "ipc", number, 1, arch=arch) == Deny(EACCES)
    assert decided("hardening", "ipc", number, 0, arch=arch) == Allow()
    assert decided("hardening", "ipc", 21, 1, arch=arch) == Allow()


@pytest.mark.parametrize(
    ("arch", "numbers"),
    [
        (Arch.PPC64LE, (0xC038586B, 0x8058587A, 0x8048587B, 0x4040587F, 0x80489426, 0x4004587D)),
        (Arch.ARM, (0xC01C586B, 0x4038587A, 0x4024587B, 0xC0105865)),
        (Arch.AARCH64, BY_OTHER_WAYS),
    ],
)
def test_hardening_knows_the_numbers_that_ioctls_have_elsewhere(arch: Arch, numbers: tuple[int, ...]) -> None:
    assert {decided("hardening", "ioctl", -1, number, arch=arch) for number in numbers} == {Deny(EPERM)}


@pytest.mark.parametrize(
    ("call", "args"),
    [
        ("openat", ()),
        ("clone", (0x01200011,)),
        ("unshare", (0x400,)),
        ("seccomp", (1, 0)),
        ("execve", ()),
        ("ioctl", (0, 0x5401)),
        ("fcntl", (0, 1)),
        ("prctl", (15,)),
        ("prlimit64", (0, 7)),
        ("kill", (1, 0)),
        ("shmget", (0, 4096, 0o600)),
        ("setpriority", (0, 0, 5)),
        ("ioprio_set", (1, 0, 0)),
        ("unshare", (0x200,)),
        ("unshare", (0x40000,)),
        ("file_setattr", (-100, 0, 0, 0, 0)),
    ],
)
def test_hardening_lets_the_rest_run(call: str, args: tuple[int, ...]) -> None:
    assert decided("hardening", call, *args) == Allow()


def test_hardening_makes_a_program_believe_that_it_is_not_dumpable() -> None:
    assert decided("hardening", "prctl", 4, 0) == Return(0)


@pytest.mark.parametrize("name", ["hardening", "no-network"])
@pytest.mark.parametrize("arch", [Arch.I386, Arch.X32])
def test_a_second_way_to_each_call_is_no_way(name: str, arch: Arch) -> None:
    assert decided(name, "read", arch=arch) == Deny(ENOSYS)


def test_strict_mode_1_is_the_kernels() -> None:
    """kernel/seccomp.c, mode1_syscalls and mode1_syscalls_32."""
    for arch in (Arch.X86_64, Arch.AARCH64):
        for call in ("read", "write", "exit", "rt_sigreturn"):
            assert decided("strict-mode-1", call, arch=arch) == Allow()
    for call in ("read", "write", "exit", "sigreturn"):
        assert decided("strict-mode-1", call, arch=Arch.I386) == Allow()
    for call in ("openat", "exit_group", "brk"):
        assert decided("strict-mode-1", call) == KillProcess()
    assert decided("strict-mode-1", "rt_sigreturn", arch=Arch.I386) == KillProcess()


@pytest.mark.parametrize("arch", [Arch.X86_64, Arch.AARCH64, Arch.S390X, Arch.PPC64LE])
def test_no_network_has_local_sockets_alone(arch: Arch) -> None:
    assert decided("no-network", "socket", 1, 1, arch=arch) == Allow()
    for family in (2, 10, 16, 17, 38, 40):
        assert decided("no-network", "socket", family, 1, arch=arch) == Deny(EAFNOSUPPORT)
    assert decided("no-network", "io_uring_setup", arch=arch) == Deny(ENOSYS)
    if number_of(arch, "socketcall") is not None:
        assert decided("no-network", "socketcall", 1, arch=arch) == Deny(ENOSYS)


def test_a_system_service_has_no_clock_to_set() -> None:
    assert decided("system-service", "openat") == Allow()
    assert decided("system-service", "mount") == Deny(EPERM)
    assert decided("system-service", "clock_settime") == Deny(EPERM)


if __name__ == "__main__":
    for each in WRITTEN:
        (FOLDER / f"{each}.toml").write_text(written(each))
