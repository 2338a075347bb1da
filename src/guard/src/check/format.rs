//! An answer's form: JSON of a schema, checked while it streams. The first character after which the
//! answer can no longer be valid is the finding.
//!
//! ```text
//!  characters ─▶ lexer: is it JSON? ─▶ threads: one for each way in which the schema may still hold
//! ```
//!
//! `anyOf` makes threads; one that is refuted ends, and so does one that asks the same of the rest as another;
//! when none is left, the answer is invalid.

mod begins;
mod thread;

use std::sync::Arc;

use serde_json::Value;

use super::{Check, Found};
use crate::schema::{ARRAY, Additional, BOOLEAN, NULL, NUMBER, Node, OBJECT, STRING, Schema};
use begins::Begins;
use thread::{Frame, MOST_THREADS, Thread, distinct, ways};

/// How deep an answer may nest.
const DEEPEST: usize = 256;
/// Longer strings are compared with nothing.
const LONGEST: usize = 64 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Value,
    /// Right after `[` or `{`: it may close.
    FirstItem,
    FirstKey,
    Key,
    Colon,
    After,
    Text {
        key: bool,
    },
    Escape {
        key: bool,
    },
    Hex {
        key: bool,
        left: u8,
        code: u32,
    },
    Number(Digits),
    Literal {
        text: &'static str,
        next: usize,
    },
    Done,
}

/// Where in a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Digits {
    Minus,
    Zero,
    Whole,
    Point,
    Fraction,
    Exponent,
    Sign,
    Power,
}

/// The check for one text.
#[derive(Debug)]
pub(crate) struct FormatCheck {
    rule: u32,
    schema: Arc<Schema>,
    threads: Vec<Thread>,
    begins: Begins,
    /// The schema is not followed any more.
    lenient: bool,
    at: usize,
    state: At,
    /// Open containers: whether an object.
    open: Vec<bool>,
    text: String,
    length: u64,
    high: Option<u32>,
    said: bool,
}

type Valid = Result<(), ()>;

impl FormatCheck {
    pub(crate) fn new(rule: u32, schema: Arc<Schema>) -> FormatCheck {
        FormatCheck {
            rule,
            schema,
            threads: vec![Thread::default()],
            begins: Begins::default(),
            lenient: false,
            at: 0,
            state: At::Value,
            open: Vec::new(),
            text: String::new(),
            length: 0,
            high: None,
            said: false,
        }
    }

    fn take(&mut self, c: char) -> Valid {
        match self.state {
            At::Text { key } => return self.in_text(c, key),
            At::Escape { key } => {
                self.state = At::Text { key };
                let c = match c {
                    '"' | '\\' | '/' => c,
                    'b' => '\u{8}',
                    'f' => '\u{C}',
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    'u' => {
                        let (left, code) = (4, 0);
                        self.state = At::Hex { key, left, code };
                        return Ok(());
                    }
                    _ => return Err(()),
                };
                return self.character(c, key);
            }
            At::Hex { key, left, code } => {
                let code = code << 4 | c.to_digit(16).ok_or(())?;
                if left > 1 {
                    let left = left - 1;
                    self.state = At::Hex { key, left, code };
                    return Ok(());
                }
                self.state = At::Text { key };
                return match (self.high.take(), code) {
                    (_, 0xD800..=0xDBFF) => {
                        self.high = Some(code);
                        Ok(())
                    }
                    (Some(high), 0xDC00..=0xDFFF) => {
                        let code = 0x10000 + ((high - 0xD800) << 10) + (code - 0xDC00);
                        self.character(char::from_u32(code).unwrap_or('\u{FFFD}'), key)
                    }
                    _ => self.character(char::from_u32(code).unwrap_or('\u{FFFD}'), key),
                };
            }
            At::Literal { text, next } => {
                if text[next..].starts_with(c) {
                    let next = next + 1;
                    self.state = At::Literal { text, next };
                    if next == text.len() {
                        self.end_literal(text)?;
                    }
                    return Ok(());
                }
                return Err(());
            }
            At::Number(digits) => {
                if let Some(next) = digits.step(c) {
                    self.state = At::Number(next);
                    if self.text.len() < 64 {
                        self.text.push(c);
                    }
                    return Ok(());
                }
                self.end_number(digits)?;
            }
            _ => {}
        }
        if matches!(c, ' ' | '\t' | '\n' | '\r') {
            return Ok(());
        }
        match (self.state, c) {
            (At::FirstItem, ']') | (At::FirstKey, '}') => self.close(c == '}'),
            (At::Value | At::FirstItem, _) => self.begin(c),
            (At::FirstKey | At::Key, '"') => {
                self.begin_text(true);
                Ok(())
            }
            (At::Colon, ':') => {
                self.state = At::Value;
                Ok(())
            }
            (At::After, ',') => {
                self.state = if self.open.last() == Some(&true) {
                    At::Key
                } else {
                    At::Value
                };
                Ok(())
            }
            (At::After, ']' | '}') => self.close(c == '}'),
            _ => Err(()),
        }
    }

