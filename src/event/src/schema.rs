//! The events' JSON Schema, made from the types (`docs/schema/events.json` is its checked-in copy).

use serde_json::{Map, Value, json};

use crate::{Body, Envelope};

/// The schema of a sealed event: the envelope, and under `$defs` a body for each type.
#[must_use]
pub fn events() -> Value {
    let mut generator = schemars::SchemaGenerator::default();
    let envelope = generator.subschema_for::<Envelope>();
    let bodies = Body::schemas(&mut generator);
    let cases: Vec<Value> = bodies
        .into_iter()
        .map(|(name, body)| {
            json!({
                "if": { "properties": { "type": { "const": name } } },
                "then": { "properties": { "body": body } },
            })
        })
        .collect();
    let defs: Map<String, Value> = generator.take_definitions(true).into_iter().collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Weir event, version 1",
        "allOf": [envelope, { "required": ["body"], "allOf": cases }],
        "$defs": defs,
    })
}
