//! Texts from templates: always the same ones.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::data::Row;
use crate::train::Random;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Templates {
    slots: BTreeMap<String, Vec<String>>,
    group: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    name: String,
    attack: bool,
    count: usize,
    templates: Vec<String>,
}

/// Every made-up row, each text once. Attacks ask for what `harmful` asks for.
pub fn rows(templates: &str, harmful: Vec<String>) -> Result<Vec<Row>, String> {
    let mut templates: Templates = toml::from_str(templates).map_err(|e| format!("templates.toml: {e}"))?;
    let small = harmful.iter().map(|text| within_a_sentence(text)).collect();
    templates.slots.insert("harm".to_owned(), harmful);
    templates.slots.insert("harmlow".to_owned(), small);
    let mut rows = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for group in &templates.group {
        let mut random = Random(
            group
                .name
                .bytes()
                .fold(1_u64, |h, b| h.wrapping_mul(31).wrapping_add(u64::from(b))),
        );
        for index in 0..group.count {
            // Every template has its turn.
            let template = &group.templates[index % group.templates.len()];
            let text = fill(template, &templates.slots, &mut random, 0)?;
            if seen.insert(text.clone()) {
                rows.push(Row {
                    text,
                    label: group.attack,
                    source: format!("made up: {}", group.name),
                    group: 0,
                    real: false,
                    counts: false,
                });
            }
        }
    }
    Ok(rows)
}

/// A sentence as it stands within another one.
fn within_a_sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().into_iter().flat_map(char::to_lowercase);
    first.chain(letters).collect()
}

/// Replaces each `{slot}`; `{{` and `}}` are braces, and so is what names no slot.
fn fill(
    template: &str,
    slots: &BTreeMap<String, Vec<String>>,
    random: &mut Random,
    depth: usize,
) -> Result<String, String> {
    if depth > 8 {
        return Err(format!("templates.toml: a slot holds itself: {template}"));
    }
    let mut out = String::new();
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let tail = &rest[at..];
        if tail.starts_with("{{") || tail.starts_with("}}") {
            out.push_str(&tail[..1]);
            rest = &tail[2..];
            continue;
        }
        let slot = tail[1..]
            .split_once('}')
            .and_then(|(name, after)| Some((slots.get(name)?, after)));
        match slot {
            Some((choices, after)) => {
                out.push_str(&fill(random.pick::<String>(choices), slots, random, depth + 1)?);
                rest = after;
            }
            None => {
                out.push_str(&tail[..1]);
                rest = &tail[1..];
            }
        }
    }
    out.push_str(rest);
    Ok(out)
}
