//! Words near a match that speak for it or against it, looked for only once there is a match: the
//! words of a hundred rules cost a text that matches none of them nothing.

/// What the words near a match say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Says {
    Yes,
    No,
    Nothing,
}

/// How far to look, bytes of the view.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reach {
    pub(crate) before: usize,
    pub(crate) after: usize,
    /// Words against a match count if they end at most this far before it.
    pub(crate) unless: usize,
}

/// The words of one context. Matching ignores ASCII case and takes `_`, `-` and white space for the
/// same, so that `phone number` is found in `phone_number=` too.
#[derive(Debug)]
pub(crate) struct Nearby {
    /// The words, one behind the other.
    text: Box<[u8]>,
    /// Where each word ends in `text`, and whether it speaks for a match; in the order of their first bytes.
    ends: Box<[(u32, bool)]>,
    /// For each byte, the words that begin with it.
    first: Box<[(u8, u32, u32)]>,
    /// Length of the longest word that speaks against a match.
    longest_unless: usize,
}

impl Nearby {
    pub(crate) fn new(words: &[String], unless: &[String]) -> Nearby {
        let mut all: Vec<(Vec<u8>, bool)> = Vec::new();
        let given = words.iter().map(|w| (w, true)).chain(unless.iter().map(|w| (w, false)));
        for (word, speaks_for) in given {
            // Bytes above ASCII are compared as they are: the word stands there in every usual case.
            let mut rest = word.chars();
            let first = rest.next().into_iter().flat_map(char::to_uppercase);
            let title: String = first.chain(rest).collect();
            for form in [word.clone(), word.to_lowercase(), word.to_uppercase(), title] {
                all.push((form.bytes().map(fold).collect(), speaks_for));
            }
        }
        all.sort_unstable();
        all.dedup();
        let (mut text, mut ends) = (Vec::new(), Vec::with_capacity(all.len()));
        let mut first: Vec<(u8, u32, u32)> = Vec::new();
        for ((word, speaks_for), index) in all.iter().zip(0u32..) {
            text.extend_from_slice(word);
            ends.push((text.len() as u32, *speaks_for));
            match (first.last_mut(), word.first()) {
                (Some((byte, _, to)), Some(new)) if byte == new => *to = index + 1,
                (_, new) => first.push((new.copied().unwrap_or(0), index, index + 1)),
            }
        }
        Nearby {
            text: text.into(),
            ends: ends.into(),
            first: first.into(),
            longest_unless: unless.iter().map(String::len).max().unwrap_or(0),
        }
    }

    /// How many bytes before a match are looked at.
    pub(crate) fn look_back(&self, reach: Reach) -> usize {
        reach.before.max(reach.unless + self.longest_unless)
    }

    /// What the words around the match `start..end` of `text` say. Of the words before it, the one that
    /// ends nearest decides; if two end there, the longer one.
    pub(crate) fn judge(&self, text: &[u8], start: usize, end: usize, reach: Reach) -> Says {
        let mut yes: Option<(usize, usize)> = None;
        let mut no: Option<(usize, usize)> = None;
        self.each(
            text,
            start.saturating_sub(self.look_back(reach)),
            start,
            |from, to, speaks_for| {
                if speaks_for && start - from <= reach.before {
                    yes = yes.max(Some((to, to - from)));
                } else if !speaks_for && start - to <= reach.unless {
                    no = no.max(Some((to, to - from)));
                }
            },
        );
        if no > yes {
            return Says::No;
        }
        let mut found = yes.is_some();
        if !found && reach.after > 0 {
            self.each(text, end, text.len().min(end + reach.after), |_, _, speaks_for| {
                found |= speaks_for
            });
        }
        if found { Says::Yes } else { Says::Nothing }
    }

