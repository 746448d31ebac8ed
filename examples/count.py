"""
Count calls: a handler with state is a method of an object.

    python examples/count.py
    seccomp-monitor run --handlers examples/count.py -- sh -c 'mkdir /tmp/a; rmdir /tmp/a'

You will see which file calls a small program makes, and that it does not notice: ``Pass`` has no
opinion, so each call gets what ``otherwise`` says.

What it is not: a tracer of everything.  A call that another filter of the target refuses is not
seen, and of one that runs on the result is not known.
"""

from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import trio

import monitor

CALLS = ("mkdir", "mkdirat", "rmdir", "unlinkat", "chdir")


class Tally:
    """Counts by name; handlers run one at a time, so it needs no lock."""

    def __init__(self) -> None:
        """Nothing was counted yet."""
        self.calls: Counter[str] = Counter()

    @monitor.handles(*CALLS)
    def count(self, call: monitor.Call) -> monitor.Verdict:
        """Count, and leave the decision to others."""
        self.calls[call.name] += 1
        return monitor.Pass()

    def __str__(self) -> str:
        """Return the counts in the order of the names."""
        return ", ".join(f"{name} {count}" for name, count in sorted(self.calls.items()))


@asynccontextmanager
async def handlers() -> AsyncGenerator[Sequence[monitor.HandlerFunction], None]:
    """Give ``seccomp-monitor run`` the handler, and print when the program has ended."""
    tally = Tally()
    yield [tally.count]
    print(tally, flush=True)


async def main() -> None:
    """Watch a shell make and remove directories."""
    script = 'cd "$(mktemp -d)" && mkdir one two && rmdir one two && cd / && rmdir "$OLDPWD"'
    async with handlers() as counting:  # noqa: SIM117  # the count is printed after the run
        async with monitor.supervise(["sh", "-c", script], handlers=counting, otherwise=monitor.Allow()) as run:
            print(f"status {await run.wait()}", flush=True)


if __name__ == "__main__":
    trio.run(main)
