-- Who is who within a source: each contact that has aliases, and the one contact that all of them are.
-- A person is what aliases that count connect, over at most 6 of them in a row; most longer chains too, since ids that
-- have met go on as one. Contacts without aliases are not here: they are themselves. Reads all partitions of aliases, but
-- no content.
WITH
  pairs AS (
    SELECT
      source,
      alias_id,
      kind,
      contact_id,
      source_contact_id,
      other_contact_id,
      other_source_contact_id,
      REGEXP_CONTAINS(source_contact_id, r'(^|:)[+]?[0-9]+$$') AS is_number
    FROM `${views}.counted_aliases`
    GROUP BY source, alias_id, kind, contact_id, source_contact_id, other_contact_id, other_source_contact_id
  ),
  named AS (
    SELECT
      *,
      COUNT(IF(is_number, contact_id, NULL)) OVER name AS numbers,
      COUNT(IF(is_number, NULL, contact_id)) OVER name AS user_ids
    FROM pairs
    WINDOW name AS (PARTITION BY kind, other_contact_id)
  ),
  kept AS (
    SELECT named.*
    FROM named
    LEFT JOIN `${views}.alias_decisions` AS decisions
      ON
        decisions.decision = 'different'
        AND decisions.contact_id = LEAST(named.contact_id, named.other_contact_id)
        AND decisions.other_contact_id = GREATEST(named.contact_id, named.other_contact_id)
    WHERE
      decisions.decision_id IS NULL
      -- A user name passes from one person to another: where several have had it, it links nobody.
      AND (named.kind != 'username' OR (named.numbers <= 1 AND named.user_ids <= 1))
  ),
  ends AS (
    SELECT kept.source, kept.alias_id, told.contact_id, told.source_contact_id
    FROM kept
    CROSS JOIN
      UNNEST(
        [
          STRUCT(contact_id AS contact_id, source_contact_id AS source_contact_id),
          STRUCT(other_contact_id AS contact_id, other_source_contact_id AS source_contact_id)
        ]
      ) AS told
  ),
${rounds}SELECT
  source,
  -- A contact, as the tables have it.
  contact_id,
  -- Its id in the source's notation.
  source_contact_id,
  -- The contact that it is in the views, of all that the person is in the source.
  SUBSTR(MIN(label), 2, 36) AS resolved_contact_id,
  -- The id of that contact in the source's notation.
  SUBSTR(MIN(label), 38) AS resolved_source_contact_id
FROM round_6
GROUP BY source, contact_id, source_contact_id
