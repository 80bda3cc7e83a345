-- Which conversations are one, whichever of a person's ids each is told with: that which is asked for among them. Looked
-- for in the aliases of 45 days around, and in who was settled to be whom.
WITH
${people_around}
SELECT other.conversation_id, other.contact_id, other.resolved_conversation_id
FROM same
INNER JOIN same AS other ON other.resolved_conversation_id = same.resolved_conversation_id
WHERE same.conversation_id = @conversation_id
ORDER BY other.conversation_id, other.contact_id
LIMIT 200
