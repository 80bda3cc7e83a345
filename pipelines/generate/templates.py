"""What becomes of templates: WhatsApp approves them, finds one of them worse, and pauses it.

https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference
"""

from collections.abc import Iterator
from typing import Any, Final

from pipelines.generate import wire
from pipelines.generate.occasions import TEMPLATES, Template
from pipelines.generate.story import World
from pipelines.generate.talk import DAY, SECOND
from pipelines.generate.wire import Webhook

STATUS: Final = "message_template_status_update"
QUALITY: Final = "message_template_quality_update"
DISLIKED: Final = TEMPLATES[1]
"""The one that people do not like."""
_HOUR: Final = 3_600 * SECOND


def changes_of(world: World, day: int) -> Iterator[tuple[int, Webhook]]:
    """Yield when templates change on a day, in microseconds since 1970, and the webhook that says so."""
    if "whatsapp" not in world.sources:
        return
    # Of another world the moment is another.
    morning = world.start + day * DAY + 6 * _HOUR + world.seed % 3_600 * SECOND
    if day == 0:
        for number, each in enumerate(TEMPLATES):
            approved = {"event": "APPROVED", "reason": "NONE", "message_template_category": each.category}
            yield _change(morning + number * SECOND, each, STATUS, **approved)
    if day == world.days // 2:
        scores = {"previous_quality_score": "GREEN", "new_quality_score": "YELLOW"}
        yield _change(morning + _HOUR, DISLIKED, QUALITY, **scores)
        yield _change(morning + 2 * _HOUR, DISLIKED, STATUS, event="PAUSED", reason="LOW_QUALITY")


def _change(at: int, template: Template, field: str, **what: str) -> tuple[int, Webhook]:
    value: dict[str, Any] = {
        "message_template_id": template.id,
        "message_template_name": template.name,
        "message_template_language": template.language,
        **what,
    }
    entry = {"id": wire.ACCOUNT, "time": at // SECOND, "changes": [{"value": value, "field": field}]}
    return at, Webhook(
        "whatsapp", wire.json({"object": "whatsapp_business_account", "entry": [entry]}, escape=True)
    )
