-- Every contact that is the person whom a contact is, by every id that it was told with, and when each was seen last.
WITH
${across_near},
  evidence AS (
    SELECT contact_id, ARRAY_AGG(DISTINCT evidence ORDER BY evidence LIMIT 10) AS evidence
    FROM kept
    WHERE evidence != ''
    GROUP BY contact_id
  ),
  mine AS (
    SELECT DISTINCT person_id
    FROM members
    WHERE told_contact_id = @contact_id OR contact_id = @contact_id
  ),
  seen AS (
    SELECT
      members.told_contact_id,
      members.contact_id,
      members.source,
      members.source_contact_id,
      MAX(members.seen_date) AS last_seen_date
    FROM members
    INNER JOIN mine ON mine.person_id = members.person_id
    GROUP BY members.told_contact_id, members.contact_id, members.source, members.source_contact_id
  )
SELECT seen.*, IFNULL(evidence.evidence, ARRAY<STRING>[]) AS evidence
FROM seen
LEFT JOIN evidence ON evidence.contact_id = seen.contact_id
ORDER BY seen.source, seen.contact_id, seen.told_contact_id, seen.source_contact_id
LIMIT 60