    /// The words around a match that count, for it and against it, as they stand in the text.
    pub(crate) fn found(&self, text: &[u8], start: usize, end: usize, reach: Reach) -> (Vec<String>, Vec<String>) {
        let (mut yes, mut no) = (Vec::new(), Vec::new());
        let spelled = |from: usize, to: usize| String::from_utf8_lossy(&text[from..to]).into_owned();
        let from = start.saturating_sub(self.look_back(reach));
        self.each(text, from, start, |from, to, speaks_for| {
            if speaks_for && start - from <= reach.before {
                yes.push(spelled(from, to));
            } else if !speaks_for && start - to <= reach.unless {
                no.push(spelled(from, to));
            }
        });
        self.each(text, end, text.len().min(end + reach.after), |from, to, speaks_for| {
            if speaks_for {
                yes.push(spelled(from, to));
            }
        });
        (yes, no)
    }

    /// Calls `found` with the whole words within `from..to`: where they start and end.
    fn each(&self, text: &[u8], from: usize, to: usize, mut found: impl FnMut(usize, usize, bool)) {
        let folded: Vec<u8> = text[from..to].iter().map(|b| fold(*b)).collect();
        let is_word = |at: usize| text.get(at).is_some_and(u8::is_ascii_alphanumeric);
        for at in from..to {
            if at > 0 && is_word(at) && is_word(at - 1) {
                continue;
            }
            for (word, speaks_for) in self.words(folded[at - from]) {
                let end = at + word.len();
                if folded[at - from..].starts_with(word) && !(is_word(end) && is_word(end - 1)) {
                    found(at, end, speaks_for);
                }
            }
        }
    }

    /// The words that begin with `byte`.
    fn words(&self, byte: u8) -> impl Iterator<Item = (&[u8], bool)> {
        let range = self.first.binary_search_by_key(&byte, |(first, ..)| *first);
        let range = range.map_or(0..0, |i| self.first[i].1 as usize..self.first[i].2 as usize);
        range.map(|index| {
            let from = index.checked_sub(1).map_or(0, |before| self.ends[before].0 as usize);
            (&self.text[from..self.ends[index].0 as usize], self.ends[index].1)
        })
    }

    pub(crate) fn memory(&self) -> usize {
        self.text.len() + self.ends.len() * 8 + self.first.len() * 12
    }
}

fn fold(byte: u8) -> u8 {
    match byte {
        b'_' | b'-' | b'\t'..=b'\r' => b' ',
        other => other.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(text: &str) -> Says {
        let words = ["phone", "phone number", "номер", "αμκα", "e-mail"].map(str::to_owned);
        let start = text.find('<').unwrap_or(text.len());
        let end = text.find('>').map_or(start, |at| at + 1);
        let reach = Reach {
            before: 20,
            after: 12,
            unless: 4,
        };
        Nearby::new(&words, &["order number".to_owned(), "number".to_owned()]).judge(text.as_bytes(), start, end, reach)
    }

    #[test]
    fn whole_words_in_reach_count() {
        for text in [
            "Phone: <1>",
            "PHONE_NUMBER=<1>",
            "номер <1>",
            "Номер <1>",
            "ΑΜΚΑ <1>",
            "e mail <1>",
            "phone\nnumber <1>",
            "<1> (phone)",
        ] {
            assert_eq!(says(text), Says::Yes, "{text}");
        }
        for text in [
            "phones <1>",
            "telephone <1>",
            "phone and a long way to <1>",
            "<1> and so on phone",
            "<1>",
            "",
        ] {
            assert_eq!(says(text), Says::Nothing, "{text}");
        }
    }

    #[test]
    fn the_nearest_word_decides() {
        assert_eq!(says("order number: <1>"), Says::No);
        assert_eq!(says("phone order number: <1>"), Says::No);
        assert_eq!(says("order number, phone: <1>"), Says::Yes);
        assert_eq!(says("phone number <1>"), Says::Yes, "the longer word wins");
        assert_eq!(
            says("order number of it: <1>"),
            Says::Nothing,
            "too far to speak against it"
        );
    }
}
