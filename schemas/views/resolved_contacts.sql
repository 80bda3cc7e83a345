-- Who a contact is that a source told on a day by an id that is not the person's one: the answer of the view identities,
-- as parley settle and parley people last found it, by day. For questions of some days, such as the dashboard's; what was
-- told since is in aliases. A filter on seen_date prunes.
SELECT
  seen_date,
  source,
  channel_id,
  contact_id,
  source_contact_id,
  resolved_contact_id,
  resolved_source_contact_id,
  decided_at
FROM `${rows}.resolved_contacts`
WHERE TRUE
QUALIFY
  ROW_NUMBER() OVER (
    PARTITION BY seen_date, channel_id, contact_id ORDER BY decided_at DESC, resolved_contact_id
  ) = 1
