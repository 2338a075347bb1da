//! The example configuration, the schema and the reference say what the code does.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Map, Value};

use crate::{is_current, read, root};

const EXAMPLE: &str = "examples/weir.toml";

/// `weir config …` with nothing in its environment but `env`. Standard output, if it succeeds.
#[track_caller]
fn config(args: &[&str], folder: &Path, env: &[(&str, &str)]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_weir"))
        .arg("config")
        .args(args)
        .current_dir(folder)
        .env_clear()
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "weir config {args:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn schema() -> Value {
    serde_json::from_str(&config(&["schema"], &root(), &[])).unwrap()
}

/// The example with its commented keys in force.
fn uncommented() -> String {
    let lines = read(EXAMPLE);
    let lines = lines.lines().map(|line| match line.strip_prefix('#') {
        Some(key) if key.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => key,
        _ => line,
    });
    lines.fold(String::new(), |text, line| text + line + "\n")
}

#[test]
fn the_example_is_good_and_is_the_default() {
    let checked = config(&["check", EXAMPLE], &root(), &[]);
    assert!(checked.starts_with("examples/weir.toml: good"), "{checked}");
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(
        config(&["show", EXAMPLE], &root(), &[]),
        config(&["show"], folder.path(), &[])
    );
}

#[test]
fn the_examples_commented_keys_are_good() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("all.toml"), uncommented()).unwrap();
    let shown = config(&["check", "all.toml"], folder.path(), &[("LOCAL_LLM_KEY", "k")]);
    assert!(
        shown.contains("upstream  local at 127.0.0.1 (LOCAL_LLM_KEY)"),
        "{shown}"
    );
}

#[test]
fn the_example_explains_every_key() {
    let (schema, example) = (schema(), uncommented());
    let lines: Vec<&str> = example.lines().map(str::trim_start).collect();
    for (section, table) in sections(&schema) {
        let head = match section.as_str() {
            "" => None,
            name => Some(
                lines
                    .iter()
                    .position(|line| line.trim_matches(['[', ']']) == name)
                    .unwrap_or_else(|| panic!("{EXAMPLE} has no [{name}]")),
            ),
        };
        let body = &lines[head.map_or(0, |at| at + 1)..];
        let body: Vec<&&str> = body.iter().take_while(|line| !line.starts_with('[')).collect();
        for key in keys(&schema, table) {
            let shown = body.iter().any(|line| line.starts_with(&format!("{key} = ")));
            assert!(shown, "{EXAMPLE} does not show `{key}` of [{section}]");
        }
    }
}

#[test]
fn the_schema_is_current() {
    is_current("docs/schema/config.json", &config(&["schema"], &root(), &[]));
}

#[test]
fn the_reference_is_current() {
    is_current("docs/configuration.md", &reference(&schema()));
}

/// Every table of the file, by the name that it has there: `server`, `guard.policy`, …
fn sections(schema: &Value) -> Vec<(String, &Value)> {
    let mut found = vec![(String::new(), schema)];
    let mut next = 0;
    while let Some((path, table)) = found.get(next).cloned() {
        next += 1;
        for (key, property) in properties(table) {
            let Some(table) = resolve(schema, nested(property)) else {
                continue;
            };
            let name = if path.is_empty() {
                key.clone()
            } else {
                format!("{path}.{key}")
            };
            if table.get("properties").is_some() {
                found.push((name, table));
            }
        }
    }
    // Maps to tables, each with a key of the example.
    for (kind, name) in [
        ("RuleOverride", "guard.policy.rules.\"pii.email\""),
        ("TopicSpec", "guard.policy.topics.gambling"),
        ("LimitSpec", "guard.policy.limits.input"),
    ] {
        let table = resolve(schema, &Value::String(format!("#/$defs/{kind}"))).unwrap();
        found.push((name.to_owned(), table));
    }
    found
}

/// Where a property's own table is described: itself, where it may be left out, or as an item.
fn nested(property: &Value) -> &Value {
    let options = property["anyOf"].as_array().map(|options| &options[0]["$ref"]);
    [options.unwrap_or(&Value::Null), &property["items"]["$ref"]]
        .into_iter()
        .find(|reference| !reference.is_null())
        .unwrap_or(&property["$ref"])
}

fn properties(table: &Value) -> impl Iterator<Item = (&String, &Value)> {
    table.get("properties").and_then(Value::as_object).into_iter().flatten()
}

