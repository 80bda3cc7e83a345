import io
import json
import logging
import logging.config

import pytest

from receiver.operate import logs


@pytest.fixture
def lines():
    stream = io.StringIO()
    config = logs.dict_config("INFO")
    config["handlers"]["stderr"]["stream"] = stream
    logging.config.dictConfig(config)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logging.getLogger().handlers.clear()


def test_writes_one_json_object_a_line(lines):
    logging.getLogger("x").warning("two\nlines %s", "ü", extra={"event_id": "1", "source": "facebook"})
    (line,) = lines()
    assert line["message"] == "two\nlines ü"
    assert (line["severity"], line["logger"]) == ("WARNING", "x")
    assert (line["event_id"], line["source"]) == ("1", "facebook")
    assert line["time"].endswith("+00:00")


def test_writes_no_extra_that_is_not_listed(lines):
    logging.getLogger("x").warning("hello", extra={"body": "private"})
    assert "private" not in json.dumps(lines())


def test_keeps_the_traceback_in_the_line(lines):
    try:
        raise ValueError("wrong")
    except ValueError:
        logging.getLogger("x").exception("failed")
    (line,) = lines()
    assert line["exception"].endswith("ValueError: wrong")


def test_leaves_out_what_is_below_the_level(lines):
    logging.getLogger("x").debug("hidden")
    assert lines() == []
