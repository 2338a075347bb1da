//! Labelled texts, as the evaluation files hold them.

use serde::{Deserialize, Deserializer};

/// One labelled text, as a line of the evaluation files. Keys that are not listed here are ignored.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Row {
    /// The text.
    pub text: String,
    /// Whether it should be caught; 0 and 1 in the files. A row without a label gets verdicts but
    /// counts in no figure.
    #[serde(default, deserialize_with = "truth")]
    pub label: Option<bool>,
    /// What it is about: `pii`, `secret`, `injection`, `toxic` and so on.
    #[serde(default)]
    pub kind: String,
    /// The finer sort: `hard_negative`, the transformation of an obfuscated attack and so on.
    #[serde(default)]
    pub sub: Option<String>,
    /// Where it comes from.
    #[serde(default)]
    pub source: String,
    /// The text before it was obfuscated.
    #[serde(default)]
    pub plain: Option<String>,
    /// What should be found; `None` if not annotated.
    #[serde(default)]
    pub spans: Option<Vec<Span>>,
}

/// What should be found: `[start, end, type]`, or `[start, end]` if the type was not annotated.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Span {
    /// First and one past the last Unicode code point, and what stands there.
    Typed(usize, usize, String),
    /// First and one past the last Unicode code point.
    Untyped(usize, usize),
}

impl Row {
    /// Whether the row lies near what should be caught, on purpose, and should not be.
    pub fn is_hard_negative(&self) -> bool {
        let near = |name: &str| name.replace('-', "_").contains("hard_negative");
        self.label == Some(false)
            && (self.sub.as_deref().is_some_and(near) || near(&self.source) || self.is_over_refusal())
    }

    /// Whether the row is of the sets that measure over-refusal: harmless requests in harmful words.
    pub fn is_over_refusal(&self) -> bool {
        let source = self.source.to_ascii_lowercase();
        self.label == Some(false)
            && (self.kind == "overdefense" || source.contains("notinject") || source.contains("xstest"))
    }
}

impl Span {
    /// Bounds and type.
    pub(super) fn parts(&self) -> (usize, usize, Option<&str>) {
        match self {
            Span::Typed(start, end, name) => (*start, *end, Some(name)),
            Span::Untyped(start, end) => (*start, *end, None),
        }
    }
}

fn truth<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Truth {
        Bool(bool),
        Number(u8),
    }
    Ok(Option::<Truth>::deserialize(deserializer)?.map(|truth| match truth {
        Truth::Bool(b) => b,
        Truth::Number(n) => n != 0,
    }))
}

/// A line of JSON with the surrogates that stand alone (`\ud83d` without its other half) replaced by
/// U+FFFD, one code point for one; `None` if there are none. Other languages write such lines.
pub fn replace_lone_surrogates(line: &str) -> Option<String> {
    let escape = |at: usize| -> Option<u32> {
        let hex = line.get(at..at + 6)?.strip_prefix("\\u")?;
        u32::from_str_radix(hex, 16).ok()
    };
    let (mut out, mut done, mut at) = (String::new(), 0, 0);
    let bytes = line.as_bytes();
    while at < bytes.len() {
        if bytes[at] != b'\\' {
            at += 1;
            continue;
        }
        match escape(at) {
            Some(0xD800..=0xDBFF) if matches!(escape(at + 6), Some(0xDC00..=0xDFFF)) => at += 12,
            Some(0xD800..=0xDFFF) => {
                out.push_str(&line[done..at]);
                out.push_str("\\ufffd");
                at += 6;
                done = at;
            }
            _ => at += 2,
        }
    }
    (done > 0).then(|| out + &line[done..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lone_surrogates_are_replaced() {
        assert_eq!(replace_lone_surrogates(r#"{"text":"\ud83d\ude00 é"}"#), None);
        assert_eq!(
            replace_lone_surrogates(r#"{"text":"\\ud83d"}"#),
            None,
            "an escaped backslash"
        );
        assert_eq!(
            replace_lone_surrogates(r"a\ud83db\ude00").as_deref(),
            Some(r"a\ufffdb\ufffd")
        );
        assert_eq!(
            replace_lone_surrogates(r"\ud83d\ud83d\ude00").as_deref(),
            Some(r"\ufffd\ud83d\ude00")
        );
        assert_eq!(replace_lone_surrogates("\\"), None);
    }

    #[test]
    fn a_line_says_what_it_must_and_no_more() {
        let row: Row = serde_json::from_str(r#"{"text":"x","label":1,"spans":[[0,1,"A"],[0,1]],"more":[]}"#).unwrap();
        assert_eq!(row.label, Some(true));
        let spans = row.spans.unwrap();
        assert_eq!(spans[0].parts(), (0, 1, Some("A")));
        assert_eq!(spans[1].parts(), (0, 1, None));
        let bare: Row = serde_json::from_str(r#"{"text":"x"}"#).unwrap();
        assert_eq!((bare.label, bare.spans), (None, None));
    }

    #[test]
    fn hard_negatives_are_told_by_sub_or_source() {
        let row = |source: &str, sub: Option<&str>, label: bool| Row {
            source: source.to_owned(),
            sub: sub.map(str::to_owned),
            label: Some(label),
            ..Row::default()
        };
        assert!(row("synth-hard-negative", None, false).is_hard_negative());
        assert!(row("own", Some("hard_negative"), false).is_hard_negative());
        assert!(row("NotInject", None, false).is_over_refusal());
        assert!(!row("NotInject", None, true).is_hard_negative());
        assert!(!row("gsm8k", Some("math"), false).is_hard_negative());
    }
}
