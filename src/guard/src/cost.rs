//! What a rule may cost at worst: steps of its automaton for each byte of a text that is made to wake
//! it as often, and keep it awake as long, as can be. Counted, not timed, so that the answer is the
//! same on every machine.

use crate::dfa::LOOK;
use crate::pattern::{Pattern, before_class};

/// A rule that costs more steps a byte than this on some text is refused by `weir guard test`: it alone
/// would use up two fifths of the budget that all rules share by default (`max_steps_per_byte`).
pub const SLOW: f64 = 64.0;

/// Bytes of each text that is tried.
const TEXT: usize = 1024;
/// How often the bytes that keep a rule awake stand between two that wake it.
const RUNS: [usize; 8] = [0, 1, 2, 4, 8, 16, 40, 100];
/// Bytes that are tried between.
const FILLERS: &[u8] = b"aZ0 -._/+=@:\n\xC3";

/// The dearest text that was found for a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Cost {
    /// Automaton steps for each byte.
    pub steps_per_byte: f64,
    /// What the text repeats.
    pub unit: String,
}

/// Looks for the dearest text.
pub(crate) fn worst(pattern: &Pattern, examples: &[String]) -> Cost {
    let mut worst = Cost {
        steps_per_byte: 0.0,
        unit: String::new(),
    };
    let mut try_unit = |unit: &[u8]| {
        if unit.is_empty() {
            return;
        }
        let text: Vec<u8> = unit.iter().copied().cycle().take(TEXT.max(2 * unit.len())).collect();
        let steps_per_byte = steps(pattern, &text) as f64 / text.len() as f64;
        if steps_per_byte > worst.steps_per_byte {
            worst = Cost {
                steps_per_byte,
                unit: String::from_utf8_lossy(unit).into_owned(),
            };
        }
    };
    for head in heads(pattern) {
        try_unit(&head);
        for (filler, run) in FILLERS.iter().flat_map(|f| RUNS.iter().map(move |r| (*f, *r))) {
            let unit: Vec<u8> = head.iter().copied().chain(std::iter::repeat_n(filler, run)).collect();
            try_unit(&unit);
            // A second filler lets word boundaries come between.
            if run > 0 && run <= 8 {
                try_unit(&[unit.as_slice(), b" "].concat());
                try_unit(&[unit.as_slice(), b"."].concat());
            }
        }
    }
    for example in examples.iter().take(4) {
        try_unit(example.as_bytes());
        // What is almost a match is walked along and thrown away.
        let half = example.len() / 2;
        try_unit(&example.as_bytes()[..half]);
        try_unit(&example.as_bytes()[..example.len().saturating_sub(1)]);
    }
    worst
}

/// Texts that wake the rule.
fn heads(pattern: &Pattern) -> Vec<Vec<u8>> {
    if let Some(prefixes) = &pattern.prefixes {
        return prefixes.iter().take(4).map(|prefix| prefix.literal.to_vec()).collect();
    }
    let Some(first) = &pattern.first else { return Vec::new() };
    // One byte of each sort that may begin a match.
    let sorts: [fn(u8) -> bool; 4] = [
        |b| b.is_ascii_digit(),
        |b| b.is_ascii_lowercase(),
        |b| b.is_ascii_uppercase(),
        |b| b.is_ascii_punctuation(),
    ];
    let begins = |b: u8| first.bytes.iter().any(|allowed| allowed.has(b));
    let of_sort = |sort: fn(u8) -> bool| (0..=127u8).find(|b| sort(*b) && begins(*b));
    sorts.into_iter().filter_map(of_sort).map(|b| vec![b]).collect()
}

/// Steps that the rule alone takes over `text`.
fn steps(pattern: &Pattern, text: &[u8]) -> usize {
    let mut steps = 0;
    for start in 0..text.len() {
        let before = start.checked_sub(1).map(|i| text[i]);
        if !wakes(pattern, text, start, before) {
            continue;
        }
        let run = pattern.run(text, start, start, pattern.start(before_class(before)));
        steps += 1 + run.at - start;
    }
    steps
}

/// Whether the rule is tried at `start`.
fn wakes(pattern: &Pattern, text: &[u8], start: usize, before: Option<u8>) -> bool {
    if pattern.prefixes.is_some() {
        return pattern.literal_at(text, start).is_some();
    }
    let next = &text[..text.len().min(start + LOOK)];
    let run = pattern.run(next, start, start, pattern.start(before_class(before)));
    run.end > 0 || !pattern.is_dead(run.state)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(regex: &str) -> f64 {
        worst(&Pattern::new(regex, regex, false, Some(4096), false).unwrap(), &[]).steps_per_byte
    }

    #[test]
    fn what_wakes_often_and_runs_long_is_slow() {
        assert!(cost(r"ghp_[A-Za-z0-9]{36}") < 4.0);
        assert!(cost(r"\b\d{3}-\d{2}-\d{4}\b") < 8.0);
        // Each `a` begins a walk over the next thousand.
        assert!(cost(r"a[a-z]{1,1000}!") > SLOW);
        assert!(cost(r"\b[a-z. ]{1,400}@") > SLOW);
    }

    #[test]
    fn the_steps_are_those_that_were_taken() {
        let pattern = Pattern::new("ab{1,5}c", "ab{1,5}c", false, None, false).unwrap();
        // Awake at `a`: launch, three bytes of the match, and the one that ends it.
        assert_eq!(steps(&pattern, b"xxabbcx"), 1 + 5);
        assert_eq!(steps(&pattern, b"xxxx"), 0);
    }
}
