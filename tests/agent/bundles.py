"""
Containers of real runtimes: a busybox, a bundle around it, and how runc, crun and Podman are called here.

What it is not: a test.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

from elftools.elf.elffile import ELFFile

from tests.conftest import require

BUSYBOX: Final = Path("/bin/busybox")

ALL: Final = ["bounding", "effective", "permitted"]
CAPABILITIES: Final = ["CAP_SYS_ADMIN", "CAP_MKNOD", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_SETUID", "CAP_SETGID"]

MAPPED: Final = 100_000
"""Root of a container with a user namespace, outside of it."""

# crun of Debian 12 refuses cgroups of which the second version has a controller beside the first version's:
# in a mount namespace of its own it sees the first version alone.
_PLAIN: Final = 'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"'


def root_file_system(directory: Path) -> Path:
    """Make the root of a container, with busybox alone in it."""
    require("busybox-static", BUSYBOX.exists() and is_static(BUSYBOX))
    root = directory / "rootfs"
    for name in ("bin", "etc", "tmp", "proc", "sys", "dev", "root", "run"):
        (root / name).mkdir(parents=True)
    shutil.copy(BUSYBOX, root / "bin/busybox")
    listed = subprocess.run([str(BUSYBOX), "--list"], check=True, capture_output=True, text=True).stdout
    for applet in listed.split():
        if applet != "busybox":
            (root / "bin" / applet).symlink_to("busybox")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    return root


def is_static(program: Path) -> bool:
    """Whether *program* needs no interpreter (elf(5), PT_INTERP)."""
    with program.open("rb") as opened:
        return all(segment.header.p_type != "PT_INTERP" for segment in ELFFile(opened).iter_segments())


def profile(notified: Sequence[str], listener: Path | str | None, metadata: str | None, **rest: Any) -> dict[str, Any]:
    """A seccomp section that notifies *notified* and lets all else run."""
    made: dict[str, Any] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": [{"names": list(notified), "action": "SCMP_ACT_NOTIFY"}] if notified else [],
        **rest,
    }
    if listener is not None:
        made["listenerPath"] = str(listener)
    if metadata is not None:
        made["listenerMetadata"] = metadata
    return made


def bundle(
    directory: Path,
    root: Path,
    script: str,
    seccomp: Mapping[str, Any],
    *,
    user_namespace: bool = False,
    no_new_privileges: bool = False,
    annotations: Mapping[str, str] | None = None,
) -> Path:
    """Write the bundle of a container that executes *script*, which returns its directory."""
    namespaces = [{"type": one} for one in ("pid", "ipc", "uts", "mount", "network")]
    linux: dict[str, Any] = {"namespaces": namespaces, "seccomp": dict(seccomp)}
    if user_namespace:
        namespaces.append({"type": "user"})
        linux["uidMappings"] = linux["gidMappings"] = [{"containerID": 0, "hostID": MAPPED, "size": 65536}]
    config = {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False,
            "user": {"uid": 0, "gid": 0},
            "args": ["/bin/sh", "-c", script],
            "env": ["PATH=/bin"],
            "cwd": "/",
            "capabilities": dict.fromkeys(ALL, CAPABILITIES),
            "noNewPrivileges": no_new_privileges,
        },
        "root": {"path": str(root), "readonly": False},
        "hostname": "trial",
        "annotations": dict(annotations or {}),
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
            {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["mode=1777"]},
        ],
        "linux": linux,
    }
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.json").write_text(json.dumps(config))
    return directory


def runtime_command(name: str, state: Path, *words: str | Path) -> list[str]:
    """The command line that has runtime *name* do something, with its state in *state*."""
    found = shutil.which(name)
    require(name, found is not None)
    command = [str(found), "--root", str(state), *map(str, words)]
    return (
        command if name == "runc" else ["unshare", "-m", "--propagation", "private", "sh", "-c", _PLAIN, "-", *command]
    )


def podman_command(runtime: str, directory: Path, *words: str | Path) -> list[str]:
    """The command line of a Podman that has everything of its own below *directory*, and uses *runtime*."""
    found = shutil.which("podman")
    require("podman", found is not None)
    places = {"--root": "store", "--runroot": "run", "--tmpdir": "tmp"}
    own = [word for option, name in places.items() for word in (option, str(directory / name))]
    command = [str(found), *own, "--storage-driver", "vfs", "--runtime", runtime, *map(str, words)]
    return (
        command
        if runtime == "runc"
        else ["unshare", "-m", "--propagation", "private", "sh", "-c", _PLAIN, "-", *command]
    )


def podman_environment(directory: Path) -> dict[str, str]:
    """What that Podman is told in files: no systemd, no journal, limits that an ordinary root may set."""
    configuration = directory / "containers.conf"
    configuration.write_text(
        '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
        '[containers]\nlog_driver = "k8s-file"\ndefault_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]\n'
    )
    return {**os.environ, "CONTAINERS_CONF": str(configuration)}


def imported(runtime: str, directory: Path, root: Path) -> dict[str, str]:
    """Have Podman know *root* as the image ``localhost/box``; the environment to call it in."""
    environment = podman_environment(directory)
    archive = directory / "box.tar"
    subprocess.run(["tar", "-C", str(root), "-cf", str(archive), "."], check=True)
    done = subprocess.run(
        podman_command(runtime, directory, "import", archive, "localhost/box:1"),
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    return environment


def _is_served(path: Path) -> bool:
    """Whether somebody listens there: a socket may be left of who was killed."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


class Agent:
    """``seccomp-monitor agent`` with its sockets in *directory*."""

    def __init__(self, directory: Path, options: Sequence[str | Path], python: str) -> None:
        self.socket = directory / "agent.sock"
        self.control = directory / "control.sock"
        self._python = python
        self.command = self.words("--socket", self.socket, "--control", self.control, *options)
        self.log = directory / "agent.log"

    def words(self, *words: str | Path) -> list[str]:
        return [self._python, "-m", "monitor", "agent", *map(str, words)]

    def __enter__(self) -> Self:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        while not all(map(_is_served, (self.socket, self.control))):
            if self.process.poll() is not None:
                message = f"the agent ended: {self.log.read_text()}"
                raise AssertionError(message)
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(10)

    def told(self) -> str:
        return self.log.read_text()

    def asked(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """``agent list`` and its like."""
        return subprocess.run(
            [*self.words(*words), "--control", str(self.control)],
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
