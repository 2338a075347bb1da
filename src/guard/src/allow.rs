//! Allow lists: expressions and words that, found in a value or in its match, say that it is no finding.

use std::sync::Arc;

use regex_automata::Input;
use regex_automata::nfa::thompson::pikevm::PikeVM;

/// One list. The view is looked at when a rule has matched, which is rare, so that this need not be fast.
#[derive(Debug, Default)]
pub(crate) struct Allow {
    /// Expressions, unanchored.
    pub(crate) regexes: Vec<Arc<PikeVM>>,
    /// Lower-case texts that may stand anywhere in the value.
    pub(crate) stop_words: Vec<String>,
    /// The expressions look at the whole match, not at the value alone.
    pub(crate) whole_match: bool,
    /// An expression and a stop word must both be found, if there are both.
    pub(crate) both: bool,
}

impl Allow {
    /// Whether a match of `matched`, with `value` in it, is no finding.
    pub(crate) fn covers(&self, value: &str, matched: &[u8]) -> bool {
        let target = if self.whole_match { matched } else { value.as_bytes() };
        let by_regex = || {
            self.regexes.iter().any(|vm| {
                let mut cache = vm.create_cache();
                vm.is_match(&mut cache, Input::new(target))
            })
        };
        let by_word = || {
            let value = value.to_ascii_lowercase();
            self.stop_words.iter().any(|word| value.contains(word.as_str()))
        };
        if self.both && !self.regexes.is_empty() && !self.stop_words.is_empty() {
            by_word() && by_regex()
        } else {
            by_word() || by_regex()
        }
    }
}
