//! One rule's regular expression, taken apart: its automaton, its longest match, the literals every
//! match starts with, and the bytes a match may show at its first few positions.

mod analysis;
mod syntax;

use std::sync::OnceLock;

use regex_automata::nfa::thompson::{self, NFA, WhichCaptures, pikevm::PikeVM};
use regex_automata::{Anchored, Input};
use regex_syntax::hir::Hir;

use crate::bits::is_token;
use crate::bytes::Bytes;
use crate::dfa::{Dfa, Head, LOOK, State};
use crate::literals::Then;
pub(crate) use analysis::{LETTERS, Spelled};
use analysis::{ends, gate, pairs, prefixes, spelled, starts_words, tokens};
pub(crate) use syntax::parse;
use syntax::value_group;

/// Kinds of the byte before a candidate: start of text, word byte, `\n`, `\r`, any other.
pub(crate) const BEFORE: usize = 5;
/// The longest match that any rule may have, bytes of the view.
pub(crate) const MAX_LEN: usize = 8192;
/// The largest automaton of one rule, bytes.
const MAX_DFA: usize = 4 << 20;

/// Why a regular expression cannot be a rule.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PatternError {
    #[error("not a regular expression: {0}")]
    Syntax(String),
    #[error("matches the empty text: every position would match")]
    Empty,
    #[error(
        "a match may be endless, so a stream could never be released: bound every repetition \
         (`{{1,64}}` instead of `+`) or state `max_len`"
    )]
    Unbounded,
    #[error("a match may be {0} bytes long, the limit is {MAX_LEN}: tighten it or state `max_len`")]
    TooLong(usize),
    #[error("`max_len` must be 1 to {MAX_LEN}, not {0}")]
    MaxLen(usize),
    #[error("`max_len` {0} is below the shortest match, {1} bytes: the rule could never match")]
    MaxLenTooShort(usize, usize),
    #[error("its automaton needs more than {} MiB: split the rule, or shorten counted repetitions", MAX_DFA >> 20)]
    TooBig,
    #[error(
        "begins neither with a literal nor at a word boundary, so it would be tried at every letter: \
         begin it with `\\b` or with a literal"
    )]
    WeakStart,
    #[error("\\D, \\W and \\S may not stand inside a bracket class: write the ranges")]
    NegatedPerl,
    #[error("\\B and half word boundaries are not supported: write what must stand there")]
    UnicodeWord,
    #[error("cannot be compiled: {0}")]
    Build(String),
}

/// [`before_class`] of each byte.
const CLASSES: [u8; 256] = {
    let mut classes = [4; 256];
    let mut byte = 0u8;
    loop {
        classes[byte as usize] = match byte {
            b'\n' => 2,
            b'\r' => 3,
            b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => 1,
            _ => 4,
        };
        if byte == u8::MAX {
            break classes;
        }
        byte += 1;
    }
};

/// The class of the byte before a candidate.
#[inline(always)]
pub(crate) fn before_class(byte: Option<u8>) -> usize {
    byte.map_or(0, |b| usize::from(CLASSES[usize::from(b)]))
}

/// ASCII letters, digits and `_`, as in `(?-u:\w)`.
#[inline]
pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Whether `text` begins with `literal`, in any case.
pub(crate) fn begins(text: &[u8], literal: &[u8]) -> bool {
    text.get(..literal.len())
        .is_some_and(|begin| begin.eq_ignore_ascii_case(literal))
}

/// What a state says about the match that ends *before* the byte that led to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Alive,
    Match,
    Dead,
}

/// How far a candidate came in a text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// End of the match, 0 for none.
    pub(crate) end: usize,
    /// The next byte.
    pub(crate) at: usize,
    pub(crate) state: State,
    /// It ended at the greatest length, not by itself and not with the text.
    pub(crate) capped: bool,
}

