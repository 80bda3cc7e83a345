-- What could not be normalized, the latest first; the next page begins after a key.
SELECT
  *,
  CONCAT(
    COALESCE(event_id, ''), '/', stage, '/', COALESCE(table_name, ''), '/', COALESCE(pointer, ''), '/',
    TO_HEX(MD5(COALESCE(attributes, '')))
  ) AS letter_id
FROM `${views}.dead_letters`
WHERE
  received_at >= @since
  AND received_at < @until
  AND (@source = '' OR source = @source)
  AND (received_at < @before OR (received_at = @before AND CONCAT(
    COALESCE(event_id, ''), '/', stage, '/', COALESCE(table_name, ''), '/', COALESCE(pointer, ''), '/',
    TO_HEX(MD5(COALESCE(attributes, '')))
  ) > @after_id))
ORDER BY received_at DESC, letter_id
LIMIT @page_size
