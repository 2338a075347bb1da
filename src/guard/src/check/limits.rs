//! How long a text may be, and in which scripts and languages.

use std::sync::Arc;

use super::script::{fold, is_ignorable, is_unspaced, is_word};
use super::words::{WordCheck, Words};
use super::{Check, Found};

/// One limit of one phase.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Limit {
    Characters(u64),
    Tokens(u64),
    Scripts(Vec<Script>),
    Languages(Vec<String>),
}

/// A writing system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Script {
    Latin,
    Cyrillic,
    Greek,
    Arabic,
    Hebrew,
    Devanagari,
    Thai,
    Han,
    Kana,
    Hangul,
    Other,
}

impl Script {
    pub(crate) const NAMED: [(&str, Script); 11] = [
        ("latin", Script::Latin),
        ("cyrillic", Script::Cyrillic),
        ("greek", Script::Greek),
        ("arabic", Script::Arabic),
        ("hebrew", Script::Hebrew),
        ("devanagari", Script::Devanagari),
        ("thai", Script::Thai),
        ("han", Script::Han),
        ("kana", Script::Kana),
        ("hangul", Script::Hangul),
        ("other", Script::Other),
    ];

    /// The script of a letter.
    fn of(c: char) -> Option<Script> {
        Some(match c as u32 {
            0x41..=0x5A | 0x61..=0x7A | 0xC0..=0x24F | 0x1E00..=0x1EFF => Script::Latin,
            0..=0xBF | 0x300..=0x36F | 0x2000..=0x2BFF | 0x3000..=0x303F | 0xFE00..=0xFFFF => return None,
            0x370..=0x3FF | 0x1F00..=0x1FFF => Script::Greek,
            0x400..=0x52F => Script::Cyrillic,
            0x590..=0x5FF => Script::Hebrew,
            0x600..=0x6FF | 0x750..=0x77F | 0x8A0..=0x8FF => Script::Arabic,
            0x900..=0x97F => Script::Devanagari,
            0xE00..=0xE7F => Script::Thai,
            0x1100..=0x11FF | 0xAC00..=0xD7A3 => Script::Hangul,
            0x3040..=0x30FF => Script::Kana,
            0x3400..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x323AF => Script::Han,
            _ if c.is_alphabetic() => Script::Other,
            _ => return None,
        })
    }
}

/// The commonest small words of languages that share a script.
const SMALL_WORDS: [(&str, &str); 16] = [
    (
        "en",
        "the and of to is that it for you with this are was have not be from they what which",
    ),
    (
        "de",
        "der die das und ist nicht ein eine zu den mit sich auf für dem ich sie wird auch des werden",
    ),
    (
        "fr",
        "le les et est des une dans pour que qui pas sur avec vous nous ce cette sont du aux",
    ),
    (
        "es",
        "el los las y es una por con para que del se como más pero está esta su muy también",
    ),
    (
        "pt",
        "o os as e um uma não para com que do da dos das em é você mais ao são",
    ),
    (
        "it",
        "il gli di che è un una per non con sono della del nel alla più questo anche come lo",
    ),
    (
        "nl",
        "het een en van is dat niet te zijn voor met op aan ook er maar wordt deze naar wij",
    ),
    (
        "pl",
        "i w nie na się że jest do to z jak co czy dla przez są tym ale od po",
    ),
    (
        "tr",
        "ve bir bu için ile de da çok olarak gibi daha ne var değil mi olan kadar ben ama en",
    ),
    (
        "sv",
        "och att det som en är på för av med till den inte har ett om jag kan från var",
    ),
    ("ru", "и в не на что я с он как это по но они мы из для от так же был"),
    ("uk", "і в не на що з як це та до але від які він бути для про є ми або"),
    (
        "bg",
        "и на да се за от не това са с по е като ще които но има той или при",
    ),
    (
        "id",
        "yang dan di dengan untuk dari ini itu tidak pada adalah dalam akan ke saya bisa juga oleh ada sebagai",
    ),
    (
        "vi",
        "và của là có không được cho trong một những với này người để các khi đã tôi bạn như",
    ),
    (
        "cs",
        "a je se na že v to jako s pro ale jsem by jsou z po tak který být nebo",
    ),
];

/// Languages that can be told, those of scripts of their own included.
pub(crate) fn is_language(code: &str) -> bool {
    matches!(code, "zh" | "ja" | "ko" | "ar" | "hi" | "el" | "he" | "th") || SMALL_WORDS.iter().any(|(c, _)| *c == code)
}

/// So many letters decide about a script, if they are a quarter of all ...
const LETTERS: u32 = 12;
/// ... and a language is told from so many words.
const WORDS: u32 = 12;

/// The check of one limit over one text.
#[derive(Debug)]
pub(crate) struct LimitCheck {
    rule: u32,
    limit: Limit,
    at: usize,
    count: u64,
    letters: [u32; Script::NAMED.len()],
    /// Hits of small words, by language.
    hits: [u32; SMALL_WORDS.len()],
    words: u32,
    word: String,
    said: bool,
}

impl LimitCheck {
    pub(crate) fn new(rule: u32, limit: Limit) -> LimitCheck {
        LimitCheck {
            rule,
            limit,
            at: 0,
            count: 0,
            letters: [0; Script::NAMED.len()],
            hits: [0; SMALL_WORDS.len()],
            words: 0,
            word: String::new(),
            said: false,
        }
    }

