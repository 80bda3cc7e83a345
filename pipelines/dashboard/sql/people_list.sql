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
  people AS (
    SELECT
      person_id,
      MIN(contact_id) AS contact_id,
      ARRAY_AGG(DISTINCT source ORDER BY source) AS sources,
      COUNT(DISTINCT contact_id) AS contacts,
      MAX(seen_at) AS last_seen_at,
      MAX(seen_date) AS last_seen_date,
      MAX_BY(display_name, IF(display_name IS NULL, NULL, seen_at)) AS display_name,
      MAX_BY(username, IF(username IS NULL, NULL, seen_at)) AS username,
      MAX_BY(phone_number, IF(phone_number IS NULL, NULL, seen_at)) AS phone_number,
      MIN(source_contact_id) AS source_contact_id
    FROM members
    WHERE seen_date BETWEEN @first_day AND @last_day
    GROUP BY person_id
    HAVING
      LOGICAL_OR(@source = '' OR members.source = @source)
      AND (COUNT(DISTINCT members.source) > 1 OR NOT @several)
      AND LOGICAL_OR(
        @contact = ''
        OR STRPOS(LOWER(COALESCE(members.display_name, '')), LOWER(@contact)) > 0
        OR STRPOS(LOWER(COALESCE(members.username, '')), LOWER(@contact)) > 0
        OR STRPOS(COALESCE(members.phone_number, ''), @contact) > 0
        OR STRPOS(COALESCE(members.phone_e164, ''), @contact) > 0
        OR STRPOS(members.source_contact_id, @contact) > 0
      )
  )
SELECT people.*, COALESCE(said.messages, 0) AS messages
FROM people
LEFT JOIN said ON said.person_id = people.person_id
WHERE last_seen_at < @before OR (last_seen_at = @before AND people.person_id > @after_id)
ORDER BY last_seen_at DESC, people.person_id
LIMIT @page_size
