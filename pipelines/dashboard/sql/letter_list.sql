-- What could not be normalized, the latest first, as dead_letters.sql has it, but for the bodies: those are most of the table.
SELECT received_at, source, stage, error_class, error_message, event_id, pointer, table_name
FROM `${views}.dead_letters`
WHERE received_at >= @since AND received_at < @until AND (@source = '' OR source = @source)
ORDER BY received_at DESC, event_id, stage, table_name, pointer, error_class, error_message
LIMIT @page_size
