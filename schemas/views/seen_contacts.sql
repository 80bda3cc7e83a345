-- Every sighting of a contact, whether it counts or not: those with a row of their own (a picture, further ids, nothing
-- said), and those that messages and metadata tell, which have a name and a phone number at most. The view counted_contacts
-- has those that count. A filter on seen_date prunes.
SELECT
  contact_id,
  source,
  source_contact_id,
  channel_id,
  display_name,
  username,
  phone_number,
  locale,
  time_zone,
  avatar_url,
  alternative_ids,
  phone_e164,
  seen_at,
  seen_date,
  event_id,
  received_at,
  generation,
  processed_at,
  placed_at,
  run_id
FROM `${rows}.contacts`
UNION ALL
SELECT
  contact_id,
  source,
  source_contact_id,
  channel_id,
  contact_display_name AS display_name,
  CAST(NULL AS STRING) AS username,
  IF(contact_phone_e164 IS NULL, NULL, REGEXP_REPLACE(source_contact_id, r'^.*:', '')) AS phone_number,
  CAST(NULL AS STRING) AS locale,
  CAST(NULL AS STRING) AS time_zone,
  CAST(NULL AS STRING) AS avatar_url,
  ARRAY<STRING>[] AS alternative_ids,
  contact_phone_e164 AS phone_e164,
  sent_at AS seen_at,
  sent_date AS seen_date,
  event_id,
  received_at,
  generation,
  processed_at,
  placed_at,
  run_id
FROM `${rows}.messages`
WHERE
  source_contact_id IS NOT NULL
  -- More is known of the contact: it has a row of its own.
  AND (contact_display_name IS NULL OR contact_display_name != '')
UNION ALL
SELECT
  contact_id,
  source,
  source_contact_id,
  channel_id,
  contact_display_name AS display_name,
  CAST(NULL AS STRING) AS username,
  IF(contact_phone_e164 IS NULL, NULL, REGEXP_REPLACE(source_contact_id, r'^.*:', '')) AS phone_number,
  CAST(NULL AS STRING) AS locale,
  CAST(NULL AS STRING) AS time_zone,
  CAST(NULL AS STRING) AS avatar_url,
  ARRAY<STRING>[] AS alternative_ids,
  contact_phone_e164 AS phone_e164,
  occurred_at AS seen_at,
  occurred_date AS seen_date,
  event_id,
  received_at,
  generation,
  processed_at,
  placed_at,
  run_id
FROM `${rows}.metadata`
WHERE
  source_contact_id IS NOT NULL
  AND (contact_display_name IS NULL OR contact_display_name != '')
