"""The recounts of all recipes of the cookbook, by their questions."""

# Each module lets its recounts be known.
import recounts_of_answers  # noqa: F401
import recounts_of_content  # noqa: F401
import recounts_of_operations  # noqa: F401
import recounts_of_reports  # noqa: F401
import recounts_of_traffic  # noqa: F401
from recipe_truth import RECOUNTS, Views

__all__ = ["RECOUNTS", "Views"]
