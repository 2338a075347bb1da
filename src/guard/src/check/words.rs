//! Lists of words and phrases, all lists of a phase in one pass.
//!
//! A word of a list is a whole word of the text, in any case, at Unicode's word edges; in scripts
//! without spaces it may stand anywhere. A space of a phrase stands for any few marks or spaces. The
//! common disguises count as the word: `sh1t`, `f*ck`, `fuuuuck`, characters that nobody sees.

mod skip;

use std::sync::Arc;

use super::gate::Gate;
use super::script::{fold, is_ignorable, is_plain_letter, is_unspaced, is_word};
use super::trie::{Accept, Tree};
use super::{Check, Found};
use skip::Skip;

/// The most marks and spaces that a space of a phrase stands for.
const GAP: u8 = 4;
/// The longest word that an entry such as `fuck*` may become, and the longest stretched word, bytes.
const LONGEST: usize = 96;

/// A list, as a rule has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct WordList {
    /// Words and phrases; `x*` for words that begin with `x`.
    pub(crate) words: Vec<String>,
    /// Phrases in which these words are innocent.
    pub(crate) unless: Vec<String>,
    /// How many different words must stand within `window` bytes.
    pub(crate) least: usize,
    pub(crate) window: usize,
}

/// The lists of a phase.
#[derive(Debug)]
pub(crate) struct Words {
    tree: Tree,
    gate: Gate,
    /// By rule: `least` and `window`.
    needs: Vec<Option<(usize, usize)>>,
}

impl Words {
    /// `lists` with the indices of their rules.
    pub(crate) fn new<'l>(lists: impl Iterator<Item = (u32, &'l WordList)>) -> Words {
        let mut entries = Vec::new();
        let mut needs = Vec::new();
        for (rule, list) in lists {
            needs.resize((rule as usize + 1).max(needs.len()), None);
            needs[rule as usize] = (list.least > 1).then_some((list.least, list.window));
            let words = list.words.iter().zip(0..).map(|(text, word)| (text, word, false));
            let unless = list.unless.iter().map(|text| (text, 0, true));
            for (text, word, exempt) in words.chain(unless) {
                let open = text.ends_with('*');
                let chars = normal(text);
                let accept = Accept {
                    rule,
                    word,
                    exempt,
                    open,
                };
                for masked in masks(&chars, exempt || open) {
                    entries.push((masked, accept));
                }
                entries.push((chars, accept));
            }
        }
        let tree = Tree::new(entries.into_iter());
        Words {
            gate: Gate::new(&tree),
            tree,
            needs,
        }
    }

    pub(crate) fn memory(&self) -> usize {
        self.tree.memory() + size_of::<Gate>()
    }

    /// Whether something comes of what begins `text`. Where the text ends, what lies beyond ASCII begins, or
    /// this goes on for long, it may.
    fn goes_on(&self, text: &[u8]) -> bool {
        let (mut cursor, mut pending) = (Cursor::new(0), Vec::new());
        for (at, byte) in text.iter().enumerate().take(LONGEST) {
            let (c, word) = (char::from(byte.to_ascii_lowercase()), byte.is_ascii_alphanumeric());
            if !byte.is_ascii() {
                return true;
            }
            let alive = self.step(&mut cursor, c, word, at, at + 1, &mut pending);
            if !alive || !pending.is_empty() {
                return !pending.is_empty();
            }
        }
        true
    }

    /// One character for one cursor; `false` if nothing can come from it any more.
    #[inline]
    fn step(&self, cursor: &mut Cursor, c: char, word: bool, at: usize, next: usize, pending: &mut Vec<Match>) -> bool {
        if !word && c != '_' && cursor.end == at {
            self.accept(cursor, false, pending);
        }
        if cursor.tail {
            cursor.end = if word { next } else { cursor.end };
            return word && next - cursor.start < LONGEST;
        }
        if next - cursor.start > 4 * LONGEST {
            return false;
        }
        let tree = &self.tree;
        // Most characters of most words.
        if let (true, Some((node, open))) = (c.is_ascii_lowercase(), tree.step_letter(cursor.node, c)) {
            cursor.letters = cursor.letters.saturating_add(1);
            (cursor.node, cursor.last, cursor.end, cursor.gap) = (node, c, next, 0);
            if open {
                self.accept(cursor, true, pending);
            }
            return true;
        }
        let direct = (word || c == '*').then(|| tree.step(cursor.node, c)).flatten();
        let disguise = || letter_of(c).and_then(|letter| Some((tree.step(cursor.node, letter)?, letter)));
        if let Some((node, letter)) = direct.map(|node| (node, c)).or_else(disguise) {
            let disguised = letter != c || c == '*';
            cursor.letters = cursor.letters.saturating_add(u8::from(!disguised));
            cursor.disguised = cursor.disguised.saturating_add(u8::from(letter != c));
            (cursor.node, cursor.last, cursor.end, cursor.gap) = (node, letter, next, 0);
            if is_unspaced(c) || tree.accepts(node).iter().any(|a| a.open) {
                self.accept(cursor, true, pending);
            }
            return true;
        }
        if word {
            cursor.repeated = cursor.repeated.saturating_add(1);
            cursor.end = next;
            return c == cursor.last && cursor.gap == 0 && next - cursor.start < LONGEST;
        }
        if cursor.gap == 0 {
            let Some(node) = tree.step(cursor.node, ' ') else {
                return false;
            };
            cursor.node = node;
        }
        cursor.gap += 1;
        cursor.gap <= GAP && (c.is_whitespace() || matches!(c, '-' | '_' | '\'' | '’' | '.' | ',' | '*' | '"'))
    }

    /// `inside`: the word may go on, so only what may stand anywhere or has an open end counts.
    fn accept(&self, cursor: &mut Cursor, inside: bool, pending: &mut Vec<Match>) {
        if cursor.gap > 0 || cursor.disguised > cursor.letters || cursor.repeated == 1 {
            return;
        }
        let anywhere = is_unspaced(cursor.last);
        for accept in self.tree.accepts(cursor.node) {
            if accept.open && inside && !anywhere {
                cursor.tail = true;
            } else if anywhere == inside || (accept.open && !inside) {
                pending.push(Match {
                    accept: *accept,
                    start: cursor.start,
                    end: cursor.end,
                });
            }
        }
    }
}

