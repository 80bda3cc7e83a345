  -- Included by other queries: who is one person across sources, as far as what was told in the period and ${around} days
  -- around it says it, and what operators have decided. As the view person_links, which reads all times.
${people},
  sightings AS (
    SELECT
      COALESCE(who.resolved_contact_id, seen.contact_id) AS contact_id,
      seen.contact_id AS told_contact_id,
      seen.source,
      seen.source_contact_id,
      seen.display_name,
      seen.username,
      seen.phone_number,
      seen.phone_e164,
      seen.seen_at,
      seen.seen_date
    FROM `${views}.seen_contacts` AS seen
    LEFT JOIN who ON who.contact_id = seen.contact_id
    WHERE seen.seen_date BETWEEN DATE_SUB(@first_day, INTERVAL ${around} DAY) AND DATE_ADD(@last_day, INTERVAL ${around} DAY)
  ),
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
        FROM who
      )
    GROUP BY name
    HAVING COUNT(DISTINCT meant_id) = 1
  ),
  stated AS (
    SELECT subject_id, key, value
    FROM `${views}.metadata_as_told`
    WHERE
      occurred_date BETWEEN DATE_SUB(@first_day, INTERVAL ${around} DAY) AND DATE_ADD(@last_day, INTERVAL ${around} DAY)
      AND subject_type = 'contact'
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
      LEAST(COALESCE(one.contact_id, decisions.contact_id), COALESCE(other.contact_id, decisions.other_contact_id)) AS contact_id,
      GREATEST(COALESCE(one.contact_id, decisions.contact_id), COALESCE(other.contact_id, decisions.other_contact_id)) AS other_id,
      decisions.decision,
      decisions.reason
    FROM `${views}.alias_decisions` AS decisions
    LEFT JOIN known AS one ON one.name = decisions.contact_id
    LEFT JOIN known AS other ON other.name = decisions.other_contact_id
    WHERE TRUE
    QUALIFY
      ROW_NUMBER() OVER (
        PARTITION BY
          LEAST(COALESCE(one.contact_id, decisions.contact_id), COALESCE(other.contact_id, decisions.other_contact_id)),
          GREATEST(COALESCE(one.contact_id, decisions.contact_id), COALESCE(other.contact_id, decisions.other_contact_id))
        ORDER BY decisions.decided_at DESC, decisions.decision_id DESC
      ) = 1
  ),
  links AS (
    SELECT DISTINCT contact_id, source, 'phone' AS kind, CONCAT('phone:', phone_e164) AS other_id, phone_e164 AS evidence
    FROM sightings
    WHERE phone_e164 IS NOT NULL
    UNION DISTINCT
    SELECT known.contact_id, known.source, 'person_id', CONCAT(stated.key, ':', stated.value), stated.value
    FROM stated
    INNER JOIN known ON known.name = stated.subject_id
    WHERE NOT STARTS_WITH(stated.key, 'person.same_as') AND stated.value != ''
    UNION DISTINCT
    SELECT known.contact_id, known.source, 'same_as', other.contact_id, stated.value
    FROM stated
    INNER JOIN known ON known.name = stated.subject_id
    INNER JOIN known AS other ON other.name = stated.value
    WHERE STARTS_WITH(stated.key, 'person.same_as') AND other.contact_id != known.contact_id
    UNION DISTINCT
    SELECT contact_id, '', 'decision', other_id, COALESCE(reason, '')
    FROM decided
    WHERE decision = 'same' AND contact_id != other_id
  ),
  shared AS (
    SELECT source, kind, other_id
    FROM links
    WHERE kind IN ('phone', 'person_id')
    GROUP BY source, kind, other_id
    HAVING COUNT(DISTINCT contact_id) > 5
  ),
  kept AS (
    SELECT links.*
    FROM links
    LEFT JOIN shared ON shared.source = links.source AND shared.kind = links.kind AND shared.other_id = links.other_id
    LEFT JOIN decided
      ON decided.contact_id = LEAST(links.contact_id, links.other_id)
      AND decided.other_id = GREATEST(links.contact_id, links.other_id)
    WHERE COALESCE(decided.decision = 'same', shared.other_id IS NULL)
  ),
  linked_ends AS (
    SELECT
      kept.source,
      CONCAT(kept.contact_id, ' ', kept.kind, ' ', kept.other_id) AS alias_id,
      told.contact_id,
      -- What is no contact lends nobody its id: it ranks as user names do.
      IF(kept.kind IN ('phone', 'person_id') AND told.is_other, '@', '') AS source_contact_id
    FROM kept
    CROSS JOIN
      UNNEST(
        [
          STRUCT(kept.contact_id AS contact_id, FALSE AS is_other),
          STRUCT(kept.other_id AS contact_id, TRUE AS is_other)
        ]
      ) AS told
  ),
${linked_rounds},
  person_of AS (
    SELECT contact_id, SUBSTR(MIN(label), 2, 36) AS person_id
    FROM linked_round_6
    GROUP BY contact_id
  ),
  members AS (
    SELECT sightings.*, COALESCE(person_of.person_id, sightings.contact_id) AS person_id
    FROM sightings
    LEFT JOIN person_of ON person_of.contact_id = sightings.contact_id
  )
