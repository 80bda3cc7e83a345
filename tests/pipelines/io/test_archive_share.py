"""A share gives each group once, bounded, as the pipeline comes to it; a bundle tried again gets the same."""

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to

from pipelines.io import archive_share
from pipelines.io.archive_segments import Group
from pipelines.io.archive_share import Segments, Share

MB = 1024 * 1024


def group(name: int, size: int = 1) -> Group:
    return Group((f"{name}.avro",), size)


def test_a_share_has_enough_when_it_is_large():
    left = (group(n, 30 * MB) for n in range(1, 9))

    first, second = Share(group(0, 30 * MB), left), Share(group(99, archive_share.LARGEST_SHARE), left)

    assert [each.segments for each in first] == [("0.avro",), ("1.avro",), ("2.avro",)]
    assert list(second) == second.taken == [group(99, archive_share.LARGEST_SHARE)]
    assert next(left) == group(3, 30 * MB)


def test_a_bundle_that_is_tried_again_gets_what_it_had_and_goes_on():
    share = Share(group(0), (group(n) for n in range(1, 5)))
    before = iter(share)
    had = [next(before), next(before)]

    assert list(share) == [*had, group(2), group(3), group(4)] == share.taken


@pytest.mark.parametrize("runner", ["FnApiRunner", "BundleBasedDirectRunner"])
def test_a_pipeline_reads_what_its_share_takes(runner: str):
    share = Share(group(0), (group(n) for n in range(1, 5)))

    with beam.Pipeline(runner=runner) as pipeline:
        assert_that(pipeline | Segments(share), equal_to([group(n) for n in range(5)]))

    assert share.taken == [group(n) for n in range(5)]


def test_the_next_group_is_taken_when_the_one_before_is_done():
    share = Share(group(0), (group(n) for n in range(1, 4)))

    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        taken = pipeline | Segments(share) | beam.Map(lambda _, share: len(share.taken), share)
        assert_that(taken, equal_to([1, 2, 3, 4]))


def test_a_share_of_another_process_is_not_read():
    with pytest.raises(KeyError):
        archive_share._of_this_process(-1)