/// A word as it stands in the tree: lower case, one space for whatever stands between words.
fn normal(text: &str) -> Vec<char> {
    let mut chars: Vec<char> = Vec::new();
    for c in text
        .trim_end_matches('*')
        .chars()
        .filter(|c| !is_ignorable(*c))
        .map(fold)
    {
        if is_word(c) {
            chars.push(c);
        } else if chars.last().is_some_and(|c| *c != ' ') {
            chars.push(' ');
        }
    }
    while chars.last() == Some(&' ') {
        chars.pop();
    }
    chars
}

/// Spellings with asterisks in place of inner letters.
fn masks(word: &[char], off: bool) -> Vec<Vec<char>> {
    if off || word.len() < 4 || word.iter().any(|c| !c.is_ascii_alphabetic()) {
        return Vec::new();
    }
    let star = |at: &dyn Fn(usize, char) -> bool| -> Vec<char> {
        let inner = |i: usize| i > 0 && i + 1 < word.len();
        let masked = word.iter().enumerate();
        masked
            .map(|(i, c)| if inner(i) && at(i, *c) { '*' } else { *c })
            .collect()
    };
    let mut all: Vec<Vec<char>> = (1..word.len() - 1).map(|hole| star(&|i, _| i == hole)).collect();
    all.push(star(&|_, c| "aeiou".contains(c)));
    all.push(star(&|_, _| true));
    if word.len() == 4 {
        all.push(vec![word[0], '*', '*', '*']);
    }
    all.retain(|masked| masked != word);
    all
}

/// Letters that digits and marks stand for.
pub(super) fn letter_of(c: char) -> Option<char> {
    Some(match c {
        '0' => 'o',
        '1' | '!' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        _ => return None,
    })
}

/// A place from which a word may still come.
#[derive(Clone, Copy, Debug)]
struct Cursor {
    node: u32,
    start: usize,
    /// One past the last character of a word.
    end: usize,
    last: char,
    letters: u8,
    disguised: u8,
    /// Letters left out because they only repeat the one before.
    repeated: u8,
    gap: u8,
    /// An entry such as `fuck*` is met: what follows belongs to the word.
    tail: bool,
}

