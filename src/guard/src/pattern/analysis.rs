//! What a rule's expression says about where its matches may begin.

use std::collections::BTreeSet;

use regex_syntax::hir::literal::{ExtractKind, Extractor};
use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, Hir, HirKind};

use super::syntax::{map, members};
use super::{BEFORE, FirstBytes, Gate, LEVELS, is_word};
use crate::bytes::Bytes;
use crate::dfa::Dfa;
use crate::literals::MAX_LEN;

/// Walks the automaton breadth first. Once a match may have ended, any byte may follow.
pub(super) fn first_bytes(dfa: &Dfa) -> FirstBytes {
    let mut first = FirstBytes {
        start: [Bytes::default(); BEFORE],
        rest: [Bytes::default(); LEVELS - 1],
    };
    let mut states = BTreeSet::new();
    for (before, allowed) in first.start.iter_mut().enumerate() {
        for byte in 0..=255u8 {
            let next = dfa.next(dfa.start(before), byte);
            if !dfa.is_dead(next) {
                allowed.insert(byte);
                states.insert(next);
            }
        }
    }
    for level in 0..LEVELS - 1 {
        // Walking a very wide automaton further costs more than the filter gains.
        if states.len() > 512 || states.iter().any(|s| dfa.is_match(*s)) {
            first.rest[level..].fill(Bytes::ALL);
            break;
        }
        let mut next_states = BTreeSet::new();
        for state in &states {
            for byte in 0..=255u8 {
                let next = dfa.next(*state, byte);
                if !dfa.is_dead(next) {
                    first.rest[level].insert(byte);
                    next_states.insert(next);
                }
            }
        }
        states = next_states;
    }
    first
}

/// Whether matches begin with word bytes only, and words of prose begin like them.
pub(super) fn starts_words(first: &FirstBytes) -> bool {
    let words = Bytes::of(is_word);
    first.start.iter().all(|allowed| allowed.union(&words) == words)
        && b"etaoinsr"
            .iter()
            .all(|b| first.start[4].has(*b) && first.rest[..3].iter().all(|allowed| allowed.has(*b)))
}

pub(super) fn gate(hir: &Hir) -> Option<Gate> {
    let HirKind::Concat(parts) = hir.kind() else {
        return None;
    };
    let (mut body, mut min, mut max) = (Bytes::default(), 0, 0);
    for part in parts {
        if let HirKind::Literal(literal) = part.kind()
            && let Some(&first) = literal.0.first()
            && first.is_ascii_punctuation()
            && !body.has(first)
            && min > 0
        {
            return Some(Gate {
                literal: literal.0.to_vec(),
                body,
                min,
                max,
            });
        }
        body = body.union(&byte_set(part)?);
        min += part.properties().minimum_len()?;
        max += part.properties().maximum_len()?;
    }
    None
}

/// All bytes that a match may hold; `None` if there may be others than ASCII.
fn byte_set(hir: &Hir) -> Option<Bytes> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Some(Bytes::default()),
        HirKind::Literal(literal) => Some(Bytes::of(|b| literal.0.contains(&b))),
        HirKind::Class(Class::Unicode(class)) => class.is_ascii().then(|| {
            let ranges = class.ranges();
            Bytes::of(|b| ranges.iter().any(|r| (r.start()..=r.end()).contains(&char::from(b))))
        }),
        HirKind::Class(Class::Bytes(_)) => None,
        HirKind::Repetition(repetition) => byte_set(&repetition.sub),
        HirKind::Capture(capture) => byte_set(&capture.sub),
        HirKind::Concat(all) | HirKind::Alternation(all) => all
            .iter()
            .try_fold(Bytes::default(), |set, sub| Some(set.union(&byte_set(sub)?))),
    }
}

/// The literals with which every match starts, in lower case, if they are few and long enough.
pub(super) fn prefixes(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    let mut extractor = Extractor::new();
    extractor
        .kind(ExtractKind::Prefix)
        .limit_class(8)
        .limit_repeat(4)
        .limit_literal_len(MAX_LEN)
        .limit_total(128);
    let sequence = extractor.extract(&fold_case(hir));
    let mut literals: Vec<Vec<u8>> = sequence
        .literals()?
        .iter()
        .map(|l| l.as_bytes()[..l.len().min(MAX_LEN)].to_ascii_lowercase())
        .collect();
    literals.sort();
    // A literal that begins another one wakes the rule for both.
    literals.dedup_by(|longer, shorter| longer.starts_with(shorter));
    let useful = !literals.is_empty() && literals.iter().all(|l| l.len() >= 2);
    useful.then_some(literals)
}

/// Lower-cases ASCII letters, so that a case-insensitive literal is one literal and not 2^n.
pub(super) fn fold_case(hir: &Hir) -> Hir {
    map(hir, &|literal| literal.to_ascii_lowercase(), &|class| {
        let chars = members(class)?.map(|c| c.to_ascii_lowercase());
        Some(ClassUnicode::new(chars.map(|c| ClassUnicodeRange::new(c, c))))
    })
}

/// Whether each match of `hir` holds one of `words`.
pub(super) fn holds_one(hir: &Hir, words: &[String]) -> bool {
    match hir.kind() {
        HirKind::Literal(literal) => {
            let found = |word: &String| literal.0.windows(word.len().max(1)).any(|w| w == word.as_bytes());
            words.iter().any(found)
        }
        HirKind::Repetition(repetition) => repetition.min > 0 && holds_one(&repetition.sub, words),
        HirKind::Capture(capture) => holds_one(&capture.sub, words),
        HirKind::Concat(all) => {
            let rest = |from: usize| Hir::concat(all[from..].to_vec());
            all.iter().any(|sub| holds_one(sub, words))
                || (0..all.len()).any(|from| begins_with_one(&rest(from), words))
        }
        HirKind::Alternation(all) => all.iter().all(|sub| holds_one(sub, words)),
        HirKind::Empty | HirKind::Look(_) | HirKind::Class(_) => false,
    }
}

/// Whether all texts with which the matches of `hir` begin hold one of `words`: `(?:sk|rk)_live`.
fn begins_with_one(hir: &Hir, words: &[String]) -> bool {
    let mut extractor = Extractor::new();
    extractor
        .kind(ExtractKind::Prefix)
        .limit_class(8)
        .limit_literal_len(32)
        .limit_total(128);
    let sequence = extractor.extract(hir);
    let holds = |text: &[u8]| {
        words
            .iter()
            .any(|w| text.windows(w.len().max(1)).any(|at| at == w.as_bytes()))
    };
    sequence
        .literals()
        .is_some_and(|all| !all.is_empty() && all.iter().all(|l| holds(l.as_bytes())))
}
