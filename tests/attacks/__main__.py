"""Makes the attacks: ``python -m tests.attacks [--tries N] [--write] [NAME...]``; what they are stands in ``kit``."""

from __future__ import annotations

import sys

from tests.attacks.kit import main

sys.exit(main(sys.argv[1:]))
