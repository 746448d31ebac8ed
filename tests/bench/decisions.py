"""
What one decision about a path costs, under a table of 200 patterns of the kinds that people write.

What it is not: a test; that 200 patterns cost little more than two is one (tests/policy/test_matcher.py).

    python tests/bench/decisions.py
"""

from __future__ import annotations

import statistics
import time
import timeit

from monitor.policy.access import CLASSES, READ, WRITE
from monitor.policy.action import Allow
from monitor.policy.files import REFUSED, FileRule, FileTable, Hide
from monitor.policy.moving import Subtrees
from monitor.policy.paths import PathList

ALLOWED = [f"/usr/lib/package{number}/share" for number in range(80)] + [
    "/home/u/project",
    "!/home/u/project/.git/hooks",
]
REFUSALS = [f"**/*.k{number}" for number in range(40)] + [f"/home/u/.config/c{number}/*" for number in range(40)]
HIDDEN = [f"**/.secret{number}*" for number in range(37)] + ["**/.env"]

TABLE = FileTable(
    [
        FileRule(PathList.parse(ALLOWED), WRITE, Allow()),
        FileRule(PathList.parse(REFUSALS), CLASSES, REFUSED),
        FileRule(PathList.parse(HIDDEN), CLASSES, Hide()),
        FileRule(PathList.parse(["/usr"]), READ, Allow()),
    ]
)
LITERAL = FileTable([FileRule(PathList.parse(f"/srv/{number % 9}/p{number}" for number in range(200)), READ, Allow())])


NUMBER = 1000


def microseconds(statement: str) -> float:
    """Return the median of seven rounds, in this process's own time."""
    rounds = timeit.repeat(statement, timer=time.process_time, globals=globals(), number=NUMBER, repeat=7)
    return statistics.median(rounds) / NUMBER * 1e6


if __name__ == "__main__":
    SUBTREES = Subtrees(TABLE)
    for title, statement in (
        ("200 literal patterns, 3 components", "LITERAL.decide('read', b'/srv/7/p7')"),
        ("200 mixed patterns, 3 components", "TABLE.decide('read', b'/usr/bin/make')"),
        ("200 mixed patterns, 6 components", "TABLE.decide('read', b'/home/u/project/src/main/x.py')"),
        ("two subtrees of a table of 200", "SUBTREES.tell_apart(b'/home/u/project/a', b'/home/u/project/b')"),
    ):
        print(f"{title}: {microseconds(statement):.1f} microseconds")
