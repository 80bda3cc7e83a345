-- What operators decided about pairs of contacts: the latest decision of each pair, unless it was withdrawn.
WITH
  decided AS (
    SELECT
      decision_id,
      LEAST(contact_id, other_contact_id) AS contact_id,
      GREATEST(contact_id, other_contact_id) AS other_contact_id,
      decision,
      decided_at,
      actor,
      reason
    FROM `${rows}.alias_decisions`
  ),
  latest AS (
    SELECT *
    FROM decided
    WHERE TRUE
    QUALIFY
      ROW_NUMBER() OVER (PARTITION BY contact_id, other_contact_id ORDER BY decided_at DESC, decision_id DESC) = 1
  )
SELECT
  decision_id,
  -- The one of the two contacts whose id is the smaller.
  contact_id,
  -- The other one.
  other_contact_id,
  decision,
  decided_at,
  actor,
  reason
FROM latest
WHERE decision != 'withdrawn'
