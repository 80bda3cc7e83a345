import pytest
from receiver_support import events, wait_until

from receiver.durable.drain import drain_folder
from receiver.durable.outbox import Outbox
from receiver.durable.spool import Spool, measure


def test_publishes_what_a_receiver_that_is_gone_has_left(tmp_path, publisher, bus):
    for source in ("facebook", "other"):
        spool = Spool(tmp_path, source)
        spool.append(events(3, source=source))
        spool.seal()
        spool.append(events(2, first=3, source=source))
        (segment,) = spool._segments._open.values()
        segment._file.close()
    assert dict(drain_folder(tmp_path, publisher)) == {"facebook": 5, "other": 5}
    assert dict(drain_folder(tmp_path, publisher)) == {"facebook": 0, "other": 0}
    assert bus.published("other") == events(5, source="other")
    assert measure(tmp_path).events == 0


def test_leaves_alone_what_a_live_receiver_holds(tmp_path, publisher, bus):
    spool = Spool(tmp_path, "facebook")
    live = Outbox(spool, publisher, publish_seconds=1)
    live.keep(events(3))
    assert dict(drain_folder(tmp_path, publisher)) == {"facebook": 0}
    live.start()
    wait_until(lambda: bus.published() == events(3))
    live.close()


def test_says_so_where_there_is_no_spool(tmp_path, publisher):
    with pytest.raises(FileNotFoundError, match="no spool in"):
        list(drain_folder(tmp_path, publisher))
