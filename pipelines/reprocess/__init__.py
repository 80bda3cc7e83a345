"""Reprocessing: normalize archived events again, look at the difference, apply it, and take it back.

`plan` makes rows of archived events beside those that analysts read and compares the two; `apply` puts
them in place in one transaction, `roll_back` takes them out again. `docs/reprocessing.md` tells the story.
"""

from pipelines.reprocess.apply import apply, discard, roll_back
from pipelines.reprocess.plan import plan
from pipelines.reprocess.runs import RefusedError, Request, Run, State
from pipelines.reprocess.steps import Steps

__all__ = ["RefusedError", "Request", "Run", "State", "Steps", "apply", "discard", "plan", "roll_back"]
