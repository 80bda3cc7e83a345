-- Conversations with messages in the period, the one spoken in last first; the next page begins after a key.
WITH
${exchanged},
  found AS (
    -- Also by names that count no longer: that is half as much to read.
    SELECT DISTINCT COALESCE(who.resolved_contact_id, seen.contact_id) AS contact_id
    FROM `${views}.seen_contacts` AS seen
    LEFT JOIN who ON who.contact_id = seen.contact_id
    WHERE
      seen.seen_date BETWEEN @first_day AND @last_day
      AND @contact != ''
      AND (
        STRPOS(LOWER(COALESCE(seen.display_name, '')), LOWER(@contact)) > 0
        OR STRPOS(LOWER(COALESCE(seen.username, '')), LOWER(@contact)) > 0
        OR STRPOS(COALESCE(seen.phone_number, ''), @contact) > 0
        OR STRPOS(seen.source_contact_id, @contact) > 0
      )
  ),
  ranked AS (
    SELECT
      *,
      ROW_NUMBER() OVER (PARTITION BY conversation_id ORDER BY sent_at DESC, message_id DESC) AS place,
      ROW_NUMBER() OVER (
        PARTITION BY conversation_id ORDER BY IF(direction = 'inbound', 0, 1), sent_at DESC, message_id DESC
      ) AS naming_place
    FROM told
    WHERE sent_date BETWEEN @first_day AND @last_day
  ),
  talks AS (
    SELECT
      conversation_id,
      MAX(source) AS source,
      MAX(IF(place = 1, contact_id, NULL)) AS contact_id,
      COUNT(*) AS messages,
      MAX(sent_at) AS last_message_at,
      MAX(IF(place = 1, message_id, NULL)) AS last_message_id,
      MAX(IF(place = 1, sent_date, NULL)) AS last_message_date,
      -- By which id, and on which day, the source has told last who it is.
      MAX(IF(naming_place = 1, told_contact_id, NULL)) AS naming_contact_id,
      MAX(IF(naming_place = 1, sent_date, NULL)) AS last_name_date
    FROM ranked
    GROUP BY conversation_id
  )
SELECT talks.*, waits.conversation_id IS NOT NULL AS is_waiting
FROM talks
LEFT JOIN waits ON waits.conversation_id = talks.conversation_id
WHERE
  (waits.conversation_id IS NOT NULL OR NOT @waiting)
  AND (@contact = '' OR contact_id IN (SELECT contact_id FROM found))
  AND (last_message_at < @before OR (last_message_at = @before AND talks.conversation_id > @after_id))
ORDER BY last_message_at DESC, talks.conversation_id
LIMIT @page_size
