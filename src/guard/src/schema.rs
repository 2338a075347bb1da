//! JSON Schemas as the check of an answer's form needs them: a flat list of nodes.
//!
//! Understood are `type`, `enum`, `const`, `properties`, `required`, `additionalProperties`, `items`,
//! `prefixItems`, `allOf`, `anyOf`, `oneOf` (as `anyOf`), `$ref` within the schema, and the bounds of
//! numbers, strings, arrays and objects. What else a schema says constrains nothing.

use std::collections::HashMap;

use regex_automata::meta::Regex;
use serde_json::{Map, Value};

/// The most nodes of a schema.
const MOST_NODES: usize = 10_000;
/// How deep a schema may nest.
const DEEPEST: usize = 64;

/// Why a schema was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a JSON Schema that can be checked, at `{at}`: {reason}")]
pub struct SchemaError {
    /// Where, as a JSON pointer; `#` is the whole.
    pub at: String,
    /// What is wrong there.
    pub reason: String,
}

/// A compiled JSON Schema. The first node is the whole.
#[derive(Debug)]
pub struct Schema {
    pub(crate) nodes: Vec<Node>,
}

pub(crate) const NULL: u8 = 1;
pub(crate) const BOOLEAN: u8 = 2;
pub(crate) const NUMBER: u8 = 4;
pub(crate) const STRING: u8 = 8;
pub(crate) const ARRAY: u8 = 16;
pub(crate) const OBJECT: u8 = 32;
const ANY: u8 = 63;

/// What one schema says of one value.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) types: u8,
    pub(crate) integer: bool,
    /// The only values allowed.
    pub(crate) values: Option<Vec<Value>>,
    pub(crate) properties: HashMap<String, usize>,
    pub(crate) required: Vec<String>,
    pub(crate) additional: Additional,
    pub(crate) prefix: Vec<usize>,
    pub(crate) items: Option<usize>,
    /// Items, properties and characters: at least and at most.
    pub(crate) item_count: (u64, u64),
    pub(crate) property_count: (u64, u64),
    pub(crate) length: (u64, u64),
    pub(crate) minimum: Option<f64>,
    pub(crate) maximum: Option<f64>,
    pub(crate) above: Option<f64>,
    pub(crate) below: Option<f64>,
    pub(crate) pattern: Option<Regex>,
    /// All of these hold as well ...
    pub(crate) all: Vec<usize>,
    /// ... and one of each of these.
    pub(crate) any: Vec<Vec<usize>>,
}

/// What properties may stand beside the named ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Additional {
    Any,
    No,
    Like(usize),
}

impl Default for Node {
    fn default() -> Node {
        Node {
            types: ANY,
            integer: false,
            values: None,
            properties: HashMap::new(),
            required: Vec::new(),
            additional: Additional::Any,
            prefix: Vec::new(),
            items: None,
            item_count: (0, u64::MAX),
            property_count: (0, u64::MAX),
            length: (0, u64::MAX),
            minimum: None,
            maximum: None,
            above: None,
            below: None,
            pattern: None,
            all: Vec::new(),
            any: Vec::new(),
        }
    }
}

impl Schema {
    /// Compiles a schema from its JSON text.
    pub fn parse(json: &str) -> Result<Schema, SchemaError> {
        let root: Value = serde_json::from_str(json).map_err(|e| SchemaError {
            at: "#".to_owned(),
            reason: e.to_string(),
        })?;
        let mut builder = Builder {
            root: &root,
            nodes: Vec::new(),
            by_pointer: HashMap::new(),
        };
        builder.pointer("#", 0)?;
        let nodes = builder.nodes;
        Ok(Schema { nodes })
    }
}

struct Builder<'r> {
    root: &'r Value,
    nodes: Vec<Node>,
    by_pointer: HashMap<String, usize>,
}

fn fail<T>(at: &str, reason: impl Into<String>) -> Result<T, SchemaError> {
    let (at, reason) = (at.to_owned(), reason.into());
    Err(SchemaError { at, reason })
}

