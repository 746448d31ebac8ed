"""
Remembered answers: which of them answers an ask, which would remember an answer, and each in plain words.

What it is not: an ask or a file (``grants_file``).  A grant answers only where something is asked; who
asks (``granting``) has found before that nothing refuses the call.

A *question* is about one call: about one class of access to one name, or, where a rule about calls asks,
about its registers.  A grant with paths answers the first kind alone, and one without the second.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import date, datetime
from typing import Final, Literal

import attrs

from monitor.abi.arch import Arch
from monitor.abi.syscalls import Argument, names, signature_of
from monitor.abi.words import word
from monitor.errors import PolicyError
from monitor.origin import Origin
from monitor.policy.condition import Test
from monitor.policy.expression import Expression
from monitor.policy.layout import value_text
from monitor.policy.model import Policy, bound
from monitor.policy.paths import LONGEST_NAME, components, escape
from monitor.policy.spelling import RESTARTS, errno_text
from monitor.policy.tables import Grant, Grants, Written, grants, is_over
from monitor.policy.vocabulary import is_pointer

_DELETED: Final = b" (deleted)"
"""What the kernel puts behind the name of what has none any more (fs/d_path.c), and a file may be called, too."""

_LAYER: Final = "remembered"
"""The key in the place of a layer that is nothing but a file of grants."""


# ---- answering ----


def answering(
    given: Iterable[Grant],
    *,
    call: str,
    arch: Arch | None,
    registers: Sequence[int],
    exe: Callable[[], bytes],
    path: bytes | None = None,
    access: str | None = None,
    now: datetime | None = None,
) -> Grant | None:
    """
    Return the first of *given* that answers a question; None: none does.

    *path* is the canonical name that is asked about, and *access* the class; without a path it is asked
    about the six *registers*.  *exe* is asked once at most, and only if a grant names a program.

    Raises:
        PolicyError: a pattern of a grant that was never read from a file is none.
    """
    program: bytes | None = None
    for grant in given:
        if grant.call != call or not _is_about(grant, path, access) or not _holds(grant, arch, registers):
            continue
        if grant.expires is not None and is_over(grant.expires, now):
            continue
        if grant.program_pattern is not None:
            program = exe() if program is None else program
            if not is_program(program) or not grant.program_pattern.covers(program):
                continue
        return grant
    return None


def is_program(exe: bytes) -> bool:
    """Whether *exe*, which a link of /proc said, can be the name of a program that is still there."""
    return _is_canonical(exe) and not exe.endswith(_DELETED)


def _is_canonical(name: bytes) -> bool:
    try:
        components(name)
    except ValueError:
        return False
    return len(name) <= LONGEST_NAME


def _is_about(grant: Grant, path: bytes | None, access: str | None) -> bool:
    if path is None:
        return not grant.paths and not grant.addresses
    if not grant.paths or not _is_canonical(path):
        return False
    return (grant.access is None or access in grant.access) and grant.path_list.covers(path)


def _holds(grant: Grant, arch: Arch | None, registers: Sequence[int]) -> bool:
    if grant.when is None:
        return True
    if arch is None or grant.call not in names(arch):
        return False
    try:
        return bound(grant.when, arch, grant.call).holds(registers)
    except PolicyError:  # it means nothing on this ABI
        return False


# ---- suggesting ----


def suggested(  # noqa: PLR0913  # what is asked, and what is answered
    *,
    call: str,
    arch: Arch | None,
    registers: Sequence[int],
    exe: bytes,
    path: bytes | None = None,
    access: Collection[str] = (),
    verdict: Literal["allow", "deny"],
    errno: int | None = None,
    today: date | None = None,
    why: str = "",
) -> Grant | None:
    """
    Return the narrowest grant that remembers the answer *verdict* to a question, and to no other one.

    It is about the program *exe*, and, with a *path*, about that name alone and the classes *access*; without
    one about calls whose scalar arguments are those of *registers*.  *errno* is that of a denial.

    None: nothing can be remembered that is as narrow, since the program is no longer there, or the call or
    the name are none that a file could name.
    """
    if arch is None or call not in names(arch) or not is_program(exe):
        return None
    if path is not None and (not _is_canonical(path) or not access):
        return None
    return Grant(
        call=call,
        verdict=verdict,
        when=None if path is not None else _same_scalars(call, arch, registers),
        paths=() if path is None else tuple(_only(path)),
        access=None if path is None else tuple(sorted(access)),
        program=_written(escape(exe)),
        errno=None if verdict == "allow" or errno in RESTARTS else errno,
        when_granted=today,
        why=why.encode("utf-8", "backslashreplace").decode(),
    )


def _written(text: str) -> Written:
    return Written(text, expanded=text)


def _only(path: bytes) -> Iterator[Written]:
    """Yield the patterns of a list that covers *path* and nothing below it."""
    text = escape(path)
    yield _written(text)
    if len(path) + len("/x") <= LONGEST_NAME:  # else no name can be below it
        yield _written(f"!{text.rstrip('/')}/*")


def _same_scalars(call: str, arch: Arch, registers: Sequence[int]) -> Expression | None:
    """Return what holds for the calls whose scalar arguments are those of *registers*; None: it has none."""
    signature = signature_of(arch, call)
    assert signature is not None
    texts = [
        _same(call, arch, place, argument, registers)
        for place, argument in enumerate(signature.arguments)
        if _is_scalar(call, argument, argument.value(registers[place]))
    ]
    return Expression(" && ".join(texts)) if texts else None


_FDS: Final = frozenset({"fd", "dirfd"})

_MEMORY: Final = frozenset({"string", "argv", "envp", "buffer_in", "buffer_out", "buffer_inout"})
"""Kinds of argument that point somewhere, beside those of which ``is_pointer`` knows."""

_NO_ADDRESS: Final = 4096
"""Below it nothing is mapped (``mmap_min_addr``, proc_sys_vm(5)): what points there is NULL, or a number."""

_NUMBERS: Final = frozenset(
    {("prctl", "arg2"), ("keyctl", "arg2"), ("keyctl", "arg3"), ("fcntl", "arg"), ("fcntl64", "arg")}
)
"""
Arguments that are numbers or addresses, as another argument says: whatever they are, they count.

