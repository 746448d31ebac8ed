"""
The fuzzers, for as long as one likes: ``python -m tests.fuzz SECONDS [NAME ...]``.

Each of them gets that many seconds; exit status 1 if one found something.
"""

from __future__ import annotations

import random
import sys

from tests.fuzz.frame import FuzzError, fuzz, fuzzers


def main(seconds: float, names: list[str]) -> int:
    known = fuzzers()
    status = 0
    for name in names or known:
        seed = random.randrange(1 << 32)
        try:
            tried = fuzz(known[name], seconds, seed)
        except FuzzError as error:
            status = 1
            print(f"{name}: {error}", flush=True)
        else:
            print(f"{name}: {tried.accepted} accepted, {tried.refused} refused, seed {seed}", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
