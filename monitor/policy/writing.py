"""
A policy as the text of a file: what ``text.loads`` reads back to the same policy.

What it is not: an edit of a text that somebody wrote (``edit``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, cast

import attrs

from monitor.abi.arch import Arch
from monitor.errors import PolicyError
from monitor.policy import tables
from monitor.policy.layout import block
from monitor.policy.model import Policy, Rule
from monitor.policy.spelling import errno_text, keys_of
from monitor.policy.tables import FileRule, Grant, Written


def dumps(policy: Policy) -> str:
    """
    Return the text of *policy*.

    What it includes and extends is named, not written out.

    Raises:
        PolicyError: it includes a policy that came from no file, which has no name.
    """
    blocks = [block("[policy]", _head(policy))]
    blocks += [block("[[syscalls]]", rule_keys(rule)) for rule in policy.rules]
    for name, table in tables.of(policy).items():
        blocks.append(block(f"[{name}]", _table_keys(table)))
        if isinstance(table, tables.Files):
            blocks += [block("[[files.rules]]", _file_rule_keys(rule)) for rule in table.rules]
    blocks += [block("[[grants]]", grant_keys(grant)) for grant in tables.grants(policy)]
    return "\n".join(blocks)


def _head(policy: Policy) -> Mapping[str, object]:
    keys: dict[str, object] = {"version": 1, "name": policy.name}
    if policy.reason:
        keys["reason"] = policy.reason
    if policy.includes:
        keys["include"] = [_reference(other) for other in policy.includes]
    if policy.extends is not None:
        keys["extends"] = _reference(policy.extends)
    default = keys_of(policy.default, exact_errno=policy.exact_errno)
    keys["syscalls-default"] = default["action"] if len(default) == 1 else default
    if policy.known_as_of is not None:
        keys["known-as-of"] = ".".join(map(str, policy.known_as_of))
    elif policy.extends is not None and policy.extends.known_as_of is not None:
        keys["known-as-of"] = "none"
    if policy.arches is not None:
        keys["arches"] = _arches(policy.arches)
    elif policy.extends is not None and policy.extends.arches is not None:
        keys["arches"] = "all"
    if policy.other_arch != "kill" or policy.extends is not None:
        keys["other-arch"] = policy.other_arch
    return keys


def _reference(policy: Policy) -> str:
    if not policy.origin.file:
        message = f"policy {policy.name!r} came from no file, so that a text cannot name it"
        raise PolicyError(message)
    # A relative name is looked for beside the file that has it.
    return policy.origin.file


def _arches(arches: Iterable[Arch]) -> list[str]:
    return [arch.table for arch in Arch if arch in arches]


def rule_keys(rule: Rule) -> Mapping[str, object]:
    """Return the keys of a rule, in their order."""
    keys: dict[str, object] = {"names": list(rule.names)}
    if rule.when is not None:
        keys["when"] = rule.when.source
    keys.update(keys_of(rule.action, exact_errno=rule.exact_errno))
    if rule.arches is not None:
        keys["arches"] = _arches(rule.arches)
    if rule.mutable:
        keys["mutable"] = True
    if rule.reason:
        keys["reason"] = rule.reason
    return keys


def grant_keys(grant: Grant) -> Mapping[str, object]:
    """Return the keys of a grant, in their order."""
    keys: dict[str, object] = {"call": grant.call}
    if grant.when is not None:
        keys["when"] = grant.when.source
    if grant.paths:
        keys["paths"] = _texts(grant.paths)
    if grant.access is not None:
        keys["access"] = list(grant.access)
    if grant.addresses:
        keys["addresses"] = _texts(grant.addresses)
    if grant.program is not None:
        keys["program"] = grant.program.text
    keys["verdict"] = grant.verdict
    if grant.errno is not None:
        keys["errno"] = errno_text(grant.errno)
    if grant.expires is not None:
        keys["expires"] = grant.expires
    if grant.when_granted is not None:
        keys["when-granted"] = grant.when_granted
    if grant.why:
        keys["why"] = grant.why
    return keys


def _texts(written: Iterable[Written]) -> list[str]:
    return [one.text for one in written]


_DEFAULTS: Final = {type(table): table for table in (tables.Files(), tables.Network(), tables.Exec(), tables.Limits())}


def _table_keys(table: tables.Table) -> Mapping[str, object]:
    """Return the keys of a table that differ from what they would be if nobody wrote them."""
    default = attrs.asdict(_DEFAULTS[type(table)], recurse=False)
    keys: dict[str, object] = {}
    for name, value in attrs.asdict(table, recurse=False).items():
        if name not in {"origin", "rules"} and value != default[name]:
            keys[name] = _texts(cast("tuple[Written, ...]", value)) if isinstance(value, tuple) else value
    return keys


def _file_rule_keys(rule: FileRule) -> Mapping[str, object]:
    keys: dict[str, object] = {"paths": _texts(rule.paths)}
    if rule.access is not None:
        keys["access"] = list(rule.access)
    keys["action"] = rule.action
    if rule.errno is not None:
        keys["errno"] = errno_text(rule.errno)
    if rule.handler is not None:
        keys["handler"] = rule.handler
    if rule.parameters:
        keys["parameters"] = dict(rule.parameters)
    if rule.reason:
        keys["reason"] = rule.reason
    return keys
