//! From a provider's `usage` object to disjoint token buckets.
//!
//! OpenAI and its likes count cached tokens inside the prompt and reasoning inside the answer;
//! Anthropic counts the cache outside; xAI and Gemini count reasoning outside. Which one it is,
//! is read from the object itself: from the names of its fields, and from whether the parts or
//! the parts and the reasoning add up to `total_tokens`.
//!
//! The names are those of pydantic's genai-prices (MIT), plus DeepSeek's and Moonshot's.

use event::Usage;

use crate::json::{Cursor, JsonError, Kind};

/// A usage object as it came, before the buckets are made disjoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reported {
    /// `prompt_tokens`: cached tokens included.
    pub prompt: Option<u64>,
    /// `input_tokens`: of the Responses API (cached included) or of Anthropic (excluded).
    pub input: Option<u64>,
    /// `completion_tokens` or `output_tokens`.
    pub completion: Option<u64>,
    /// `total_tokens`.
    pub total: Option<u64>,
    /// Read from the cache, and counted inside the prompt.
    pub cache_read: Option<u64>,
    /// Written to the cache, and counted inside the prompt.
    pub cache_write: Option<u64>,
    /// `cache_read_input_tokens`: outside of `input_tokens`.
    pub cache_read_apart: Option<u64>,
    /// `cache_creation_input_tokens`: outside of `input_tokens`.
    pub cache_write_apart: Option<u64>,
    /// `prompt_cache_miss_tokens` (DeepSeek).
    pub cache_miss: Option<u64>,
    /// `reasoning_tokens`.
    pub reasoning: Option<u64>,
    /// Tokens of audio or images among the prompt and the answer, which other prices hold for.
    pub media: Option<u64>,
}

impl Reported {
    /// The disjoint buckets.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let cache_read = self.cache_read.or(self.cache_read_apart);
        let cache_write = self.cache_write.or(self.cache_write_apart);
        // The cache lies outside only where the object is Anthropic's: `input_tokens` with
        // `cache_…_input_tokens` beside it.
        let apart = self.prompt.is_none() && self.cache_read.is_none() && self.cache_write.is_none();
        let cached = if apart { 0 } else { sum(cache_read, cache_write) };
        let input = match self.prompt.or(self.input) {
            Some(total) => Some(total.saturating_sub(cached)),
            None => self.cache_miss,
        };
        let prompt = self.prompt.or(self.input).map(|n| {
            if apart {
                n.saturating_add(sum(cache_read, cache_write))
            } else {
                n
            }
        });
        let (output, reasoning) = self.answer(prompt);
        Usage {
            input,
            cache_read,
            cache_write,
            output,
            reasoning,
        }
    }

    fn answer(&self, prompt: Option<u64>) -> (Option<u64>, Option<u64>) {
        let Some(completion) = self.completion else {
            return (None, self.reasoning);
        };
        // What `total_tokens` counts beyond prompt and completion.
        let beyond = match (self.total, prompt) {
            (Some(total), Some(prompt)) => total.saturating_sub(prompt.saturating_add(completion)),
            _ => 0,
        };
        match self.reasoning {
            // xAI: completion_tokens leaves the reasoning out, and the total has it.
            Some(reasoning) if reasoning > 0 && beyond == reasoning => (Some(completion), Some(reasoning)),
            Some(reasoning) if reasoning <= completion => (Some(completion - reasoning), Some(reasoning)),
            Some(reasoning) => (Some(completion), Some(reasoning)),
            // Gemini's OpenAI-compatible endpoint: thinking shows in the total alone.
            None if beyond > 0 => (Some(completion), Some(beyond)),
            None => (Some(completion), None),
        }
    }
}

fn sum(a: Option<u64>, b: Option<u64>) -> u64 {
    a.unwrap_or(0).saturating_add(b.unwrap_or(0))
}

/// Reads the next value as a usage object; `None` for `null` and anything that is no object.
pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Option<Reported>, JsonError> {
    if cursor.peek()? != Kind::Object {
        return cursor.skip().map(|()| None);
    }
    let mut reported = Reported::default();
    let mut items = cursor.enter()?;
    while let Some(key) = cursor.key(&mut items)? {
        match &*key.text(cursor.raw()) {
            "prompt_tokens" => reported.prompt = cursor.u64()?,
            "input_tokens" => reported.input = cursor.u64()?,
            "completion_tokens" | "output_tokens" => reported.completion = cursor.u64()?,
            "total_tokens" => reported.total = cursor.u64()?,
            "prompt_cache_hit_tokens" | "cached_tokens" | "cached_prompt_text_tokens" => {
                reported.cache_read = cursor.u64()?.or(reported.cache_read);
            }
            "prompt_cache_miss_tokens" => reported.cache_miss = cursor.u64()?,
            "cache_read_input_tokens" => reported.cache_read_apart = cursor.u64()?,
            "cache_creation_input_tokens" => reported.cache_write_apart = cursor.u64()?,
            "reasoning_tokens" => reported.reasoning = cursor.u64()?.or(reported.reasoning),
            "prompt_tokens_details"
            | "input_tokens_details"
            | "completion_tokens_details"
            | "output_tokens_details" => {
                details(cursor, &mut reported)?;
            }
            _ => cursor.skip()?,
        }
    }
    let known = reported
        .prompt
        .or(reported.input)
        .or(reported.completion)
        .or(reported.total)
        .or(reported.cache_miss);
    Ok(known.map(|_| reported))
}

fn details(cursor: &mut Cursor<'_>, reported: &mut Reported) -> Result<(), JsonError> {
    if cursor.peek()? != Kind::Object {
        return cursor.skip();
    }
    let mut items = cursor.enter()?;
    while let Some(key) = cursor.key(&mut items)? {
        match &*key.text(cursor.raw()) {
            "cached_tokens" => reported.cache_read = cursor.u64()?.or(reported.cache_read),
            "cache_write_tokens" | "cache_creation_tokens" => {
                reported.cache_write = cursor.u64()?.or(reported.cache_write);
            }
            "reasoning_tokens" => reported.reasoning = cursor.u64()?.or(reported.reasoning),
            "audio_tokens" | "image_tokens" => {
                if let Some(tokens) = cursor.u64()? {
                    reported.media = Some(sum(reported.media, Some(tokens)));
                }
            }
            _ => cursor.skip()?,
        }
    }
    Ok(())
}

/// Reads a usage object on its own.
///
/// # Errors
/// If `raw` is not JSON.
pub fn parse(raw: &str) -> Result<Option<Reported>, JsonError> {
    let mut cursor = Cursor::new(raw);
    let reported = read(&mut cursor)?;
    cursor.end()?;
    Ok(reported)
}

#[cfg(test)]
mod tests;
