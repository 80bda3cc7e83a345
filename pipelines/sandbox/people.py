"""People who write to a business: what they say goes to the receiver as their provider would bring it."""

from pipelines.sandbox.deliveries import Deliveries, Webhook, graph, twilio
from pipelines.sandbox.graph_api import page, whatsapp
from pipelines.sandbox.world import Account, World


def write(world: World, deliveries: Deliveries, receiver: str, account: Account, person: str, text: str) -> str:
    """Let a person write a text to an account, which opens the window for answers; return the message's id."""
    world.wrote(account.id, person)
    at = world.clock.now()
    if account.provider == "twilio":
        identity = world.new_id("SM", 16)
        webhook = _of_twilio(receiver, account, person, text, identity)
    elif account.provider == "whatsapp":
        identity = world.new_id("wamid.")
        told = {"from": person, "id": identity, "timestamp": str(int(at)), "type": "text", "text": {"body": text}}
        contact = {"profile": {"name": f"Visitor {person[-4:]}"}, "wa_id": person}
        webhook = graph(
            f"{receiver}/whatsapp", whatsapp(account, contacts=[contact], messages=[told]), account.secret
        )
    else:
        identity = world.new_id("m_")
        payload = page(
            account,
            at,
            sender={"id": person},
            recipient={"id": account.id},
            message={"mid": identity, "text": text},
        )
        webhook = graph(f"{receiver}/facebook", payload, account.secret)
    deliveries.add(0.0, webhook)
    return identity


def _of_twilio(receiver: str, account: Account, person: str, text: str, identity: str) -> Webhook:
    to = f"whatsapp:{account.number}" if person.startswith("whatsapp:") else account.number
    form = {
        "MessageSid": identity,
        "SmsMessageSid": identity,
        "AccountSid": account.id,
        "From": person,
        "To": to,
        "Body": text,
        "NumMedia": "0",
        "NumSegments": "1",
        "SmsStatus": "received",
        "ApiVersion": "2010-04-01",
    }
    return twilio(f"{receiver}/twilio", form, account.secret)
