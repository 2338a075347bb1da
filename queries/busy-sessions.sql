-- The busiest sessions: calls, tokens, cost, and how long they have gone on.
SELECT
  session_id,
  min(app) AS app,
  count(*) AS calls,
  sum(output_tokens) AS output_tokens,
  round(sum(cost_nano_usd) / 1e9, 6) AS cost_usd,
  min(started_at) AS first_call,
  max(ended_at) AS last_end
FROM calls
WHERE session_id IS NOT NULL
GROUP BY session_id
ORDER BY calls DESC, session_id
LIMIT 25