    /// The first character of a value.
    fn begin(&mut self, c: char) -> Valid {
        let kind = match c {
            '{' => OBJECT,
            '[' => ARRAY,
            '"' => STRING,
            '-' | '0'..='9' => NUMBER,
            't' | 'f' => BOOLEAN,
            'n' => NULL,
            _ => return Err(()),
        };
        self.begin_value(kind)?;
        match c {
            '{' | '[' => {
                if self.open.len() >= DEEPEST {
                    return Err(());
                }
                self.open.push(c == '{');
                self.state = if c == '{' { At::FirstKey } else { At::FirstItem };
            }
            '"' => self.begin_text(false),
            't' | 'f' | 'n' => {
                let text = match c {
                    't' => "true",
                    'f' => "false",
                    _ => "null",
                };
                self.state = At::Literal { text, next: 1 };
            }
            _ => {
                self.text.clear();
                self.text.push(c);
                self.state = At::Number(match c {
                    '-' => Digits::Minus,
                    '0' => Digits::Zero,
                    _ => Digits::Whole,
                });
            }
        }
        Ok(())
    }

    fn begin_text(&mut self, key: bool) {
        self.state = At::Text { key };
        self.text.clear();
        (self.length, self.high) = (0, None);
    }

    fn in_text(&mut self, c: char, key: bool) -> Valid {
        match c {
            '"' if key => self.end_key(),
            '"' => self.end_string(),
            '\\' => {
                self.state = At::Escape { key };
                Ok(())
            }
            c if c < ' ' => Err(()),
            c => self.character(c, key),
        }
    }

    /// A character of a string, its escape undone.
    fn character(&mut self, c: char, key: bool) -> Valid {
        self.length += 1;
        if self.text.len() < LONGEST {
            self.text.push(c);
        }
        let length = self.length;
        let mut begins = std::mem::take(&mut self.begins);
        let kept = if key {
            self.keep(|thread, nodes, text| {
                thread.frames.last().is_none_or(|frame| {
                    (frame.nodes.iter())
                        .all(|i| nodes[*i].additional != Additional::No || begins.a_key(nodes, *i, text))
                })
            })
        } else {
            self.keep(|thread, nodes, text| {
                (thread.scalar.iter()).all(|i| {
                    let node = &nodes[*i];
                    length <= node.length.1 && (node.values.is_none() || begins.a_value(nodes, *i, text))
                })
            })
        };
        self.begins = begins;
        kept
    }

    /// Ends the threads that `holds` refutes; an error if none is left.
    fn keep(&mut self, mut holds: impl FnMut(&mut Thread, &[Node], &str) -> bool) -> Valid {
        if self.lenient {
            return Ok(());
        }
        let (nodes, text) = (&self.schema.nodes, self.text.as_str());
        self.threads.retain_mut(|thread| holds(thread, nodes, text));
        if self.threads.is_empty() { Err(()) } else { Ok(()) }
    }

    fn begin_value(&mut self, kind: u8) -> Valid {
        if self.lenient {
            return Ok(());
        }
        let nodes = &self.schema.nodes;
        let mut threads: Vec<Thread> = Vec::new();
        for mut thread in std::mem::take(&mut self.threads) {
            let Some(wanted) = thread.next_value(nodes) else {
                continue;
            };
            let Some(ways) = ways(nodes, &wanted, kind) else {
                self.lenient = true;
                return Ok(());
            };
            if threads.len() + ways.len() > MOST_THREADS {
                self.lenient = true;
                return Ok(());
            }
            let last = ways.len().saturating_sub(1);
            for (i, way) in ways.into_iter().enumerate() {
                let mut thread = if i == last {
                    std::mem::take(&mut thread)
                } else {
                    thread.clone()
                };
                if kind & (OBJECT | ARRAY) != 0 {
                    thread.frames.push(Frame {
                        object: kind == OBJECT,
                        nodes: way,
                        count: 0,
                        seen: Vec::new(),
                        value: Vec::new(),
                    });
                } else {
                    thread.scalar = way;
                }
                threads.push(thread);
            }
        }
        self.threads = threads;
        if self.threads.is_empty() { Err(()) } else { Ok(()) }
    }

    /// The value has ended: those threads go on for which `holds`.
    fn end_value(&mut self, holds: impl FnMut(&mut Thread, &[Node], &str) -> bool) -> Valid {
        self.state = if self.open.is_empty() { At::Done } else { At::After };
        self.keep(holds)?;
        distinct(&mut self.threads);
        Ok(())
    }

