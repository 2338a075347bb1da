//! The plain text of request and answer bodies, for the columns that people read and search.
//!
//! Bodies are stored once, as JSON; their text is derived where it is shown.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A JSON value of which only the text is kept, borrowed where nothing in it is escaped. What it
/// accepts and refuses is what `serde_json::Value` does.
enum Node<'a> {
    Text(Cow<'a, str>),
    List(Vec<Node<'a>>),
    Fields(Vec<(Field, Node<'a>)>),
    Other,
}

macro_rules! fields {
    ($($variant:ident = $name:literal,)*) => {
        /// A key that a walk looks at.
        #[derive(Clone, Copy, PartialEq, Eq)]
        enum Field {
            $($variant,)*
        }

        impl Field {
            fn of(name: &str) -> Option<Field> {
                match name {
                    $($name => Some(Field::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

fields! {
    Instructions = "instructions",
    System = "system",
    Messages = "messages",
    Prompt = "prompt",
    Input = "input",
    Role = "role",
    Choices = "choices",
    Message = "message",
    Text = "text",
    Content = "content",
    Output = "output",
    OutputText = "output_text",
    Refusal = "refusal",
    ToolCalls = "tool_calls",
    Function = "function",
    FunctionCall = "function_call",
    Name = "name",
    Arguments = "arguments",
}

impl<'a> Node<'a> {
    /// The value of a key; of one that stands there twice, the last.
    fn get(&self, field: Field) -> Option<&Node<'a>> {
        match self {
            Node::Fields(fields) => (fields.iter().rev())
                .find(|(name, _)| *name == field)
                .map(|(_, node)| node),
            _ => None,
        }
    }

    fn list(&self) -> Option<&[Node<'a>]> {
        match self {
            Node::List(nodes) => Some(nodes),
            _ => None,
        }
    }

    fn text(&self) -> Option<&str> {
        match self {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Node<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Node<'de>, D::Error> {
        from.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Node<'de>, E> {
        Ok(Node::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node<'de>, E> {
        Ok(Node::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Node<'de>, E> {
        Ok(Node::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node<'de>, E> {
        Ok(Node::Other)
    }

    fn visit_unit<E>(self) -> Result<Node<'de>, E> {
        Ok(Node::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node<'de>, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = seq.next_element()? {
            nodes.push(node);
        }
        Ok(Node::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node<'de>, A::Error> {
        let mut fields = Vec::new();
        while let Some(Key(name)) = map.next_key()? {
            match name {
                Some(name) => fields.push((name, map.next_value()?)),
                // Read like any other, so that what is no JSON is refused wherever it stands.
                None => drop(map.next_value::<Node<'_>>()?),
            }
        }
        Ok(Node::Fields(fields))
    }
}

/// A key, if a walk looks at it.
struct Key(Option<Field>);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Key, D::Error> {
        struct KeyVisitor;
        impl Visitor<'_> for KeyVisitor {
            type Value = Key;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_str<E>(self, name: &str) -> Result<Key, E> {
                Ok(Key(Field::of(name)))
            }
        }
        from.deserialize_str(KeyVisitor)
    }
}

/// What `walk` finds in a body. One escape that is half a character must not hide all the rest: there U+FFFD
/// stands in the text.
fn read(body: &str, walk: impl Fn(&Node<'_>) -> Option<String>) -> Option<String> {
    if let Ok(body) = serde_json::from_str::<Node<'_>>(body) {
        return walk(&body);
    }
    let whole = without_lone_surrogates(body)?;
    walk(&serde_json::from_str(&whole).ok()?)
}

/// `body` with U+FFFD for each escaped surrogate that is not one of a pair; `None` if there is none.
fn without_lone_surrogates(body: &str) -> Option<String> {
    let unit = |at: usize| {
        let digits = body.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let (mut out, mut copied, mut at) = (String::new(), 0, 0);
    // Outside of strings JSON has no backslash.
    while let Some(found) = body.get(at..).and_then(|rest| rest.find('\\')) {
        at += found;
        at += match (unit(at), unit(at + 6)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => 12,
            (Some(0xD800..=0xDFFF), _) => {
                out.push_str(&body[copied..at]);
                out.push_str("\\ufffd");
                copied = at + 6;
                6
            }
            // Whatever is escaped: not the beginning of an escape. A letter of several bytes is no escape at all.
            _ => 1 + body[at + 1..].chars().next().map_or(0, char::len_utf8),
        };
    }
    (copied > 0).then(|| out + &body[copied..])
}

/// The prompt of an OpenAI- or Anthropic-shaped request: each message as `role: text`, one a
/// paragraph; or the `prompt` or `input` of simpler endpoints. `None` where there is no text.
#[must_use]
pub fn of_request(body: &str) -> Option<String> {
    read(body, request)
}

fn request(body: &Node<'_>) -> Option<String> {
    let mut out = Paragraphs::default();
    for key in [Field::Instructions, Field::System] {
        if let Some(system) = body.get(key) {
            out.add(Some("system"), &content(system));
        }
    }
    if let Some(messages) = body.get(Field::Messages).and_then(Node::list) {
        for message in messages {
            let role = message.get(Field::Role).and_then(Node::text);
            out.add(role, &message_text(message));
        }
    }
    for key in [Field::Prompt, Field::Input] {
        match body.get(key) {
            Some(Node::List(items)) => {
                for item in items {
                    out.add(item.get(Field::Role).and_then(Node::text), &content(item));
                }
            }
            Some(value) => out.add(None, &content(value)),
            None => {}
        }
    }
    out.finish()
}

/// The answer's text: every choice, one a paragraph, tool calls as `name(arguments)`.
#[must_use]
pub fn of_response(body: &str) -> Option<String> {
    read(body, response)
}

fn response(body: &Node<'_>) -> Option<String> {
    let mut out = Paragraphs::default();
    if let Some(choices) = body.get(Field::Choices).and_then(Node::list) {
        for choice in choices {
            let text = match choice.get(Field::Message) {
                Some(message) => message_text(message),
                None => choice.get(Field::Text).map(content).unwrap_or_default(),
            };
            out.add(None, &text);
        }
    }
    for key in [Field::Content, Field::Output, Field::OutputText] {
        match body.get(key) {
            Some(Node::List(items)) => items.iter().for_each(|item| out.add(None, &content(item))),
            Some(value) => out.add(None, &content(value)),
            None => {}
        }
    }
    out.finish()
}

fn message_text<'n>(message: &'n Node<'_>) -> Cow<'n, str> {
    let mut parts: Vec<Cow<'n, str>> = Vec::new();
    for key in [Field::Content, Field::Refusal] {
        if let Some(value) = message.get(key) {
            parts.push(content(value));
        }
    }
    let calls = message.get(Field::ToolCalls).and_then(Node::list);
    let functions = (calls.into_iter().flatten()).filter_map(|call| call.get(Field::Function));
    for function in functions.chain(message.get(Field::FunctionCall)) {
        let field = |name| function.get(name).and_then(Node::text).unwrap_or_default();
        parts.push(Cow::Owned(format!(
            "{}({})",
            field(Field::Name),
            field(Field::Arguments)
        )));
    }
    lines(parts)
}

/// Text of a content field: a string, a list of parts, or an object that holds one of these.
fn content<'n>(value: &'n Node<'_>) -> Cow<'n, str> {
    match value {
        Node::Text(text) => Cow::Borrowed(text),
        Node::List(parts) => lines(parts.iter().map(content).collect()),
        Node::Fields(_) => [Field::Text, Field::Refusal, Field::Content]
            .iter()
            .find_map(|key| value.get(*key))
            .map(content)
            .unwrap_or_default(),
        Node::Other => Cow::default(),
    }
}

/// What is not empty, one a line.
fn lines(mut parts: Vec<Cow<'_, str>>) -> Cow<'_, str> {
    parts.retain(|part| !part.is_empty());
    match parts.len() {
        1 => parts.swap_remove(0),
        _ => Cow::Owned(parts.join("\n")),
    }
}

#[derive(Default)]
struct Paragraphs(Option<String>);

impl Paragraphs {
    fn add(&mut self, role: Option<&str>, text: &str) {
        if text.is_empty() {
            return;
        }
        let out = match &mut self.0 {
            Some(out) => {
                out.push_str("\n\n");
                out
            }
            empty => empty.insert(String::with_capacity(text.len() + 16)),
        };
        if let Some(role) = role {
            out.push_str(role);
            out.push_str(": ");
        }
        out.push_str(text);
    }

    fn finish(self) -> Option<String> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same walks over `serde_json::Value`: slow, and plain to see.
    mod plain;

    #[test]
    fn prompts() {
        for (body, text) in [
            (
                r#"{"messages":[{"role":"system","content":"be brief"},{"role":"user","content":[{"type":"text","text":"hi"},{"type":"image_url","image_url":{"url":"x"}}]}]}"#,
                Some("system: be brief\n\nuser: hi"),
            ),
            (r#"{"prompt":["a","b"]}"#, Some("a\n\nb")),
            (r#"{"input":"embed me"}"#, Some("embed me")),
            (
                r#"{"system":"s","messages":[{"role":"user","content":"u"}]}"#,
                Some("system: s\n\nuser: u"),
            ),
            (r#"{"model":"m"}"#, None),
            ("not json", None),
        ] {
            assert_eq!(of_request(body).as_deref(), text, "{body}");
        }
    }

    #[test]
    fn answers() {
        for (body, text) in [
            (
                r#"{"choices":[{"message":{"content":"a"}},{"message":{"content":"b"}}]}"#,
                Some("a\n\nb"),
            ),
            (
                r#"{"choices":[{"message":{"content":null,"tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}}]}"#,
                Some("f({})"),
            ),
            (r#"{"choices":[{"text":"t"}]}"#, Some("t")),
            (
                r#"{"output":[{"type":"message","content":[{"type":"output_text","text":"o"}]}]}"#,
                Some("o"),
            ),
            (r#"{"data":[]}"#, None),
        ] {
            assert_eq!(of_response(body).as_deref(), text, "{body}");
        }
    }

    #[test]
    fn half_a_character_hides_nothing_else() {
        for (said, text) in [
            (r"\ud800 hi", "\u{fffd} hi"),
            (r"a\uDFFFb\ud83d\ude00\ud83d", "a\u{fffd}b\u{1f600}\u{fffd}"),
            (
                r"\ud800\ud800\udc00 \\ud800 \\\udc00",
                "\u{fffd}\u{10000} \\ud800 \\\u{fffd}",
            ),
        ] {
            let prompt = format!(r#"{{"messages":[{{"role":"user","content":"{said}"}}],"user":"\ud801"}}"#);
            assert_eq!(of_request(&prompt), Some(format!("user: {text}")), "{said}");
            let answer = format!(r#"{{"choices":[{{"message":{{"content":"{said}"}}}}]}}"#);
            assert_eq!(of_response(&answer).as_deref(), Some(text), "{said}");
        }
        for broken in [
            r#"{"prompt":"\ud800"#,
            r#"{"prompt":"\ud80"}"#,
            r#"{"prompt":"\uéé"}"#,
            "\\",
            r"\é",
        ] {
            assert_eq!(of_request(broken), None, "{broken}");
        }
    }

    /// JSON texts in the shapes that the walks look at, and shapes that they do not: any value under
    /// any key, keys that stand there twice, escapes, numbers out of range.
    fn json() -> impl Strategy<Value = String> {
        let key = prop::sample::select(vec![
            "instructions",
            "system",
            "messages",
            "prompt",
            "input",
            "role",
            "choices",
            "message",
            "text",
            "content",
            "output",
            "output_text",
            "refusal",
            "tool_calls",
            "function",
            "function_call",
            "name",
            "arguments",
            "other",
            "conte\\u006et",
        ]);
        let leaf = prop_oneof![
            4 => ".{0,6}".prop_map(|text| serde_json::to_string(&text).unwrap()),
            1 => prop::sample::select(vec!["null", "true", "-1", "1.5", "18446744073709551615", "\"\\ud83d\\ude00\"", "\"\""])
                .prop_map(str::to_owned),
            1 => prop::sample::select(vec!["1e999", "\"\\ud83d\"", "nul", "01"])
                .prop_flat_map(|bad| prop_oneof![9 => Just("null".to_owned()), 1 => Just(bad.to_owned())]),
        ];
        leaf.prop_recursive(5, 60, 5, move |inner| {
            prop_oneof![
                1 => prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(" ,"))),
                3 => prop::collection::vec((key.clone(), inner), 0..5).prop_map(|fields| {
                    let fields: Vec<String> = fields.iter().map(|(key, value)| format!("\"{key}\": {value}")).collect();
                    format!("{{{}}}", fields.join(","))
                }),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]
        #[test]
        fn both_walks_agree(body in json()) {
            prop_assert_eq!(of_request(&body), plain::of_request(&body));
            prop_assert_eq!(of_response(&body), plain::of_response(&body));
        }
    }

    #[test]
    fn both_refuse_what_is_nested_too_deep() {
        for depth in [100, 126, 127, 128, 129, 10_000] {
            let body = format!(r#"{{"prompt":"p","other":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
            assert_eq!(of_request(&body), plain::of_request(&body), "{depth}");
        }
    }
}
