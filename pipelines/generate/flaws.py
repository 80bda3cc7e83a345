"""What goes wrong beside what goes well: requests that are cut, of another shape, or none of ours.

Each comes beside a webhook that is whole, so that what was said in a world does not depend on it.
"""

import json
from collections.abc import Callable
from typing import Any, Final

from pipelines.generate.wire import JSON, Webhook

USUAL: Final = 10
"""How many webhooks of a thousand have a flawed one beside them."""
_ALL: Final = 1_000


def beside(webhook: Webhook, mark: int, of_a_thousand: int) -> Webhook | None:
    """Return the flawed webhook that comes beside a whole one; None where there is none.

    Args:
        webhook: the whole one.
        mark: chooses, evenly, which ones and what is wrong.
        of_a_thousand: how many have one.
    """
    if mark % _ALL >= of_a_thousand or webhook.content_type != JSON:
        return None
    flaws = _PAGES if webhook.endpoint == "facebook" else (_torn,)
    return flaws[mark // _ALL % len(flaws)](webhook)


def _torn(webhook: Webhook) -> Webhook:
    """Cut a body short, as a proxy does that gives up."""
    return webhook._replace(body=webhook.body[: len(webhook.body) // 2])


def _with_an_item_of_another_shape(webhook: Webhook) -> Webhook:
    """Add an item that no parser knows: a text where an object should be."""
    told: dict[str, Any] = json.loads(webhook.body)
    items = told["entry"][0].setdefault("messaging", [])
    about = {
        key: value for key, value in (items or [{}])[0].items() if key in {"sender", "recipient", "timestamp"}
    }
    items.append({**about, "message": "of another shape"})
    return webhook._replace(body=json.dumps(told, separators=(",", ":")).encode())


def _of_a_user(webhook: Webhook) -> Webhook:
    """Tell of a user's own profile, which Meta's console lets one subscribe to as well."""
    told: dict[str, Any] = json.loads(webhook.body)
    return webhook._replace(body=json.dumps({**told, "object": "user"}, separators=(",", ":")).encode())


_PAGES: Final[tuple[Callable[[Webhook], Webhook], ...]] = (_torn, _with_an_item_of_another_shape, _of_a_user)
