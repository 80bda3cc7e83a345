  -- The one contact is a phone number where there is one, and of several that with the smallest id.
  round_0 AS (
    SELECT
      *,
      CONCAT(
        CASE
          WHEN REGEXP_CONTAINS(source_contact_id, r'(^|:)[+]?[0-9]+$$') THEN '1'
          WHEN REGEXP_CONTAINS(source_contact_id, r'^@|[.]ENT[.]') THEN '3'
          ELSE '2'
        END,
        contact_id,
        source_contact_id
      ) AS label
    FROM ends
  ),
  -- Each round takes the smallest label over every alias, for all that have one label by then. Windows, because each
  -- reads what it is over once: joins of a round with the one before would double the work with each.
  round_1 AS (
    SELECT source, alias_id, contact_id, source_contact_id, MIN(met) OVER (PARTITION BY label) AS label
    FROM (SELECT *, MIN(label) OVER (PARTITION BY alias_id) AS met FROM round_0)
  ),
  round_2 AS (
    SELECT source, alias_id, contact_id, source_contact_id, MIN(met) OVER (PARTITION BY label) AS label
    FROM (SELECT *, MIN(label) OVER (PARTITION BY alias_id) AS met FROM round_1)
  ),
  round_3 AS (
    SELECT source, alias_id, contact_id, source_contact_id, MIN(met) OVER (PARTITION BY label) AS label
    FROM (SELECT *, MIN(label) OVER (PARTITION BY alias_id) AS met FROM round_2)
  ),
  round_4 AS (
    SELECT source, alias_id, contact_id, source_contact_id, MIN(met) OVER (PARTITION BY label) AS label
    FROM (SELECT *, MIN(label) OVER (PARTITION BY alias_id) AS met FROM round_3)
  ),
  round_5 AS (
    SELECT source, alias_id, contact_id, source_contact_id, MIN(met) OVER (PARTITION BY label) AS label
    FROM (SELECT *, MIN(label) OVER (PARTITION BY alias_id) AS met FROM round_4)
  ),
  round_6 AS (
    SELECT source, alias_id, contact_id, source_contact_id, MIN(met) OVER (PARTITION BY label) AS label
    FROM (SELECT *, MIN(label) OVER (PARTITION BY alias_id) AS met FROM round_5)
  )
