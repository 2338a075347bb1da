//! A run of code under way: its bytes, and whether they are a text.

use super::View;

/// Whether decoded bytes are a text and not chance.
pub(super) fn is_text(text: &str) -> bool {
    let odd = |c: char| (c.is_control() && !matches!(c, '\n' | '\r' | '\t')) || c == '\u{FFFD}';
    let letters = text.chars().filter(|c| c.is_alphanumeric() || *c == ' ').count();
    let all = text.chars().count();
    all >= 4 && letters * 2 >= all && !text.chars().any(odd)
}

/// Bytes and, for each, the end of what it is written with.
pub(super) struct Run {
    pub(super) bytes: Vec<u8>,
    pub(super) ends: Vec<usize>,
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) how: View,
}

impl Run {
    pub(super) fn new(start: usize, how: View) -> Run {
        Run {
            bytes: Vec::new(),
            ends: Vec::new(),
            start,
            end: start,
            how,
        }
    }

    pub(super) fn push(&mut self, byte: u8, end: usize) {
        self.bytes.push(byte);
        self.ends.push(end);
        self.end = end;
    }

    /// The run, if its bytes are a text; a character that is cut off at its end is left out. A few bytes that
    /// are none hide nothing, nor do the zeros of UTF-16.
    pub(super) fn checked(mut self) -> Option<Run> {
        self.narrow();
        let mut least = 0;
        let mut odd = Vec::new();
        let mut at = 0;
        for chunk in self.bytes.utf8_chunks() {
            let controls = chunk.valid().bytes().enumerate().filter(|(_, b)| is_odd(*b));
            odd.extend(controls.map(|(offset, _)| at + offset));
            at += chunk.valid().len();
            least = at;
            odd.extend(at..at + chunk.invalid().len());
            at += chunk.invalid().len();
        }
        // At the end it is a character that is cut off, if it may be one.
        if std::str::from_utf8(&self.bytes).is_err_and(|e| e.error_len().is_none()) {
            odd.retain(|at| *at < least);
        } else {
            least = at;
        }
        self.bytes.truncate(least);
        self.ends.truncate(least);
        if odd.len() * FEW > self.bytes.len() {
            return None;
        }
        odd.into_iter().for_each(|at| self.bytes[at] = b' ');
        let text = std::str::from_utf8(&self.bytes).ok()?;
        is_text(text).then_some(self)
    }

    /// Leaves out the zeros that stand before or behind each letter.
    fn narrow(&mut self) {
        let pairs = self.bytes.as_chunks::<2>().0;
        let zeros = |side: usize| pairs.iter().filter(|pair| pair[side] == 0).count();
        if pairs.len() < 4 || zeros(0).max(zeros(1)) * 4 < pairs.len() * 3 {
            return;
        }
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        for (byte, end) in self.bytes.iter().zip(&self.ends) {
            match (byte, ends.last_mut()) {
                (0, Some(last)) => *last = *end,
                (0, None) => {}
                _ => {
                    bytes.push(*byte);
                    ends.push(*end);
                }
            }
        }
        (self.bytes, self.ends) = (bytes, ends);
    }
}

/// One byte in so many may be none of a text.
const FEW: usize = 8;

/// Controls that are not of a text.
fn is_odd(byte: u8) -> bool {
    byte.is_ascii_control() && !matches!(byte, b'\n' | b'\r' | b'\t')
}
