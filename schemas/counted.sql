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
    OR ${counts}
  )
QUALIFY ${newest}
