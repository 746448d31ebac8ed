"""What ``check`` and ``show`` say about the patterns of a policy's tables."""

from __future__ import annotations

from contextlib import chdir
from pathlib import Path

from monitor.policy import text
from tests.cli.test_policy_commands import answered, ask
from tests.cli.test_policy_tables import TABLED


def test_check_finds_what_never_decides_and_shows_the_carve_out(tmp_path: Path) -> None:
    path = tmp_path / "covered.toml"
    path.write_text(TABLED.replace('include = ["inner.toml"]\n', "").replace('"**/id_rsa"', '"**/id_rsa", "/srv/data"'))

    with chdir(tmp_path):
        done = ask("check", "covered.toml", "--ignore", "E-TABLE")

    assert done.returncode == 1
    assert "covered.toml:14: E-COVERED: /srv/data never decides" in done.stdout
    assert 'hint: write "!/srv/data" at the end of the list of files.deny, or leave it out' in done.stdout


def test_check_looks_at_this_machine_only_when_told_that_the_policy_is_for_it(tmp_path: Path) -> None:
    path = tmp_path / "here.toml"
    path.write_text(
        '[policy]\nversion = 1\nsyscalls-default = "allow"\nknown-as-of = "6.1"\n'
        f'[files]\nread = ["/usr", "{tmp_path}/nothing"]\n'
    )

    def rules(*words: str) -> set[str]:
        return {one["rule"] for one in answered("check", path, *words)["policies"][0]["findings"]}

    assert "E-NO-SUCH-PATH" not in rules()
    assert "E-NO-SUCH-PATH" in rules("--here")
    assert f"E-NO-SUCH-PATH: there is no {tmp_path}/nothing" in " ".join(ask("check", path, "--here").stdout.split())
    assert "E-NO-SUCH-PATH" not in rules("--here", "--ignore", "E-NO-SUCH-PATH")


def test_check_and_show_print_both_names_of_what_links_lead_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    path = tmp_path / "links.toml"
    path.write_text(
        '[policy]\nversion = 1\nsyscalls-default = "allow"\nknown-as-of = "6.1"\n'
        '[files]\nread = ["$PROJECT/link/*.x", "$PROJECT/real"]\n'
    )
    written, other = f"{tmp_path}/link/*.x", f"{tmp_path.resolve()}/real/*.x"

    (shown,) = answered("show", path)["parts"]
    (checked,) = answered("check", path)["policies"]

    assert [(one["pattern"], one["other"], one["key"]) for one in shown["two-names"]] == [
        (written, other, "files.read[0]")
    ]
    assert checked["two-names"] == shown["two-names"]
    assert f"# files.read[0]: {written} is {other}, too" in ask("show", path).stdout
    assert f"{written} is {other}, too" in " ".join(ask("check", path).stdout.split())
    assert text.loads(ask("show", path).stdout).tables  # what is said of links is a comment


def test_what_cannot_be_seen_is_escaped_and_breaks_no_line(tmp_path: Path) -> None:
    (tmp_path / "a\nb").symlink_to("c")
    path = tmp_path / "odd.toml"
    path.write_text(
        '[policy]\nversion = 1\nsyscalls-default = "allow"\nknown-as-of = "6.1"\n'
        '[files]\nread = ["$PROJECT/a\\nb", "/x\\u001b[1m"]\ndeny = ["/x\\u001b"]\nhide = ["/x*"]\n'
    )

    shown, checked = ask("show", path).stdout, ask("check", path, "--here").stdout
    told = ask("why", path, "stat", "--path", "/x\x1b[1m").stdout

    assert text.loads(shown).tables
    assert '/a\\nb" is' in shown
    assert "\x1b" not in shown + checked + told
    assert '"/x\\U0000001b" never decides' in " ".join(checked.split())
