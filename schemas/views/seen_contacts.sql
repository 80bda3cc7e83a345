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
  contact_display_name,
  CAST(NULL AS STRING),
  IF(contact_phone_e164 IS NULL, NULL, REGEXP_REPLACE(source_contact_id, r'^.*:', '')),
  CAST(NULL AS STRING),
  CAST(NULL AS STRING),
  CAST(NULL AS STRING),
  ARRAY<STRING>[],
  contact_phone_e164,
  sent_at,
  sent_date,
  event_id,
  received_at,
  generation,
  processed_at,
  placed_at,
  run_id
FROM `${rows}.messages`
WHERE source_contact_id IS NOT NULL
UNION ALL
SELECT
  contact_id,
  source,
  source_contact_id,
  channel_id,
  contact_display_name,
  CAST(NULL AS STRING),
  IF(contact_phone_e164 IS NULL, NULL, REGEXP_REPLACE(source_contact_id, r'^.*:', '')),
  CAST(NULL AS STRING),
  CAST(NULL AS STRING),
  CAST(NULL AS STRING),
  ARRAY<STRING>[],
  contact_phone_e164,
  occurred_at,
  occurred_date,
  event_id,
  received_at,
  generation,
  processed_at,
  placed_at,
  run_id
FROM `${rows}.metadata`
WHERE source_contact_id IS NOT NULL
