-- Which rows of an event no longer count, since a reprocessing run has replaced them or a newer generation has been
-- stored: the entry that holds. Mostly empty, since parley settle deletes such rows and then their entries.
SELECT
  event_id,
  decided_at,
  before,
  placed_before,
  oldest_generation,
  newest_generation,
  run_id
FROM `${rows}.superseded`
WHERE TRUE
QUALIFY ROW_NUMBER() OVER (PARTITION BY event_id ORDER BY decided_at DESC, oldest_generation DESC) = 1
