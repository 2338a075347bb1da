-- Which guardrail rules matched, in how many calls, and what was done about it.
WITH verdicts AS (
  SELECT call_id, time, unnest(json_get_array(body, 'weir.guardrail.verdicts')) AS verdict
  FROM events
  WHERE type = 'guardrail.evaluated'
),
matches AS (
  SELECT
    call_id,
    time,
    verdict->>'rule' AS rule,
    verdict->>'action' AS action
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
