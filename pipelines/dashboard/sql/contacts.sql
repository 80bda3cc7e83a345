-- What contacts are called, as far as the source told on some days; of several names at one time that which the view
-- contacts has.
SELECT
  contact_id,
  MAX(source_contact_id) AS source_contact_id,
  MAX(display_name) AS display_name,
  MAX(username) AS username,
  MAX(phone_number) AS phone_number
FROM
  (
    SELECT
      contact_id,
      source_contact_id,
      FIRST_VALUE(display_name IGNORE NULLS) OVER latest AS display_name,
      FIRST_VALUE(username IGNORE NULLS) OVER latest AS username,
      FIRST_VALUE(phone_number IGNORE NULLS) OVER latest AS phone_number
    FROM `${views}.counted_contacts`
    WHERE seen_date IN (${days}) AND contact_id IN (${contact_ids})
    WINDOW
      latest AS (
        PARTITION BY contact_id
        ORDER BY seen_at DESC, event_id DESC, display_name, username, phone_number
        ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
      )
  )
GROUP BY contact_id
LIMIT 500
