"""Random policies that a file can hold, and presets for them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import attrs
from hypothesis import strategies as st

from monitor.abi.arch import Arch
from monitor.errors import PolicyError
from monitor.origin import NOWHERE, Origin
from monitor.policy import action as actions
from monitor.policy import tables, text
from monitor.policy.access import CLASSES
from monitor.policy.expression import Expression
from monitor.policy.model import Policy, Rule
from monitor.policy.tables import Written
from monitor.policy.variables import Variables
from monitor.policy.verify import verify

VARIABLES = Variables({"PROJECT": "/srv/a*b", "X": "sub dir"}, home="/home/me")

PRESETS = {
    "hardening": '[policy]\nversion = 1\n[[syscalls]]\nnames = ["ptrace"]\naction = "deny"\n',
    "base": '[policy]\nversion = 1\nsyscalls-default = "kill"\nknown-as-of = "5.4"\narches = ["x86_64", "i386"]\n'
    'other-arch = "enosys"\n[[syscalls]]\nnames = ["read", "write"]\naction = "allow"\n',
}


def presets(name: str) -> str:
    if name in PRESETS:
        return PRESETS[name]
    message = f"there is no preset {name!r}"
    raise PolicyError(message)


def loaded(source: str, **more: Any) -> Policy:
    return text.loads(source, Origin("p.toml"), variables=VARIABLES, presets=presets, **more)


def placeless(policy: Policy) -> Policy:
    """Return *policy* without the places of its rules: a text has others."""
    rules = tuple(attrs.evolve(rule, origin=NOWHERE) for rule in policy.rules)
    return attrs.evolve(policy, rules=rules, origin=NOWHERE)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)

CALLS = st.sampled_from(
    ["read", "openat", "socket", "mmap", "clone3", "%file", "@network-io", "all", "!open", "!@clock", "stat"]
)
WHENS = st.sampled_from(["arg0 == 1", "args[3] & 0xff != 0x1 ||\n\targ1 in (1..5, 9)", "!(arg5 > 3)"]).map(Expression)

PARAMETERS = st.dictionaries(
    TEXT.filter(bool),
    st.recursive(
        st.booleans()
        | st.integers(-(1 << 63), (1 << 63) - 1)
        | st.floats(allow_nan=False)
        | TEXT
        | st.dates()
        | st.times()
        | st.datetimes(timezones=st.none() | st.just(UTC)),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
        max_leaves=3,
    ),
    max_size=2,
)

ERRNOS = st.sampled_from([1, 2, 11, 13, 38, 97, 134, 511, 517, 4095])
ACTIONS: st.SearchStrategy[actions.Action] = st.one_of(
    st.sampled_from(
        [actions.Allow(), actions.Log(), actions.Audit(), actions.KillProcess(), actions.KillThread(), actions.Deny(0)]
    ),
    st.builds(actions.Deny, ERRNOS),
    st.builds(actions.Ask, ERRNOS),
    st.builds(actions.Return, st.integers(0, (1 << 63) - 1)),
    st.builds(actions.Trap, st.integers(0, 0xFFFF)),
    st.builds(actions.Trace, st.integers(0, 0xFFFF)),
    st.builds(actions.Handle, TEXT.filter(bool), PARAMETERS),
)


def _rule(action: actions.Action, exact: bool, **more: Any) -> Rule:
    if isinstance(action, actions.KillThread | actions.Trap | actions.Trace | actions.Audit):
        more["mutable"] = False
    if isinstance(action, actions.Deny) and not exact:
        return Rule(action=actions.Deny(), exact_errno=False, **more)
    return Rule(action=action, **more)


ARCHES = st.none() | st.frozensets(st.sampled_from(list(Arch)), min_size=1)

RULES = st.builds(
    _rule,
    ACTIONS,
    st.booleans(),
    names=st.lists(CALLS, min_size=1, max_size=3).map(tuple),
    when=st.none() | WHENS,
    arches=ARCHES,
    mutable=st.booleans(),
    reason=TEXT,
)

PATTERNS = st.sampled_from(
    [(), ("/usr",), ("$PROJECT/x", "~/.ssh", "**/.env"), ("/a\\x20b/*c", "!/a\\x20b/*c/é", "${PROJECT}")]
).map(lambda texts: tuple(Written(one) for one in texts))
ADDRESSES = st.sampled_from(
    [(), ("tcp://127.0.0.1:*", "10.0.0.0/8:8000-8999"), ("unix:@abstract", "unix:$PROJECT/s")]
).map(lambda texts: tuple(Written(one) for one in texts))
OTHERWISE = st.sampled_from(["allow", "deny", "ask"])


def _file_rule(kind: str, paths: tuple[Written, ...], parameters: dict[str, object], **more: Any) -> tables.FileRule:
    extra: dict[str, Any] = {}
    if kind == "deny":
        extra = {"errno": 13}
    elif kind == "handle":
        extra = {"handler": "h", "parameters": parameters}
    return tables.FileRule(paths, kind, **extra, **more)  # type: ignore[arg-type]


FILE_RULES = st.builds(
    _file_rule,
    st.sampled_from(["allow", "deny", "hide", "ask", "handle"]),
    PATTERNS.filter(bool),
    PARAMETERS,
    access=st.none() | st.lists(st.sampled_from(sorted(CLASSES)), min_size=1, max_size=2, unique=True).map(tuple),
    reason=TEXT,
)
FILES = st.builds(
    tables.Files,
    read=PATTERNS,
    write=PATTERNS,
    deny=PATTERNS,
    hide=PATTERNS,
    ask=PATTERNS,
    rules=st.lists(FILE_RULES, max_size=2).map(tuple),
    otherwise=OTHERWISE,
    base=st.booleans(),
    enforce=st.sampled_from(["broker", "kernel"]),
    exec=st.sampled_from([None, "unverified"]),
    unix=st.sampled_from([None, "unmediated"]),
)
NETWORKS = st.builds(
    tables.Network, connect=ADDRESSES, bind=ADDRESSES, deny=ADDRESSES, ask=ADDRESSES, otherwise=OTHERWISE
)
EXECS = st.builds(tables.Exec, allow=PATTERNS, deny=PATTERNS, ask=PATTERNS, otherwise=OTHERWISE)
LIMITS = st.builds(tables.Limits, processes=st.none() | st.integers(1, 1 << 40))
MOMENTS = st.none() | st.dates() | st.datetimes() | st.just(datetime(2027, 1, 1, tzinfo=UTC))


def _grant(verdict: str, errno: int | None, access: tuple[str, ...] | None, **more: Any) -> tables.Grant:
    return tables.Grant(
        verdict=verdict,  # type: ignore[arg-type]
        errno=errno if verdict == "deny" else None,
        access=access if more["paths"] else None,
        **more,
    )


GRANT = st.builds(
    _grant,
    st.sampled_from(["allow", "deny"]),
    st.none() | st.sampled_from([1, 13, 4095]),
    st.none() | st.lists(st.sampled_from(sorted(CLASSES)), min_size=1, max_size=3, unique=True).map(tuple),
    call=st.sampled_from(["openat", "connect"]),
    when=st.none() | WHENS,
    paths=PATTERNS,
    addresses=ADDRESSES,
    program=st.none() | st.just(Written("/usr/bin/git")),
    expires=MOMENTS,
    when_granted=st.none() | st.just(date(2026, 11, 22)),
    why=TEXT,
)
GRANTS = st.lists(GRANT, min_size=1, max_size=3).map(lambda found: tables.Grants(tuple(found)))

VERSIONS = st.none() | st.tuples(st.integers(2, 7), st.integers(0, 30))

TABLES = st.fixed_dictionaries(
    {}, optional={"files": FILES, "network": NETWORKS, "exec": EXECS, "limits": LIMITS, "grants": GRANTS}
)

INCLUDES = st.lists(st.just(text.load("preset:hardening", variables=VARIABLES, presets=presets)), max_size=2)
EXTENDS = st.none() | st.just(text.load("preset:base", variables=VARIABLES, presets=presets))


def _policy(default: actions.Action, exact: bool, **more: Any) -> Policy:
    if isinstance(default, actions.Deny) and not exact:
        return Policy(default=actions.Deny(), exact_errno=False, **more)
    return Policy(default=default, **more)


def _is_sound(policy: Policy) -> bool:
    try:
        verify(policy)
    except PolicyError:
        return False
    return True


def _sound(policy: Policy) -> Policy:
    """Return *policy* without the rules that nothing reaches: a file that has them is refused."""
    rules: list[Rule] = []
    for rule in policy.rules:
        if _is_sound(attrs.evolve(policy, rules=(*rules, rule))):
            rules.append(rule)
    return attrs.evolve(policy, rules=tuple(rules))


POLICIES = st.builds(
    _policy,
    ACTIONS,
    st.booleans(),
    name=TEXT.filter(bool),
    rules=st.lists(RULES, max_size=3),
    includes=INCLUDES,
    extends=EXTENDS,
    known_as_of=VERSIONS,
    arches=ARCHES,
    other_arch=st.sampled_from(["kill", "enosys"]),
    reason=TEXT,
).map(_sound)
"""Without tables."""

TABLED = st.builds(Policy, st.just("p"), known_as_of=st.just((6, 1)), tables=TABLES)
"""With nothing but tables."""