/// A compiled regular expression.
#[derive(Debug)]
pub(crate) struct Pattern {
    regex: Box<str>,
    ignore_case: bool,
    dfa: OnceLock<Dfa>,
    /// Shortest match, bytes of the view.
    min_len: usize,
    /// Longest match, bytes of the view.
    pub(crate) max_len: usize,
    /// Every match starts with one of these; `None` if no useful set is known.
    pub(crate) prefixes: Option<Vec<Prefix>>,
    /// No match starts right after a word byte.
    pub(crate) boundary: bool,
    /// The bytes with which a match may begin right after a word byte: none, where there is a boundary.
    pub(crate) inside: Bytes,
    /// For rules without prefixes: how a match may begin.
    pub(crate) first: Option<First>,
    /// For such rules that many words may start: what their matches must hold a little later.
    pub(crate) gate: Option<Gate>,
    /// The verdict covers the first of these groups that is not empty, or the whole match: the group
    /// called `value`, or those of an imported rule.
    pub(crate) groups: Vec<usize>,
    value: OnceLock<Option<PikeVM>>,
}

/// A literal with which a match may begin.
#[derive(Debug)]
pub(crate) struct Prefix {
    /// In lower case.
    pub(crate) literal: Box<[u8]>,
    /// What follows it.
    pub(crate) then: Then,
}

/// How a match may begin.
#[derive(Debug)]
pub(crate) struct First {
    /// With which bytes, by the class of the byte before.
    pub(crate) bytes: [Bytes; BEFORE],
    /// What more bytes say.
    pub(crate) head: Head,
    /// With so many bytes such as long tokens are made of, at least.
    tokens: usize,
    /// How words of letters alone begin one.
    pub(crate) spelled: Vec<Spelled>,
    /// What may stand behind such a word, and how many letters it has then.
    pub(crate) ends: Vec<(Bytes, u16)>,
    /// Other bytes that begin one, and what may follow them.
    pub(crate) pairs: Vec<(Bytes, Bytes)>,
}

/// A literal in every match of a rule, behind bytes among which its first one never is: whoever has
/// the whole text finds it first, and the match from there back.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) literal: Vec<u8>,
    /// The bytes that may stand between a match's start and the literal ...
    pub(crate) body: Bytes,
    /// ... and how many there are, at least (1 or more) and at most.
    pub(crate) min: usize,
    pub(crate) max: usize,
}

impl First {
    /// Whether all bytes that decide what wakes are such as long tokens are made of.
    pub(crate) fn is_long(&self) -> bool {
        self.tokens >= LOOK
    }
}

impl Pattern {
    /// Takes `regex` apart. `length_regex` is parsed in its place to derive the longest match (phrases
    /// count a gap as a few bytes there, and loop over it in the automaton).
    ///
    /// A `trusted` regex is known to have an automaton of a bearable size.
    pub(crate) fn new(
        regex: &str,
        length_regex: &str,
        ignore_case: bool,
        max_len: Option<usize>,
        trusted: bool,
    ) -> Result<Pattern, PatternError> {
        let hir = parse(regex, ignore_case)?;
        let lengths = |hir: &Hir| (hir.properties().minimum_len(), hir.properties().maximum_len());
        let (min_len, derived) = if length_regex == regex {
            lengths(&hir)
        } else {
            lengths(&parse(length_regex, ignore_case)?)
        };
        let stated_min = min_len.unwrap_or(0);
        if stated_min == 0 {
            return Err(PatternError::Empty);
        }
        let max_len = match (max_len, derived) {
            (Some(0), _) => return Err(PatternError::MaxLen(0)),
            (Some(stated), _) if stated > MAX_LEN => return Err(PatternError::MaxLen(stated)),
            (Some(stated), _) if stated < stated_min => return Err(PatternError::MaxLenTooShort(stated, stated_min)),
            (Some(stated), derived) => derived.map_or(stated, |d| d.min(stated)),
            (None, Some(derived)) if derived > MAX_LEN => return Err(PatternError::TooLong(derived)),
            (None, Some(derived)) => derived,
            (None, None) => return Err(PatternError::Unbounded),
        };
        let nfa = nfa(&hir, WhichCaptures::None)?;
        let dfa = Dfa::new(&nfa);
        let prefixes = prefixes(&hir, &dfa);
        let begins = |before: usize| Bytes::of(|byte| !dfa.is_dead(dfa.next(dfa.start(before), byte)));
        let inside = begins(1);
        let boundary = inside == Bytes::default();
        let first = prefixes.is_none().then(|| First {
            bytes: std::array::from_fn(begins),
            head: Head::new(&nfa),
            tokens: tokens(&dfa),
            spelled: spelled(&dfa),
            ends: ends(&dfa),
            pairs: pairs(&dfa),
        });
        if first.is_some() && (b'a'..=b'z').filter(|byte| inside.has(*byte)).count() > 4 {
            return Err(PatternError::WeakStart);
        }
        let gate = first
            .as_ref()
            .filter(|first| boundary && starts_words(&dfa, &first.bytes))
            .and_then(|_| gate(&hir));
        if !trusted && !dfa.explore(MAX_DFA) {
            return Err(PatternError::TooBig);
        }
        Ok(Pattern {
            regex: regex.into(),
            ignore_case,
            dfa: OnceLock::new(),
            min_len: lengths(&hir).0.unwrap_or(0),
            max_len,
            prefixes,
            boundary,
            inside,
            first,
            gate,
            groups: value_group(&hir),
            value: OnceLock::new(),
        })
    }

