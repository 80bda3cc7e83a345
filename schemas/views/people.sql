-- Each person once, across sources: all contacts that links connect (the view person_links), over at most 6 links in a row,
-- and most longer chains, since contacts that have met go on as one. A contact without links is a person alone. Nothing is
-- merged on a name. Counts are sums over the view contacts. Reads all partitions, but no content.
WITH
  kept AS (
    SELECT
      *,
      CONCAT(contact_id, ' ', kind, ' ', other_id) AS link_id
    FROM `${views}.person_links`
    WHERE void_because IS NULL
  ),
  -- A person has the id of the contact that was seen first, so that it stays when further contacts are found.
  named AS (
    SELECT
      contact_id,
      CONCAT(
        LPAD(CAST(UNIX_MICROS(GREATEST(first_seen_at, TIMESTAMP '1970-01-01 00:00:00+00')) AS STRING), 20, '0'), contact_id
      ) AS label
    FROM `${views}.contacts`
  ),
  round_0 AS (
    SELECT
      ends.link_id,
      ends.node,
      -- What is no contact lends nobody its name.
      COALESCE(named.label, CONCAT('~', ends.node)) AS label
    FROM
      (
        SELECT link_id, contact_id AS node
        FROM kept
        UNION ALL
        SELECT link_id, other_id
        FROM kept
      ) AS ends
    LEFT JOIN named ON named.contact_id = ends.node
  ),
  -- Each round takes the smallest label over every link, for all that have one label by then, as the view identities does.
  round_1 AS (
    SELECT link_id, node, MIN(met) OVER (PARTITION BY label) AS label
    FROM (SELECT *, MIN(label) OVER (PARTITION BY link_id) AS met FROM round_0)
  ),
  round_2 AS (
    SELECT link_id, node, MIN(met) OVER (PARTITION BY label) AS label
    FROM (SELECT *, MIN(label) OVER (PARTITION BY link_id) AS met FROM round_1)
  ),
  round_3 AS (
    SELECT link_id, node, MIN(met) OVER (PARTITION BY label) AS label
    FROM (SELECT *, MIN(label) OVER (PARTITION BY link_id) AS met FROM round_2)
  ),
  round_4 AS (
    SELECT link_id, node, MIN(met) OVER (PARTITION BY label) AS label
    FROM (SELECT *, MIN(label) OVER (PARTITION BY link_id) AS met FROM round_3)
  ),
  round_5 AS (
    SELECT link_id, node, MIN(met) OVER (PARTITION BY label) AS label
    FROM (SELECT *, MIN(label) OVER (PARTITION BY link_id) AS met FROM round_4)
  ),
  round_6 AS (
    SELECT link_id, node, MIN(met) OVER (PARTITION BY label) AS label
    FROM (SELECT *, MIN(label) OVER (PARTITION BY link_id) AS met FROM round_5)
  ),
  resolved AS (
    SELECT node AS contact_id, SUBSTR(MIN(label), 21) AS person_id
    FROM round_6
    GROUP BY node
  ),
  members AS (
    SELECT
      contacts.*,
      COALESCE(resolved.person_id, contacts.contact_id) AS person_id
    FROM `${views}.contacts` AS contacts
    LEFT JOIN resolved ON resolved.contact_id = contacts.contact_id
  ),
  profiles AS (
    SELECT
      person_id,
      FIRST_VALUE(display_name IGNORE NULLS) OVER latest AS display_name
    FROM members
    WHERE TRUE
    QUALIFY ROW_NUMBER() OVER newest = 1
    WINDOW
      newest AS (PARTITION BY person_id ORDER BY last_seen_at DESC, contact_id),
      latest AS (newest ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
  ),
  linked AS (
    SELECT
      members.person_id,
      ARRAY_AGG(
        STRUCT(
          kept.contact_id AS contact_id,
          kept.kind AS kind,
          kept.other_id AS other_id,
          kept.evidence AS evidence,
          kept.first_told_at AS first_told_at,
          kept.event_id AS event_id,
          kept.decision_id AS decision_id
        )
        ORDER BY kept.kind, kept.other_id, kept.contact_id
      ) AS links
    FROM kept
    INNER JOIN members ON members.contact_id = kept.contact_id
    GROUP BY members.person_id
  ),
  numbers AS (
    SELECT members.person_id, ARRAY_AGG(DISTINCT kept.evidence ORDER BY kept.evidence) AS phone_numbers
    FROM kept
    INNER JOIN members ON members.contact_id = kept.contact_id
    WHERE kept.kind = 'phone'
    GROUP BY members.person_id
  ),
  counts AS (
    SELECT
      person_id,
      ARRAY_AGG(DISTINCT contact_id ORDER BY contact_id) AS contact_ids,
      ARRAY_AGG(DISTINCT source ORDER BY source) AS sources,
      MIN(first_seen_at) AS first_seen_at,
      MAX(last_seen_at) AS last_seen_at,
      SUM(conversations) AS conversations,
      SUM(messages) AS messages,
      SUM(inbound_messages) AS inbound_messages,
      SUM(outbound_messages) AS outbound_messages,
      MIN(first_message_at) AS first_message_at,
      MAX(last_message_at) AS last_message_at
    FROM members
    GROUP BY person_id
  )
SELECT
  -- The id of that of the person's contacts that was seen first.
  person_id,
  -- All contacts of the person; join them with CROSS JOIN UNNEST(contact_ids).
  contact_ids,
  -- The sources on which the person was seen.
  sources,
  -- Name: the latest that any source told. It links nobody.
  display_name,
  -- The phone numbers in E.164 by which the contacts are linked, or could be.
  COALESCE(phone_numbers, ARRAY<STRING>[]) AS phone_numbers,
  -- What makes one person of these contacts, each with its evidence, as the view person_links has it.
  IFNULL(links, []) AS links,
  -- The earliest time at which a source spoke of the person.
  first_seen_at,
  -- The latest time at which a source spoke of the person.
  last_seen_at,
  -- How many conversations with the person have messages.
  conversations,
  -- How many messages there are with the person.
  messages,
  -- How many of them the person sent.
  inbound_messages,
  -- How many of them went to the person.
  outbound_messages,
  -- When the first message was sent; null where there is none.
  first_message_at,
  -- When the last message was sent; null where there is none.
  last_message_at
FROM counts
INNER JOIN profiles USING (person_id)
LEFT JOIN linked USING (person_id)
LEFT JOIN numbers USING (person_id)
