"""What a sample tells, in one line a message or fact, so that a whole source fits on a page."""

from pathlib import Path

from normalized import SAMPLES, Rows, normalized


def sample(source: str, name: str, endpoint: str | None = None) -> Rows:
    """The rows of a sample; the endpoint is the source, unless it has another name."""
    return normalized(endpoint or source, (SAMPLES / source / f"{name}.json").read_bytes())


def sample_names(source: str) -> list[str]:
    return sorted(path.stem for path in Path(SAMPLES / source).glob("*.json"))


def told(rows: Rows) -> list[str]:
    """Messages first, each with direction, kind, id and flags; then facts, each with subject, key and value."""
    messages = [" ".join([m.direction, m.kind, m.source_message_id or "-", *m.flags]) for m in rows["messages"]]
    facts = [f"{f.subject_type} {f.key}={f.value}" for f in rows["metadata"]]
    return messages + facts


def joins(fact: Rows, message: Rows) -> bool:
    """Whether a fact is about a message, and in its conversation."""
    return (
        fact.metadata.subject_id == message.messages.message_id
        and fact.metadata.conversation_id == message.messages.conversation_id
    )