    /// The automaton, made when a text first wakes the rule.
    #[inline]
    fn dfa(&self) -> &Dfa {
        self.dfa.get_or_init(|| {
            let nfa = parse(&self.regex, self.ignore_case).and_then(|hir| nfa(&hir, WhichCaptures::None));
            // It was made before, when the rule was parsed.
            Dfa::new(&nfa.unwrap_or_else(|_| NFA::never_match()))
        })
    }

    /// The longest literal at `start` that wakes the rule.
    pub(crate) fn literal_at(&self, text: &[u8], start: usize) -> Option<&[u8]> {
        if self.boundary && start.checked_sub(1).is_some_and(|before| is_word(text[before])) {
            return None;
        }
        let here = self.prefixes.iter().flatten().filter(|prefix| {
            let next = text[start..]
                .iter()
                .skip(prefix.literal.len())
                .map(u8::to_ascii_lowercase);
            begins(&text[start..], &prefix.literal) && next.zip(&prefix.then).all(|(byte, allowed)| allowed.has(byte))
        });
        here.map(|prefix| &*prefix.literal).max_by_key(|literal| literal.len())
    }

    /// The state of a candidate that starts after a byte of class `before`.
    pub(crate) fn start(&self, before: usize) -> State {
        self.dfa().start(before)
    }

    /// One more byte. The answer is about the text before that byte.
    #[inline]
    pub(crate) fn step(&self, state: State, byte: u8) -> (State, Step) {
        let dfa = self.dfa();
        let next = dfa.next(state, byte);
        let step = if dfa.is_dead(next) {
            Step::Dead
        } else if dfa.is_match(next) {
            Step::Match
        } else {
            Step::Alive
        };
        (next, step)
    }

    /// How many steps a candidate that begins at `start` of the whole text takes at most, if nothing comes of it:
    /// the text ends too early, or the token that it needs.
    pub(crate) fn in_vain(&self, text: &[u8], start: usize) -> Option<usize> {
        let rest = &text[start..];
        if rest.len() < self.min_len {
            return Some(rest.len());
        }
        let tokens = self.first.as_ref().map_or(0, |first| first.tokens);
        let end = rest.iter().take(tokens).position(|byte| !is_token(*byte));
        end.map(|end| end + 1)
    }

    /// Runs a candidate that began at `start`, and is in `state` before the byte at `at`, to its end, which
    /// is that of the text at the latest.
    pub(crate) fn run(&self, text: &[u8], start: usize, at: usize, state: State) -> Run {
        let mut run = self.walk(text, start, at, state);
        if !run.capped && !self.is_dead(run.state) && self.matches_at_end(run.state) {
            run.end = text.len();
        }
        run
    }

