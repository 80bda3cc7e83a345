-- The states of one reprocessing run, in order.
SELECT run_id, state, state_at, actor, reason, generation, selection, counts
FROM `${rows}.runs`
WHERE run_id = @run_id
ORDER BY state_at, state
LIMIT 100
