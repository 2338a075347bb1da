//! What the demo's model says.

use serde_json::{Map, Value, json};

use super::directives::Directives;
use super::prompt::Prompt;
use super::seed::Seed;
use super::{topics, words};

/// One choice of an answer.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub reasoning: Option<String>,
    pub text: Option<String>,
    pub refusal: Option<String>,
    pub tool_calls: Vec<ToolCall>,
    pub finish: &'static str,
}

#[derive(Clone, Debug)]
pub struct ToolCall {
    pub id: String,
    pub name: String,
    pub arguments: String,
}

impl Reply {
    /// The answer of choice `index`. Depends on the prompt alone.
    pub fn to(prompt: &Prompt, directives: &Directives, index: usize) -> Self {
        let mut seed = Seed::of(format!("{index}\u{0}{}", prompt.user).as_bytes());
        let thought = || {
            format!(
                "The user asks: {} I should answer in a few sentences.",
                first_words(&prompt.user, 12)
            )
        };
        let reasons = directives.on("reason") || prompt.model.contains("reasoner");
        let reasoning = directives
            .text("think")
            .map(str::to_owned)
            .or_else(|| reasons.then(thought));
        if directives.on("refusal") {
            let refusal = Some("I'm sorry, I can't help with that.".to_owned());
            return Self {
                refusal,
                reasoning,
                finish: "stop",
                ..Self::default()
            };
        }
        if !prompt.tools.is_empty() && prompt.tool_result.is_none() {
            let mut tool_calls = calls(prompt, &mut seed);
            if let Some(arguments) = directives.text("args") {
                tool_calls
                    .iter_mut()
                    .for_each(|call| call.arguments = arguments.to_owned());
            }
            return Self {
                tool_calls,
                reasoning,
                finish: "tool_calls",
                ..Self::default()
            };
        }
        if let Some(say) = directives.text("say") {
            return Self {
                text: Some(say.to_owned()),
                reasoning,
                finish: "stop",
                ..Self::default()
            };
        }
        let mut text = match (&prompt.schema, &prompt.tool_result) {
            _ if directives.on("echo") => prompt.user.clone(),
            (Some(Value::Null), _) => {
                json!({"topic": topics::name(&prompt.user), "answer": topics::answer(&prompt.user, &mut seed)})
                    .to_string()
            }
            (Some(schema), _) => instance(schema, schema, &mut seed, "answer", 0).to_string(),
            (None, Some(result)) => format!("Here is what I found: {}", first_words(result, 40)),
            (None, None) => topics::answer(&prompt.user, &mut seed),
        };
        if prompt.images > 0 && prompt.schema.is_none() && !directives.on("echo") {
            text = format!("I can see {} image(s). {text}", prompt.images);
        }
        if let Some(bytes) = directives.count("bytes") {
            text = text.chars().filter(char::is_ascii).cycle().take(bytes).collect();
        }
        let mut finish = "stop";
        if let Some(end) = prompt.stop.iter().filter_map(|stop| text.find(stop.as_str())).min() {
            text.truncate(end);
        }
        if let Some(max) = prompt.max_tokens {
            let tokens = words::tokens(&text);
            if tokens.len() > max {
                text = tokens.into_iter().take(max).collect();
                finish = "length";
            }
        }
        Self {
            text: Some(text),
            reasoning,
            finish,
            ..Self::default()
        }
    }

    /// Tokens of the answer, and of these the reasoning.
    pub fn tokens(&self) -> (u64, u64) {
        let count = |text: &Option<String>| text.as_deref().map_or(0, words::count);
        let reasoning = count(&self.reasoning);
        let calls: u64 = self
            .tool_calls
            .iter()
            .map(|c| 4 + words::count(&c.name) + words::count(&c.arguments))
            .sum();
        (reasoning + count(&self.text) + count(&self.refusal) + calls, reasoning)
    }
}

/// One call of a tool; two where the prompt asks for this and that.
fn calls(prompt: &Prompt, seed: &mut Seed) -> Vec<ToolCall> {
    let parallel = prompt.parallel_tools && prompt.user.contains(" and ");
    let wanted = if parallel { 2 } else { 1 };
    let mut tools = prompt.tools.iter().cycle();
    (0..wanted)
        .filter_map(|_| tools.next())
        .enumerate()
        .map(|(index, tool)| {
            let parameters = tool.get("parameters").cloned().unwrap_or_default();
            let subject = subjects(&prompt.user)
                .into_iter()
                .nth(index)
                .unwrap_or_else(|| "unknown".to_owned());
            ToolCall {
                id: format!("call_{}", seed.word(24)),
                name: tool.get("name").and_then(Value::as_str).unwrap_or("unnamed").to_owned(),
                arguments: instance(&parameters, &parameters, seed, &subject, 0).to_string(),
            }
        })
        .collect()
}

/// The names in a prompt: capitalised words that open no sentence.
fn subjects(text: &str) -> Vec<String> {
    let words = text.split_whitespace().skip(1);
    let clean = words.map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()));
    clean
        .filter(|word| word.starts_with(char::is_uppercase) && word.len() > 1)
        .map(str::to_owned)
        .collect()
}

/// A value that follows a JSON schema, as far as OpenAI's structured outputs go.
fn instance(schema: &Value, root: &Value, seed: &mut Seed, subject: &str, depth: usize) -> Value {
    if depth > 12 {
        return Value::Null;
    }
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        let found = root
            .pointer(target.trim_start_matches('#'))
            .cloned()
            .unwrap_or_default();
        return instance(&found, root, seed, subject, depth + 1);
    }
    if let Some(value) = schema.get("const") {
        return value.clone();
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return seed.pick(values).cloned().unwrap_or_default();
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        if let Some(first) = schema.get(key).and_then(Value::as_array).and_then(|all| all.first()) {
            return instance(first, root, seed, subject, depth + 1);
        }
    }
    let kind = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str),
        Some(kind) => kind.as_str(),
        None => schema.get("properties").map(|_| "object"),
    };
    match kind {
        Some("object") => {
            let mut object = Map::new();
            for (name, property) in schema
                .get("properties")
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
            {
                object.insert(name.clone(), instance(property, root, seed, subject, depth + 1));
            }
            Value::Object(object)
        }
        Some("array") => {
            let items = schema.get("items").cloned().unwrap_or_default();
            (0..2)
                .map(|_| instance(&items, root, seed, subject, depth + 1))
                .collect()
        }
        Some("integer") => json!(1 + seed.below(99)),
        Some("number") => json!(f64::from(u32::try_from(seed.below(10_000)).unwrap_or(0)) / 100.0),
        Some("boolean") => json!(seed.below(2) == 0),
        Some("null") => Value::Null,
        _ => json!(subject),
    }
}

fn first_words(text: &str, count: usize) -> String {
    text.split_whitespace().take(count).collect::<Vec<_>>().join(" ")
}
