"""The verbs that answer questions about policies, as a user meets them: text, JSON, exit status, errors."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from monitor.abi.arch import Arch
from monitor.cli import RUN_NOTHING, VERBS, main
from monitor.policy import text
from monitor.policy.difference import diff
from monitor.policy.formats import docker

OURS = """
[policy]
version = 1
name = "ours"
syscalls-default = "allow"
known-as-of = "6.1"

[[syscalls]]
names = ["socket"]
when = "domain == AF_VSOCK"
action = "deny"
errno = "EACCES"
reason = "no virtual machines"

[[syscalls]]
names = ["io_uring_setup"]
action = "deny"
"""


class Answer(NamedTuple):
    """What a command wrote, and how it ended."""

    returncode: int
    stdout: str
    stderr: str


def ask(*words: str | Path) -> Answer:
    """Run the command line in this process: a hundred interpreters take minutes to start."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["seccomp-monitor", *map(str, words)])
        status = main()
    return Answer(status, out.getvalue(), err.getvalue())


def answered(*words: str | Path) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(ask(*words, "--json").stdout)
    assert parsed["schema"] == 1
    return parsed


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("policies") / "ours.toml"
    path.write_text(OURS)
    return path


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A profile as Docker takes it."""
    path = tmp_path_factory.mktemp("policies") / "profile.json"
    rows = [
        {"names": ["read", "write", "exit_group", "mega_read"], "action": "SCMP_ACT_ALLOW"},
        {
            "names": ["socket"],
            "action": "SCMP_ACT_ALLOW",
            "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}],
        },
        {"names": ["bpf"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_BPF"]}},
    ]
    path.write_text(json.dumps({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rows}))
    return path


VERBS_WITH_A_POLICY = ["check", "why", "show", "diff", "convert", "disasm"]


def words_for(verb: str, policy: str | Path) -> list[str]:
    more = {"why": ["read"], "diff": ["hardening"], "convert": ["--to", "oci"]}.get(verb, [])
    return [verb, str(policy), *more]


# ---- each of them ----


@pytest.mark.parametrize("verb", [*VERBS_WITH_A_POLICY, "groups", "presets"])
def test_it_is_a_verb_that_runs_nothing(verb: str) -> None:
    assert verb in VERBS
    assert verb in RUN_NOTHING

    done = ask(verb, "--help")

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("verb", VERBS_WITH_A_POLICY)
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.toml", None, "none.toml: cannot be read: No such file"),
        ("none.json", None, "none.json: cannot be read: No such file"),
        ("bad.toml", b'[policy]\nversion = 1\nname = "\xff"\n', "bad.toml:3"),
        ("bad.json", b'{"defaultAction": "SCMP_ACT_ALLOW", "x": "\xff"}', "no UTF-8 at byte"),
        ("wrong.toml", b"[policy]\nversion = 1\nsyscalls-defautl = 'allow'\n", "wrong.toml:3"),
        ("wrong.json", b'{"defaultAction": "SCMP_ACT_MAYBE"}', "unknown action 'SCMP_ACT_MAYBE'"),
        ("cut.json", b'{"defaultAction": ', "cut.json"),
        ("big.toml", b"#" * (2 << 20), "longer than"),
        ("big.json", b" " * (17 << 20), "longer than"),
        ("policy.txt", b"", "the suffix decides the format"),
        ("policy", b"", "there is no preset 'policy'"),
    ],
)
def test_what_cannot_be_read_is_one_message_with_its_place(
    verb: str, name: str, content: bytes | None, message: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)

    with chdir(tmp_path):
        done = ask(*words_for(verb, name))

    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("seccomp-monitor: ")


@pytest.mark.parametrize("verb", VERBS_WITH_A_POLICY)
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-D", "X"], "a value is missing"),
        (["--caps", "CAP_NOTHING"], "'CAP_NOTHING' is no capability"),
        (["--kernel", "six"], "'six' is no version of a kernel"),
        (["--nonsense"], "No such option"),
    ],
)
def test_wrong_options_are_told(verb: str, words: list[str], message: str, ours: Path) -> None:
    done = ask(*words_for(verb, ours), *words)

    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


@pytest.mark.parametrize("verb", ["check", "diff"])
def test_what_is_said_does_not_hang_on_the_order_of_sets(verb: str, profile: Path) -> None:
    words = [sys.executable, "-m", "monitor", *words_for(verb, profile)]
    first, again = (
        subprocess.run(words, capture_output=True, check=False, env={**os.environ, "PYTHONHASHSEED": seed})
        for seed in ("1", "2")
    )

    assert first.stdout == again.stdout
    assert first.returncode == again.returncode == 1


# ---- why ----


def test_why_names_the_rule_and_what_would_help(ours: Path) -> None:
    with chdir(ours.parent):
        done = ask("why", "ours.toml", "socket", "--arch", "x86_64", "--arg", "domain=AF_VSOCK")

    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "socket on x86_64 (number 41), domain=AF_VSOCK: deny EACCES",
        "  by ours.toml:8 (no virtual machines)",
        "rules tried:",
        "  matches         ours.toml:8: deny EACCES when domain == AF_VSOCK",
        "to let it run, write into ours.toml, in the place of ours.toml:8:",
        "  [[syscalls]]",
        '  names = ["socket"]',
        '  when = "domain == AF_VSOCK"',
        '  action = "allow"',
    ]


def test_what_why_advises_can_be_written_and_helps(ours: Path, tmp_path: Path) -> None:
    words = ("socket", "--arg", "domain=AF_VSOCK", "--arg", "type=SOCK_STREAM")
    said = ask("why", ours, *words).stdout
    better = tmp_path / "better.toml"
    better.write_text(OURS.replace("[[syscalls]]", said[said.index("  [[syscalls]]") :] + "\n[[syscalls]]", 1))

    assert ask("why", ours, *words).returncode == 1
    assert ask("why", better, *words).returncode == 0
    assert ask("why", better, *words[:3]).returncode == 1


def test_why_says_0_for_what_runs(ours: Path) -> None:
    assert ask("why", ours, "read").returncode == 0
    assert ask("why", ours, "socket").returncode == 1
    assert ask("why", ours, "socket", "--arg", "0=2").returncode == 0


def test_why_in_json_says_the_same(ours: Path) -> None:
    answer = answered("why", ours, "socket", "--arch", "x86_64")

    assert (answer["call"], answer["nr"], answer["runs"]) == ("socket", 41, False)
    assert {(one["action"], one.get("errno")) for one in answer["answers"]} == {("allow", None), ("deny", "EACCES")}
    assert [tried["matches"] for tried in answer["tried"]] == ["depends"]


@pytest.mark.parametrize(
    ("words", "outcome"),
    [
        (["ptrace"], "allow"),
        (["mount"], "deny EPERM"),
        (["clone3"], "deny ENOSYS"),
        (["clone", "--arg", "flags=CLONE_NEWUSER"], "deny EPERM"),
        (["socket", "--arg", "domain=AF_INET"], "allow"),
        (["socket", "--arg", "domain=AF_VSOCK"], "deny EPERM"),
        (["mount", "--caps", "CAP_SYS_ADMIN"], "allow"),
        (["clone3", "--caps", "SYS_ADMIN"], "allow"),
    ],
)
def test_why_of_dockers_own_profile(words: list[str], outcome: str) -> None:
    done = ask("why", "moby", *words, "--arch", "x86_64")

    assert done.stdout.splitlines()[0].endswith(f": {outcome}")
    assert done.returncode == (0 if outcome == "allow" else 1)


# ---- check ----


def test_check_says_0_for_a_policy_without_findings_and_1_for_one_with(ours: Path, profile: Path) -> None:
    assert ask("check", "hardening").stdout == "hardening: no findings\n"
    assert ask("check", "hardening").returncode == 0
    assert ask("check", profile).returncode == 1
    assert ask("check", ours, "--ignore", "E-IO-URING").returncode == 0


def test_check_names_the_calls_that_nobody_knows(profile: Path) -> None:
    (found,) = answered("check", profile)["policies"]
    by_rule = {finding["rule"]: finding for finding in found["findings"]}

    assert "mega_read" in by_rule["E-UNKNOWN-NAME"]["text"]
    assert "E-NO-RETURN" in by_rule
    assert by_rule["E-UNKNOWN-NAME"]["file"] == str(profile)


@pytest.mark.parametrize(
    ("written", "rules"),
    [
        ("SystemCallFilter=~frobnicate", {"E-UNKNOWN-NAME"}),
        ("SystemCallFilter=~@frobnicate", {"E-FORMAT"}),
        ("SystemCallFilter=~ptrace\nSystemCallErrorNumber=unknown call", {"E-FORMAT"}),
    ],
)
def test_check_tells_an_unknown_call_from_all_else_that_is_lost(written: str, rules: set[str], tmp_path: Path) -> None:
    path = tmp_path / "unit.conf"
    path.write_text(f"[Service]\n{written}\n")
    (found,) = answered("check", path)["policies"]

    assert {one["rule"] for one in found["findings"]} & {"E-UNKNOWN-NAME", "E-FORMAT"} == rules


def test_check_finds_that_dockers_refusal_of_families_can_be_walked_around() -> None:
    done = ask("check", "moby")

    assert done.returncode == 1
    assert "E-ARG-SIGN: domain of socket" in done.stdout
    assert "moby: 2 findings" in done.stdout


def test_check_lists_what_it_looks_for() -> None:
    done = ask("check", "--rules")

    assert done.returncode == 0
    assert "E-CLONE3" in done.stdout
    assert answered("check", "--rules")["rules"]["E-NO-EXIT"] == "a process cannot end"


def test_check_wants_a_policy_and_known_ids() -> None:
    assert ask("check").returncode == 2
    assert ask("check", "hardening", "--ignore", "E-NOTHING").returncode == 2


# ---- show ----


def test_show_prints_what_is_included_too(tmp_path: Path) -> None:
    path = tmp_path / "two.toml"
    path.write_text('[policy]\nversion = 1\ninclude = ["preset:no-network"]\nsyscalls-default = "allow"\n')

    done = ask("show", path)

    assert done.returncode == 0
    assert [line for line in done.stdout.splitlines() if line.startswith("# ")] == [
        f"# two: {path}",
        "# no-network, included: preset:no-network",
    ]


def test_show_long_has_no_word_that_stands_for_others(tmp_path: Path) -> None:
    path = tmp_path / "short.toml"
    path.write_text(
        '[policy]\nversion = 1\nsyscalls-default = "allow"\nknown-as-of = "6.1"\n\n'
        '[[syscalls]]\nnames = ["@reboot"]\naction = "deny"\n\n[files]\nread = ["/usr"]\ndeny = ["/usr/x"]\n'
    )

    short, long = ask("show", path).stdout, ask("show", path, "--long").stdout

    assert "@reboot" in short
    assert 'names = ["kexec_file_load", "kexec_load", "reboot"]' in long
    assert 'paths = ["/usr"]\naccess = ["read"]\naction = "allow"' in long


def test_show_calls_has_a_line_for_each_call_and_case(ours: Path) -> None:
    lines = ask("show", ours, "--calls", "--arch", "x86_64").stdout.splitlines()
    calls = answered("show", ours, "--calls", "--arch", "x86_64")["calls"]

    assert len(lines) == len(calls)
    assert [call["action"] for call in calls if call["call"] == "socket"] == ["allow", "deny"]
    assert [call["call"] for call in calls][-1] is None


# ---- diff ----


def test_a_profile_does_not_differ_from_what_was_made_of_it() -> None:
    done = ask("diff", "moby", "docker-default")

    assert (done.returncode, done.stdout) == (0, "no difference\n")


def test_diff_groups_by_what_is_said() -> None:
    done = ask("diff", "moby", "containers-common", "--arch", "x86_64")

    assert done.returncode == 1
    assert "deny EPERM -> allow\n  x86_64: syslog, pivot_root, mount" in done.stdout
    assert "clone(flags=CLONE_NEWNS)" in done.stdout
    assert all(len(line) <= 100 for line in done.stdout.splitlines())


def test_diff_in_json_is_what_diff_says() -> None:
    found = answered("diff", "moby", "containers-common", "--arch", "x86_64")["differences"]
    told = list(diff(docker.shipped("moby").policy, docker.shipped("containers-common").policy, [Arch.X86_64]))

    assert [(one["call"], one["always"]) for one in found] == [(one.call, one.always) for one in told]


# ---- convert ----


@pytest.mark.parametrize("word", ["moby", "containers-common"])
def test_a_profile_in_our_own_words_means_the_same(word: str, tmp_path: Path) -> None:
    path = tmp_path / "converted.toml"

    done = ask("convert", word, "-o", path)

    assert done.stdout == ""
    assert done.returncode == (1 if "lost: " in done.stderr else 0)
    assert ask("diff", word, path).stdout == "no difference\n"


def test_a_profile_that_goes_out_and_comes_back_allows_no_more(tmp_path: Path) -> None:
    """A profile of OCI has one rule for all ABIs: where x32 and x86_64 differ, the stricter answer is theirs."""
    path = tmp_path / "converted.json"

    done = ask("convert", "moby", "-o", path, "--machine", "x86_64")
    differences = answered("diff", "moby", path, "--arch", "x86_64", "--arch", "i386")["differences"]

    assert done.returncode == 1
    assert "is decided otherwise on other ABIs" in done.stderr
    assert [one for one in differences if one["b"]["action"] == "allow"] == []


@pytest.mark.parametrize("suffix", [".json", ".yaml", ".conf"])
def test_every_format_that_is_written_is_read_again(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"converted{suffix}"

    done = ask("convert", "moby", "-o", path, "--machine", "x86_64")

    assert done.returncode in {0, 1}, done.stderr
    assert ask("why", path, "read", "--arch", "x86_64").returncode == 0
    assert ask("why", path, "mount", "--arch", "x86_64").returncode == 1


def test_what_is_lost_is_named_and_the_status_says_so(profile: Path) -> None:
    done = ask("convert", profile, "--to", "toml")

    assert done.returncode == 1
    assert "mega_read" in done.stderr
    assert text.loads(done.stdout).name == "profile"


def test_convert_needs_a_format_and_a_place(ours: Path, tmp_path: Path) -> None:
    assert "name the format" in ask("convert", ours).stderr
    assert "is TOML already" in ask("convert", ours, "--to", "toml").stderr
    assert "cannot be written" in ask("convert", "moby", "-o", tmp_path / "no" / "x.toml").stderr
    assert ask("convert", "moby", "-o", tmp_path / "no" / "x.toml").returncode == 2


ASKING = """
[policy]
version = 1
name = "asking"
syscalls-default = "allow"

