-- Each pair of ids that a source told to be one person's, once, with its evidence, and whether it counts.
-- The view identities makes one contact of all that count. Reads all partitions, but no content.
WITH
  pairs AS (
    SELECT
      *,
      MIN(told_at) OVER pair AS first_told_at,
      MAX(told_at) OVER pair AS last_told_at,
      COUNT(DISTINCT event_id) OVER pair AS tellings,
      REGEXP_CONTAINS(source_contact_id, r'(^|:)[+]?[0-9]+$$') AS is_number
    FROM `${views}.counted_aliases`
    WHERE TRUE
    QUALIFY ROW_NUMBER() OVER (pair ORDER BY told_at, event_id, pointer, generation DESC, processed_at) = 1
    WINDOW pair AS (PARTITION BY alias_id)
  ),
  named AS (
    SELECT
      *,
      kind = 'username'
      AND (
        COUNT(DISTINCT IF(is_number, contact_id, NULL)) OVER (PARTITION BY kind, other_contact_id) > 1
        OR COUNT(DISTINCT IF(is_number, NULL, contact_id)) OVER (PARTITION BY kind, other_contact_id) > 1
      ) AS is_ambiguous
    FROM pairs
  )
SELECT
  named.alias_id,
  named.source,
  named.contact_id,
  named.source_contact_id,
  named.kind,
  named.other_contact_id,
  named.other_source_contact_id,
  -- When the source first told both together.
  named.first_told_at,
  -- When it last did.
  named.last_told_at,
  -- How many raw events tell both together.
  named.tellings,
  -- The first raw event that does; joins events.event_id.
  named.event_id,
  named.pointer,
  -- Why it links nobody: taken out (an operator decided so), ambiguous (a user name that several people have had); null
  -- where it counts.
  CASE
    WHEN decisions.decision = 'different' THEN 'taken out'
    WHEN named.is_ambiguous THEN 'ambiguous'
  END AS void_because
FROM named
LEFT JOIN `${views}.alias_decisions` AS decisions
  ON
    decisions.contact_id = LEAST(named.contact_id, named.other_contact_id)
    AND decisions.other_contact_id = GREATEST(named.contact_id, named.other_contact_id)
