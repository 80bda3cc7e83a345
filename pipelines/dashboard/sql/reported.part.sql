  -- Included by the questions of reports: of the view ${table} what a period's figures are made of, so that the text of the views
  -- that read it can be asked of these days alone. How far they reach is the question's (reported.py).
  reported_${table} AS (
    SELECT
      told.* EXCEPT (conversation_id, contact_id),
      ${conversation_id} AS conversation_id,
      ${contact_id} AS contact_id
    FROM `${views}.${table}_as_told` AS told
    ${joins}
    WHERE
      told.${partition} BETWEEN DATE_SUB(@first_day, INTERVAL ${before} DAY) AND DATE_ADD(@last_day, INTERVAL ${after} DAY)
  )
