//! Canary tokens: found as they are, in any case, spaced out, reversed, in hexadecimal or in base64.

use std::collections::VecDeque;
use std::sync::Arc;

use super::script::{fold, is_ignorable};
use super::{Check, Found};

/// Shorter tokens would be found by chance.
const SHORTEST: usize = 8;
/// The most marks and spaces between two characters of a token.
const GAP: u32 = 6;
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// One spelling of a token, with the table of Knuth, Morris and Pratt.
#[derive(Debug)]
struct Spelling {
    chars: Vec<char>,
    fail: Vec<usize>,
    /// Case counts, and only white space may stand between.
    exact: bool,
}

/// The spellings of all tokens of a call.
#[derive(Debug)]
pub(crate) struct Canaries {
    spellings: Vec<Spelling>,
    longest: usize,
}

impl Canaries {
    pub(crate) fn new<'t>(tokens: impl Iterator<Item = &'t str>) -> Option<Canaries> {
        let mut spellings: Vec<Spelling> = Vec::new();
        let mut add = |chars: Vec<char>, exact: bool| {
            if chars.len() >= SHORTEST && !spellings.iter().any(|s| s.chars == chars) {
                let fail = failures(&chars);
                spellings.push(Spelling { chars, fail, exact });
            }
        };
        for token in tokens {
            let plain: Vec<char> = token.chars().map(fold).filter(|c| c.is_alphanumeric()).collect();
            if plain.len() < SHORTEST {
                continue;
            }
            add(plain.iter().rev().copied().collect(), false);
            add(plain, false);
            add(token.bytes().flat_map(hex).collect(), false);
            for shift in 0..3 {
                let code = base64(token.as_bytes(), shift);
                let url = code.iter().map(|c| match c {
                    '+' => '-',
                    '/' => '_',
                    c => *c,
                });
                add(url.collect(), true);
                add(code, true);
            }
        }
        let longest = spellings.iter().map(|s| s.chars.len()).max()?;
        Some(Canaries { spellings, longest })
    }
}

fn hex(byte: u8) -> [char; 2] {
    [byte >> 4, byte & 15].map(|digit| char::from_digit(u32::from(digit), 16).unwrap_or('0'))
}

/// The characters of base64 that `bytes` alone decide, `shift` bytes behind a whole group.
fn base64(bytes: &[u8], shift: usize) -> Vec<char> {
    let bit = |at: usize| -> usize {
        let Some(at) = at.checked_sub(8 * shift) else { return 0 };
        usize::from(bytes.get(at / 8).map_or(0, |byte| byte >> (7 - at % 8) & 1))
    };
    let (first, last) = ((8 * shift).div_ceil(6), 8 * (shift + bytes.len()) / 6);
    (first..last)
        .map(|at| char::from(BASE64[(0..6).fold(0, |sum, i| sum << 1 | bit(6 * at + i))]))
        .collect()
}

fn failures(chars: &[char]) -> Vec<usize> {
    let mut fail = vec![0; chars.len()];
    for at in 1..chars.len() {
        let mut length = fail[at - 1];
        while length > 0 && chars[at] != chars[length] {
            length = fail[length - 1];
        }
        fail[at] = length + usize::from(chars[at] == chars[length]);
    }
    fail
}

/// Where the last characters of one way of reading began.
#[derive(Debug, Default)]
struct Reading {
    starts: VecDeque<usize>,
}

impl Reading {
    fn take(&mut self, at: usize, longest: usize) {
        if self.starts.len() == longest {
            self.starts.pop_front();
        }
        self.starts.push_back(at);
    }

    fn start(&self, length: usize) -> Option<usize> {
        self.starts.get(self.starts.len().checked_sub(length)?).copied()
    }
}

/// The check for one text.
#[derive(Debug)]
pub(crate) struct CanaryCheck {
    rule: u32,
    canaries: Arc<Canaries>,
    at: usize,
    gap: u32,
    loose: Reading,
    exact: Reading,
    /// How much of each spelling the text ends with.
    matched: Vec<usize>,
}

impl CanaryCheck {
    pub(crate) fn new(rule: u32, canaries: Arc<Canaries>) -> CanaryCheck {
        CanaryCheck {
            rule,
            matched: vec![0; canaries.spellings.len()],
            canaries,
            at: 0,
            gap: 0,
            loose: Reading::default(),
            exact: Reading::default(),
        }
    }

    fn take(&mut self, raw: char, found: &mut Vec<Found>) {
        let (c, next) = (fold(raw), self.at + raw.len_utf8());
        let (is_loose, is_exact) = (c.is_alphanumeric(), !raw.is_whitespace());
        self.gap = if is_loose { 0 } else { self.gap + 1 };
        if is_loose {
            self.loose.take(self.at, self.canaries.longest);
        }
        if is_exact {
            self.exact.take(self.at, self.canaries.longest);
        }
        for (spelling, matched) in self.canaries.spellings.iter().zip(&mut self.matched) {
            let (c, reading) = if spelling.exact {
                (raw, &self.exact)
            } else {
                (c, &self.loose)
            };
            if !(if spelling.exact { is_exact } else { is_loose }) {
                *matched = if self.gap > GAP { 0 } else { *matched };
                continue;
            }
            while *matched > 0 && spelling.chars[*matched] != c {
                *matched = spelling.fail[*matched - 1];
            }
            *matched += usize::from(spelling.chars[*matched] == c);
            if *matched == spelling.chars.len() {
                let start = reading.start(*matched).unwrap_or(self.at);
                *matched = 0;
                found.push(Found {
                    rule: self.rule,
                    start,
                    end: next,
                    score: None,
                });
            }
        }
        self.at = next;
    }
}

impl Check for CanaryCheck {
    fn push(&mut self, text: &str, found: &mut Vec<Found>) {
        for c in text.chars() {
            if is_ignorable(c) {
                self.at += c.len_utf8();
            } else {
                self.take(c, found);
            }
        }
    }

    fn finish(&mut self, _found: &mut Vec<Found>) {}

    fn frontier(&self) -> usize {
        let live = self.canaries.spellings.iter().zip(&self.matched);
        live.filter_map(|(spelling, matched)| {
            let reading = if spelling.exact { &self.exact } else { &self.loose };
            (*matched > 0).then(|| reading.start(*matched)).flatten()
        })
        .min()
        .unwrap_or(self.at)
    }
}
