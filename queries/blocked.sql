-- The fifty calls that a guardrail blocked last, and which rules it was.
SELECT call_id, started_at, app, user_id, request_model, guardrail_rules, error_code
FROM calls
WHERE status = 'blocked'
ORDER BY started_at DESC, call_id
LIMIT 50
