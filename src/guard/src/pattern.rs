//! One rule's regular expression, taken apart: its automaton, its longest match, the literals every
//! match starts with, and the bytes a match may show at its first few positions.

use std::collections::BTreeSet;

use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::nfa::thompson::{self, NFA, WhichCaptures, pikevm::PikeVM};
use regex_automata::util::primitives::StateID;
use regex_automata::util::start;
use regex_automata::{Anchored, Input, MatchKind};
use regex_syntax::ast::{self, Ast, ClassPerlKind, ClassSet, ClassSetItem};
use regex_syntax::hir::literal::{ExtractKind, Extractor};
use regex_syntax::hir::{Capture, Class, ClassUnicode, ClassUnicodeRange, Hir, HirKind};

use crate::dfa::{Dfa, State};
use crate::filter::Bytes;

/// How many first bytes of a match the trigger table looks at.
pub(crate) const LEVELS: usize = 8;
/// Kinds of the byte before a candidate: start of text, word byte, `\n`, `\r`, any other.
pub(crate) const BEFORE: usize = 5;
/// The longest match that any rule may have, bytes of the view.
pub(crate) const MAX_LEN: usize = 8192;
/// The largest automaton of one rule, bytes.
const MAX_DFA: usize = 4 << 20;
/// The longest literal prefix that the prefilter uses, bytes.
const MAX_PREFIX: usize = 12;

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

/// What a state says about the match that ends *before* the byte that led to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Alive,
    Match,
    Dead,
}

/// A compiled regular expression.
#[derive(Debug)]
pub(crate) struct Pattern {
    dfa: Dfa,
    /// Longest match, bytes of the view.
    pub(crate) max_len: usize,
    /// Every match starts with one of these (lower case); `None` if no useful set is known.
    pub(crate) prefixes: Option<Vec<Vec<u8>>>,
    /// No match starts right after a word byte.
    pub(crate) boundary: bool,
    /// For rules without prefixes: which bytes may stand at each of the first positions of a match.
    pub(crate) first: Option<FirstBytes>,
    /// For such rules that many words may start: what their matches must hold a little later.
    pub(crate) gate: Option<Gate>,
    /// Present if the regex has a group named `value`, the only part that the verdict covers.
    value: Option<PikeVM>,
}

/// Allowed bytes, as sets of 256, at the first positions of a match.
#[derive(Debug)]
pub(crate) struct FirstBytes {
    /// Position 0, by the class of the byte before.
    pub(crate) start: [[bool; 256]; BEFORE],
    /// Positions 1 to [`LEVELS`] - 1.
    pub(crate) rest: [[bool; 256]; LEVELS - 1],
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

impl Pattern {
    /// Compiles `regex`. `length_regex` is parsed in its place to derive the longest match (phrases
    /// count a gap as a few bytes there, and loop over it in the automaton).
    pub(crate) fn new(
        regex: &str,
        length_regex: &str,
        ignore_case: bool,
        max_len: Option<usize>,
    ) -> Result<Pattern, PatternError> {
        let hir = parse(regex, ignore_case)?;
        let bounds = parse(length_regex, ignore_case)?;
        let min_len = bounds.properties().minimum_len().unwrap_or(0);
        if min_len == 0 {
            return Err(PatternError::Empty);
        }
        let max_len = match (max_len, bounds.properties().maximum_len()) {
            (Some(0), _) => return Err(PatternError::MaxLen(0)),
            (Some(stated), _) if stated > MAX_LEN => return Err(PatternError::MaxLen(stated)),
            (Some(stated), _) if stated < min_len => return Err(PatternError::MaxLenTooShort(stated, min_len)),
            (Some(stated), derived) => derived.map_or(stated, |d| d.min(stated)),
            (None, Some(derived)) if derived > MAX_LEN => return Err(PatternError::TooLong(derived)),
            (None, Some(derived)) => derived,
            (None, None) => return Err(PatternError::Unbounded),
        };
        let prefixes = prefixes(&hir);
        let nfa = nfa(&hir, WhichCaptures::None)?;
        let config = dense::Config::new()
            .start_kind(StartKind::Anchored)
            .match_kind(MatchKind::LeftmostFirst)
            .accelerate(false)
            .dfa_size_limit(Some(MAX_DFA))
            .determinize_size_limit(Some(4 * MAX_DFA));
        let dense = dense::Builder::new()
            .configure(config)
            .build_from_nfa(&nfa)
            .map_err(|e| {
                if e.is_size_limit_exceeded() {
                    PatternError::TooBig
                } else {
                    PatternError::Build(e.to_string())
                }
            })?;
        let starts = start_states(&dense)?;
        let boundary = (0..=255).all(|b| dense.is_dead_state(dense.next_state(starts[1], b)));
        let first = match prefixes {
            Some(_) => None,
            None => Some(first_bytes(&dense, &starts)),
        };
        let letters_inside_word = |f: &FirstBytes| (b'a'..=b'z').filter(|&b| f.start[1][usize::from(b)]).count();
        if first.as_ref().map_or(0, letters_inside_word) > 4 {
            return Err(PatternError::WeakStart);
        }
        let gate = first
            .as_ref()
            .filter(|f| boundary && starts_words(f))
            .and_then(|_| gate(&hir));
        let dfa = Dfa::new(&dense, starts).ok_or(PatternError::TooBig)?;
        drop(dense);
        let value = if has_value(&hir) {
            let nfa = self::nfa(&hir, WhichCaptures::All)?;
            Some(PikeVM::new_from_nfa(nfa).map_err(|e| PatternError::Build(e.to_string()))?)
        } else {
            None
        };
        Ok(Pattern {
            dfa,
            max_len,
            prefixes,
            boundary,
            first,
            gate,
            value,
        })
    }

