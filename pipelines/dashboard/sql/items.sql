-- The items of a raw event that became rows of a day, each exactly as it was received.
SELECT 'message' AS what, message_id AS id, kind AS name, pointer, content, content_type, flags
FROM `${views}.counted_messages`
WHERE sent_date = @day AND event_id = @event_id
UNION ALL
SELECT 'metadata', metadata_id, CONCAT(key, ' = ', value), pointer, content, content_type, flags
FROM `${views}.counted_metadata`
WHERE occurred_date = @day AND event_id = @event_id
ORDER BY pointer, what, name, id
LIMIT 200