impl Cursor {
    /// One that has seen nothing yet.
    fn new(start: usize) -> Cursor {
        Cursor {
            node: 0,
            start,
            end: start,
            last: '\0',
            letters: 0,
            disguised: 0,
            repeated: 0,
            gap: 0,
            tail: false,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Match {
    accept: Accept,
    start: usize,
    end: usize,
}

/// The check for one text.
#[derive(Debug)]
pub(crate) struct WordCheck {
    words: Arc<Words>,
    at: usize,
    in_word: bool,
    live: Vec<Cursor>,
    /// Matches that a longer, innocent phrase may still cover.
    pending: Vec<Match>,
    innocent: Vec<Match>,
    /// Words of rules that need several: rule, word, end.
    seen: Vec<(u32, u32, usize)>,
}

impl WordCheck {
    pub(crate) fn new(words: Arc<Words>) -> WordCheck {
        WordCheck {
            words,
            at: 0,
            in_word: false,
            live: Vec::new(),
            pending: Vec::new(),
            innocent: Vec::new(),
            seen: Vec::new(),
        }
    }

    fn take(&mut self, raw: char) {
        let next = self.at + raw.len_utf8();
        let (c, word) = match raw.is_ascii() {
            true => (raw.to_ascii_lowercase(), raw.is_ascii_alphanumeric()),
            false if is_plain_letter(raw) => (raw, true),
            false if is_ignorable(raw) => {
                self.at = next;
                return;
            }
            false => {
                let c = fold(raw);
                (c, is_word(c))
            }
        };
        let at = self.at;
        let (words, pending) = (&*self.words, &mut self.pending);
        if !self.live.is_empty() {
            self.live
                .retain_mut(|cursor| words.step(cursor, c, word, at, next, pending));
        }
        if (!self.in_word || is_unspaced(c)) && words.tree.may_begin(c) {
            let mut cursor = Cursor::new(self.at);
            if (word || matches!(c, '@' | '$')) && words.step(&mut cursor, c, word, at, next, pending) {
                self.live.push(cursor);
            }
        }
        // An identifier such as `ass_subtitle` is one word, and its parts are none.
        self.in_word = word || c == '_';
        self.at = next;
    }

    fn settle(&mut self, frontier: usize, found: &mut Vec<Found>) {
        if self.pending.is_empty() {
            return;
        }
        let (mut settled, open): (Vec<Match>, Vec<Match>) = self.pending.iter().partition(|m| m.start < frontier);
        self.pending = open;
        settled.sort_by_key(|m| (m.start, m.end, m.accept.rule, m.accept.word));
        self.innocent.extend(settled.iter().filter(|m| m.accept.exempt));
        for hit in settled.iter().filter(|m| !m.accept.exempt) {
            let covers = |i: &Match| i.accept.rule == hit.accept.rule && i.start <= hit.start && i.end >= hit.end;
            if !self.innocent.iter().any(covers) && self.is_enough(hit) {
                found.push(Found {
                    rule: hit.accept.rule,
                    start: hit.start,
                    end: hit.end,
                    score: None,
                });
            }
        }
        self.innocent.retain(|m| m.end > frontier);
    }

    /// Whether enough different words of the list stand before this one and within reach.
    fn is_enough(&mut self, hit: &Match) -> bool {
        let Accept { rule, word, .. } = hit.accept;
        let Some((least, window)) = self.words.needs.get(rule as usize).copied().flatten() else {
            return true;
        };
        let reach = hit.start.saturating_sub(window);
        self.seen
            .retain(|(r, w, end)| *r != rule || (*end >= reach && *w != word));
        self.seen.push((rule, word, hit.end));
        self.seen.iter().filter(|(r, ..)| *r == rule).count() >= least
    }
}

impl Check for WordCheck {
    fn push(&mut self, text: &str, found: &mut Vec<Found>) {
        let bytes = text.as_bytes();
        let (mut index, mut skip) = (0, Skip::default());
        while index < bytes.len() {
            // A space between words beyond ASCII is not worth a look at a block.
            let ascii = |at: usize| bytes.get(at).is_none_or(u8::is_ascii);
            if self.live.is_empty() && ascii(index) && ascii(index + 1) && ascii(index + 2) {
                let from = index;
                index = skip.pass(&self.words, bytes, from, &mut self.in_word);
                self.at += index - from;
            }
            let Some(c) = text.get(index..).and_then(|rest| rest.chars().next()) else {
                break;
            };
            self.take(c);
            index += c.len_utf8();
        }
        self.settle(self.frontier(), found);
    }

    fn finish(&mut self, found: &mut Vec<Found>) {
        let mut live = std::mem::take(&mut self.live);
        for cursor in live.iter_mut().filter(|c| c.gap == 0) {
            self.words.accept(cursor, false, &mut self.pending);
        }
        self.settle(usize::MAX, found);
    }

    fn frontier(&self) -> usize {
        self.live.iter().map(|c| c.start).min().unwrap_or(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'t>(list: &WordList, text: &'t str) -> Vec<&'t str> {
        let words = Arc::new(Words::new([(0, list)].into_iter()));
        let (mut check, mut found) = (WordCheck::new(Arc::clone(&words)), Vec::new());
        check.push(text, &mut found);
        check.finish(&mut found);
        for cut in (0..text.len()).filter(|cut| text.is_char_boundary(*cut)) {
            let (mut check, mut again) = (WordCheck::new(Arc::clone(&words)), Vec::new());
            check.push(&text[..cut], &mut again);
            let frontier = check.frontier();
            let early = again.len();
            check.push(&text[cut..], &mut again);
            check.finish(&mut again);
            assert_eq!(found, again, "cut at {cut} of {text:?}");
            assert!(
                again[early..].iter().all(|f| f.start >= frontier),
                "cut at {cut} of {text:?}"
            );
        }
        found.iter().map(|f| &text[f.start..f.end]).collect()
    }

    fn list(words: &[&str], unless: &[&str]) -> WordList {
        WordList {
            words: words.iter().map(|w| (*w).to_owned()).collect(),
            unless: unless.iter().map(|w| (*w).to_owned()).collect(),
            least: 1,
            window: 0,
        }
    }

    #[test]
    fn whole_words_in_any_case_and_their_disguises() {
        let list = list(
            &["shit", "fuck*", "go to hell", "блять", "хуй", "傻逼", "i'll kill you"],
            &[],
        );
        for (text, expected) in [
            (
                "Shit! SHIT, sh1t, $hit, s**t, sh*t, shiiiit",
                vec!["Shit", "SHIT", "sh1t", "$hit", "s**t", "sh*t", "shiiiit"],
            ),
            ("Scunthorpe shitake mushiter shiit", vec![]),
            ("fucking fuckers motherfucker", vec!["fucking", "fuckers"]),
            ("Go  to\nhell. go to hello", vec!["Go  to\nhell"]),
            ("застрахуй не блять", vec!["блять"]),
            ("你是傻逼吗", vec!["傻逼"]),
            ("s\u{200B}hit ｓｈｉｔ", vec!["s\u{200B}hit", "ｓｈｉｔ"]),
            ("I'll kill you", vec!["I'll kill you"]),
            ("5417 $17", vec![]),
        ] {
            assert_eq!(found(&list, text), expected, "{text:?}");
        }
    }

    #[test]
    fn innocent_phrases_cover_their_words() {
        let list = list(&["cock", "dick"], &["cock pheasant", "moby dick", "dick cheney"]);
        assert_eq!(
            found(&list, "a cock pheasant, Moby Dick and Dick Cheney"),
            Vec::<&str>::new()
        );
        assert_eq!(found(&list, "moby cock, dick pheasant"), ["cock", "dick"]);
    }

    #[test]
    fn several_words_may_be_needed() {
        let list = WordList {
            least: 2,
            window: 20,
            ..list(&["dose", "tablet", "doctor"], &[])
        };
        assert_eq!(found(&list, "dose dose dose"), Vec::<&str>::new());
        assert_eq!(found(&list, "a dose, a tablet"), ["tablet"]);
        assert_eq!(
            found(&list, "a dose ........................... a tablet"),
            Vec::<&str>::new()
        );
    }
}
