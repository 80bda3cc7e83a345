"""The calls that send replies."""

from urllib.parse import urlsplit

import msgspec
import pytest

from pipelines.replies.calls import Places, make_call
from pipelines.replies.channels import Channel
from schemas.replies import Addressed

GRAPH = "https://graph.test/v1"


@pytest.mark.parametrize("source", ["facebook", "instagram", "whatsapp"])
@pytest.mark.parametrize("channel", ["1003/deregister?x=", "../../oauth", "1003#", "1003%2Fx", "@evil.test/"])
def test_a_channel_leads_the_token_to_no_other_place(source, channel):
    reply = Addressed(source=source, channel=channel, to="7001", content=msgspec.Raw(b'{"text": "x"}'))

    url = urlsplit(make_call(reply, "r", Channel("token"), Places(graph=GRAPH)).url)

    assert (url.netloc, url.query, url.fragment) == ("graph.test", "", "")
    assert [part for part in url.path.split("/") if part][::2] == ["v1", "messages"]