    /// Runs a candidate as far as `text`, which may go on, takes it.
    pub(crate) fn walk(&self, text: &[u8], start: usize, at: usize, mut state: State) -> Run {
        let (dfa, mut end) = (self.dfa(), 0);
        let front = dfa.front();
        // A match of the greatest length shows in the step after it.
        let last = text.len().min((start + self.max_len).max(at) + 1);
        for (offset, byte) in text[at..last].iter().enumerate() {
            state = dfa.next_in(front, state, *byte);
            if dfa.is_special(state) {
                if dfa.is_dead(state) {
                    return Run {
                        end,
                        at: at + offset + 1,
                        state,
                        capped: false,
                    };
                }
                end = at + offset;
            }
        }
        Run {
            end,
            at: last,
            state,
            capped: last > at && last - start > self.max_len,
        }
    }

    /// Whether nothing more can match from `state`.
    pub(crate) fn is_dead(&self, state: State) -> bool {
        self.dfa().is_dead(state)
    }

    /// Whether a match ends with the text itself.
    pub(crate) fn matches_at_end(&self, state: State) -> bool {
        self.dfa().matches_at_end(state)
    }

    /// The span of the group `value` within the match `start..end` of `view`, else the match itself.
    pub(crate) fn value(&self, view: &[u8], start: usize, end: usize) -> (usize, usize) {
        if self.groups.is_empty() {
            return (start, end);
        }
        let vm = self.value.get_or_init(|| {
            let nfa = parse(&self.regex, self.ignore_case).and_then(|hir| nfa(&hir, WhichCaptures::All));
            PikeVM::new_from_nfa(nfa.ok()?).ok()
        });
        let Some(vm) = vm else { return (start, end) };
        let mut cache = vm.create_cache();
        let mut captures = vm.create_captures();
        let input = Input::new(view).range(start..end).anchored(Anchored::Yes);
        vm.captures(&mut cache, input, &mut captures);
        let mut spans = self.groups.iter().filter_map(|group| captures.get_group(*group));
        let span = spans.find(|span| span.start < span.end);
        span.map_or((start, end), |span| (span.start, span.end))
    }

    /// Bytes of memory now; the automaton grows with the texts that were seen.
    pub(crate) fn memory(&self) -> usize {
        let literals = self
            .prefixes
            .iter()
            .flatten()
            .map(|p| size_of::<Prefix>() + p.literal.len());
        size_of::<Pattern>()
            + self.regex.len()
            + literals.sum::<usize>()
            + self.first.as_ref().map_or(0, |first| first.head.memory())
            + self.dfa.get().map_or(0, Dfa::memory)
    }
}

fn nfa(hir: &Hir, captures: WhichCaptures) -> Result<NFA, PatternError> {
    let nfa = thompson::Compiler::new()
        .configure(thompson::Config::new().which_captures(captures).shrink(false))
        .build_from_hir(hir)
        .map_err(|e| PatternError::Build(e.to_string()))?;
    if nfa.look_set_any().contains_word_unicode() {
        return Err(PatternError::UnicodeWord);
    }
    Ok(nfa)
}

/// An expression that is looked for anywhere in a text.
pub(crate) fn searcher(hir: &Hir) -> Result<PikeVM, PatternError> {
    PikeVM::new_from_nfa(nfa(hir, WhichCaptures::None)?).map_err(|e| PatternError::Build(e.to_string()))
}

/// The number of groups of an expression.
pub(crate) fn group_count(regex: &str) -> usize {
    parse(regex, false).map_or(0, |hir| hir.properties().explicit_captures_len())
}

/// Whether each match of an expression holds one of `words`, which are in lower case, in any case.
pub(crate) fn always_holds(regex: &str, words: &[String]) -> bool {
    parse(regex, false).is_ok_and(|hir| analysis::holds_one(&analysis::fold_case(&hir), words))
}

#[cfg(test)]
mod tests;
