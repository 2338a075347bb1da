//! What a request asks for, read leniently from its JSON.

use serde_json::Value;

use super::words;

/// A request to `/v1/chat/completions` or `/v1/completions`, as far as an answer depends on it.
#[derive(Debug)]
pub struct Prompt {
    pub model: String,
    /// The last message of the user.
    pub user: String,
    /// Whether the last message is a tool's result, and what it says.
    pub tool_result: Option<String>,
    pub tokens: u64,
    pub cached_tokens: u64,
    pub images: usize,
    pub stream: bool,
    pub include_usage: bool,
    pub choices: usize,
    pub max_tokens: Option<usize>,
    pub stop: Vec<String>,
    pub logprobs: Option<usize>,
    pub tools: Vec<Value>,
    pub parallel_tools: bool,
    /// The schema that the answer has to follow; an empty one for `json_object`.
    pub schema: Option<Value>,
}

impl Prompt {
    /// Reads a chat request. The error is for the client.
    pub fn chat(body: &Value) -> Result<Self, String> {
        let messages = body
            .get("messages")
            .and_then(Value::as_array)
            .ok_or("Missing required parameter: 'messages'.")?;
        if messages.is_empty() {
            return Err("Invalid 'messages': empty array. Expected an array with minimum length 1.".to_owned());
        }
        let mut prompt = Self::read(body)?;
        let mut tokens = 3;
        for message in messages {
            let (text, images) = content(message.get("content"));
            tokens += 3 + words::count(&text) + 85 * images as u64;
            prompt.images += images;
            match message.get("role").and_then(Value::as_str) {
                Some("user") => {
                    prompt.user = text;
                    prompt.tool_result = None;
                }
                Some("tool" | "function") => prompt.tool_result = Some(text),
                _ => {}
            }
        }
        prompt.tools = tools(body);
        tokens += prompt
            .tools
            .iter()
            .map(|tool| words::count(&tool.to_string()) / 2)
            .sum::<u64>();
        prompt.tokens = tokens;
        // Prompts from 1,024 tokens on are cached in steps of 128.
        prompt.cached_tokens = if tokens >= 1024 { tokens / 128 * 128 } else { 0 };
        let format = body.get("response_format");
        prompt.schema = match format.and_then(|f| f.get("type")).and_then(Value::as_str) {
            Some("json_object") => Some(Value::Null),
            Some("json_schema") => Some(
                format
                    .and_then(|f| f.pointer("/json_schema/schema"))
                    .cloned()
                    .unwrap_or_default(),
            ),
            _ => None,
        };
        prompt.logprobs = (body.get("logprobs") == Some(&Value::Bool(true)))
            .then(|| number(body, "top_logprobs").unwrap_or(0).min(20));
        Ok(prompt)
    }

    /// Reads a request to the older completions endpoint.
    pub fn completion(body: &Value) -> Result<Self, String> {
        let mut prompt = Self::read(body)?;
        prompt.user = match body.get("prompt") {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(parts)) => parts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n"),
            _ => return Err("Missing required parameter: 'prompt'.".to_owned()),
        };
        prompt.tokens = words::count(&prompt.user);
        prompt.logprobs = number(body, "logprobs");
        Ok(prompt)
    }

    fn read(body: &Value) -> Result<Self, String> {
        let model = body
            .get("model")
            .and_then(Value::as_str)
            .ok_or("you must provide a model parameter")?;
        let flag = |name: &str| body.get(name) == Some(&Value::Bool(true));
        Ok(Self {
            model: model.to_owned(),
            user: String::new(),
            tool_result: None,
            tokens: 0,
            cached_tokens: 0,
            images: 0,
            stream: flag("stream"),
            include_usage: body.pointer("/stream_options/include_usage") == Some(&Value::Bool(true)),
            choices: number(body, "n").unwrap_or(1).clamp(1, 128),
            max_tokens: number(body, "max_completion_tokens").or_else(|| number(body, "max_tokens")),
            stop: match body.get("stop") {
                Some(Value::String(stop)) => vec![stop.clone()],
                Some(Value::Array(stops)) => stops.iter().filter_map(|s| s.as_str().map(str::to_owned)).collect(),
                _ => Vec::new(),
            },
            logprobs: None,
            tools: Vec::new(),
            parallel_tools: body.get("parallel_tool_calls") != Some(&Value::Bool(false)),
            schema: None,
        })
    }
}

/// The tools that may be called: those of the request, or the one that `tool_choice` names.
fn tools(body: &Value) -> Vec<Value> {
    let choice = body.get("tool_choice");
    if choice.and_then(Value::as_str) == Some("none") {
        return Vec::new();
    }
    let named = choice.and_then(|c| c.pointer("/function/name"));
    let all = body.get("tools").and_then(Value::as_array).cloned().unwrap_or_default();
    all.into_iter()
        .filter_map(|tool| tool.get("function").cloned())
        .filter(|function| named.is_none() || function.get("name") == named)
        .collect()
}

/// A message's text, and how many images it shows.
fn content(content: Option<&Value>) -> (String, usize) {
    match content {
        Some(Value::String(text)) => (text.clone(), 0),
        Some(Value::Array(parts)) => {
            let texts = parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str));
            let images = parts.iter().filter(|part| part.get("image_url").is_some()).count();
            (texts.collect::<Vec<_>>().join("\n"), images)
        }
        _ => (String::new(), 0),
    }
}

fn number(body: &Value, name: &str) -> Option<usize> {
    body.get(name)
        .and_then(Value::as_u64)
        .and_then(|n| usize::try_from(n).ok())
}
