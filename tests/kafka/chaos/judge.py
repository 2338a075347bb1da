"""Reads the lake without Weir, by DuckDB and, where it is installed, by delta-rs, and says what is in it: one
JSON object on standard output, by reader."""

import json
import os
import sys

QUERIES = {
    "events": "select count(*) from events",
    "distinct_events": 'select count(*) from (select distinct journal_id, "offset" from events)',
    "offsets": 'select sum("offset") from events',
    "calls": "select count(*) from calls",
    "distinct_calls": "select count(distinct call_id) from calls",
    "input_tokens": "select sum(input_tokens) from calls",
    "output_tokens": "select sum(output_tokens) from calls",
    "cost": "select sum(cost_nano_usd) from calls",
    "text": "select sum(length(response_text)) from calls",
}


def duckdb_reads(lake):
    import duckdb
    import duckdb_extension_delta

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
    return {name: int(db.execute(sql).fetchone()[0] or 0) for name, sql in QUERIES.items()}


def delta_rs_reads(lake):
    try:
        from deltalake import DeltaTable, QueryBuilder
    except ImportError:
        return None
    reader = QueryBuilder()
    for table in ("events", "calls"):
        reader.register(table, DeltaTable(f"{lake}/{table}"))
    found = {}
    for name, sql in QUERIES.items():
        batches = reader.execute(sql).read_all()
        found[name] = int(batches.column(0)[0].as_py() or 0)
    return found


lake = sys.argv[1]
found = {"duckdb": duckdb_reads(lake), "delta-rs": delta_rs_reads(lake)}
json.dump({name: numbers for name, numbers in found.items() if numbers is not None}, sys.stdout)
