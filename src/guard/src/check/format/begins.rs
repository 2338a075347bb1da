//! Whether a name or a value that a schema lists begins with a text, asked at each of its characters.

use std::collections::HashMap;

use serde_json::Value;

use crate::schema::Node;

/// The lists of those nodes that were asked about, in order: the answer's length is not paid for times theirs.
#[derive(Debug, Default)]
pub(super) struct Begins {
    keys: HashMap<usize, Vec<Box<str>>>,
    values: HashMap<usize, Vec<Box<str>>>,
}

impl Begins {
    /// Whether a property of the node begins with `text`.
    pub(super) fn a_key(&mut self, nodes: &[Node], node: usize, text: &str) -> bool {
        let keys = || nodes[node].properties.keys().map(String::as_str);
        one(self.keys.entry(node).or_insert_with(|| in_order(keys())), text)
    }

    /// Whether a string among the node's values begins with `text`.
    pub(super) fn a_value(&mut self, nodes: &[Node], node: usize, text: &str) -> bool {
        let values = || nodes[node].values.iter().flatten().filter_map(Value::as_str);
        one(self.values.entry(node).or_insert_with(|| in_order(values())), text)
    }
}

fn in_order<'t>(texts: impl Iterator<Item = &'t str>) -> Vec<Box<str>> {
    let mut list: Vec<Box<str>> = texts.map(Box::from).collect();
    list.sort_unstable();
    list
}

fn one(list: &[Box<str>], text: &str) -> bool {
    let at = list.partition_point(|one| &**one < text);
    list.get(at).is_some_and(|one| one.starts_with(text))
}
