"""`python -m tests.siege --seconds 1800`: besieges a stack of its own and accounts for every event."""

import argparse
import signal
import sys
import tempfile
from pathlib import Path

import pytest

from tests.siege.siege import EVERY, besiege


def main() -> int:
    """Run a siege and print its account; return 1 where an event is lost or doubled."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--senders", type=int, default=8)
    parser.add_argument("--attackers", type=int, default=8)
    parser.add_argument("--receivers", type=int, choices=(1, 2), default=2)
    parser.add_argument("--every", type=float, default=EVERY, help="seconds between accidents, on average")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    # Whoever is told to end ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="parley-siege-") as folder, pytest.MonkeyPatch.context() as patch:
        account = besiege(
            *(Path(folder), patch, given.seconds, given.senders, given.attackers, given.seed),
            receivers=given.receivers,
            every=given.every,
        )
        sys.stdout.write(account.report())
        return 0 if account.all_is_well else 1


if __name__ == "__main__":
    sys.exit(main())
