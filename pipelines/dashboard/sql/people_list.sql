-- People who were seen in the period, each once across sources, whoever was seen last first; the next page begins after a
-- key. Of all rows, whether they count or not: that is half as much to read.
WITH
${across},
  said AS (
    SELECT
      COALESCE(person_of.person_id, who.resolved_contact_id, message.contact_id) AS person_id,
      COUNT(DISTINCT message.message_id) AS messages
    FROM `${views}.messages_as_told` AS message
    LEFT JOIN who ON who.contact_id = message.contact_id
    LEFT JOIN person_of ON person_of.contact_id = COALESCE(who.resolved_contact_id, message.contact_id)
    WHERE message.sent_date BETWEEN @first_day AND @last_day
    GROUP BY 1
  ),
  -- Of several names at one time that of the contact with the smallest id, as in the view people; of that one's the
  -- first in the alphabet: by which event each came would be more to read.
  called AS (
    SELECT
      *,
      FIRST_VALUE(display_name IGNORE NULLS) OVER latest AS latest_display_name,
      FIRST_VALUE(username IGNORE NULLS) OVER latest AS latest_username,
      FIRST_VALUE(phone_number IGNORE NULLS) OVER latest AS latest_phone_number
    FROM members
    WHERE seen_date BETWEEN @first_day AND @last_day
    WINDOW
      latest AS (
        PARTITION BY person_id
        ORDER BY seen_at DESC, contact_id, display_name, username, phone_number
        ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
      )
  ),
  people AS (
    SELECT
      person_id,
      MIN(contact_id) AS contact_id,
      ARRAY_AGG(DISTINCT source ORDER BY source) AS sources,
      COUNT(DISTINCT contact_id) AS contacts,
      MAX(seen_at) AS last_seen_at,
      MAX(seen_date) AS last_seen_date,
      MAX(latest_display_name) AS display_name,
      MAX(latest_username) AS username,
      MAX(latest_phone_number) AS phone_number,
      MIN(source_contact_id) AS source_contact_id
    FROM called
    GROUP BY person_id
    HAVING
      LOGICAL_OR(@source = '' OR called.source = @source)
      AND (COUNT(DISTINCT called.source) > 1 OR NOT @several)
      AND LOGICAL_OR(
        @contact = ''
        OR STRPOS(LOWER(COALESCE(called.display_name, '')), LOWER(@contact)) > 0
        OR STRPOS(LOWER(COALESCE(called.username, '')), LOWER(@contact)) > 0
        OR STRPOS(COALESCE(called.phone_number, ''), @contact) > 0
        OR STRPOS(COALESCE(called.phone_e164, ''), @contact) > 0
        OR STRPOS(called.source_contact_id, @contact) > 0
      )
  )
SELECT people.*, COALESCE(said.messages, 0) AS messages
FROM people
LEFT JOIN said ON said.person_id = people.person_id
WHERE last_seen_at < @before OR (last_seen_at = @before AND people.person_id > @after_id)
ORDER BY last_seen_at DESC, people.person_id
LIMIT @page_size
