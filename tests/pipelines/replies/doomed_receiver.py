"""`python doomed_receiver.py`: a receiver that dies, with all its processes, at the step that a file names."""

import functools
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from dying import DiesOnOrder

from receiver import server
from receiver.durable.committer import Committers
from receiver.durable.publisher import Publisher
from receiver.replies.keys import Keys

_order = DiesOnOrder(Path(os.environ["STORM_ORDER"]), group=True)


def _tell(kind: Any, name: str, before: str = "", after: str = "") -> None:
    method = getattr(kind, name)

    @functools.wraps(method)
    def told(*args: Any, **options: Any) -> Any:
        if before:
            _order.reached(before)
        result = method(*args, **options)
        _order.reached(after)
        return result

    setattr(kind, name, told)


# At the top: a worker runs this module again, and loads the app then.
_tell(Keys, "register", after="key registered")
_tell(Publisher, "publish", before="archived", after="published")
_tell(Committers, "commit", after="made durable")

if __name__ == "__main__":
    server.main()
