-- Messages and metadata that are told in more than one partition, each with the one in which the views show it. Mostly
-- empty: only what has no usable time of its own can be among them.
SELECT
  id,
  shown_date,
  decided_at
FROM (
  SELECT id, shown_date, decided_at
  FROM `${rows}.retold`
  WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (PARTITION BY id ORDER BY decided_at DESC, shown_date) = 1
)
WHERE shown_date IS NOT NULL