[[syscalls]]
names = ["getuid"]
action = "ask"
errno = "EXDEV"

[[syscalls]]
names = ["getgid"]
action = "allow"
mutable = true
"""


@pytest.fixture
def asking(tmp_path: Path) -> Path:
    path = tmp_path / "asking.toml"
    path.write_text(ASKING)
    return path


def test_a_program_is_written_for_this_machine_and_disasm_reads_it(asking: Path, tmp_path: Path) -> None:
    path = tmp_path / "asking.bpf"

    done = ask("convert", asking, "-o", path)

    assert (done.returncode, done.stdout) == (1, "")
    assert [line.split(": ")[1:] for line in done.stderr.splitlines()] == [
        ["lost", f"{asking}:7", "nobody can be asked", "refused with EXDEV"],
        ["note", f"{asking}:12", "is mutable", "a program cannot be changed once it is installed"],
        ["note", str(asking), "names, reasons and places of rules are not in a program, which has numbers alone"],
    ]
    listed = ask("disasm", path).stdout
    assert "getuid, ERRNO EXDEV" in listed
    assert all(f" {arch.table}" in listed or f"/{arch.table}" in listed for arch in Arch.native().family())
    assert "USER_NOTIF" not in listed


def test_a_program_is_written_for_another_machine_in_its_byte_order(ours: Path, tmp_path: Path) -> None:
    path = tmp_path / "big.bpf"

    done = ask("convert", ours, "-o", path, "--machine", "s390x")

    assert done.returncode == 0
    assert path.read_bytes()[:2] == b"\0\x20"
    assert "s390x" in ask("disasm", path, "--byte-order", "big").stdout


def test_a_program_goes_to_a_pipe_and_to_no_terminal(ours: Path, tmp_path: Path) -> None:
    path = tmp_path / "ours.bpf"
    ask("convert", ours, "-o", path)
    words = [sys.executable, "-m", "monitor", "convert", str(ours), "--to", "bpf"]
    controller, terminal = os.openpty()
    try:
        piped = subprocess.run(words, capture_output=True, check=False)
        shown = subprocess.run(words, stdout=terminal, stderr=subprocess.PIPE, text=True, check=False)
        os.set_blocking(controller, False)
        with pytest.raises(BlockingIOError):
            os.read(controller, 1)
    finally:
        os.close(terminal)
        os.close(controller)

    assert piped.stdout == path.read_bytes()
    assert (shown.returncode, "name a file with -o" in shown.stderr) == (2, True)


@pytest.mark.parametrize("target", ["toml", "oci", "spo", "systemd"])
def test_convert_in_json_has_the_text_and_what_was_lost(target: str, profile: Path) -> None:
    plain = ask("convert", profile, "--to", target)
    answer = answered("convert", profile, "--to", target)

    assert (answer["format"], answer["text"]) == (target, plain.stdout)
    assert [
        f"seccomp-monitor: {'lost' if one['lost'] else 'note'}: {one['file']} ({one['key']}): {one['message']}"
        if one["key"]
        else f"seccomp-monitor: {'lost' if one['lost'] else 'note'}: {one['file']}: {one['message']}"
        for one in answer["findings"]
    ] == plain.stderr.splitlines()
    assert answer["findings"][0]["kind"] == "unknown-call"
    assert {one["kind"] == "note" for one in answer["findings"] if not one["lost"]} <= {True}


def test_convert_in_json_has_a_program_in_base64(asking: Path, tmp_path: Path) -> None:
    path = tmp_path / "asking.bpf"

    done = ask("convert", asking, "-o", path, "--json")
    answer = json.loads(done.stdout)

    assert (done.returncode, done.stderr) == (1, "")
    assert (answer["schema"], answer["format"]) == (1, "bpf")
    assert base64.b64decode(answer["base64"]) == path.read_bytes() != b""
    assert [(one["kind"], one["lost"], one["file"], one["line"]) for one in answer["findings"]] == [
        ("lost", True, str(asking), 7),
        ("note", False, str(asking), 12),
        ("note", False, str(asking), 0),
    ]


# ---- disasm ----


def test_disasm_names_calls_and_rules(ours: Path) -> None:
    done = ask("disasm", ours, "--arch", "x86_64")

    assert done.returncode == 0
    assert "socket" in done.stdout
    assert "ERRNO EACCES" in done.stdout
    assert f"; {ours}:8" in done.stdout


def test_a_program_that_was_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "docker.bpf"

    assert ask("disasm", "moby", "--arch", "x86_64", "-o", path).returncode == 0
    written, direct = answered("disasm", path), answered("disasm", "moby", "--arch", "x86_64")

    assert [(one["code"], one["jt"], one["jf"], one["k"]) for one in written["instructions"]] == [
        (one["code"], one["jt"], one["jf"], one["k"]) for one in direct["instructions"]
    ]
    assert path.stat().st_size == 8 * len(written["instructions"])


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "empty"), (b"1234567", "7 bytes"), (b"\xff" * 16, "opcode"), (b"\0" * (8 * 5000), "instructions")],
)
def test_what_is_no_program_is_told(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.bpf"
    path.write_bytes(content)

    done = ask("disasm", path)

    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_other_verbs_say_that_a_program_is_no_policy(tmp_path: Path) -> None:
    assert "disasm prints it" in ask("why", tmp_path / "x.bpf", "read").stderr


# ---- groups and presets ----


def test_groups_are_listed_and_one_is_printed() -> None:
    listed = ask("groups")

    assert any(line.startswith("@file-system ") for line in listed.stdout.splitlines())
    assert any(line.startswith("%network ") for line in listed.stdout.splitlines())
    assert all(len(line) <= 100 for line in listed.stdout.splitlines())
    assert ask("groups", "@reboot").stdout == "kexec_file_load\nkexec_load\nreboot\n"
    assert "send" in ask("groups", "%network", "--arch", "arm").stdout.split()
    assert "send" not in ask("groups", "%network", "--arch", "x86_64").stdout.split()


def test_an_unknown_group_is_told() -> None:
    done = ask("groups", "@file-sistem")

    assert (done.returncode, done.stdout) == (2, "")
    assert "did you mean '@file-system'" in done.stderr


def test_presets_are_listed_and_one_is_printed() -> None:
    listed = [preset["name"] for preset in answered("presets")["presets"]]

    assert {"hardening", "docker-default", "moby"} <= set(listed)
    for name in listed:
        assert text.loads(ask("presets", name).stdout).rules
    assert ask("presets", "nothing").returncode == 2


@pytest.mark.parametrize("verb", [["why"], ["show"], ["show", "--calls"], ["disasm"], ["check"]])
def test_a_terminal_obeys_nothing_that_a_policy_says(verb: list[str], tmp_path: Path) -> None:
    path = tmp_path / "loud.toml"
    loud = r"\u001b]0;title\u0007"
    path.write_text(
        f'[policy]\nversion = 1\nname = "{loud}"\nsyscalls-default = "kill"\n'
        f'[[syscalls]]\nnames = ["read"]\naction = "deny"\nreason = "{loud}"\n'
    )

    answer = ask(verb[0], path, *(["read"] if verb == ["why"] else []), *verb[1:])

    assert not {"\x1b", "\x07"}.intersection(answer.stdout + answer.stderr)
