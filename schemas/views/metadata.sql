-- Each piece of metadata once, as its first telling told it, whichever generation stored it; one without a time of its own,
-- which may have come back to an earlier value (on, off, on), as its last telling did. Whoever is known by several ids in
-- a source is one contact with one conversation on each channel (the view identities).
-- A filter on occurred_date prunes the metadata; aliases are read in all partitions. With the ids as the tables have
-- them: metadata_as_told. Metadata without a usable time of its own may be told in two partitions: from the next parley
-- settle on it shows in the last only (retold).
${resolved}SELECT
  metadata_id,
  subject_type,
  -- The id in the view that subject_type names.
  CASE
    WHEN subject_type = 'contact' AND subject_id = told_contact_id THEN contact_id
    WHEN subject_type = 'conversation' AND subject_id = told_conversation_id THEN conversation_id
    ELSE subject_id
  END AS subject_id,
  channel_id,
  -- The conversation it belongs to, where that can be known: with one person on one channel there is one.
  conversation_id,
  -- The contact whom it concerns, where that can be known: of all that one is in the source, the one contact.
  contact_id,
  actor_id,
  source,
  key,
  value,
  occurred_at,
  occurred_at_from,
  occurred_at_raw,
  occurred_date,
  content,
  content_type,
  pointer,
  flags,
  event_id,
  received_at,
  generation,
  processed_at
FROM resolved
