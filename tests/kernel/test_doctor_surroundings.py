"""The doctor in bad surroundings: it ends in time, says what is wrong, and is right about ``run``."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from attrs import frozen

DOCTOR: Final = [sys.executable, "-m", "monitor", "doctor", "--json"]
RUN: Final = [sys.executable, "-m", "monitor", "run", "-e", "openat", "--", "true"]

SECONDS: Final = 3
"""What the doctor has, whatever it meets."""


@frozen
class Report:
    """What a doctor said, and whether a ``run`` in the same place worked."""

    status: int
    rows: Mapping[str, Mapping[str, Any]]
    abilities: Mapping[str, Mapping[str, Any]]

    def state(self, name: str) -> str:
        return str(self.rows[name]["state"])


def parse(done: subprocess.CompletedProcess[str]) -> Report:
    answer = json.loads(done.stdout)
    return Report(done.returncode, {row["name"]: row for row in answer["features"]}, answer["abilities"])


def doctor(before: Sequence[str] = (), command: Sequence[str] = DOCTOR, **options: Any) -> Report:
    """Run the doctor behind the words of *before*, such as setpriv(1)."""
    began = time.monotonic()
    done = subprocess.run([*before, *command], capture_output=True, text=True, check=False, **options)
    assert time.monotonic() - began < SECONDS
    assert done.stderr == ""
    return parse(done)


def run_works(before: Sequence[str] = (), **options: Any) -> bool:
    return subprocess.run([*before, *RUN], capture_output=True, check=False, **options).returncode == 0


def probes_left() -> list[str]:
    """Return the processes of any doctor that are still there."""
    names = [path.read_text() for path in Path("/proc").glob("[0-9]*/comm") if path.exists()]
    return [name for name in names if name.startswith("monitor-probe")]


# ---- users ----


def test_an_ordinary_user_can_run_and_cannot_ask_as_root(
    python_as_user: Callable[..., subprocess.Popen[bytes]],
) -> None:
    code = "import sys; from monitor.__main__ import main; sys.argv[1:] = ['doctor', '--json']; sys.exit(main())"
    began = time.monotonic()
    process = python_as_user(code)
    output, _ = process.communicate()
    report = parse(subprocess.CompletedProcess([], process.returncode, output.decode()))

    assert time.monotonic() - began < SECONDS
    assert report.status == 0
    assert all(ability["works"] for ability in report.abilities.values())
    for name in ("suspend seccomp", "filter dump"):
        assert report.state(name) == "forbidden"
        assert "CAP_SYS_ADMIN" in report.rows[name]["advice"]


def test_in_a_user_namespace_root_is_told_that_he_is_none_outside() -> None:
    report = doctor(["unshare", "--user", "--map-root-user"])

    assert report.status == 0
    assert "a user namespace of its own" in report.rows["container"]["detail"]
    assert report.state("filter dump") == "forbidden"


def test_in_a_pid_namespace_without_its_own_proc_nothing_can_be_run() -> None:
    """/proc shows the numbers of another namespace: what would be read is of other processes."""
    before = ["unshare", "--user", "--map-root-user", "--pid", "--fork"]
    report = doctor(before)

    assert report.state("/proc") == "missing"
    assert "another pid namespace" in report.rows["/proc"]["advice"]
    assert report.status == 1
    assert "a pid namespace of its own" in report.rows["container"]["detail"]


def test_in_a_pid_namespace_with_its_own_proc_everything_works() -> None:
    before = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]

    assert doctor(before).status == 0
    assert run_works(before)


# ---- roots ----


@pytest.mark.root
def test_without_proc_the_doctor_says_so_and_run_fails() -> None:
    before = ["unshare", "--mount", "sh", "-c", 'umount -l /proc; exec "$@"', "-"]

    report = doctor(before)

    assert (report.status, report.state("/proc")) == (1, "missing")
    assert "mount -t proc" in report.rows["/proc"]["advice"]
    for name in ("/proc/PID/children", "/proc/PID/mem", "YAMA", "user namespaces", "cgroup"):
        assert report.rows[name]["detail"] == "needs /proc"
    assert report.state("listener") == report.state("continue") == "works"
    assert not run_works(before)


@pytest.mark.root
def test_in_a_chroot_it_is_the_chroot_that_forbids_user_namespaces(tmp_path: Path) -> None:
    """The root is a plain directory, into which everything is mounted."""
    script = f"""
        cd {tmp_path}
        for name in /*; do
            [ -L "$name" ] && cp -P "$name" . && continue
            [ -d "$name" ] && mkdir -p ".$name" && mount --rbind "$name" ".$name"
        done
        exec chroot . "$@"
    """
    before = ["unshare", "--mount", "sh", "-c", textwrap.dedent(script), "-"]

    report = doctor(before)

    assert report.status == 0
    assert report.state("user namespaces") == "forbidden"
    assert "chroot" in report.rows["user namespaces"]["advice"]
    assert report.abilities["namespaces"]["lacking"] == ["user namespaces"]
    assert run_works(before)


# ---- limits ----


@pytest.mark.parametrize(("limit", "works"), [(9, False), (15, False), (40, True)])
def test_with_few_descriptors_the_doctor_says_what_run_does(limit: int, works: bool) -> None:
    before = ["prlimit", f"--nofile={limit}"]

    report = doctor(before)

    assert report.state("open files") == ("works" if works else "forbidden")
    assert report.status == (0 if works else 1)
    assert run_works(before) == works


@pytest.mark.root
def test_with_no_process_left_every_row_says_that_it_was_not_tried(
    ordinary_python: tuple[str, Mapping[str, str]],
) -> None:
    """An ordinary user may have one process: the doctor itself."""
    python, environment = ordinary_python
    before = ["setpriv", "--reuid=65533", "--regid=65533", "--clear-groups", "--inh-caps=-all", "prlimit", "--nproc=1"]

    report = doctor(before, [python, *DOCTOR[1:]], env=environment, cwd="/")

    assert (report.status, report.state("processes")) == (1, "forbidden")
    assert "RLIMIT_NPROC" in report.rows["processes"]["advice"]
    assert report.rows["openat2"]["detail"] == "needs processes"
    assert {row["state"] for row in report.rows.values()} <= {"forbidden", "unknown", "noted"}


@pytest.mark.root
def test_with_few_processes_everything_is_tried_one_after_the_other(
    ordinary_python: tuple[str, Mapping[str, str]],
) -> None:
    """The doctor, its manager, one probe, its child: all at once there are forty times as many."""
    python, environment = ordinary_python
    before = ["setpriv", "--reuid=65533", "--regid=65533", "--clear-groups", "--inh-caps=-all", "prlimit", "--nproc=4"]

    report = doctor(before, [python, *DOCTOR[1:]], env=environment, cwd="/")

    assert report.status == 0
    assert [row for row in report.rows.values() if row["needs"] and row["state"] == "unknown"] == []


# ---- a supervisor above us, and probes that hang ----

NEVER: Final = """
    import monitor, trio

    @monitor.handles("landlock_create_ruleset", "openat2")
    async def never(call):
        await trio.sleep_forever()
"""


def test_a_probe_that_hangs_is_killed_and_a_supervisor_above_is_named(tmp_path: Path) -> None:
    """A handler that never answers is the hang, and being supervised is the other finding."""
    handlers = tmp_path / "never.py"
    handlers.write_text(textwrap.dedent(NEVER))
    above = [*RUN[:-4], "--quiet", "--handlers", str(handlers), "--"]

    done = subprocess.run([*above, *DOCTOR], capture_output=True, text=True, check=False)
    seconds = json.loads(done.stdout)["seconds"]
    report = parse(done)

    assert seconds < SECONDS
    for name in ("Landlock", "openat2"):
        assert report.rows[name]["state"] == "timed out"
        assert report.rows[name]["detail"].startswith("no end at ")
    assert report.rows["RESOLVE_CACHED"]["detail"] == "needs openat2"
    assert report.state("user namespaces") == "works", "what hangs costs the others nothing"
    assert report.status == 1
    assert report.rows["listener"]["errno_name"] == "EBUSY"
    assert "under a listener already, held by one of: " in report.rows["listener"]["advice"]
    assert probes_left() == []


def test_the_doctor_that_is_killed_takes_its_probes_along(tmp_path: Path) -> None:
    """They hang; nobody is left who would kill them, but the kernel does."""
    handlers = tmp_path / "never.py"
    handlers.write_text(textwrap.dedent(NEVER))
    script = f"{' '.join(DOCTOR)} & sleep 1; kill -KILL $!; wait; sleep 0.2; grep -l monitor-probe /proc/*/comm; true"

    done = subprocess.run(
        [*RUN[:-4], "--quiet", "--handlers", str(handlers), "--", "sh", "-c", script],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout == ""


def test_nothing_is_left_of_a_doctor() -> None:
    group = Path("/proc/self/cgroup").read_text()
    doctor()

    assert probes_left() == []
    assert Path("/proc/self/cgroup").read_text() == group
    assert not list(Path("/sys/fs/cgroup").glob("**/seccomp-monitor-probe-*"))


def test_a_hundred_doctors_in_one_process_leave_nothing_and_miss_nothing() -> None:
    """Forty probes at once, a hundred times: a race between them, or with their manager, would show."""
    code = """
        from pathlib import Path
        from monitor.features import lacking, probing
        for _ in range(100):
            assert not lacking("run", probing._features(probing.ENTRIES).values())
        assert Path("/proc/thread-self/children").read_text() == ""
    """

    assert subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False).returncode == 0
