//! Log probabilities of a guarded answer: they spell the text out token by token, so in a stream they leave when
//! their text leaves, and nowhere where it was redacted or is another one.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;

use provider::openai::Channel;
use provider::openai::response::View;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

/// How much of a text has come and has left, in bytes of the original.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// What has come. A text whose escapes were undone has no length that tokens could be held against.
    pub length: usize,
    /// What of it has left.
    pub released: usize,
}

/// `logprobs` of one chunk of a chat stream. With anything else in it, it is of another shape.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire<'a> {
    #[serde(borrow, default)]
    content: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default)]
    refusal: Option<Vec<&'a RawValue>>,
}

/// What is read of one token.
#[derive(Deserialize)]
struct Token {
    token: String,
    #[serde(default)]
    bytes: Option<Vec<u8>>,
}

impl Token {
    /// Bytes of the text that it spells; `None` if it says one thing by its name and another by its bytes.
    fn length(&self) -> Option<usize> {
        let spelled = self.spelled();
        // Half a character has a name of its own.
        let same = std::str::from_utf8(spelled).map_or(true, |text| text == self.token);
        same.then_some(spelled.len())
    }

    fn spelled(&self) -> &[u8] {
        self.bytes.as_deref().unwrap_or(self.token.as_bytes())
    }
}

/// The tokens of one text that have not left yet.
#[derive(Debug, Default)]
pub struct Tokens {
    waiting: VecDeque<(Range<usize>, Box<RawValue>)>,
    /// Bytes of the original text that the tokens so far spell.
    spelled: usize,
    /// What must not be spelled out.
    forbidden: Vec<Range<usize>>,
    /// Bytes of the text, once it has ended.
    ended: usize,
}

impl Tokens {
    /// Adds tokens in the order of the text. `false`: one cannot be read, so where the others lie
    /// is unknown.
    fn add(&mut self, entries: &[&RawValue]) -> bool {
        for entry in entries {
            let Ok(token) = serde_json::from_str::<Token>(entry.get()) else {
                return false;
            };
            let Some(length) = token.length() else {
                return false;
            };
            self.waiting
                .push_back((self.spelled..self.spelled + length, (*entry).to_owned()));
            self.spelled += length;
        }
        true
    }

    /// Bytes of the original text that the tokens so far spell.
    pub fn spelled(&self) -> usize {
        self.spelled
    }

    /// Whether every token has left.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The text has ended, with so many bytes.
    pub fn end(&mut self, length: usize) {
        self.ended = length;
    }

    /// How far the text is. One that is no longer there has ended and left, and one that never began has no bytes.
    pub fn progress(&self, text: Option<Progress>) -> Progress {
        text.unwrap_or(Progress {
            length: self.ended,
            released: usize::MAX,
        })
    }

    /// The original text at `range` was redacted.
    pub fn forbid(&mut self, range: Range<usize>) {
        self.forbidden.push(range);
    }

    /// Tokens whose text lies before `released` in the original, as a JSON array; those that touch
    /// something redacted are gone.
    pub fn release(&mut self, released: usize) -> Option<String> {
        let mut out = String::new();
        while self.waiting.front().is_some_and(|(range, _)| range.end <= released) {
            let Some((range, entry)) = self.waiting.pop_front() else {
                break;
            };
            if self
                .forbidden
                .iter()
                .any(|f| range.start < f.end && f.start < range.end)
            {
                continue;
            }
            out.push(if out.is_empty() { '[' } else { ',' });
            out.push_str(entry.get());
        }
        (!out.is_empty()).then(|| out + "]")
    }
}

/// Reads the `logprobs` object of a chunk into the tokens of its two texts. `false`: it has another
/// shape than that of OpenAI's chat streams, and must not leave where text is held or edited.
pub fn take_in(raw: &str, content: &mut Tokens, refusal: &mut Tokens) -> bool {
    let Ok(wire) = serde_json::from_str::<Wire<'_>>(raw) else {
        return false;
    };
    if wire.content.is_none() && wire.refusal.is_none() {
        return false;
    }
    content.add(&wire.content.unwrap_or_default()) && refusal.add(&wire.refusal.unwrap_or_default())
}

/// `logprobs` of a whole answer: as in a stream, or as completions have it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    #[serde(default)]
    content: Option<Vec<Token>>,
    #[serde(default)]
    refusal: Option<Vec<Token>>,
    #[serde(default)]
    tokens: Option<Vec<String>>,
    #[serde(default, rename = "token_logprobs")]
    _logprobs: IgnoredAny,
    #[serde(default, rename = "top_logprobs")]
    _alternatives: IgnoredAny,
    #[serde(default, rename = "text_offset")]
    _offsets: IgnoredAny,
}

