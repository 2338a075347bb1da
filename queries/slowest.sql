-- The twenty slowest calls, and where their time went.
SELECT call_id, started_at, app, request_model, status, duration_ms, ttft_ms, overhead_ms, attempts
FROM calls
ORDER BY duration_ms DESC NULLS LAST, call_id
LIMIT 20
