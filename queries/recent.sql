-- The last twenty calls with their texts, newest first.
SELECT call_id, started_at, app, request_model, status, duration_ms, request_text, response_text
FROM recent_calls(20)