/// Where `logprobs` of a whole answer stand that do not spell the texts of their choice.
pub fn not_spelled(raw: &str, answer: &View<'_>) -> Vec<Range<usize>> {
    if answer.logprobs.is_empty() {
        return Vec::new();
    }
    let mut texts: HashMap<u32, [String; 2]> = HashMap::new();
    for piece in &answer.texts {
        let at = match piece.channel {
            Channel::Content => 0,
            Channel::Refusal => 1,
            _ => continue,
        };
        texts.entry(piece.choice).or_default()[at].push_str(&piece.span.text);
    }
    let nothing = Default::default();
    let ranges = answer.logprobs.iter().filter(|(choice, range)| {
        let [content, refusal] = texts.get(choice).unwrap_or(&nothing);
        !spell(&raw[range.clone()], content, refusal)
    });
    ranges.map(|(_, range)| range.clone()).collect()
}

fn spell(raw: &str, content: &str, refusal: &str) -> bool {
    let Ok(whole) = serde_json::from_str::<Whole>(raw) else {
        return false;
    };
    let spelled = |tokens: &Option<Vec<Token>>, text: &str| {
        let tokens = tokens.as_deref().unwrap_or_default();
        let bytes = |token: &Token| token.length().map(|_| token.spelled().to_vec());
        let bytes: Option<Vec<Vec<u8>>> = tokens.iter().map(bytes).collect();
        bytes.is_some_and(|bytes| tokens.is_empty() || bytes.concat() == text.as_bytes())
    };
    let told = whole.content.is_some() || whole.refusal.is_some() || whole.tokens.is_some();
    told && spelled(&whole.content, content)
        && spelled(&whole.refusal, refusal)
        && whole.tokens.is_none_or(|tokens| tokens.concat() == content)
}

/// A `logprobs` object with the tokens that may leave; `null` if there are none.
pub fn object(content: Option<String>, refusal: Option<String>) -> String {
    if content.is_none() && refusal.is_none() {
        return "null".to_owned();
    }
    let array = |tokens: Option<String>| tokens.unwrap_or_else(|| "null".to_owned());
    format!(r#"{{"content":{},"refusal":{}}}"#, array(content), array(refusal))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(tokens: &[&str]) -> String {
        let entries: Vec<String> = tokens
            .iter()
            .map(|t| format!(r#"{{"token":"{t}","logprob":-0.5,"bytes":null,"top_logprobs":[]}}"#))
            .collect();
        format!(r#"{{"content":[{}],"refusal":null}}"#, entries.join(","))
    }

    fn names(array: Option<String>) -> Vec<String> {
        let tokens: Vec<Token> = array
            .map(|array| serde_json::from_str(&array).unwrap())
            .unwrap_or_default();
        tokens.into_iter().map(|token| token.token).collect()
    }

    #[test]
    fn tokens_leave_with_their_text_and_not_before() {
        let (mut content, mut refusal) = (Tokens::default(), Tokens::default());
        assert!(take_in(&chunk(&["write", " to", " joe"]), &mut content, &mut refusal));
        assert_eq!(names(content.release(8)), ["write", " to"]);
        assert_eq!(names(content.release(8)), [] as [&str; 0]);
        assert!(take_in(&chunk(&["@x.com", " now"]), &mut content, &mut refusal));
        content.forbid(9..18);
        assert_eq!(names(content.release(usize::MAX)), [" now"]);
        assert_eq!(refusal.release(usize::MAX), None);
    }

    #[test]
    fn bytes_count_where_a_token_is_half_a_character() {
        let (mut content, mut refusal) = (Tokens::default(), Tokens::default());
        let raw = r#"{"content":[{"token":"\\xc3","bytes":[195]},{"token":"\\xa9","bytes":[169]}]}"#;
        assert!(take_in(raw, &mut content, &mut refusal));
        assert!(content.release(1).is_some());
        assert!(content.release(1).is_none());
        assert!(content.release(2).is_some());
    }

    #[test]
    fn other_shapes_are_not_understood() {
        let (mut content, mut refusal) = (Tokens::default(), Tokens::default());
        for raw in [
            r#"{"tokens":["a"],"token_logprobs":[-1]}"#,
            "[1]",
            r#"{"content":[{"x":1}]}"#,
            r#"{"content":[{"token":"ana@example.com","bytes":[97]}]}"#,
            r#"{"content":[{"token":"a"}],"note":"ana@example.com"}"#,
        ] {
            assert!(!take_in(raw, &mut content, &mut refusal), "{raw}");
        }
        assert_eq!(object(None, None), "null");
        assert_eq!(
            object(Some("[1]".to_owned()), None),
            r#"{"content":[1],"refusal":null}"#
        );
    }
}
