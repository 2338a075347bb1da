//! What a rule's expression says about where its matches may begin.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use regex_syntax::hir::literal::{ExtractKind, Extractor};
use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, Hir, HirKind};

use super::syntax::{map, members};
use super::{BEFORE, Gate, Prefix, is_word};
use crate::bits::is_token;
use crate::bytes::Bytes;
use crate::dfa::{Dfa, State};
use crate::literals::{MAX_LEN, THEN, Then};

/// Walking an automaton of more states at once costs more than it gains.
const MANY: usize = 512;

/// The states, not dead ones, that `bytes` lead to from `states`; `None` if there are many.
fn step(dfa: &Dfa, states: &[State], bytes: &[u8]) -> Option<Vec<State>> {
    let next = states
        .iter()
        .flat_map(|state| bytes.iter().map(|byte| dfa.next(*state, *byte)));
    let mut next: Vec<State> = next.filter(|state| !dfa.is_dead(*state)).collect();
    next.sort_unstable();
    next.dedup();
    (next.len() <= MANY).then_some(next)
}

/// One byte of each kind that `allowed` holds.
fn kinds(dfa: &Dfa, allowed: impl Fn(u8) -> bool) -> Vec<u8> {
    let kinds = dfa.kinds(&Bytes::of(allowed));
    kinds.into_iter().map(|(byte, _)| byte).collect()
}

/// With how many bytes, at least, of which long tokens are made, each match begins; more than [`TOKENS`] are
/// not counted.
pub(super) fn tokens(dfa: &Dfa) -> usize {
    let (tokens, others) = (kinds(dfa, is_token), kinds(dfa, |byte| !is_token(byte)));
    let mut states = (0..BEFORE).map(|before| dfa.start(before)).collect::<Vec<_>>();
    let alive = |_: &usize| {
        let none = step(dfa, &states, &others).is_some_and(|others| others.is_empty());
        states = step(dfa, &states, &tokens).unwrap_or_default();
        none && !states.is_empty() && !states.iter().any(|state| dfa.is_match(*state))
    };
    (0..TOKENS).take_while(alive).count()
}

/// More bytes of a token than any word has.
const TOKENS: usize = 32;

/// Words of letters alone with which a match may begin, where no word byte is before them.
#[derive(Clone, Debug)]
pub(crate) struct Spelled {
    /// Their first letters, ...
    pub(crate) first: Bytes,
    /// ... and their second ones; `None` for words of one letter.
    pub(crate) second: Option<Bytes>,
    /// How many letters they have, a bit for each number, [`LETTERS`] for more, too.
    pub(crate) lengths: Lengths,
}

/// The most letters of a word that are counted.
pub(crate) const LETTERS: usize = 12;

/// A bit for each number of letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lengths {
    /// With a space and a letter behind them.
    pub(crate) spaced: u16,
    /// With anything else that does not begin with a letter or a digit.
    pub(crate) ended: u16,
}

/// All words of letters alone with which a match may begin.
pub(super) fn spelled(dfa: &Dfa) -> Vec<Spelled> {
    let mut all: Vec<Spelled> = Vec::new();
    let mut add = |first: &Bytes, second: Option<Bytes>, lengths: Lengths| {
        let same = |other: &&mut Spelled| (other.second, other.lengths) == (second, lengths);
        match all.iter_mut().find(same) {
            _ if lengths == Lengths::default() => {}
            Some(other) => other.first = other.first.union(first),
            None => all.push(Spelled {
                first: *first,
                second,
                lengths,
            }),
        }
    };
    let letters = dfa.kinds(&Bytes::of(|byte| byte.is_ascii_alphabetic()));
    let after = Following::new(dfa);
    let starts = [0, 2, 3, 4].map(|before| dfa.start(before));
    // What a word may become depends on the states to which its first letters lead.
    let mut known: HashMap<Vec<State>, Lengths> = HashMap::new();
    for (a, firsts) in &letters {
        let first = step(dfa, &starts, &[*a]).unwrap_or_default();
        add(firsts, None, after.lengths(&first, 1..=1));
        let mut seconds: HashMap<Vec<State>, Bytes> = HashMap::new();
        for (b, set) in &letters {
            let states = step(dfa, &first, &[*b]).unwrap_or_default();
            let seconds = seconds.entry(states).or_default();
            *seconds = seconds.union(set);
        }
        for (states, second) in seconds {
            let lengths = known
                .entry(states)
                .or_insert_with_key(|states| after.lengths(states, 2..=LETTERS));
            add(firsts, Some(second), *lengths);
        }
    }
    all
}

