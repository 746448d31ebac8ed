"""The profiles of Docker and Podman: for which host and container a row stands, and the two that ship."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from monitor.abi.arch import Arch
from monitor.abi.syscalls import number_of
from monitor.errors import PolicyError
from monitor.policy.action import Action, Allow, Deny
from monitor.policy.compile import compile_policy
from monitor.policy.formats import Loaded, docker
from tests.conftest import require
from tests.policy import libseccomp

NATIVE = [Arch.X86_64, Arch.AARCH64, Arch.RISCV64, Arch.PPC64LE, Arch.S390X, Arch.LOONGARCH64]

EPERM, EINVAL, ENOSYS = 1, 22, 38


def decided(loaded: Loaded, arch: Arch, call: str, *args: int) -> Action:
    nr = number_of(arch, call)
    assert nr is not None
    return loaded.policy.decide(arch, nr, (*args, *(0,) * (6 - len(args)))).action


def profile(*rows: Mapping[str, object], **keys: object) -> bytes:
    return json.dumps({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rows, **keys}).encode()


def allow(*calls: str, **keys: object) -> dict[str, object]:
    return {"names": calls, "action": "SCMP_ACT_ALLOW", **keys}


@pytest.mark.parametrize("name", ["moby", "containers-common"])
@pytest.mark.parametrize("arch", NATIVE)
def test_the_shipped_profiles_compile_for_every_machine(name: docker.Shipped, arch: Arch) -> None:
    loaded = docker.shipped(name)

    assert len(compile_policy(loaded.policy, arch.family()).program) < 1000


def test_dockers_own_profile_says_what_it_is_known_for() -> None:
    moby = docker.shipped("moby")

    assert decided(moby, Arch.X86_64, "read") == Allow()
    assert decided(moby, Arch.X86_64, "keyctl") == Deny(EPERM)
    assert decided(moby, Arch.X86_64, "clone3") == Deny(ENOSYS)  # its flags are in memory: libc falls back to clone
    assert decided(moby, Arch.X86_64, "clone", 0x10000000) == Deny(EPERM)
    assert decided(moby, Arch.X86_64, "clone", 17) == Allow()
    assert decided(moby, Arch.X86_64, "socket", 2) == Allow()
    assert decided(moby, Arch.X86_64, "socket", 38) == Deny(EPERM)  # AF_ALG
    assert decided(moby, Arch.X86_64, "personality", 0xFFFFFFFF) == Allow()
    assert decided(moby, Arch.X86_64, "personality", 0x40000) == Deny(EPERM)
    assert decided(moby, Arch.X86_64, "ptrace") == Allow()
    assert decided(moby, Arch.X86_64, "chroot") == Allow()
    assert decided(moby, Arch.X86_64, "mount") == Deny(EPERM)


def test_clone_of_s390x_has_its_flags_in_the_second_register() -> None:
    moby = docker.shipped("moby")

    assert decided(moby, Arch.S390X, "clone", 0x10000000, 17) == Allow()
    assert decided(moby, Arch.S390X, "clone", 0, 0x10000000) == Deny(EPERM)


def test_podmans_profile_refuses_what_it_knows_with_eperm_and_the_rest_with_enosys() -> None:
    podman = docker.shipped("containers-common")

    assert decided(podman, Arch.X86_64, "bpf") == Deny(EPERM)
    assert decided(podman, Arch.X86_64, "mseal") == Deny(ENOSYS)
    assert decided(podman, Arch.X86_64, "socket", 40) == Deny(EPERM)
    assert decided(podman, Arch.X86_64, "socket", 16, 0, 9) == Allow()  # CAP_AUDIT_WRITE is among the default 14
    assert decided(docker.shipped("containers-common", caps=()), Arch.X86_64, "socket", 16, 0, 9) == Deny(EINVAL)


def test_capabilities_are_the_containers_fourteen_unless_given() -> None:
    assert len(docker.DEFAULT_CAPS) == 14
    privileged = docker.shipped("moby", caps={"CAP_SYS_ADMIN", "CAP_BPF"})

    assert decided(docker.shipped("moby"), Arch.X86_64, "bpf") == Deny(EPERM)
    assert decided(privileged, Arch.X86_64, "bpf") == Allow()
    assert decided(privileged, Arch.X86_64, "mount") == Allow()
    assert decided(privileged, Arch.X86_64, "clone", 0x10000000) == Allow()


@pytest.mark.parametrize(("kernel", "action"), [((4, 7), Deny(EPERM)), ((4, 8), Allow()), ((5, 0), Allow())])
def test_the_kernel_is_the_one_that_is_given(kernel: tuple[int, int], action: Action) -> None:
    assert decided(docker.shipped("moby", kernel=kernel), Arch.X86_64, "ptrace") == action


def test_an_exclude_by_kernel_is_about_the_same_version() -> None:
    text = profile(allow("ptrace", excludes={"minKernel": "4.8"}))

    assert decided(docker.load(text, kernel=(4, 7)), Arch.X86_64, "ptrace") == Allow()
    assert decided(docker.load(text, kernel=(4, 8)), Arch.X86_64, "ptrace") == Deny(EPERM)


def test_includes_want_all_capabilities_and_excludes_any() -> None:
    both = {"caps": ["CAP_BPF", "CAP_PERFMON"]}
    text = profile(allow("bpf", includes=both), allow("mount", excludes=both))

    assert decided(docker.load(text, caps={"CAP_BPF"}), Arch.X86_64, "bpf") == Deny(EPERM)
    assert decided(docker.load(text, caps={"CAP_BPF"}), Arch.X86_64, "mount") == Deny(EPERM)
    assert decided(docker.load(text, caps={"CAP_BPF", "CAP_PERFMON"}), Arch.X86_64, "bpf") == Allow()
    assert decided(docker.load(text, caps=()), Arch.X86_64, "mount") == Allow()


def test_the_map_of_abis_is_about_the_host() -> None:
    text = profile(
        allow("read"),
        archMap=[{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_MIPS"]}],
    )

    assert docker.load(text, machine=Arch.X86_64).policy.arches == frozenset({Arch.X86_64, Arch.I386})
    assert docker.load(text, machine=Arch.AARCH64).policy.arches == frozenset({Arch.AARCH64})
    assert docker.load(text).policy.arches == frozenset({Arch.I386, *NATIVE})


def test_a_row_for_an_abi_is_about_the_host_too() -> None:
    """A host is amd64, never x32, for its x32 calls as well."""
    shared: dict[str, object] = {
        "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X32"]}]
    }
    text = profile(
        allow("read", includes={"arches": ["amd64"]}), allow("write", includes={"arches": ["x32"]}), **shared
    )
    loaded = docker.load(text, runtime="crun")

    assert decided(loaded, Arch.X32, "read") == Allow()
    assert decided(loaded, Arch.X32, "write") == Deny(EPERM)
    assert decided(loaded, Arch.AARCH64, "read") == Deny(EPERM)


def test_a_row_for_one_host_says_nothing_of_the_abis_of_another() -> None:
    text = profile(
        allow("mount", includes={"arches": ["amd64"]}),
        allow("ptrace", excludes={"arches": ["amd64"]}),
        architectures=["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_AARCH64"],
    )
    loaded = docker.load(text)

    for arch, allowed in ((Arch.X86_64, "mount"), (Arch.I386, "mount"), (Arch.AARCH64, "ptrace")):
        assert [call for call in ("mount", "ptrace") if decided(loaded, arch, call) == Allow()] == [allowed]


def test_errnos_by_name_or_by_digits_win_over_numbers() -> None:
    named = {"names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "errno": "ENOTTY"}
    digits = {"names": ["write"], "action": "SCMP_ACT_ERRNO", "errno": "13"}
    loaded = docker.load(profile(named, digits, defaultErrnoRet=1, defaultErrno="ENOSYS"))

    assert decided(loaded, Arch.X86_64, "read") == Deny(25)
    assert decided(loaded, Arch.X86_64, "write") == Deny(13)
    assert decided(loaded, Arch.X86_64, "open") == Deny(ENOSYS)


def test_the_old_spelling_with_one_name_is_read() -> None:
    loaded = docker.load(profile({"name": "read", "action": "SCMP_ACT_ALLOW", "args": None, "comment": "input"}))

    assert decided(loaded, Arch.X86_64, "read") == Allow()
    assert next(rule for rule in loaded.policy.rules if rule.names == ("read",)).reason == "input"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (profile({"name": "read", "names": ["write"], "action": "SCMP_ACT_ALLOW"}), "syscalls[0].name: has both"),
        (profile(architectures=["SCMP_ARCH_X86"], archMap=[{"architecture": "SCMP_ARCH_X86_64"}]), "both arch"),
        (profile(archMap=[{}]), "archMap[0]"),
        (profile(defaultErrno="EWHAT"), "unknown errno 'EWHAT'"),
        (profile(allow("read", includes={"minKernel": "five"})), "'five' is no kernel version"),
        (profile(allow("read", includes={"minKernel": "0.0"})), "kernel version 0.0"),
        (profile(allow("read", includes=["amd64"])), "an object was expected, not a list"),
    ],
)
def test_what_no_runtime_takes_is_an_error(text: bytes, complaint: str) -> None:
    with pytest.raises(PolicyError) as raised:
        docker.load(text)

    assert complaint in str(raised.value).replace(" (", ": ").replace(")", "") or complaint in str(raised.value)


@pytest.mark.parametrize("name", ["moby", "containers-common"])
def test_libseccomp_compiles_the_shipped_profiles_to_the_same_answers(name: docker.Shipped) -> None:
    """Every call that the library knows, and registers that the profiles ask about, as crun has it."""
    require("libseccomp", libseccomp.library() is not None)
    loaded = docker.shipped(name, machine=Arch.X86_64, runtime="crun")
    default = loaded.policy.default
    reader = docker._shipped(name)[0]
    selects = docker._selection(docker.DEFAULT_CAPS, docker.OLDEST_KERNEL)
    rules = [
        libseccomp.Rule(call, row.action, clause)
        for row in reader.rows
        if row.action != default and selects(row, Arch.X86_64)
        for call in row.names
        for clause in row.clauses
    ]
    assert loaded.policy.arches is not None
    program = libseccomp.compiled(default, rules, loaded.policy.arches - {Arch.X86_64})
    values = (0, 1, 2, 8, 16, 38, 39, 40, 41, 0x20000, 0x20008, 0x10000000, 0xFFFFFFFF, 0x1_00000000)
    differing = set()
    for arch in loaded.policy.arches:
        for call in libseccomp.known(arch):
            nr = number_of(arch, call)
            assert nr is not None
            for first in values if call in {"clone", "personality", "socket", "socketcall"} else (0, 1):
                args = (first & 0xFFFFFFFF if arch is Arch.I386 else first, 17, 9, 0, 0, 0)
                action = loaded.policy.decide(arch, nr, args).action
                if libseccomp.return_value(action) != libseccomp.answer(program, arch, nr, args):
                    differing.add((arch.table, call, first))

    assert differing == set()
