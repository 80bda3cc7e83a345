-- A conversation's contact and channel, as a day has told last.
SELECT contact_id, channel_id, source, source_conversation_id
FROM `${views}.counted_conversations`
WHERE seen_date = @day AND conversation_id IN (${conversation_ids})
ORDER BY seen_at DESC, event_id DESC, contact_id
LIMIT 1
