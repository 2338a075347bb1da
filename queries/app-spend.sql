-- Who spends: calls, tokens and cost by app and tenant.
SELECT
  tenant,
  app,
  count(*) AS calls,
  count(DISTINCT user_id) AS users,
  coalesce(sum(input_tokens), 0) + coalesce(sum(cache_read_tokens), 0) + coalesce(sum(cache_write_tokens), 0)
    + coalesce(sum(output_tokens), 0) + coalesce(sum(reasoning_tokens), 0) AS tokens,
  round(sum(cost_nano_usd) / 1e9, 6) AS cost_usd
FROM calls
GROUP BY tenant, app
ORDER BY cost_usd DESC NULLS LAST, calls DESC, app
