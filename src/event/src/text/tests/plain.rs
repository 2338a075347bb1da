use serde_json::Value;

/// The prompt of an OpenAI- or Anthropic-shaped request: each message as `role: text`, one a
/// paragraph; or the `prompt` or `input` of simpler endpoints. `None` where there is no text.
pub fn of_request(body: &str) -> Option<String> {
    let whole = super::super::without_lone_surrogates(body);
    let body: Value = serde_json::from_str(whole.as_deref().unwrap_or(body)).ok()?;
    let mut out = Paragraphs::default();
    for key in ["instructions", "system"] {
        if let Some(system) = body.get(key) {
            out.add(Some("system"), &content(system));
        }
    }
    if let Some(messages) = body.get("messages").and_then(Value::as_array) {
        for message in messages {
            let role = message.get("role").and_then(Value::as_str);
            out.add(role, &message_text(message));
        }
    }
    for key in ["prompt", "input"] {
        match body.get(key) {
            Some(Value::Array(items)) => {
                for item in items {
                    out.add(item.get("role").and_then(Value::as_str), &content(item));
                }
            }
            Some(value) => out.add(None, &content(value)),
            None => {}
        }
    }
    out.finish()
}

/// The answer's text: every choice, one a paragraph, tool calls as `name(arguments)`.
pub fn of_response(body: &str) -> Option<String> {
    let whole = super::super::without_lone_surrogates(body);
    let body: Value = serde_json::from_str(whole.as_deref().unwrap_or(body)).ok()?;
    let mut out = Paragraphs::default();
    if let Some(choices) = body.get("choices").and_then(Value::as_array) {
        for choice in choices {
            let text = match choice.get("message") {
                Some(message) => message_text(message),
                None => content(choice.get("text").unwrap_or(&Value::Null)),
            };
            out.add(None, &text);
        }
    }
    for key in ["content", "output", "output_text"] {
        match body.get(key) {
            Some(Value::Array(items)) => items.iter().for_each(|item| out.add(None, &content(item))),
            Some(value) => out.add(None, &content(value)),
            None => {}
        }
    }
    out.finish()
}

fn message_text(message: &Value) -> String {
    let mut parts: Vec<String> = Vec::new();
    for key in ["content", "refusal"] {
        if let Some(value) = message.get(key) {
            parts.push(content(value));
        }
    }
    let calls = message.get("tool_calls").and_then(Value::as_array);
    let functions = calls.into_iter().flatten().filter_map(|call| call.get("function"));
    for function in functions.chain(message.get("function_call")) {
        let field = |name| function.get(name).and_then(Value::as_str).unwrap_or_default();
        parts.push(format!("{}({})", field("name"), field("arguments")));
    }
    parts.retain(|part| !part.is_empty());
    parts.join("\n")
}

/// Text of a content field: a string, a list of parts, or an object that holds one of these.
fn content(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts: Vec<String> = parts.iter().map(content).filter(|text| !text.is_empty()).collect();
            texts.join("\n")
        }
        Value::Object(part) => ["text", "refusal", "content"]
            .iter()
            .find_map(|key| part.get(*key))
            .map(content)
            .unwrap_or_default(),
        _ => String::new(),
    }
}

#[derive(Default)]
struct Paragraphs(Vec<String>);

impl Paragraphs {
    fn add(&mut self, role: Option<&str>, text: &str) {
        match (role, text.is_empty()) {
            (_, true) => {}
            (Some(role), false) => self.0.push(format!("{role}: {text}")),
            (None, false) => self.0.push(text.to_owned()),
        }
    }

    fn finish(self) -> Option<String> {
        (!self.0.is_empty()).then(|| self.0.join("\n\n"))
    }
}
