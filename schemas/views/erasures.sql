-- Each erasure once, in its latest state.
SELECT
  run_id,
  state,
  state_at,
  actor,
  reason,
  key_id,
  counts
FROM `${rows}.erasures`
WHERE TRUE
QUALIFY ROW_NUMBER() OVER (PARTITION BY run_id ORDER BY state_at DESC, state) = 1