/// The keys of a table that are no tables themselves.
fn keys<'s>(schema: &Value, table: &'s Value) -> Vec<&'s String> {
    let is_table = |reference: &Value| resolve(schema, reference).is_some_and(|t| t.get("properties").is_some());
    properties(table)
        .filter(|(_, property)| {
            let is_map = property["additionalProperties"].get("$ref").is_some();
            !is_map && !is_table(nested(property))
        })
        .map(|(key, _)| key)
        .collect()
}

fn resolve<'s>(schema: &'s Value, reference: &Value) -> Option<&'s Value> {
    schema.pointer(reference.as_str()?.strip_prefix('#')?)
}

fn reference(schema: &Value) -> String {
    let mut text = String::from(
        "# Configuration reference\n\n\
         Generated from the configuration's types: change them and run the tests with `UPDATE_GOLDEN=1`.\n\n\
         One TOML file (`--config`, `$WEIR_CONFIG`, or `./weir.toml`), and environment variables that go before it: \
         `WEIR_SERVER__LISTEN` is `server.listen`. Unknown keys are refused. [`examples/weir.toml`](../examples/weir.toml) \
         shows every key in place; [`schema/config.json`](schema/config.json) is the JSON Schema, for editors; \
         `weir config check` and `weir config show` say what a file amounts to.\n",
    );
    for (section, table) in sections(schema) {
        let title = match section.as_str() {
            "" => "Top level".to_owned(),
            name if is_list(schema, name) => format!("`[[{name}]]`"),
            name => format!("`[{name}]`"),
        };
        let about = table["description"].as_str().unwrap_or_default();
        let about = about.split_once("`: ").map_or(about, |(_, about)| about);
        let mut letters = about.chars();
        let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
        let about = first + letters.as_str();
        let _ = write!(text, "\n## {title}\n\n{}\n\n", line(&about));
        let _ = writeln!(text, "| key | type | default | meaning |\n| --- | --- | --- | --- |");
        for (key, property) in properties(table) {
            let required = (table["required"].as_array()).is_some_and(|list| list.iter().any(|name| name == key));
            let default = match &property["default"] {
                _ if required => "required".to_owned(),
                Value::Null => String::new(),
                Value::Object(_) => String::new(),
                value => format!("`{value}`"),
            };
            let meaning = line(property["description"].as_str().unwrap_or_default());
            let (kind, choices) = kind(schema, property);
            let _ = writeln!(text, "| `{key}` | {kind} | {default} | {meaning}{choices} |");
        }
    }
    text
}

fn is_list(schema: &Value, section: &str) -> bool {
    section == "guard.apply" || schema["properties"][section].get("items").is_some()
}

/// A property's type, and what its values mean if there are few.
fn kind(schema: &Value, property: &Value) -> (String, String) {
    let referenced = match property["anyOf"].as_array() {
        Some(options) => &options[0]["$ref"],
        None => &property["$ref"],
    };
    if let Some(target) = resolve(schema, referenced) {
        let Some(options) = target["oneOf"].as_array() else {
            return ("table".to_owned(), String::new());
        };
        let names: Vec<String> = options
            .iter()
            .map(|option| format!("`{}`", option["const"].as_str().unwrap()))
            .collect();
        let mut choices = String::new();
        for (name, option) in names.iter().zip(options) {
            let meaning = line(option["description"].as_str().unwrap_or_default());
            let _ = write!(choices, "<br>{name}: {meaning}");
        }
        return (names.join(", "), choices);
    }
    let simple = |kind: &str| {
        match kind {
            "string" => "text",
            "array" => "list",
            "object" => "table",
            "boolean" => "true, false",
            "integer" => "whole number",
            other => return other.to_owned(),
        }
        .to_owned()
    };
    let kind = match &property["type"] {
        Value::Array(kinds) => simple(kinds[0].as_str().unwrap()),
        Value::String(kind) => simple(kind),
        other => panic!("{other} is no type: {property}"),
    };
    let kind = match property["items"].get("$ref") {
        Some(_) => "tables".to_owned(),
        None => kind,
    };
    (kind, String::new())
}

/// As one line of a table.
fn line(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}

#[test]
fn the_schema_refuses_unknown_keys() {
    let schema = schema();
    let tables: BTreeMap<String, &Value> = sections(&schema).into_iter().collect();
    for (name, table) in tables {
        let open: Option<&Map<String, Value>> = table["additionalProperties"].as_object();
        assert!(open.is_none() && table["additionalProperties"] == false, "[{name}]");
    }
}
