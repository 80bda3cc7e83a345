-- Messages and facts that are told in more than one partition, each with the one in which the views show it. Mostly
-- empty: only what has no usable time of its own can be among them.
SELECT
  id,
  -- The first partition in which it is told.
  first_date,
  decided_at
FROM (
  SELECT id, first_date, decided_at
  FROM `${rows}.retold`
  WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (PARTITION BY id ORDER BY decided_at DESC, first_date) = 1
)
WHERE first_date IS NOT NULL
