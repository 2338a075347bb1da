-- What each model cost on each day, dearest first; calls whose cost is unknown are counted apart.
SELECT
  day,
  coalesce(response_model, request_model) AS model,
  provider,
  count(*) AS calls,
  round(sum(cost_nano_usd) / 1e9, 6) AS cost_usd,
  count(*) FILTER (WHERE cost_nano_usd IS NULL) AS cost_unknown
FROM calls
GROUP BY day, coalesce(response_model, request_model), provider
ORDER BY day DESC, cost_usd DESC NULLS LAST, model
