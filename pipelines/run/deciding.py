"""What an operator decides about who is who: which contacts are meant, what is decided, and its row.

Rows are only inserted: the latest decision of a pair holds, and nothing is updated or deleted (docs/people.md).
"""

from typing import Any, Final, NamedTuple

from google.cloud import bigquery

from pipelines.bigquery import resolving
from pipelines.bigquery.target import Target

SAME: Final = "same"
DIFFERENT: Final = "different"
WITHDRAWN: Final = "withdrawn"
_AT_MOST: Final = 10


class UnknownError(LookupError):
    """No contact, or more than one, has a name."""


class Contact(NamedTuple):
    """A contact, as the tables have it."""

    contact_id: str
    name: str
    """Source and id in the source's notation."""


class Pair(NamedTuple):
    """What links two, or would: an alias, or a link across sources."""

    kind: str
    contact_id: str
    other_id: str
    evidence: str
    void_because: str | None


class Decisions:
    """Decisions in BigQuery."""

    def __init__(self, client: bigquery.Client, where: Target) -> None:
        self._client = client
        self._where = where

    def contact(self, name: str) -> Contact:
        """Return the contact that is meant by its id, or by `source:source_contact_id`.

        Raises:
            UnknownError: there is none, or more than one.
        """
        contacts, aliases = (self._where.view(each) for each in ("counted_contacts", "counted_aliases"))
        found = self._ask(
            "SELECT contact_id, CONCAT(MIN(source), ':', MIN(source_contact_id)) AS name FROM ("  # noqa: S608
            f"SELECT contact_id, source, source_contact_id FROM `{contacts}` UNION ALL "
            f"SELECT contact_id, source, source_contact_id FROM `{aliases}` UNION ALL "
            f"SELECT other_contact_id, source, other_source_contact_id FROM `{aliases}`) "
            "WHERE contact_id = @name OR CONCAT(source, ':', source_contact_id) = @name "
            f"GROUP BY contact_id ORDER BY contact_id LIMIT {_AT_MOST}",
            name=name,
        )
        if not found:
            raise UnknownError(f"no contact is {name}: give its contact_id, or source:source_contact_id")
        if len(found) > 1:
            raise UnknownError(f"{name} is several contacts: {', '.join(row['contact_id'] for row in found)}")
        return Contact(**found[0])

    def pairs(self, contact_id: str) -> list[Pair]:
        """Return what links a contact directly to others, as far as its person goes; also what counts no more."""
        aliases, identities = self._where.view("aliases"), self._where.view("identities")
        links = self._where.view("person_links")
        rows = self._ask(
            "WITH mine AS (SELECT CAST(@who AS STRING) AS contact_id UNION DISTINCT "  # noqa: S608
            f"SELECT resolved_contact_id FROM `{identities}` WHERE contact_id = @who UNION DISTINCT "
            f"SELECT other.contact_id FROM `{identities}` AS me INNER JOIN `{identities}` AS other "
            "ON other.resolved_contact_id = me.resolved_contact_id WHERE me.contact_id = @who) "
            "SELECT kind, contact_id, other_contact_id AS other_id, "
            "CONCAT(source_contact_id, ' = ', other_source_contact_id) AS evidence, void_because "
            f"FROM `{aliases}` WHERE contact_id IN (SELECT contact_id FROM mine) "
            "OR other_contact_id IN (SELECT contact_id FROM mine) UNION ALL "
            "SELECT kind, contact_id, other_id, COALESCE(evidence, '') AS evidence, void_because "
            f"FROM `{links}` WHERE contact_id IN (SELECT contact_id FROM mine) "
            "OR other_id IN (SELECT contact_id FROM mine) ORDER BY kind, contact_id, other_id",
            who=contact_id,
        )
        return [Pair(**row) for row in rows]

    def person(self, contact_id: str) -> dict[str, Any] | None:
        """Return the person that a contact is, as the view people has it."""
        people, identities = self._where.view("people"), self._where.view("identities")
        resolved = f"SELECT MAX(resolved_contact_id) FROM `{identities}` WHERE contact_id = @who"  # noqa: S608
        found = self._ask(
            "SELECT person_id, display_name, sources, phone_numbers, contact_ids, conversations, messages "  # noqa: S608
            f"FROM `{people}` WHERE COALESCE(({resolved}), @who) IN UNNEST(contact_ids) LIMIT 1",
            who=contact_id,
        )
        return found[0] if found else None

    def decided(self, one: str, other: str) -> str:
        """Return what holds for a pair now: same, different, or withdrawn where nothing is decided."""
        view = self._where.view("alias_decisions")
        found = self._ask(
            f"SELECT decision FROM `{view}` WHERE contact_id = @one AND other_contact_id = @other",  # noqa: S608
            **_pair(one, other),
        )
        return str(found[0]["decision"]) if found else WITHDRAWN

    def decide(self, one: str, other: str, decision: str, actor: str, reason: str | None) -> bool:
        """Insert a decision, unless it holds already; return whether that was needed.

        What is kept by day of who the contacts are (`resolved_contacts`) follows.
        """
        table, view = self._where.table("alias_decisions"), self._where.view("alias_decisions")
        holds = f"SELECT MAX(decision) FROM `{view}` WHERE contact_id = @one AND other_contact_id = @other"  # noqa: S608
        sql = (
            f"INSERT INTO `{table}` "  # noqa: S608
            "(decision_id, contact_id, other_contact_id, decision, decided_at, actor, reason) "
            "SELECT GENERATE_UUID(), CAST(@one AS STRING), CAST(@other AS STRING), CAST(@decision AS STRING), "
            "CURRENT_TIMESTAMP(), CAST(@actor AS STRING), CAST(@reason AS STRING) "
            f"FROM (SELECT COALESCE(({holds}), '{WITHDRAWN}') AS holds) WHERE holds != @decision"
        )
        values = {**_pair(one, other), "decision": decision, "actor": actor, "reason": reason}
        people = resolving.members(self._client, self._where, (one, other))
        job = self._client.query(sql, job_config=_parameters(values))
        job.result()
        # Also where it held already, since whoever decided it may have been interrupted here. Whom a link joins is
        # one of them only now, and whom it parts was before.
        people |= resolving.members(self._client, self._where, (one, other))
        resolving.keep(self._client, self._where, contacts=sorted(people))
        return bool(job.num_dml_affected_rows)

    def _ask(self, sql: str, **values: str) -> list[dict[str, Any]]:
        return [dict(row) for row in self._client.query(sql, job_config=_parameters(values)).result()]


def _pair(one: str, other: str) -> dict[str, str]:
    """Return two ids in the order in which the view alias_decisions has them."""
    return dict(zip(("one", "other"), sorted((one, other)), strict=True))


def _parameters(values: dict[str, Any]) -> bigquery.QueryJobConfig:
    named = [bigquery.ScalarQueryParameter(name, "STRING", value) for name, value in values.items()]
    return bigquery.QueryJobConfig(query_parameters=named)