    /// The state of a candidate that starts after a byte of class `before`.
    pub(crate) fn start(&self, before: usize) -> State {
        self.dfa.start(before)
    }

    /// One more byte. The answer is about the text before that byte.
    #[inline]
    pub(crate) fn step(&self, state: State, byte: u8) -> (State, Step) {
        let next = self.dfa.next(state, byte);
        let step = if self.dfa.is_dead(next) {
            Step::Dead
        } else if self.dfa.is_match(next) {
            Step::Match
        } else {
            Step::Alive
        };
        (next, step)
    }

    /// Runs a candidate from `start` to its end: the end of the match (0 for none), and the steps.
    pub(crate) fn run(&self, text: &[u8], start: usize, before: usize) -> (usize, usize) {
        let (dfa, mut state, mut end) = (&self.dfa, self.start(before), 0);
        let tail = &text[start..];
        // A match of the greatest length shows in the step after it.
        let longest = &tail[..tail.len().min(self.max_len + 1)];
        for (offset, byte) in longest.iter().enumerate() {
            state = dfa.next(state, *byte);
            if dfa.is_special(state) {
                if dfa.is_dead(state) {
                    return (end, offset + 1);
                }
                end = start + offset;
            }
        }
        if longest.len() <= self.max_len && self.matches_at_end(state) {
            end = text.len();
        }
        (end, longest.len())
    }

    /// Whether a match ends with the text itself.
    pub(crate) fn matches_at_end(&self, state: State) -> bool {
        self.dfa.matches_at_end(state)
    }

    /// The span of the group `value` within the match `start..end` of `view`, else the match itself.
    pub(crate) fn value(&self, view: &[u8], start: usize, end: usize) -> (usize, usize) {
        let Some(vm) = &self.value else { return (start, end) };
        let mut cache = vm.create_cache();
        let mut captures = vm.create_captures();
        let input = Input::new(view).range(start..end).anchored(Anchored::Yes);
        vm.captures(&mut cache, input, &mut captures);
        match captures.get_group_by_name("value") {
            Some(span) if span.start < span.end => (span.start, span.end),
            _ => (start, end),
        }
    }

