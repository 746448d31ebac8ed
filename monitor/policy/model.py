"""
Policies: what somebody wrote, as values that cannot be built wrong, and what it plainly means.

What it is not: the text (``text``, ``formats``), or the program (``compile``), which has to agree
with ``Policy.decide`` for every call.

The words.  A *rule* names calls and says what shall happen to them, perhaps only when a condition
on their registers holds.  A *policy* is rules, read in order until one matches, and a default.
Policies stack as *layers*, by ``includes``: each layer decides, and the most restrictive answer
wins, so that an include can only tighten.  ``extends`` is no layer: its rules follow one's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from errno import ENOSYS
from functools import lru_cache
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias, get_args

from attrs import field, frozen, validators

from monitor.abi.arch import Arch
from monitor.abi.groups import expand, refuse_unknown
from monitor.abi.syscalls import Signature, name_of, signature_of, since
from monitor.errors import PolicyError
from monitor.origin import NOWHERE, Origin
from monitor.policy.action import Action, Allow, Deny, KillProcess, rank, refuse_change
from monitor.policy.condition import Condition, cut

Version: TypeAlias = tuple[int, int]
"""A kernel version: (6, 1)."""

FALLBACKS: Final = frozenset(
    {
        "clone3", "close_range", "copy_file_range", "epoll_pwait2", "faccessat2", "fchmodat2", "futex_waitv",
        "getrandom", "membarrier", "memfd_create", "mseal", "openat2", "pidfd_open", "preadv2", "pwritev2",
        "renameat2", "rseq", "set_robust_list", "statx",
    }
)  # fmt: skip
"""Calls that a libc tries first and does without: only ENOSYS tells it to, EPERM is taken for the answer."""


class When(Protocol):
    """A condition as it was written, which means something else for each call: ``expression.Expression``."""

    @property
    def source(self) -> str:
        """Its text."""
        ...

    def bind(self, signature: Signature, arch: Arch) -> Condition:
        """Return what it means for the registers of one call.  Raises PolicyError: it names what the call has not."""
        ...

    def __hash__(self) -> int:
        """Equal conditions are bound once."""
        ...


_AN_ACTION: Final = validators.instance_of(get_args(Action))


def _words(names: Sequence[str]) -> tuple[str, ...]:
    if isinstance(names, str):
        message = f"names is a list of calls, not {names!r}"
        raise TypeError(message)
    return tuple(names)


def _known_words(_rule: object, _attribute: object, names: tuple[str, ...]) -> None:
    refuse_unknown(names)


def _can_change(rule: Rule, _attribute: object, mutable: bool) -> None:  # noqa: FBT001  # attrs' own signature
    if mutable:
        refuse_change(rule.action, rule.origin if rule.origin != NOWHERE else None)


@frozen
class Rule:
    """
    What shall happen to some calls.

    Raises PolicyError when built with a name that no ABI knows, since it would never match and nobody would
    notice, and when it is mutable and says what only a filter does.
    """

    names: tuple[str, ...] = field(converter=_words, validator=[validators.min_len(1), _known_words])
    """Calls, ``%class``, ``@group``, each with ``!`` before it to take away.  An ABI need not have all of them."""
    action: Action = field(validator=_AN_ACTION)
    when: When | None = field(default=None, kw_only=True)
    """On which registers it depends; None: on none."""
    arches: frozenset[Arch] | None = field(default=None, kw_only=True)
    """Where it stands; None: on every ABI."""
    mutable: bool = field(default=False, kw_only=True, validator=_can_change)
    """Whether it can still be changed while a program runs under it: then it is answered by us, not in BPF."""
    reason: str = field(default="", kw_only=True)
    origin: Origin = field(default=NOWHERE, kw_only=True)
    exact_errno: bool = field(default=True, kw_only=True)
    """Whether somebody wrote the errno of a ``Deny``; otherwise calls in ``FALLBACKS`` fail with ENOSYS."""

    def calls(self, arch: Arch) -> frozenset[str]:
        """Return the calls of *arch* that it is about."""
        if self.arches is not None and arch not in self.arches:
            return frozenset()
        return _expanded(self.names, arch)

    def condition(self, arch: Arch, name: str) -> Condition | None:
        """
        Return what it asks of the registers of call *name*; None: nothing.

        Raises PolicyError where the condition names an argument that the call has not.
        """
        return None if self.when is None else bound(self.when, arch, name)

    def action_for(self, name: str) -> Action:
        """Return the action, with the errno that libc understands where nobody wrote one."""
        if isinstance(self.action, Deny) and not self.exact_errno and name in FALLBACKS:
            return Deny(ENOSYS)
        return self.action


@lru_cache(4096)
def _expanded(names: tuple[str, ...], arch: Arch) -> frozenset[str]:
    try:
        return expand(names, arch, missing_ok=True)
    except PolicyError:
        # Known words of which this ABI has none; unknown ones were refused when the rule was checked.
        return frozenset()


def bound(when: When, arch: Arch, name: str) -> Condition:
    """
    Return what *when* asks of the registers of call *name*, which *arch* has.

    Raises PolicyError where it names an argument that the call has not.
    """
    signature = signature_of(arch, name)
    assert signature is not None
    return _bound(when, signature, arch)


@lru_cache(16384)
def _bound(when: When, signature: Signature, arch: Arch) -> Condition:
    return cut(when.bind(signature, arch), arch.register_bits)


class Decision(NamedTuple):
    """
    What a policy says about one call, and where.

    Attributes:
        action: what shall happen.
        rule: the rule that said so; None: the default, or ``known-as-of``.
        policy: the layer that it stands in.
    """

    action: Action
    rule: Rule | None
    policy: Policy


def _rules(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    return tuple(rules)


def _policies(policies: Iterable[Policy]) -> tuple[Policy, ...]:
    return tuple(policies)


def _tables(given: Mapping[str, object]) -> Mapping[str, object]:
    return MappingProxyType(dict(given))


@frozen
class Policy:
    """Rules, a default, and the layers beneath."""

    name: str = field(validator=validators.min_len(1))
    default: Action = field(factory=Allow, validator=_AN_ACTION)
    """What happens to calls that no rule names."""
    exact_errno: bool = field(default=True, kw_only=True)
    """Whether somebody wrote the errno of a default ``Deny``; otherwise calls in ``FALLBACKS`` fail with ENOSYS."""
    rules: tuple[Rule, ...] = field(default=(), converter=_rules, kw_only=True)
    includes: tuple[Policy, ...] = field(default=(), converter=_policies, kw_only=True)
    extends: Policy | None = field(default=None, kw_only=True)
    """Its rules follow the ones here, and its includes are included; its default is not used."""
    known_as_of: Version | None = field(default=None, kw_only=True)
    """Calls newer than this kernel fail with ENOSYS, where no rule names them."""
    arches: frozenset[Arch] | None = field(default=None, kw_only=True)
    """The ABIs whose calls are decided by the rules; None: every ABI of the machine it is compiled for."""
    other_arch: Literal["kill", "enosys"] = field(
        default="kill", kw_only=True, validator=validators.in_(("kill", "enosys"))
    )
    """What happens to calls of other ABIs."""
    tables: Mapping[str, object] = field(factory=dict[str, object], converter=_tables, kw_only=True, hash=False)
    """``files``, ``network``, ``exec``, ``limits`` as they were written, checked by ``tables``."""
    reason: str = field(default="", kw_only=True)
    origin: Origin = field(default=NOWHERE, kw_only=True)

    def layers(self) -> Iterator[Policy]:
        """Yield this policy and every one that it includes, in their order."""
        yield self
        extending: Policy | None = self
        while extending is not None:
            for beneath in extending.includes:
                yield from beneath.layers()
            extending = extending.extends

    def all_rules(self) -> Iterator[Rule]:
        """Yield the rules of this layer, those it extends behind its own."""
        yield from self.rules
        if self.extends is not None:
            yield from self.extends.all_rules()

    def decide(self, arch: Arch, nr: int, args: Sequence[int]) -> Decision:
        """Return what happens to call *nr* of *arch* with *args*, six unsigned 64-bit words: the plain meaning."""
        decisions = [layer.decide_alone(arch, nr, args) for layer in self.layers()]
        return max(decisions, key=lambda decision: rank(decision.action))  # of equals the first

    def decide_alone(self, arch: Arch, nr: int, args: Sequence[int]) -> Decision:
        """Return what this layer says, whatever the others do."""
        if self.arches is not None and arch not in self.arches:
            return self.decide_elsewhere()
        name = name_of(arch, nr)
        for rule in self.all_rules():
            if name is not None and name in rule.calls(arch):
                condition = rule.condition(arch, name)
                if condition is None or condition.holds(args):
                    return Decision(rule.action_for(name), rule, self)
        return Decision(self.default_for(arch, nr), None, self)

    def decide_elsewhere(self) -> Decision:
        """Return what this layer says about calls of ABIs that its rules do not decide about."""
        return Decision(KillProcess() if self.other_arch == "kill" else Deny(ENOSYS), None, self)

    def default_for(self, arch: Arch, nr: int) -> Action:
        """Return what happens to a call that no rule of this layer matched."""
        name = name_of(arch, nr)
        if self.known_as_of is not None and (name is None or _is_newer(name, self.known_as_of)):
            return Deny(ENOSYS)
        if isinstance(self.default, Deny) and not self.exact_errno and name in FALLBACKS:
            return Deny(ENOSYS)
        return self.default


def _is_newer(name: str, known: Version) -> bool:
    first = since(name)
    return first is not None and first > known
