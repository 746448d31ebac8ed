"""What ``always`` would write is as narrow as the question, and all of it or nothing."""

from __future__ import annotations

import pytest

from monitor.abi.arch import Arch
from monitor.approve.shape import Asker
from monitor.notify.approval import About, Asks
from monitor.notify.decode import Call
from monitor.notify.verdict import Allow, Emulate
from monitor.origin import Origin
from monitor.remembering import suggestions
from monitor.testing import call

RULE = Origin("agent.toml", line=3)
ASKER = Asker(7, 1, b"/usr/bin/mv", (1, 2))


@pytest.fixture
def rename() -> Call:
    return call("rename", Arch.X86_64, oldpath=b"/a", newpath=b"/b")


def asks(*about: About) -> Asks:
    return Asks(Emulate() if any(one.path for one in about) else Allow(), about)


def test_each_name_has_a_grant_with_its_own_classes(rename: Call) -> None:
    found = suggestions(
        rename,
        asks(About(RULE, "delete", b"/a"), About(RULE, "create", b"/b"), About(RULE, "rename-source", b"/a")),
        ASKER,
    )

    assert [(grant.paths[0].text, grant.access) for grant in found] == [
        ("/a", ("delete", "rename-source")),
        ("/b", ("create",)),
    ]
    assert {grant.call for grant in found} == {"rename"}


def test_a_rule_about_the_call_has_one_of_its_own_beside_those_of_names(rename: Call) -> None:
    found = suggestions(rename, asks(About(RULE, path=b"/a"), About(RULE, "create", b"/b")), ASKER)

    assert [(tuple(one.text for one in grant.paths)[:1], grant.access) for grant in found] == [
        ((), None),
        (("/b",), ("create",)),
    ]


def test_where_one_name_cannot_be_written_down_nothing_is(rename: Call) -> None:
    fine = About(RULE, "create", b"/b")
    for name in (b"pipe:[7]", b"/" + b"x" * 5000):
        assert suggestions(rename, asks(About(RULE, "delete", name), fine), ASKER) == ()
    assert suggestions(rename, asks(fine), ASKER) != ()


def test_who_is_no_program_that_can_be_named_is_remembered_nothing(rename: Call) -> None:
    for asker in (Asker(7, 1, b""), Asker(7, 1, b"/usr/bin/mv (deleted)", (1, 2)), Asker(7, 1, b"/usr/bin/mv")):
        assert suggestions(rename, asks(About(RULE, "create", b"/b")), asker) == ()
