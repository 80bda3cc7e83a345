"""A share of an archive: groups that a pipeline takes one after another while it runs, in turns with others."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from weakref import WeakValueDictionary

import apache_beam as beam

from pipelines.io.archive_segments import Group

LARGEST_SHARE = 64 * 1024 * 1024
"""Bytes of archive: what is made once more, in each process, where a run is killed and goes on."""

_numbers = itertools.count()
_shares: "WeakValueDictionary[int, Share]" = WeakValueDictionary()


class Share:
    """Groups that one pipeline of this process takes while it runs, until they are `LARGEST_SHARE` bytes.

    Which they are shows only then, since other processes take theirs of the same groups: so a process that has the
    slower events, or has started late, takes fewer. Only a runner whose workers are this process can read a share:
    for these it is pickled by its number.
    """

    def __init__(self, first: Group, following: Iterator[Group]) -> None:
        """Begin with a group, and go on with those that nobody has taken when their turn comes."""
        self._following = following
        self._number = next(_numbers)
        _shares[self._number] = self
        self.taken = [first]
        """What was taken so far, and once the pipeline has ended: all."""

    def __iter__(self) -> Iterator[Group]:
        """Yield what is taken, and take the next: a bundle that is tried again gets what it had, and goes on."""
        yield from self.taken
        while sum(group.size for group in self.taken) < LARGEST_SHARE:
            group = next(self._following, None)
            if group is None:
                return
            self.taken.append(group)
            yield group

    def __reduce__(self) -> tuple[Callable[[int], "Share"], tuple[int]]:
        return _of_this_process, (self._number,)


def _of_this_process(number: int) -> Share:
    return _shares[number]


class Segments(beam.PTransform):
    """Gives the groups of segments that a pipeline is to read.

    A share is read in one bundle with what follows, so that the next group is taken when the one before is done.
    Other groups are shuffled, for a runner to divide them among its workers.
    """

    def __init__(self, groups: "Sequence[Group] | Share") -> None:
        """Give these groups."""
        super().__init__()
        self._groups = groups if isinstance(groups, Share) else tuple(groups)

    def expand(self, pbegin: Any) -> Any:
        """Return the groups."""
        if isinstance(self._groups, Share):
            return pbegin | beam.Impulse() | beam.FlatMap(_each, self._groups)
        return pbegin | beam.Create(self._groups, reshuffle=True)


def _each(_: bytes, share: Share) -> Iterator[Group]:
    return iter(share)
