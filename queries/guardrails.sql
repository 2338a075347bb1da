-- Which guardrail rules matched, how often, and what was done about it.
SELECT
  rule,
  count(*) AS calls,
  count(*) FILTER (WHERE guardrail_action = 'block') AS blocked,
  count(*) FILTER (WHERE guardrail_action = 'redact') AS redacted,
  count(*) FILTER (WHERE guardrail_action = 'flag') AS flagged,
  max(started_at) AS last_seen
FROM (SELECT unnest(guardrail_rules) AS rule, guardrail_action, started_at FROM calls)
GROUP BY rule
ORDER BY calls DESC, rule
