-- Rows of the table ${table} that count: not those that were superseded by a reprocessing run, nor those of an older
-- generation of the same event. The other views are made of these; what is told several times is here several times.
-- A filter on ${partition} prunes.
SELECT
  ${columns}
FROM ${stored} AS stored
LEFT JOIN `$${views}.superseded` AS entry ON entry.event_id = stored.event_id
WHERE
  ${condition}
  AND (
    entry.event_id IS NULL
    OR (
      stored.generation >= entry.oldest_generation
      AND IF(
        stored.placed_at IS NULL,
        stored.processed_at >= entry.before OR stored.generation > entry.newest_generation,
        stored.placed_at >= entry.placed_before
      )
    )
  )
QUALIFY ${nameless}stored.generation = MAX(stored.generation) OVER (PARTITION BY ${partitions}, stored.event_id)
