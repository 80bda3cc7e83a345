-- Reprocessing runs in their latest state, the latest first; the next page begins below a run.
SELECT run_id, state, state_at, actor, reason, generation, selection, counts
FROM `${views}.runs`
WHERE @before_id = '' OR run_id < @before_id
ORDER BY run_id DESC
LIMIT @page_size
