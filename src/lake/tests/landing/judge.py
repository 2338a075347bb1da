"""DuckDB reads the lake on its own and says what is in it: one JSON object on standard output."""

import json
import os
import sys

import duckdb
import duckdb_extension_delta

lake = sys.argv[1]
folder = os.path.dirname(duckdb_extension_delta.__file__)
extension = next(
    os.path.join(root, name)
    for root, _, names in os.walk(folder)
    for name in names
    if name == "delta.duckdb_extension"
)
db = duckdb.connect(config={"allow_unsigned_extensions": "true"})
db.execute(f"load '{extension}'")
for table in ("events", "calls"):
    db.execute(f"create view {table} as select * from delta_scan('{lake}/{table}')")


def one(sql):
    return db.execute(sql).fetchone()[0]


print(
    json.dumps(
        {
            "events": one("select count(*) from events"),
            "offsets": one('select count(distinct "offset") from events'),
            "first": one('select min("offset") from events'),
            "last": one('select max("offset") from events'),
            "ends": one(
                "select count(*) from events where type in ('call.completed', 'call.failed', "
                "'call.blocked', 'call.cancelled', 'call.interrupted')"
            ),
            "calls": one("select count(*) from calls"),
            "call_ids": one("select count(distinct call_id) from calls"),
            "unmatched": one(
                "select count(*) from calls c full join (select call_id from events where type like 'call.%' "
                "and type <> 'call.started') e using (call_id) where c.call_id is null or e.call_id is null"
            ),
            "tags": one("select sum(len(tags)) from calls"),
            "flagged": one("select count(*) from calls where list_contains(guardrail_rules, 'pii.email')"),
            "cost": one("select sum(cost_nano_usd)::bigint from calls"),
            "tokens": one("select sum(input_tokens)::bigint from calls"),
            "started": one("select strftime(min(started_at) at time zone 'UTC', '%Y-%m-%d %H:%M:%S.%f') from calls"),
            "days": one("select count(distinct day) from events"),
            "types": dict(db.execute("select column_name, column_type from (describe calls)").fetchall()),
        },
        indent=2,
    )
)
