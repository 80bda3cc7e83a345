-- Which messages a page of a conversation has, the latest first; the table is clustered by conversation.
SELECT message_id, MAX(sent_at) AS last_sent_at, MAX(sent_date) AS sent_date, MIN(sent_date) AS first_sent_date
FROM `${views}.messages_as_told`
WHERE sent_date BETWEEN @first_day AND @last_day AND conversation_id IN (${conversation_ids})
GROUP BY message_id
HAVING last_sent_at < @before OR (last_sent_at = @before AND message_id < @before_id)
ORDER BY last_sent_at DESC, message_id DESC
LIMIT @page_size
