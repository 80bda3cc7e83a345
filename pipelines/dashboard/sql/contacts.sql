-- What contacts are called, as far as the source told on some days.
SELECT
  contact_id,
  MAX(source_contact_id) AS source_contact_id,
  MAX_BY(display_name, IF(display_name IS NULL, NULL, seen_at)) AS display_name,
  MAX_BY(username, IF(username IS NULL, NULL, seen_at)) AS username,
  MAX_BY(phone_number, IF(phone_number IS NULL, NULL, seen_at)) AS phone_number
FROM `${views}.counted_contacts`
WHERE seen_date IN (${days}) AND contact_id IN (${contact_ids})
GROUP BY contact_id
LIMIT 500