    /// Bytes of memory for the automaton.
    pub(crate) fn memory(&self) -> usize {
        self.dfa.memory()
    }
}

fn nfa(hir: &Hir, captures: WhichCaptures) -> Result<NFA, PatternError> {
    thompson::Compiler::new()
        .configure(thompson::Config::new().which_captures(captures).shrink(false))
        .build_from_hir(hir)
        .map_err(|e| PatternError::Build(e.to_string()))
}

fn start_states(dfa: &impl Automaton) -> Result<[StateID; BEFORE], PatternError> {
    let mut states = [StateID::default(); BEFORE];
    for (state, before) in states
        .iter_mut()
        .zip([None, Some(b'a'), Some(b'\n'), Some(b'\r'), Some(b' ')])
    {
        let config = start::Config::new().anchored(Anchored::Yes).look_behind(before);
        *state = dfa
            .start_state(&config)
            .map_err(|e| PatternError::Build(e.to_string()))?;
    }
    Ok(states)
}

/// Walks the automaton breadth first. Once a match may have ended, any byte may follow.
fn first_bytes(dfa: &dense::DFA<Vec<u32>>, starts: &[StateID; BEFORE]) -> FirstBytes {
    let mut first = FirstBytes {
        start: [[false; 256]; BEFORE],
        rest: [[false; 256]; LEVELS - 1],
    };
    let mut states = BTreeSet::new();
    for (start, allowed) in starts.iter().zip(&mut first.start) {
        for byte in 0..=255u8 {
            let next = dfa.next_state(*start, byte);
            if !dfa.is_dead_state(next) {
                allowed[usize::from(byte)] = true;
                states.insert(next);
            }
        }
    }
    for level in 0..LEVELS - 1 {
        // Walking a very wide automaton further costs more than the filter gains.
        if states.len() > 512 || states.iter().any(|s| dfa.is_match_state(*s)) {
            first.rest[level..].fill([true; 256]);
            break;
        }
        let mut next_states = BTreeSet::new();
        for state in &states {
            for byte in 0..=255u8 {
                let next = dfa.next_state(*state, byte);
                if !dfa.is_dead_state(next) {
                    first.rest[level][usize::from(byte)] = true;
                    next_states.insert(next);
                }
            }
        }
        states = next_states;
    }
    first
}

/// Whether matches begin with word bytes only, and words of prose begin like them.
fn starts_words(first: &FirstBytes) -> bool {
    let mut starts = first.start.iter().flat_map(|allowed| (0..=255u8).zip(allowed));
    starts.all(|(byte, allowed)| !allowed || is_word(byte))
        && b"etaoinsr".iter().all(|b| {
            let b = usize::from(*b);
            first.start[4][b] && first.rest[..3].iter().all(|allowed| allowed[b])
        })
}

fn gate(hir: &Hir) -> Option<Gate> {
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

/// Parses with Perl classes and word boundaries read as ASCII: that is what keeps rules on DFAs.
fn parse(regex: &str, ignore_case: bool) -> Result<Hir, PatternError> {
    let syntax = |e: &dyn std::fmt::Display| PatternError::Syntax(e.to_string());
    let tree = ast::parse::Parser::new().parse(regex).map_err(|e| syntax(&e))?;
    let mut edits = Vec::new();
    collect_edits(&tree, &mut edits)?;
    edits.sort_by_key(|(span, _)| span.start.offset);
    let mut source = String::with_capacity(regex.len() + 16 * edits.len());
    let mut copied = 0;
    for (span, text) in edits {
        source.push_str(&regex[copied..span.start.offset]);
        source.push_str(text);
        copied = span.end.offset;
    }
    source.push_str(&regex[copied..]);
    regex_syntax::ParserBuilder::new()
        .case_insensitive(ignore_case)
        .nest_limit(64)
        .build()
        .parse(&source)
        .map(|hir| without_exotic_letters(&hir))
        .map_err(|e| syntax(&e))
}

fn collect_edits(tree: &Ast, edits: &mut Vec<(ast::Span, &'static str)>) -> Result<(), PatternError> {
    match tree {
        Ast::ClassPerl(class) => {
            let text = match (&class.kind, class.negated) {
                (ClassPerlKind::Digit, false) => "[0-9]",
                (ClassPerlKind::Digit, true) => "[^0-9]",
                (ClassPerlKind::Word, false) => "[0-9A-Za-z_]",
                (ClassPerlKind::Word, true) => "[^0-9A-Za-z_]",
                (ClassPerlKind::Space, false) => "[\\t-\\r ]",
                (ClassPerlKind::Space, true) => "[^\\t-\\r ]",
            };
            edits.push((class.span, text));
        }
        Ast::ClassBracketed(class) => collect_class(&class.kind, edits)?,
        Ast::Assertion(assertion) => match assertion.kind {
            ast::AssertionKind::WordBoundary => edits.push((assertion.span, "(?-u:\\b)")),
            ast::AssertionKind::WordBoundaryStart => edits.push((assertion.span, "(?-u:\\b{start})")),
            ast::AssertionKind::WordBoundaryEnd => edits.push((assertion.span, "(?-u:\\b{end})")),
            _ => {}
        },
        Ast::Repetition(repetition) => collect_edits(&repetition.ast, edits)?,
        Ast::Group(group) => collect_edits(&group.ast, edits)?,
        Ast::Alternation(all) => all.asts.iter().try_for_each(|a| collect_edits(a, edits))?,
        Ast::Concat(all) => all.asts.iter().try_for_each(|a| collect_edits(a, edits))?,
        Ast::Empty(_) | Ast::Flags(_) | Ast::Literal(_) | Ast::Dot(_) | Ast::ClassUnicode(_) => {}
    }
    Ok(())
}

fn collect_class(set: &ClassSet, edits: &mut Vec<(ast::Span, &'static str)>) -> Result<(), PatternError> {
    match set {
        ClassSet::Item(item) => collect_item(item, edits),
        ClassSet::BinaryOp(op) => {
            collect_class(&op.lhs, edits)?;
            collect_class(&op.rhs, edits)
        }
    }
}

fn collect_item(item: &ClassSetItem, edits: &mut Vec<(ast::Span, &'static str)>) -> Result<(), PatternError> {
    match item {
        ClassSetItem::Perl(class) => {
            let text = match (&class.kind, class.negated) {
                (_, true) => return Err(PatternError::NegatedPerl),
                (ClassPerlKind::Digit, _) => "0-9",
                (ClassPerlKind::Word, _) => "0-9A-Za-z_",
                (ClassPerlKind::Space, _) => "\\t-\\r ",
            };
            edits.push((class.span, text));
            Ok(())
        }
        ClassSetItem::Bracketed(class) => collect_class(&class.kind, edits),
        ClassSetItem::Union(union) => union.items.iter().try_for_each(|i| collect_item(i, edits)),
        _ => Ok(()),
    }
}

/// The literals with which every match starts, in lower case, if they are few and long enough.
fn prefixes(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    let mut extractor = Extractor::new();
    extractor
        .kind(ExtractKind::Prefix)
        .limit_class(8)
        .limit_repeat(4)
        .limit_literal_len(MAX_PREFIX)
        .limit_total(128);
    let sequence = extractor.extract(&fold_case(hir));
    let mut literals: Vec<Vec<u8>> = sequence
        .literals()?
        .iter()
        .map(|l| l.as_bytes()[..l.len().min(MAX_PREFIX)].to_ascii_lowercase())
        .collect();
    literals.sort();
    // A literal that begins another one wakes the rule for both.
    literals.dedup_by(|longer, shorter| longer.starts_with(shorter));
    let useful = !literals.is_empty() && literals.iter().all(|l| l.len() >= 2);
    useful.then_some(literals)
}

/// Lower-cases ASCII letters, so that a case-insensitive literal is one literal and not 2^n.
fn fold_case(hir: &Hir) -> Hir {
    map(hir, &|literal| literal.to_ascii_lowercase(), &|class| {
        let chars = members(class)?.map(|c| c.to_ascii_lowercase());
        Some(ClassUnicode::new(chars.map(|c| ClassUnicodeRange::new(c, c))))
    })
}

/// Takes `K` (Kelvin) and `ſ` out of case-insensitive classes: the view folds them to ASCII, and
/// without them an ASCII rule stays an ASCII automaton.
fn without_exotic_letters(hir: &Hir) -> Hir {
    map(hir, &<[u8]>::to_vec, &|class| {
        let ascii = |c: char| c != '\u{212A}' && c != '\u{17F}';
        Some(ClassUnicode::new(
            members(class)?
                .filter(|c| ascii(*c))
                .map(|c| ClassUnicodeRange::new(c, c)),
        ))
    })
}

/// The characters of a small class.
fn members(class: &ClassUnicode) -> Option<impl Iterator<Item = char> + '_> {
    let size: u32 = class
        .ranges()
        .iter()
        .map(|r| u32::from(r.end()) - u32::from(r.start()) + 1)
        .sum();
    (size <= 256).then(|| class.ranges().iter().flat_map(|r| r.start()..=r.end()))
}

/// Rebuilds `hir` with other literals and classes; a class for which there is `None` stays.
fn map(hir: &Hir, literal: &dyn Fn(&[u8]) -> Vec<u8>, class: &dyn Fn(&ClassUnicode) -> Option<ClassUnicode>) -> Hir {
    let each = |sub: &Hir| map(sub, literal, class);
    match hir.kind() {
        HirKind::Empty => Hir::empty(),
        HirKind::Literal(bytes) => Hir::literal(literal(&bytes.0)),
        HirKind::Class(Class::Unicode(old)) => Hir::class(Class::Unicode(class(old).unwrap_or_else(|| old.clone()))),
        HirKind::Class(old) => Hir::class(old.clone()),
        HirKind::Look(look) => Hir::look(*look),
        HirKind::Repetition(repetition) => Hir::repetition(repetition.with(each(&repetition.sub))),
        HirKind::Capture(capture) => {
            let (index, name, sub) = (capture.index, capture.name.clone(), Box::new(each(&capture.sub)));
            Hir::capture(Capture { index, name, sub })
        }
        HirKind::Concat(all) => Hir::concat(all.iter().map(each).collect()),
        HirKind::Alternation(all) => Hir::alternation(all.iter().map(each).collect()),
    }
}

fn has_value(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Capture(capture) => capture.name.as_deref() == Some("value") || has_value(&capture.sub),
        HirKind::Repetition(repetition) => has_value(&repetition.sub),
        HirKind::Concat(all) | HirKind::Alternation(all) => all.iter().any(has_value),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(regex: &str) -> Pattern {
        Pattern::new(regex, regex, false, None).unwrap()
    }

    #[test]
    fn prefixes_are_case_folded_and_minimal() {
        let folded = Pattern::new("(?i)ignore (?:all|previous)", "ignore (?:all|previous)", false, None).unwrap();
        assert_eq!(
            folded.prefixes,
            Some(vec![b"ignore all".to_vec(), b"ignore previ".to_vec()])
        );
        assert_eq!(
            pattern(r"\bsk-(?:proj-)?[A-Z]{20}").prefixes,
            Some(vec![b"sk-".to_vec()])
        );
        assert_eq!(
            pattern(r"xox[ab]-\d{10}").prefixes,
            Some(vec![b"xoxa-".to_vec(), b"xoxb-".to_vec()])
        );
        assert_eq!(pattern(r"\b\d{3}-\d{2}").prefixes, None);
    }

    #[test]
    fn boundary_is_seen_through_alternations() {
        assert!(pattern(r"\b(?:ab|\d)x").boundary);
        assert!(pattern(r"(?:\bab|\bcd)x").boundary);
        assert!(!pattern(r"(?:\bab|cd)x").boundary);
        assert!(!pattern(r"\b-abc").boundary, "a dash after a letter is at a boundary");
    }

    #[test]
    fn first_bytes_allow_all_after_the_shortest_match() {
        let first = pattern(r"\b\d{2}-?\d").first.unwrap();
        assert!(first.start[0][usize::from(b'7')] && !first.start[1][usize::from(b'7')]);
        assert!(first.rest[0][usize::from(b'7')] && !first.rest[0][usize::from(b'-')]);
        assert!(first.rest[1][usize::from(b'-')] && first.rest[1][usize::from(b'7')]);
        assert!(first.rest[3].iter().all(|&b| b), "`123` has ended by then");
    }

    #[test]
    fn lengths_are_derived_or_refused() {
        assert_eq!(pattern(r"ab\d{3,9}é?").max_len, 13);
        assert!(matches!(
            Pattern::new("ab+", "ab+", false, None),
            Err(PatternError::Unbounded)
        ));
        assert_eq!(Pattern::new("ab+", "ab+", false, Some(10)).unwrap().max_len, 10);
        assert!(matches!(
            Pattern::new("ab*", "ab*", false, Some(0)),
            Err(PatternError::MaxLen(0))
        ));
        assert!(matches!(
            Pattern::new("abc", "abc", false, Some(2)),
            Err(PatternError::MaxLenTooShort(2, 3))
        ));
        assert!(matches!(
            Pattern::new("(?:ab)?", "(?:ab)?", false, None),
            Err(PatternError::Empty)
        ));
        assert!(matches!(
            Pattern::new("a{9000}", "a{9000}", false, None),
            Err(PatternError::TooLong(9000))
        ));
        assert!(matches!(
            Pattern::new("[a-z]{9}", "[a-z]{9}", false, None),
            Err(PatternError::WeakStart)
        ));
        assert!(matches!(
            Pattern::new(r"\b[\W]x", r"\b[\W]x", false, None),
            Err(PatternError::NegatedPerl)
        ));
    }

    #[test]
    fn perl_classes_are_ascii() {
        let p = pattern(r"ab[\w.]\d\b");
        assert_eq!(p.max_len, 4);
    }
}
