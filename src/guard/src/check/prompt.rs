//! The system prompt in the answer: runs of words that both have in common.
//!
//! Four words in a row that also stand in the prompt begin a run; it goes on as long as every four words
//! do. Only then is text held back, and what counts begins behind those first four words: they have left.

use std::sync::{Arc, OnceLock};

use super::script::{fold, is_ignorable, is_unspaced, is_word};
use super::{Check, Found};

/// Words that begin a run.
const GRAM: usize = 4;
/// What a word counts for, and a character of a script without spaces.
const WORD: u32 = 3;
const CHARACTER: u32 = 2;
/// A run is reported in pieces of about so many words, so that no more than those are held.
const PIECE: u32 = 64;

/// A system prompt, its grams hashed when first needed.
#[derive(Debug)]
pub(crate) struct Prompt {
    text: String,
    grams: OnceLock<Grams>,
}

#[derive(Debug)]
struct Grams {
    sorted: Vec<u64>,
    /// What all of the prompt counts for.
    weight: u32,
}

impl Prompt {
    pub(crate) fn new(text: &str) -> Prompt {
        Prompt {
            text: text.to_owned(),
            grams: OnceLock::new(),
        }
    }

    fn grams(&self) -> &Grams {
        self.grams.get_or_init(|| {
            let (mut sorted, mut weight) = (Vec::new(), 0);
            let mut words = Words::default();
            let mut take = |token: Token| {
                weight += token.weight;
                sorted.extend(token.gram);
            };
            for c in self.text.chars() {
                words.take(c, &mut take);
            }
            words.finish(&mut take);
            sorted.sort_unstable();
            sorted.dedup();
            Grams { sorted, weight }
        })
    }
}

/// A word, or a character of a script without spaces.
#[derive(Clone, Copy, Debug)]
struct Token {
    end: usize,
    weight: u32,
    /// The hash of this word and those before it.
    gram: Option<u64>,
}

/// Splits a text into words.
#[derive(Debug, Default)]
struct Words {
    at: usize,
    /// Hash and end of the word that is under way.
    word: Option<(u64, usize)>,
    last: [u64; GRAM],
    count: usize,
}

fn mix(hash: u64, value: u64) -> u64 {
    (hash ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29)
}

impl Words {
    fn take(&mut self, raw: char, out: &mut impl FnMut(Token)) {
        let next = self.at + raw.len_utf8();
        if !is_ignorable(raw) {
            let c = fold(raw);
            if !is_word(c) {
                self.finish(out);
            } else if is_unspaced(c) {
                self.finish(out);
                self.token(mix(7, u64::from(c)), next, CHARACTER, out);
            } else {
                let (hash, _) = self.word.unwrap_or((1, 0));
                self.word = Some((mix(hash, u64::from(c)), next));
            }
        }
        self.at = next;
    }

    fn finish(&mut self, out: &mut impl FnMut(Token)) {
        if let Some((hash, end)) = self.word.take() {
            self.token(hash, end, WORD, out);
        }
    }

    fn token(&mut self, hash: u64, end: usize, weight: u32, out: &mut impl FnMut(Token)) {
        self.last.rotate_left(1);
        self.last[GRAM - 1] = hash;
        self.count += 1;
        let gram = (self.count >= GRAM).then(|| self.last.iter().fold(3, |sum, hash| mix(sum, *hash)));
        out(Token { end, weight, gram });
    }
}

/// The check for one text.
#[derive(Debug)]
pub(crate) struct PromptCheck {
    rule: u32,
    prompt: Arc<Prompt>,
    /// What a run must count for.
    least: u32,
    words: Words,
    run: Option<Run>,
}

/// Words in common with the prompt, without a gap.
#[derive(Clone, Copy, Debug)]
struct Run {
    start: usize,
    end: usize,
    weight: u32,
    /// Since when the last piece was reported.
    fresh: u32,
}

impl PromptCheck {
    /// `words` in a row are a leak; of a shorter prompt, all of it.
    pub(crate) fn new(rule: u32, prompt: &Arc<Prompt>, words: u32) -> Option<PromptCheck> {
        let grams = prompt.grams();
        let least = (words * WORD).min(grams.weight);
        (grams.sorted.len() > 1).then(|| PromptCheck {
            rule,
            prompt: Arc::clone(prompt),
            least,
            words: Words::default(),
            run: None,
        })
    }

    fn token(&mut self, token: Token, found: &mut Vec<Found>) {
        let known = token
            .gram
            .is_some_and(|gram| self.prompt.grams().sorted.binary_search(&gram).is_ok());
        if !known {
            self.end_run(found);
            return;
        }
        let Some(run) = &mut self.run else {
            self.run = Some(Run {
                start: token.end,
                end: token.end,
                weight: token.weight * GRAM as u32,
                fresh: 0,
            });
            return;
        };
        (run.end, run.weight, run.fresh) = (token.end, run.weight + token.weight, run.fresh + token.weight);
        if run.weight >= self.least && run.fresh >= PIECE * WORD {
            let (rule, start, end) = (self.rule, run.start, run.end);
            (run.start, run.fresh) = (end, 0);
            let score = None;
            found.push(Found {
                rule,
                start,
                end,
                score,
            });
        }
    }

    fn end_run(&mut self, found: &mut Vec<Found>) {
        if let Some(run) = self.run.take()
            && run.weight >= self.least
            && run.end > run.start
        {
            found.push(Found {
                rule: self.rule,
                start: run.start,
                end: run.end,
                score: None,
            });
        }
    }

    fn feed(&mut self, act: impl FnOnce(&mut Words, &mut dyn FnMut(Token)), found: &mut Vec<Found>) {
        // A character ends one word and may be one: two tokens at most.
        let (mut tokens, mut count) = ([None; 2], 0);
        act(&mut self.words, &mut |token| {
            if let Some(place) = tokens.get_mut(count) {
                *place = Some(token);
            }
            count += 1;
        });
        for token in tokens.into_iter().flatten() {
            self.token(token, found);
        }
    }
}

impl Check for PromptCheck {
    fn push(&mut self, text: &str, found: &mut Vec<Found>) {
        for c in text.chars() {
            self.feed(|words, mut out| words.take(c, &mut out), found);
        }
    }

    fn finish(&mut self, found: &mut Vec<Found>) {
        self.feed(|words, mut out| words.finish(&mut out), found);
        self.end_run(found);
    }

    fn frontier(&self) -> usize {
        self.run.map_or(self.words.at, |run| run.start)
    }
}
