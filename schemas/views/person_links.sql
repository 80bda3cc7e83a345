-- What says that contacts are one person across sources, each link once with its evidence, and whether it counts: the same
-- phone number, a person's id that a source states, another contact that it names, an operator's decision; never a name.
-- The view people makes one person of all that count. Reads all partitions of contacts, aliases and metadata, but no
-- content. Rows of generations before 3 have no phone number in one spelling.
WITH
  sightings AS (
    SELECT
      COALESCE(identities.resolved_contact_id, seen.contact_id) AS contact_id,
      seen.contact_id AS told_contact_id,
      seen.source,
      seen.source_contact_id,
      seen.phone_e164,
      seen.seen_at,
      seen.event_id
    FROM `${views}.counted_contacts` AS seen
    LEFT JOIN `${views}.identities` AS identities ON identities.contact_id = seen.contact_id
  ),
  -- By which names a contact may be meant: its id as any table has it, and source and id where those name one alone.
  known AS (
    SELECT name, MIN(meant_id) AS contact_id, MIN(source) AS source
    FROM
      (
        SELECT told_contact_id AS name, contact_id AS meant_id, source
        FROM sightings
        UNION ALL
        SELECT CONCAT(source, ':', source_contact_id), contact_id, source
        FROM sightings
        UNION ALL
        SELECT contact_id, resolved_contact_id, source
        FROM `${views}.identities`
      )
    GROUP BY name
    HAVING COUNT(DISTINCT meant_id) = 1
  ),
  stated AS (
    SELECT subject_id, key, value, occurred_at, event_id
    FROM `${views}.metadata_as_told`
    WHERE
      subject_type = 'contact'
      AND (
        key IN ('person.id', 'person.same_as')
        OR STARTS_WITH(key, 'person.id.')
        OR STARTS_WITH(key, 'person.same_as.')
      )
    -- The last telling counts, and an empty one takes the link back.
    QUALIFY
      ROW_NUMBER() OVER (
        PARTITION BY subject_id, key
        ORDER BY occurred_at DESC, received_at DESC, event_id DESC, pointer DESC, occurred_date
      ) = 1
  ),
  decided AS (
    SELECT
      COALESCE(one.contact_id, decisions.contact_id) AS contact_id,
      COALESCE(other.contact_id, decisions.other_contact_id) AS other_id,
      COALESCE(one.source, other.source) AS source,
      decisions.decision,
      decisions.decision_id,
      decisions.decided_at,
      decisions.reason
    FROM `${views}.alias_decisions` AS decisions
    LEFT JOIN known AS one ON one.name = decisions.contact_id
    LEFT JOIN known AS other ON other.name = decisions.other_contact_id
    WHERE TRUE
    -- Of decisions about ids that have become one contact by now, the latest.
    QUALIFY
      ROW_NUMBER() OVER (
        PARTITION BY
          LEAST(COALESCE(one.contact_id, decisions.contact_id), COALESCE(other.contact_id, decisions.other_contact_id)),
          GREATEST(COALESCE(one.contact_id, decisions.contact_id), COALESCE(other.contact_id, decisions.other_contact_id))
        ORDER BY decisions.decided_at DESC, decisions.decision_id DESC
      ) = 1
  ),
  told AS (
    SELECT
      contact_id,
      source,
      'phone' AS kind,
      CONCAT('phone:', phone_e164) AS other_id,
      phone_e164 AS evidence,
      seen_at AS told_at,
      event_id,
      CAST(NULL AS STRING) AS decision_id
    FROM sightings
    WHERE phone_e164 IS NOT NULL
    UNION ALL
    SELECT
      known.contact_id,
      known.source,
      'person_id',
      CONCAT(stated.key, ':', stated.value),
      stated.value,
      stated.occurred_at,
      stated.event_id,
      NULL
    FROM stated
    INNER JOIN known ON known.name = stated.subject_id
    WHERE NOT STARTS_WITH(stated.key, 'person.same_as') AND stated.value != ''
    UNION ALL
    SELECT
      known.contact_id,
      known.source,
      'same_as',
      other.contact_id,
      stated.value,
      stated.occurred_at,
      stated.event_id,
      NULL
    FROM stated
    INNER JOIN known ON known.name = stated.subject_id
    INNER JOIN known AS other ON other.name = stated.value
    WHERE STARTS_WITH(stated.key, 'person.same_as') AND other.contact_id != known.contact_id
    UNION ALL
    SELECT contact_id, source, 'decision', other_id, reason, decided_at, NULL, decision_id
    FROM decided
    WHERE decision = 'same' AND contact_id != other_id
  ),
  links AS (
    SELECT
      *,
      MIN(told_at) OVER link AS first_told_at,
      MAX(told_at) OVER link AS last_told_at
    FROM told
    WHERE TRUE
    QUALIFY ROW_NUMBER() OVER (link ORDER BY told_at, event_id, evidence, decision_id) = 1
    WINDOW link AS (PARTITION BY contact_id, kind, other_id)
  ),
  counted AS (
    SELECT *, COUNT(*) OVER (PARTITION BY source, kind, other_id) AS sharers
    FROM links
  )
SELECT
  -- The contact, as the view contacts has it.
  counted.contact_id,
  counted.source,
  -- What says so: phone, person_id (metadata person.id of a contact), same_as (metadata person.same_as), or decision
  -- (an operator's).
  counted.kind,
  -- To what it links the contact: another contact's id; or phone:+…, or person.id:…, by which all are linked who have the
  -- same. A decision about contact_id and this takes the link out.
  counted.other_id,
  -- The number, the person's id or the name of the other contact as it was told; the reason of a decision.
  counted.evidence,
  -- When it was first told.
  counted.first_told_at,
  -- When it was last told.
  counted.last_told_at,
  -- The first raw event that tells it; joins events.event_id. Null where an operator decided it.
  counted.event_id,
  -- The decision that says so; joins alias_decisions.decision_id. Null where a raw event does.
  counted.decision_id,
  -- Why it links nobody: taken out (an operator decided so), shared (a number or id that more than 5 contacts of one source
  -- have had, unless an operator decided that it counts); null where it counts.
  CASE
    WHEN decided.decision = 'different' THEN 'taken out'
    WHEN counted.kind IN ('phone', 'person_id') AND counted.sharers > 5 AND decided.decision IS NULL THEN 'shared'
  END AS void_because
FROM counted
LEFT JOIN decided
  ON
    LEAST(decided.contact_id, decided.other_id) = LEAST(counted.contact_id, counted.other_id)
    AND GREATEST(decided.contact_id, decided.other_id) = GREATEST(counted.contact_id, counted.other_id)