/// What may come after the letters of a word, one byte of each kind.
struct Following<'d> {
    dfa: &'d Dfa,
    letters: Vec<u8>,
    others: Vec<u8>,
    space: Vec<u8>,
    /// Neither letters nor digits nor spaces.
    ends: Vec<u8>,
    all: Vec<u8>,
}

impl Following<'_> {
    fn new(dfa: &Dfa) -> Following<'_> {
        Following {
            letters: kinds(dfa, |byte| byte.is_ascii_alphabetic()),
            others: kinds(dfa, |byte| !byte.is_ascii_alphabetic()),
            space: kinds(dfa, |byte| byte == b' '),
            ends: kinds(dfa, |byte| !byte.is_ascii_alphanumeric() && byte != b' '),
            all: kinds(dfa, |_| true),
            dfa,
        }
    }

    /// Of how many letters a word may be whose first ones, as many as `counts` begins with, lead to `states`.
    fn lengths(&self, states: &[State], counts: RangeInclusive<usize>) -> Lengths {
        let (mut found, mut states) = (Lengths::default(), states.to_vec());
        for count in counts {
            let bit = 1 << count;
            let longer = count == LETTERS && !states.is_empty();
            if longer || goes_on(self.dfa, &states, &self.space, &self.letters) {
                found.spaced |= bit;
            }
            let spaced = |other: &[u8]| goes_on(self.dfa, &states, &self.space, other);
            if longer || goes_on(self.dfa, &states, &self.ends, &self.all) || spaced(&self.others) {
                found.ended |= bit;
            }
            match step(self.dfa, &states, &self.letters) {
                Some(next) if !next.iter().any(|state| self.dfa.is_match(*state)) => states = next,
                // Whatever follows, from here on.
                _ => {
                    found.spaced |= u16::MAX << (count + 1);
                    found.ended |= u16::MAX << (count + 1);
                    break;
                }
            }
        }
        found
    }
}

/// What may stand behind words of letters alone with which a match may begin, and how many letters those have, a
/// bit for each number below [`LETTERS`].
pub(super) fn ends(dfa: &Dfa) -> Vec<(Bytes, u16)> {
    let (letters, all) = (kinds(dfa, |byte| byte.is_ascii_alphabetic()), kinds(dfa, |_| true));
    let ends = dfa.kinds(&Bytes::of(|byte| !byte.is_ascii_alphanumeric()));
    let mut found: Vec<(Bytes, u16)> = ends.iter().map(|(_, set)| (*set, 0)).collect();
    let mut states = [0, 2, 3, 4].map(|before| dfa.start(before)).to_vec();
    for count in 1..LETTERS {
        match step(dfa, &states, &letters) {
            Some(next) if !next.iter().any(|state| dfa.is_match(*state)) => states = next,
            // Whatever follows, from here on.
            _ => {
                found.iter_mut().for_each(|(_, counts)| *counts |= u16::MAX << count);
                break;
            }
        }
        for ((end, _), (_, counts)) in ends.iter().zip(&mut found) {
            *counts |= u16::from(goes_on(dfa, &states, &[*end], &all)) << count;
        }
    }
    found.retain(|(_, counts)| *counts != 0);
    found
}

/// The bytes, but letters and digits, with which a match may begin, and what may follow them.
pub(super) fn pairs(dfa: &Dfa) -> Vec<(Bytes, Bytes)> {
    let firsts = dfa.kinds(&Bytes::of(|byte| !byte.is_ascii_alphanumeric()));
    let starts: Vec<State> = (0..BEFORE).map(|before| dfa.start(before)).collect();
    let followed = |first: u8| match step(dfa, &starts, &[first]) {
        Some(states) if !states.iter().any(|state| dfa.is_match(*state)) => {
            let seconds = dfa.kinds(&Bytes::ALL).into_iter();
            let alive = |second: &u8| step(dfa, &states, &[*second]).is_none_or(|next| !next.is_empty());
            seconds
                .filter(|(second, _)| alive(second))
                .fold(Bytes::default(), |all, (_, set)| all.union(&set))
        }
        _ => Bytes::ALL,
    };
    let pairs = firsts.into_iter().map(|(first, set)| (set, followed(first)));
    pairs.filter(|(_, seconds)| *seconds != Bytes::default()).collect()
}

