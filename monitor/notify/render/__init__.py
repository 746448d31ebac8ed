"""
A call as strace writes it: names for numbers, strings in quotes, no colour, one line.

What it is not: a decision, or the target's word for anything.  What a pointer points to is read
while the thread waits, and the thread's siblings can change it before the kernel reads it again.

The parts: ``text`` (bytes and numbers), ``layout`` (C structs), ``scene`` (one call and its
memory), ``kinds`` (what an argument's kind says), a module for each family of calls, and ``plan``,
which joins them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from monitor.abi.arch import Arch
from monitor.errors import TargetGone, TargetMemoryError
from monitor.notify.look import Look
from monitor.notify.memory import Memory
from monitor.notify.render.plan import Plan, Step, plan_behind, plan_of
from monitor.notify.render.scene import Scene
from monitor.notify.render.text import address, hexadecimal

__all__ = ["LineRenderer", "Look", "Rendered", "has_words", "render"]


class Rendered(NamedTuple):
    """
    A call, written down.

    Attributes:
        call: its name.
        names: of the arguments shown, in the order in which strace shows them; empty where nothing
            is known of the call, and the six registers are shown.
        texts: each of them, as strace writes it.
        strings: the paths and strings among them as bytes, by name.
    """

    call: str
    names: tuple[str, ...]
    texts: tuple[str, ...]
    strings: Mapping[str, bytes]

    def __str__(self) -> str:
        """Return ``openat(AT_FDCWD, "/etc/passwd", O_RDONLY)``."""
        return f"{self.call}({', '.join(self.texts)})"


def render(name: str, arch: Arch | None, registers: tuple[int, ...], memory: Memory, look: Look) -> Rendered:
    """
    Write down the call *name* of *arch* with *registers* (six unsigned 64-bit words).

    Never raises, whatever the registers and the memory hold.  A pointer to what cannot be read is
    an address, and so is every pointer once the thread is gone.
    """
    plan = None if arch is None else plan_of(arch, name)
    if plan is None or arch is None:
        return Rendered(name, (), tuple(hexadecimal(word) for word in registers), {})
    scene = Scene(name, arch, plan.signature, registers, memory, look)
    if plan.behind is not None:
        plan, scene = _behind(scene, plan)
    steps = plan.shown(scene)
    return Rendered(scene.name, tuple([step.name for step in steps]), tuple(_texts(scene, steps)), scene.strings)


def has_words(name: str, arch: Arch | None) -> bool:
    """Whether ``render`` says anything of a call of this name but the name."""
    plan = None if arch is None else plan_of(arch, name)
    return plan is None or bool(plan.steps) or plan.behind is not None


class LineRenderer:
    """
    Writes down call after call of one memory: what ``str`` makes of ``render``, for those who need it often.

    A scene is kept for each call that was seen, and gets the registers of the next one.
    """

    def __init__(self, memory: Memory, look: Look) -> None:
        """Show as much as *look* wants of *memory*, which is borrowed."""
        self._memory = memory
        self._look = look
        self._kept: dict[tuple[Arch, str], tuple[Plan, Scene, dict[Sequence[str], Sequence[Step]]]] = {}

    def line(self, name: str, arch: Arch | None, registers: tuple[int, ...]) -> str:
        """Return the call in words; never raises."""
        kept = self._kept.get((arch, name)) if arch is not None else None
        if kept is None:
            kept = self._scene(name, arch)
            if kept is None:
                return str(render(name, arch, registers, self._memory, self._look))
        plan, scene, selections = kept
        scene.registers = registers
        steps = plan.steps
        if plan.select is not None:
            names = tuple(plan.select(scene))
            steps = selections.get(names) or selections.setdefault(names, [plan.by_name[each] for each in names])
        return f"{name}({', '.join(_texts(scene, steps))})"

    def _scene(self, name: str, arch: Arch | None) -> tuple[Plan, Scene, dict[Sequence[str], Sequence[Step]]] | None:
        """Return what is kept from now on; None for calls of which it would not be the same each time."""
        plan = None if arch is None else plan_of(arch, name)
        if arch is None or plan is None or plan.behind is not None:
            return None
        scene = Scene(name, arch, plan.signature, (0,) * 6, self._memory, self._look)
        self._kept[arch, name] = plan, scene, {}
        return self._kept[arch, name]


def _texts(scene: Scene, steps: Sequence[Step]) -> list[str]:
    texts: list[str] = []
    for _, register, printer in steps:
        try:
            texts.append(printer(scene, register))
        except (TargetMemoryError, TargetGone, OSError):  # OSError: no fd or no memory of ours is left for the look
            texts.append(address(scene.pointer(register)))
    return texts


def _behind(scene: Scene, plan: Plan) -> tuple[Plan, Scene]:
    """Return the call that is behind one of *plan*, as far as its memory tells; else the call itself."""
    assert plan.behind is not None
    try:
        found = plan.behind(scene)
    except (TargetMemoryError, TargetGone):
        found = None
    if found is None:
        return plan, scene
    name, registers = found
    real = plan_behind(scene.arch, name)
    return real, Scene(name, scene.arch, real.signature, registers, scene.memory, scene.look)
