-- Each piece of metadata once, with the ids as its telling gave them (the view metadata makes one contact of all that a
-- person is in a source): as its first telling told it, whichever generation stored it; one without a time of its own, which
-- may have come back to an earlier value (on, off, on), as its last telling did. A delivery never comes back to an
-- earlier state: of states and their errors the first telling counts, and a redelivery does not make a message sent later; nor
-- does it make somebody come later (a referral).
-- A filter on occurred_date prunes. Metadata without a usable time of its own may be told in two partitions: from the
-- next parley settle on it shows in the last only (retold).
SELECT
  telling.metadata_id,
  telling.subject_type,
  telling.subject_id,
  telling.channel_id,
  telling.conversation_id,
  telling.contact_id,
  telling.actor_id,
  telling.source,
  telling.key,
  telling.value,
  telling.occurred_at,
  telling.occurred_at_from,
  telling.occurred_at_raw,
  telling.occurred_date,
  telling.content,
  telling.content_type,
  telling.pointer,
  telling.flags,
  telling.event_id,
  telling.received_at,
  telling.generation,
  telling.processed_at
FROM `${views}.counted_metadata` AS telling
LEFT JOIN `${views}.retold` AS retold ON retold.id = telling.metadata_id
WHERE
  retold.id IS NULL
  OR telling.occurred_date = retold.shown_date
  -- Told once more since that was found.
  OR (
    telling.occurred_at_from = 'received'
    AND telling.key NOT IN ('source.delivery_state', 'source.error', 'source.referral')
    AND telling.occurred_date > retold.shown_date
  )
QUALIFY
  ROW_NUMBER() OVER (
    PARTITION BY telling.occurred_date, telling.metadata_id
    ORDER BY
      IF(telling.occurred_at_from = 'received', 1, 0),
      IF(
        telling.occurred_at_from = 'received'
        AND telling.key NOT IN ('source.delivery_state', 'source.error', 'source.referral'),
        telling.received_at,
        NULL
      ) DESC,
      telling.received_at,
      telling.event_id,
      telling.pointer,
      telling.processed_at
  ) = 1
