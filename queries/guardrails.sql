-- Which guardrail rules matched, in how many calls, and what was done about it.
-- A verdict's text begins with its rule: a quote within other texts has a backslash before it.
WITH verdicts AS (
  SELECT call_id, time, unnest(array_pop_front(string_to_array(body, '{"rule":"'))) AS verdict
  FROM events
  WHERE type = 'guardrail.evaluated'
),
matches AS (
  SELECT
    call_id,
    time,
    split_part(verdict, '"', 1) AS rule,
    split_part(split_part(verdict, '"action":"', 2), '"', 1) AS action
  FROM verdicts
)
SELECT
  rule,
  count(DISTINCT call_id) AS calls,
  count(DISTINCT call_id) FILTER (WHERE action = 'block') AS blocked,
  count(DISTINCT call_id) FILTER (WHERE action = 'vault') AS vaulted,
  count(DISTINCT call_id) FILTER (WHERE action = 'redact') AS redacted,
  count(DISTINCT call_id) FILTER (WHERE action = 'flag') AS flagged,
  max(time) AS last_seen
FROM matches
GROUP BY rule
ORDER BY calls DESC, rule
