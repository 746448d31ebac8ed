"""
Decide slowly: an ``async def`` handler may wait, while everything else goes on.

    python examples/ask_async.py
    seccomp-monitor run --handlers examples/ask_async.py -- sh -c 'kill -0 $$; kill -TERM $$; echo alive'

You will see that every kill(2) waits for an answer from somewhere else: here a task that plays
the person who is asked.  Signal 0 is allowed, every other signal is refused, and a question that
nobody answers in time is a refusal too.

What it is not: a look at memory.  pid and signal are registers, which nobody can change after the
call was made, so ``Allow`` is a decision here and legal under ``strict``.
"""

import errno
import signal
from typing import Final

import trio

import monitor

SECONDS_TO_THINK: Final = 0.05


async def person(number: int) -> bool:
    """Think it over; yes or no.  No thread of the supervisor is blocked meanwhile."""
    if number == signal.SIGUSR1:
        await trio.sleep_forever()  # too hard a question
    await trio.sleep(SECONDS_TO_THINK)
    return number == 0


@monitor.handles("kill", "tgkill", answer_seconds=0.5)
async def ask(call: monitor.Call) -> monitor.Verdict:
    """Ask, and wait for the answer; after half a second the deadline refuses."""
    return monitor.Allow() if await person(call.args.sig) else monitor.Deny(errno.EACCES)


async def main() -> None:
    """Let a shell send itself three signals."""
    script = "for it in 0 TERM USR1; do if kill -$it $$ 2>&-; then echo $it sent; else echo $it refused; fi; done"
    async with monitor.supervise(["sh", "-c", script], handlers=[ask]) as run:
        await run.wait()
    stats = run.stats
    print(f"{stats.allowed} allowed, {stats.denied} denied, {stats.timeouts} of them by the deadline", flush=True)


if __name__ == "__main__":
    trio.run(main)