    /// Whether the text is beyond the limit with `c`.
    fn take(&mut self, c: char) -> bool {
        match &self.limit {
            Limit::Characters(most) => {
                self.count += 1;
                self.count > *most
            }
            Limit::Tokens(most) => {
                // Twelfths of a token: four characters of English make one, one of Chinese nearly one.
                self.count += match c {
                    '\0'..='\x7F' => 3,
                    c if is_unspaced(c) => 11,
                    c if c.is_alphabetic() => 5,
                    _ => 12,
                };
                self.count > most.saturating_mul(12)
            }
            Limit::Scripts(allowed) => {
                let Some(script) = Script::of(c) else { return false };
                self.letters[script as usize] += 1;
                let foreign = |(_, s): &&(&str, Script)| !allowed.contains(s);
                let count: u32 = (Script::NAMED.iter().filter(foreign))
                    .map(|(_, s)| self.letters[*s as usize])
                    .sum();
                count >= LETTERS && count * 4 >= self.letters.iter().sum()
            }
            Limit::Languages(_) => {
                if let Some(script) = Script::of(c) {
                    self.letters[script as usize] += 1;
                }
                let c = fold(c);
                if is_word(c) && !is_unspaced(c) {
                    if self.word.len() < 32 {
                        self.word.push(c);
                    }
                    return false;
                }
                self.end_word();
                self.words >= WORDS && self.words.is_multiple_of(WORDS) && self.is_foreign()
                    || is_unspaced(c) && self.unspaced().is_multiple_of(LETTERS) && self.is_foreign()
            }
        }
    }

    fn unspaced(&self) -> u32 {
        [Script::Han, Script::Kana, Script::Hangul, Script::Thai]
            .map(|s| self.letters[s as usize])
            .iter()
            .sum()
    }

    fn end_word(&mut self) {
        if self.word.is_empty() {
            return;
        }
        self.words += 1;
        for (hits, (_, words)) in self.hits.iter_mut().zip(SMALL_WORDS) {
            *hits += u32::from(words.split(' ').any(|word| word == self.word));
        }
        self.word.clear();
    }

    /// The language, if it can be told.
    fn language(&self) -> Option<&'static str> {
        let total: u32 = self.letters.iter().sum();
        let share =
            |script: Script| self.letters[script as usize] * 3 >= total && self.letters[script as usize] >= LETTERS;
        let kana = self.letters[Script::Kana as usize];
        if share(Script::Kana) || (kana * 8 >= total && share(Script::Han)) {
            return Some("ja");
        }
        let own = [
            (Script::Han, "zh"),
            (Script::Hangul, "ko"),
            (Script::Thai, "th"),
            (Script::Arabic, "ar"),
            (Script::Hebrew, "he"),
            (Script::Greek, "el"),
            (Script::Devanagari, "hi"),
        ];
        if let Some((_, code)) = own.iter().find(|(script, _)| share(*script)) {
            return Some(code);
        }
        let best = (0..SMALL_WORDS.len()).max_by_key(|i| (self.hits[*i], SMALL_WORDS.len() - i))?;
        let second = (0..SMALL_WORDS.len())
            .filter(|i| *i != best)
            .map(|i| self.hits[i])
            .max();
        // Small words are a sixth of any prose at least; less than that is code or names.
        let sure = self.hits[best] >= 3 && self.hits[best] * 8 >= self.words && self.hits[best] > second.unwrap_or(0);
        sure.then_some(SMALL_WORDS[best].0)
    }

    fn is_foreign(&self) -> bool {
        let Limit::Languages(allowed) = &self.limit else {
            return false;
        };
        self.language().is_some_and(|code| !allowed.iter().any(|a| a == code))
    }

    fn say(&mut self, start: usize, end: usize, found: &mut Vec<Found>) {
        self.said = true;
        found.push(Found {
            rule: self.rule,
            start,
            end,
            score: None,
        });
    }
}

impl Check for LimitCheck {
    fn push(&mut self, text: &str, found: &mut Vec<Found>) {
        if self.said {
            self.at += text.len();
            return;
        }
        for c in text.chars() {
            let next = self.at + c.len_utf8();
            if !self.said && !is_ignorable(c) && self.take(c) {
                self.say(self.at, next, found);
            }
            self.at = next;
        }
    }

    fn finish(&mut self, found: &mut Vec<Found>) {
        self.end_word();
        if !self.said && (self.words >= WORDS / 2 || self.unspaced() >= LETTERS) && self.is_foreign() {
            self.say(self.at, self.at, found);
        }
    }

    fn frontier(&self) -> usize {
        self.at
    }
}

/// Words of the allowed topics, of which a text must hold one.
#[derive(Debug)]
pub(crate) struct OffTopic {
    rule: u32,
    words: WordCheck,
    hits: Vec<Found>,
    at: usize,
    letters: u32,
}

/// Shorter texts, such as a greeting, have no topic: letters, of Chinese and the like a third.
const TOPIC_LETTERS: u32 = 24;

impl OffTopic {
    pub(crate) fn new(rule: u32, words: Arc<Words>) -> OffTopic {
        OffTopic {
            rule,
            words: WordCheck::new(words),
            hits: Vec::new(),
            at: 0,
            letters: 0,
        }
    }
}

impl Check for OffTopic {
    fn push(&mut self, text: &str, _found: &mut Vec<Found>) {
        if self.hits.is_empty() {
            self.words.push(text, &mut self.hits);
            for c in text.chars().filter(|c| is_word(*c)) {
                self.letters = self.letters.saturating_add(if is_unspaced(c) { 3 } else { 1 });
            }
        }
        self.at += text.len();
    }

    fn finish(&mut self, found: &mut Vec<Found>) {
        if self.hits.is_empty() {
            self.words.finish(&mut self.hits);
        }
        if self.hits.is_empty() && self.letters >= TOPIC_LETTERS {
            let (rule, start, end, score) = (self.rule, self.at, self.at, None);
            found.push(Found {
                rule,
                start,
                end,
                score,
            });
        }
    }

    fn frontier(&self) -> usize {
        self.at
    }
}
