"""What can be read of where we are, and whom that blames; from files made for it."""

from __future__ import annotations

import os
from collections.abc import Callable
from errno import EACCES, EBUSY, ENODEV, ENOSPC, ENOSYS, EOPNOTSUPP, EPERM, EROFS, ESRCH
from pathlib import Path

import pytest

from monitor import _native
from monitor.features import State, probing, surroundings
from monitor.features.blame import advice
from monitor.features.catalogue import ENTRIES

FIRST = {"pid": 0xEFFFFFFC, "user": 0xEFFFFFFD}.__getitem__

MakeProc = Callable[..., Path]


def unreadable(_name: str) -> None:
    return None


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeProc:
    """Return a function that puts a directory with these files in the place of /proc."""

    def make(**files: str) -> Path:
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        monkeypatch.setattr(surroundings, "PROC", tmp_path)
        return tmp_path

    return make


# ---- containers ----


@pytest.mark.parametrize(
    ("release", "version", "environ", "files", "found"),
    [
        ("6.18.1", "#1 SMP", {}, {}, []),
        ("4.4.0", "#1 SMP Sun Jan 10 15:06:54 PST 2016", {}, {}, ["gVisor"]),
        ("4.19.0-gvisor", "#1", {}, {}, ["gVisor"]),
        ("5.15.90.1-microsoft-standard-WSL2", "#1", {}, {}, ["WSL 2"]),
        ("4.4.0-19041-Microsoft", "#488-Microsoft", {}, {}, ["WSL 1"]),
        ("6.1", "#1", {}, {"/.dockerenv": ""}, ["Docker"]),
        ("6.1", "#1", {"container": "podman"}, {"/run/.containerenv": ""}, ["Podman"]),
        ("6.1", "#1", {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, {}, ["Kubernetes"]),
        ("6.1", "#1", {}, {"/run/systemd/container": "systemd-nspawn"}, ["systemd-nspawn"]),
        ("6.1", "#1", {}, {"/proc/1/environ": "HOME=/\0container=lxc\0"}, ["lxc"]),
    ],
    ids=str,
)
def test_what_is_around_us_is_recognised(
    release: str, version: str, environ: dict[str, str], files: dict[str, str], found: list[str]
) -> None:
    def text_of(path: str) -> str | None:
        return files.get(path)

    assert surroundings.identify(release, version, environ, text_of, FIRST) == found


def test_namespaces_that_are_not_the_first_are_told() -> None:
    ours = {"pid": 4026532000, "user": 0xEFFFFFFD}

    assert surroundings.identify("6.1", "#1", {}, unreadable, ours.__getitem__) == ["a pid namespace of its own"]
    assert surroundings.identify("6.1", "#1", {}, unreadable, unreadable) == []


# ---- control groups and chroots ----

ROOT_MOUNT = "27 1 254:0 / / rw - ext4 /dev/vda rw\n"


@pytest.mark.parametrize(
    ("mountinfo", "cgroup", "place"),
    [
        ("30 27 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n", "0::/user.slice\n", "/sys/fs/cgroup/user.slice"),
        ("30 27 0:26 /a /mnt/my\\040group rw - cgroup2 cgroup rw\n", "0::/a/b\n", "/mnt/my group/b"),
        ("30 27 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n", "9:x:/\n0::/\n", "/sys/fs/cgroup"),
        ("30 27 0:26 /a /cg rw - cgroup2 cgroup rw\n", "0::/ab\n", None),
        ("30 27 0:26 / /cg rw - cgroup2 cgroup rw\n", "0::/../other\n", None),
        ("30 27 0:26 / /cg rw - cgroup cgroup rw,memory\n", "4:memory:/\n", None),
        ("", "", None),
    ],
    ids=str,
)
def test_our_control_group_is_found_where_it_is_mounted(
    proc: MakeProc, mountinfo: str, cgroup: str, place: str | None
) -> None:
    proc(self__mountinfo=ROOT_MOUNT + mountinfo, self__cgroup=cgroup)

    assert surroundings.own_cgroup() == (None if place is None else Path(place))


def test_a_chroot_is_a_root_that_is_no_mount(proc: MakeProc) -> None:
    proc(self__mountinfo="30 27 0:26 / /proc rw - proc proc rw\n")
    assert surroundings.in_chroot()

    proc(self__mountinfo=ROOT_MOUNT)
    assert not surroundings.in_chroot()


def test_what_cannot_be_read_is_not_known(proc: MakeProc) -> None:
    proc(sys__kernel__odd="many\n")

    assert surroundings.sysctl("kernel.odd") is None
    assert surroundings.sysctl("kernel.none") is None
    assert surroundings.filters() is None
    assert surroundings.own_cgroup() is None
    assert not surroundings.in_chroot()
    assert surroundings.listener_holders() == []


# ---- YAMA ----


@pytest.mark.parametrize(
    ("scope", "capabilities", "state"),
    [
        ("0", (), State.NOTED),
        ("1", (), State.NOTED),
        ("2", (), State.FORBIDDEN),
        ("2", ("CAP_SYS_PTRACE",), State.NOTED),
        ("3", ("CAP_SYS_PTRACE",), State.FORBIDDEN),
    ],
)
def test_the_scope_of_yama_is_judged_by_whether_it_stands_in_our_way(
    proc: MakeProc, monkeypatch: pytest.MonkeyPatch, scope: str, capabilities: tuple[str, ...], state: State
) -> None:
    proc(sys__kernel__yama__ptrace_scope=scope)
    monkeypatch.setattr(probing, "capabilities", lambda: capabilities)

    feature = probing._features(["YAMA"])["YAMA"]

    assert (feature.state, feature.value) == (state, int(scope))
    assert bool(feature.advice) == (state is State.FORBIDDEN)


def test_a_kernel_without_yama_has_no_scope(proc: MakeProc) -> None:
    proc(sys__kernel__osrelease="6.1")

    assert probing._features(["YAMA"])["YAMA"].state is State.NOTED


# ---- who forbids ----


@pytest.mark.parametrize(
    ("name", "errno", "step", "files", "who"),
    [
        ("/proc/PID/mem", EACCES, 0, {"sys__kernel__yama__ptrace_scope": "2"}, "sysctl -w kernel.yama.ptrace_scope=1"),
        ("pidfd_getfd", EPERM, 1, {"sys__kernel__yama__ptrace_scope": "3"}, "only a restart"),
        ("user namespaces", ENOSPC, 0, {"sys__user__max_user_namespaces": "0"}, "user.max_user_namespaces is 0"),
        (
            "user namespaces",
            EPERM,
            2,
            {"sys__kernel__apparmor_restrict_unprivileged_userns": "1"},
            "kernel.apparmor_restrict_unprivileged_userns",
        ),
        ("user namespaces", EPERM, 0, {"self__mountinfo": "1 2 0:1 / /proc rw - proc proc rw"}, "chroot"),
        ("user namespaces", ENOSYS, 0, {}, "CONFIG_USER_NS"),
        ("io_uring", EPERM, 0, {"sys__kernel__io_uring_disabled": "2"}, "kernel.io_uring_disabled is 2"),
        ("Landlock", EOPNOTSUPP, 0, {}, "lsm="),
        ("Landlock", ENOSYS, 0, {}, "Linux 5.13"),
        ("filter dump", EACCES, 2, {}, "CAP_SYS_ADMIN"),
        ("filter dump", EACCES, 2, {"self__status": "Seccomp_filters:\t1\n"}, "must not be under a seccomp filter"),
        ("cgroup", EROFS, 0, {}, "Delegate=yes"),
        ("cgroup", ENODEV, 0, {}, "no version 2 hierarchy"),
        ("/proc", ESRCH, 0, {}, "another pid namespace"),
        ("listener", EBUSY, 0, {}, "under a listener already"),
        ("listener", ENOSYS, 0, {}, "CONFIG_SECCOMP_FILTER"),
        ("listener", EPERM, 0, {"self__status": "Seccomp_filters:\t1\n"}, "under a seccomp filter,"),
        ("openat2", ENOSYS, 0, {"self__status": "Seccomp_filters:\t3\n"}, "under 3 seccomp filters"),
        ("openat2", ENOSYS, 0, {"self__status": "Seccomp_filters:\t3\n"}, "it takes Linux 5.6"),
    ],
    ids=str,
)
def test_who_forbids_is_named(
    proc: MakeProc, name: str, errno: int, step: int, files: dict[str, str], who: str
) -> None:
    proc(**files)

    assert who in advice(ENTRIES[name], errno, step)


def test_the_switch_of_debian_forbids_ordinary_users_only(proc: MakeProc, monkeypatch: pytest.MonkeyPatch) -> None:
    proc(sys__kernel__unprivileged_userns_clone="0")
    found = []
    for uid in (0, 1000):
        monkeypatch.setattr(os, "geteuid", lambda uid=uid: uid)
        found.append("unprivileged_userns_clone" in advice(ENTRIES["user namespaces"], EPERM, 0))

    assert found == [False, True]


def test_a_process_that_is_not_dumpable_is_told_so(proc: MakeProc, monkeypatch: pytest.MonkeyPatch) -> None:
    proc()
    monkeypatch.setattr(_native, "is_dumpable", lambda: False)

    assert "not dumpable" in advice(ENTRIES["pidfd_getfd"], EPERM, 1)