impl Builder<'_> {
    /// The node of the schema that `pointer` names: `#`, `#/$defs/name`.
    fn pointer(&mut self, pointer: &str, depth: usize) -> Result<usize, SchemaError> {
        if let Some(index) = self.by_pointer.get(pointer) {
            return Ok(*index);
        }
        let Some(path) = pointer.strip_prefix('#') else {
            return fail(
                pointer,
                "only references within the schema, such as `#/$defs/name`, are followed",
            );
        };
        let root = self.root;
        let Some(value) = root.pointer(path) else {
            return fail(pointer, "the reference leads nowhere");
        };
        self.node(value, pointer, depth)
    }

    fn node(&mut self, value: &Value, at: &str, depth: usize) -> Result<usize, SchemaError> {
        if self.nodes.len() >= MOST_NODES || depth > DEEPEST {
            return fail(
                at,
                format!("more than {MOST_NODES} parts, or nested deeper than {DEEPEST}"),
            );
        }
        if let Some(index) = self.by_pointer.get(at) {
            return Ok(*index);
        }
        let index = self.nodes.len();
        self.nodes.push(Node::default());
        self.by_pointer.insert(at.to_owned(), index);
        self.nodes[index] = match value {
            Value::Bool(allowed) => Node {
                types: if *allowed { ANY } else { 0 },
                ..Node::default()
            },
            Value::Object(map) => self.fill(map, at, depth)?,
            _ => return fail(at, "a schema is an object, true or false"),
        };
        Ok(index)
    }

    fn fill(&mut self, map: &Map<String, Value>, at: &str, depth: usize) -> Result<Node, SchemaError> {
        let mut node = Node::default();
        if let Some(types) = map.get("type") {
            (node.types, node.integer) = types_of(types, at)?;
        }
        let constant = map.get("const").map(|value| vec![value.clone()]);
        node.values = constant.or_else(|| map.get("enum").and_then(Value::as_array).cloned());
        let child = |key: &str| format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
        if let Some(properties) = map.get("properties").and_then(Value::as_object) {
            let at = child("properties");
            for (name, value) in properties {
                let pointer = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
                let property = self.node(value, &pointer, depth + 1)?;
                node.properties.insert(name.clone(), property);
            }
        }
        let names = map.get("required").and_then(Value::as_array).into_iter().flatten();
        node.required = names.filter_map(Value::as_str).map(str::to_owned).collect();
        node.additional = match map.get("additionalProperties") {
            // Names that a pattern allows are not told apart, so others are not refused.
            _ if map.contains_key("patternProperties") => Additional::Any,
            None | Some(Value::Bool(true)) => Additional::Any,
            Some(Value::Bool(false)) => Additional::No,
            Some(value) => Additional::Like(self.node(value, &child("additionalProperties"), depth + 1)?),
        };
        let prefix = map
            .get("prefixItems")
            .or_else(|| map.get("items").filter(|items| items.is_array()));
        for (i, value) in prefix.and_then(Value::as_array).into_iter().flatten().enumerate() {
            node.prefix
                .push(self.node(value, &format!("{}/{i}", child("prefixItems")), depth + 1)?);
        }
        if let Some(items) = map.get("items").filter(|items| !items.is_array()) {
            node.items = Some(self.node(items, &child("items"), depth + 1)?);
        }
        let count = |key: &str| map.get(key).and_then(Value::as_f64).map(|n| n.max(0.0) as u64);
        let range = |least: &str, most: &str| (count(least).unwrap_or(0), count(most).unwrap_or(u64::MAX));
        node.item_count = range("minItems", "maxItems");
        node.property_count = range("minProperties", "maxProperties");
        node.length = range("minLength", "maxLength");
        let number = |key: &str| map.get(key).and_then(Value::as_f64);
        (node.minimum, node.maximum) = (number("minimum"), number("maximum"));
        (node.above, node.below) = (number("exclusiveMinimum"), number("exclusiveMaximum"));
        // A pattern of another dialect than this crate's constrains nothing.
        node.pattern = map
            .get("pattern")
            .and_then(Value::as_str)
            .and_then(|p| Regex::new(p).ok());
        if let Some(reference) = map.get("$ref").and_then(Value::as_str) {
            node.all.push(self.pointer(reference, depth + 1)?);
        }
        for (i, value) in map
            .get("allOf")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .enumerate()
        {
            node.all
                .push(self.node(value, &format!("{}/{i}", child("allOf")), depth + 1)?);
        }
        for key in ["anyOf", "oneOf"] {
            if let Some(values) = map.get(key).and_then(Value::as_array) {
                let pointers = values.iter().enumerate();
                let options: Result<Vec<usize>, SchemaError> = pointers
                    .map(|(i, value)| self.node(value, &format!("{}/{i}", child(key)), depth + 1))
                    .collect();
                node.any.push(options?);
            }
        }
        Ok(node)
    }
}

fn types_of(value: &Value, at: &str) -> Result<(u8, bool), SchemaError> {
    let names: Vec<&str> = match value {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => return fail(at, "`type` is a name or a list of names"),
    };
    let (mut types, mut integer) = (0, false);
    for name in &names {
        types |= match *name {
            "null" => NULL,
            "boolean" => BOOLEAN,
            "number" => NUMBER,
            "integer" => {
                integer = true;
                NUMBER
            }
            "string" => STRING,
            "array" => ARRAY,
            "object" => OBJECT,
            other => return fail(at, format!("`{other}` is no type")),
        };
    }
    Ok((types, integer && !names.contains(&"number")))
}