/// Whether bytes of the one kind, then of the other, let a match go on, or have ended it.
fn goes_on(dfa: &Dfa, states: &[State], first: &[u8], second: &[u8]) -> bool {
    step(dfa, states, first).is_none_or(|next| {
        next.iter().any(|state| dfa.is_match(*state)) || step(dfa, &next, second).is_none_or(|next| !next.is_empty())
    })
}

/// Whether matches begin with word bytes only, and words of prose begin like them.
pub(super) fn starts_words(dfa: &Dfa, first: &[Bytes; BEFORE]) -> bool {
    let words = Bytes::of(is_word);
    let mut states = vec![dfa.start(4)];
    // Common letters, whichever they are, do not end it.
    let mut alive = || {
        let next = |state: &State| b"etaoinsr".map(|byte| dfa.next(*state, byte));
        states = states.iter().flat_map(next).collect();
        states.sort_unstable();
        states.dedup();
        !states.iter().any(|state| dfa.is_dead(*state))
    };
    first.iter().all(|allowed| allowed.union(&words) == words) && (0..4).all(|_| alive())
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

/// All bytes that a match may hold, and perhaps some more beyond ASCII; `None` if it may hold any.
fn byte_set(hir: &Hir) -> Option<Bytes> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Some(Bytes::default()),
        HirKind::Literal(literal) => Some(Bytes::of(|b| literal.0.contains(&b))),
        HirKind::Class(Class::Unicode(class)) => {
            let (ranges, lead) = (class.ranges(), |c: char| c.encode_utf8(&mut [0; 4]).as_bytes()[0]);
            Some(Bytes::of(|b| match b {
                0..=0x7F => ranges.iter().any(|r| (r.start()..=r.end()).contains(&char::from(b))),
                // What goes on with a character is told by its first byte.
                0x80..=0xBF => !class.is_ascii(),
                _ => ranges.iter().any(|r| (lead(r.start())..=lead(r.end())).contains(&b)),
            }))
        }
        HirKind::Class(Class::Bytes(_)) => None,
        HirKind::Repetition(repetition) => byte_set(&repetition.sub),
        HirKind::Capture(capture) => byte_set(&capture.sub),
        HirKind::Concat(all) | HirKind::Alternation(all) => all
            .iter()
            .try_fold(Bytes::default(), |set, sub| Some(set.union(&byte_set(sub)?))),
    }
}

/// The literals with which every match starts, if they are few and long enough.
pub(super) fn prefixes(hir: &Hir, dfa: &Dfa) -> Option<Vec<Prefix>> {
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
    let all = dfa.kinds(&Bytes::ALL);
    let prefix = |literal: Vec<u8>| Prefix {
        then: then(dfa, &literal, &all),
        literal: literal.into(),
    };
    useful.then(|| literals.into_iter().map(prefix).collect())
}

/// The bytes, in lower case, that may follow `literal` in a match, as far as they are looked at; `all` has
/// one byte of each kind, and all of them.
fn then(dfa: &Dfa, literal: &[u8], all: &[(u8, Bytes)]) -> Then {
    let mut then = [Bytes::ALL; THEN];
    let looked_at = THEN.min(MAX_LEN.saturating_sub(literal.len()));
    if looked_at == 0 {
        return then;
    }
    let mut states: Vec<State> = (0..BEFORE).map(|before| dfa.start(before)).collect();
    for byte in literal {
        match step(dfa, &states, &[*byte, byte.to_ascii_uppercase()]) {
            Some(next) if !next.iter().any(|state| dfa.is_match(*state)) => states = next,
            _ => return then,
        }
    }
    for set in &mut then[..looked_at] {
        // A match may end with the text.
        let ended = |state: &State| dfa.is_match(*state) || dfa.matches_at_end(*state);
        if states.len() > MANY || states.iter().any(ended) {
            break;
        }
        let (mut next, mut may) = (Vec::new(), Bytes::default());
        for (byte, kind) in all {
            let before = next.len();
            let after = states.iter().map(|state| dfa.next(*state, *byte));
            next.extend(after.filter(|state| !dfa.is_dead(*state)));
            if next.len() > before {
                may = may.union(kind);
            }
        }
        *set = may.to_lowercase();
        next.sort_unstable();
        next.dedup();
        states = next;
    }
    then
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
