"""The number of the normalization logic: raised whenever the rows of any raw event change."""

GENERATION = 7