    fn end_literal(&mut self, text: &'static str) -> Valid {
        let value = match text {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => Value::Null,
        };
        self.end_value(|thread, nodes, _| {
            let allowed = |i: &usize| nodes[*i].values.as_ref().is_none_or(|values| values.contains(&value));
            thread.scalar.iter().all(allowed)
        })
    }

    fn end_number(&mut self, digits: Digits) -> Valid {
        if !matches!(digits, Digits::Zero | Digits::Whole | Digits::Fraction | Digits::Power) {
            return Err(());
        }
        // Longer ones than are kept are told by nobody.
        let Some(n) = self.text.parse::<f64>().ok().filter(|_| self.text.len() < 64) else {
            return self.end_value(|_, _, _| true);
        };
        self.end_value(|thread, nodes, _| {
            thread.scalar.iter().all(|i| {
                let node = &nodes[*i];
                let listed = |values: &Vec<Value>| values.iter().any(|v| v.as_f64() == Some(n));
                (!node.integer || n.fract() == 0.0)
                    && node.minimum.is_none_or(|least| n >= least)
                    && node.maximum.is_none_or(|most| n <= most)
                    && node.above.is_none_or(|bound| n > bound)
                    && node.below.is_none_or(|bound| n < bound)
                    && node.values.as_ref().is_none_or(listed)
            })
        })
    }

    fn end_string(&mut self) -> Valid {
        let (length, whole) = (self.length, self.text.len() < LONGEST);
        self.end_value(|thread, nodes, text| {
            thread.scalar.iter().all(|i| {
                let node = &nodes[*i];
                let listed = |values: &Vec<Value>| values.iter().any(|v| v.as_str() == Some(text));
                length >= node.length.0
                    && node.values.as_ref().is_none_or(listed)
                    && (!whole || node.pattern.as_ref().is_none_or(|pattern| pattern.is_match(text)))
            })
        })
    }

    fn end_key(&mut self) -> Valid {
        self.state = At::Colon;
        self.keep(|thread, nodes, key| {
            let Some(frame) = thread.frames.last_mut() else {
                return true;
            };
            frame.count += 1;
            frame.value.clear();
            for i in &frame.nodes {
                let node = &nodes[*i];
                if frame.count > node.property_count.1 {
                    return false;
                }
                match (node.properties.get(key), node.additional) {
                    (Some(property), _) => frame.value.push(*property),
                    (None, Additional::No) => return false,
                    (None, Additional::Like(like)) => frame.value.push(like),
                    (None, Additional::Any) => {}
                }
                if node.required.iter().any(|name| name == key) && !frame.seen.iter().any(|name| name == key) {
                    frame.seen.push(key.to_owned());
                }
            }
            true
        })
    }

    fn close(&mut self, object: bool) -> Valid {
        if self.open.pop() != Some(object) {
            return Err(());
        }
        self.end_value(|thread, nodes, _| {
            let Some(frame) = thread.frames.pop() else { return true };
            frame.nodes.iter().all(|i| {
                let node = &nodes[*i];
                if frame.object {
                    frame.count >= node.property_count.0 && node.required.iter().all(|name| frame.seen.contains(name))
                } else {
                    frame.count >= node.item_count.0
                }
            })
        })
    }

    fn say(&mut self, end: usize, found: &mut Vec<Found>) {
        self.said = true;
        found.push(Found {
            rule: self.rule,
            start: self.at,
            end,
            score: None,
        });
    }
}

impl Digits {
    fn step(self, c: char) -> Option<Digits> {
        Some(match (self, c) {
            (Digits::Minus, '0') => Digits::Zero,
            (Digits::Minus, '1'..='9') | (Digits::Whole, '0'..='9') => Digits::Whole,
            (Digits::Zero | Digits::Whole, '.') => Digits::Point,
            (Digits::Point | Digits::Fraction, '0'..='9') => Digits::Fraction,
            (Digits::Zero | Digits::Whole | Digits::Fraction, 'e' | 'E') => Digits::Exponent,
            (Digits::Exponent, '+' | '-') => Digits::Sign,
            (Digits::Exponent | Digits::Sign | Digits::Power, '0'..='9') => Digits::Power,
            _ => return None,
        })
    }
}

impl Check for FormatCheck {
    fn push(&mut self, text: &str, found: &mut Vec<Found>) {
        for c in text.chars() {
            if !self.said && self.take(c).is_err() {
                self.say(self.at + c.len_utf8(), found);
            }
            self.at += c.len_utf8();
        }
    }

    fn finish(&mut self, found: &mut Vec<Found>) {
        // An answer that says nothing, as beside tool calls, has no form.
        if self.said || self.at == 0 {
            return;
        }
        let ended = match self.state {
            At::Number(digits) => self.end_number(digits),
            _ => Ok(()),
        };
        if ended.is_err() || self.state != At::Done {
            self.say(self.at, found);
        }
    }

    fn frontier(&self) -> usize {
        self.at
    }
}

#[cfg(test)]
mod tests;
