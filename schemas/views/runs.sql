-- Each reprocessing run once, in its latest state.
SELECT
  run_id,
  state,
  state_at,
  actor,
  reason,
  generation,
  selection,
  counts,
  events,
  damages
FROM `${rows}.runs`
WHERE TRUE
QUALIFY ROW_NUMBER() OVER (PARTITION BY run_id ORDER BY state_at DESC, state) = 1