An address that is another one each time is then asked about each time.
"""


def _is_scalar(call: str, argument: Argument, value: int) -> bool:
    """Whether *value* says what is asked for: no fd, which is another file in each process, and no address."""
    if argument.kind in _FDS or argument.kind in _MEMORY or is_pointer(argument):
        return False
    return argument.kind != "pointer" or value < _NO_ADDRESS or (call, argument.name) in _NUMBERS


def _same(call: str, arch: Arch, place: int, argument: Argument, registers: Sequence[int]) -> str:
    """Return the condition that argument *place* is what it is in *registers*, as short as it can be told."""
    value = argument.value(registers[place])
    exact = Test(place, "==", width=argument.width, signed=argument.signed, value=value)
    texts = [f"{argument.name} == {value}"]
    if argument.kind == "mode" and value >= 0:
        texts.insert(0, f"{argument.name} == {value:#o}")
    elif argument.constants is not None:
        bits = value % (1 << argument.width)
        texts.insert(0, f"{argument.name} == {word(argument.constants, bits, arch)}")
    for text in texts:
        try:
            if bound(Expression(text), arch, call) == exact:
                return text
        except PolicyError:  # part of the word is a comment, or the name of another register
            continue
    return str(Expression.of(exact, [call]))


# ---- in words ----


def described(grant: Grant) -> str:
    """
    Return exactly what *grant* covers, in one line that holds nothing a terminal would obey.

    Names that could be taken for other words of the line stand in quotes.
    """
    words = [grant.verdict, grant.call]
    if grant.verdict == "deny" and grant.errno is not None:
        words.append(f"with {errno_text(grant.errno)}")
    if grant.paths:
        words += ["to", "use" if grant.access is None else _joined(grant.access, "or"), _paths_text(grant)]
    if grant.addresses:
        words += ["at", _joined([_name_text(one) for one in grant.addresses], "or")]
    if grant.when is not None:
        words += ["where", str(grant.when)]
    program = "any program" if grant.program is None else _name_text(grant.program)
    until = "revoked" if grant.expires is None else str(grant.expires)
    return f"{' '.join(words)}, by {program}, until {until}"


def _paths_text(grant: Grant) -> str:
    texts = [one.expanded or one.text for one in grant.paths]
    if len(texts) == 2 and texts[1] == f"!{texts[0].rstrip('/')}/*":  # noqa: PLR2004  # as suggested() writes one name
        return _name_text(grant.paths[0])
    parts: list[str] = []
    for text in texts:
        name = _quoted(text.removeprefix("!"))
        parts.append(f"but not {name} and below" if text.startswith("!") else f"{name} and below")
    return ", ".join(parts)


def _name_text(written: Written) -> str:
    return _quoted(written.expanded or written.text)


def _quoted(text: str) -> str:
    plain = text.isascii() and text.isprintable() and not set(text) & set(" ,\"'")
    return text if plain else value_text(text)


def _joined(texts: Sequence[str], last: str) -> str:
    return f" {last} ".join([", ".join(texts[:-1]), texts[-1]]) if len(texts) > 1 else texts[0]


# ---- a file of them, as a part of a policy ----


def with_grants(policy: Policy, entries: Grants, file: str) -> Policy:
    """
    Return *policy* with *entries*, which stand in *file*, behind its own, in the place of those it had of it.

    They are a layer that refuses nothing: calls of other ABIs are left to the layers above, of which each
    says at least what this one says.
    """
    layer = Policy(_LAYER, tables={"grants": entries}, other_arch="enosys", origin=Origin(file, key=_LAYER))
    kept = [one for one in policy.includes if one.origin != layer.origin]
    return attrs.evolve(policy, includes=(*kept, layer))


def grants_of_file(policy: Policy, file: str) -> Grants:
    """Return the grants of *file* that ``with_grants`` has added to *policy*."""
    return next((Grants(grants(layer)) for layer in _layers_of_grants(policy) if layer.origin.file == file), Grants(()))


def files_of_grants(policy: Policy) -> Iterator[str]:
    """Return the names of the files whose grants ``with_grants`` has added, whether they are there or not."""
    return (layer.origin.file for layer in _layers_of_grants(policy))


def _layers_of_grants(policy: Policy) -> Iterator[Policy]:
    return (layer for layer in policy.layers() if layer.origin.key == _LAYER)
