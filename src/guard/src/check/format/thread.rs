//! Threads: the ways in which a schema may still hold.

use serde_json::Value;

use crate::schema::{ARRAY, BOOLEAN, NULL, NUMBER, Node, OBJECT, STRING};

/// More ways than these are not followed: from there on, any JSON will do.
pub(super) const MOST_THREADS: usize = 64;

/// A container that is open, and what a thread asks of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Frame {
    pub(super) object: bool,
    pub(super) nodes: Vec<usize>,
    pub(super) count: u64,
    /// Required properties that came.
    pub(super) seen: Vec<String>,
    /// What the value of the last key must be.
    pub(super) value: Vec<usize>,
}

/// One way in which the schema may still hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Thread {
    pub(super) frames: Vec<Frame>,
    /// What the scalar under way must be.
    pub(super) scalar: Vec<usize>,
}

impl Thread {
    /// What the value that begins now must be; `None` if there must be none.
    pub(super) fn next_value(&mut self, nodes: &[Node]) -> Option<Vec<usize>> {
        let Some(frame) = self.frames.last_mut() else {
            return Some(vec![0]);
        };
        if frame.object {
            return Some(frame.value.clone());
        }
        frame.count += 1;
        let index = frame.count - 1;
        let mut wanted = Vec::new();
        for node in frame.nodes.iter().map(|i| &nodes[*i]) {
            if frame.count > node.item_count.1 {
                return None;
            }
            wanted.extend(node.prefix.get(index as usize).copied().or(node.items));
        }
        Some(wanted)
    }
}

/// Leaves one of the threads that ask the same of what comes, now that a value has ended: `anyOf` of a whole
/// number and a number is two ways for each item of a list, and one again behind it.
pub(super) fn distinct(threads: &mut Vec<Thread>) {
    for thread in threads.iter_mut() {
        thread.scalar.clear();
    }
    let mut index = 1;
    while index < threads.len() {
        // The innermost first: that is where they differ, if they do.
        let same = |other: &Thread| threads[index].frames.iter().rev().eq(other.frames.iter().rev());
        if threads[..index].iter().any(same) {
            threads.remove(index);
        } else {
            index += 1;
        }
    }
}

/// Every way in which a value of `kind` may be all of `wanted`, as lists of nodes that all must hold;
/// `None` if there are too many.
pub(super) fn ways(nodes: &[Node], wanted: &[usize], kind: u8) -> Option<Vec<Vec<usize>>> {
    let mut done: Vec<Vec<usize>> = Vec::new();
    let mut open: Vec<(Vec<usize>, Vec<usize>)> = vec![(Vec::new(), wanted.to_vec())];
    let mut steps = 0;
    while let Some((mut held, mut left)) = open.pop() {
        steps += 1;
        if steps > 16 * MOST_THREADS {
            return None;
        }
        let Some(next) = left.pop() else {
            held.sort_unstable();
            if !done.contains(&held) {
                done.push(held);
            }
            continue;
        };
        if held.contains(&next) {
            open.push((held, left));
            continue;
        }
        let node = &nodes[next];
        if node.types & kind == 0 || !may_be(node, kind) {
            continue;
        }
        held.push(next);
        left.extend(&node.all);
        let mut branches = vec![left];
        for options in &node.any {
            branches = (branches.iter())
                .flat_map(|left| options.iter().map(|option| [left.as_slice(), &[*option]].concat()))
                .collect();
            if branches.len() > MOST_THREADS {
                return None;
            }
        }
        open.extend(branches.into_iter().map(|left| (held.clone(), left)));
    }
    (done.len() <= MOST_THREADS).then_some(done)
}

/// Whether a list of values has one of this kind.
fn may_be(node: &Node, kind: u8) -> bool {
    node.values.as_ref().is_none_or(|values| {
        values.iter().any(|value| match value {
            Value::Null => kind == NULL,
            Value::Bool(_) => kind == BOOLEAN,
            Value::Number(_) => kind == NUMBER,
            Value::String(_) => kind == STRING,
            Value::Array(_) => kind == ARRAY,
            Value::Object(_) => kind == OBJECT,
        })
    })
}
