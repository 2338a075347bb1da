//! From a provider's `usage` object to disjoint token buckets.
//!
//! OpenAI and its likes count cached tokens inside the prompt and reasoning inside the answer;
//! Anthropic counts the cache outside; xAI and Gemini count reasoning outside. Which one it is,
//! is read from the object itself: from the names of its fields, and from whether the parts or
//! the parts and the reasoning add up to `total_tokens`.
//!
//! The names are those of pydantic's genai-prices (MIT), plus DeepSeek's and Moonshot's.

use event::Usage;

use crate::json::{Cursor, JsonError, Kind, Role, TextSpan, collect, odd_key};

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

/// Reads the next value as a usage object; `None` for `null` and anything that is no object. What
/// it has of texts goes to `texts`.
pub(crate) fn read<'a>(cursor: &mut Cursor<'a>, texts: &mut Vec<TextSpan<'a>>) -> Result<Option<Reported>, JsonError> {
    if cursor.peek()? != Kind::Object {
        return collect(cursor, "usage", Role::Other, texts).map(|()| None);
    }
    let mut reported = Reported::default();
    let mut items = cursor.enter()?;
    while let Some(key) = cursor.key(&mut items)? {
        let name = key.text(cursor.raw());
        match &*name {
            "prompt_tokens" => reported.prompt = count(cursor, texts)?,
            "input_tokens" => reported.input = count(cursor, texts)?,
            "completion_tokens" | "output_tokens" => reported.completion = count(cursor, texts)?,
            "total_tokens" => reported.total = count(cursor, texts)?,
            "prompt_cache_hit_tokens" | "cached_tokens" | "cached_prompt_text_tokens" => {
                reported.cache_read = count(cursor, texts)?.or(reported.cache_read);
            }
            "prompt_cache_miss_tokens" => reported.cache_miss = count(cursor, texts)?,
            "cache_read_input_tokens" => reported.cache_read_apart = count(cursor, texts)?,
            "cache_creation_input_tokens" => reported.cache_write_apart = count(cursor, texts)?,
            "reasoning_tokens" => reported.reasoning = count(cursor, texts)?.or(reported.reasoning),
            "prompt_tokens_details"
            | "input_tokens_details"
            | "completion_tokens_details"
            | "output_tokens_details" => {
                details(cursor, &mut reported, texts)?;
            }
            _ => {
                collect(cursor, &name, Role::Other, texts)?;
                texts.extend(odd_key(&key, name, Role::Other));
            }
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

/// A count; texts that stand there instead are not lost.
fn count<'a>(cursor: &mut Cursor<'a>, texts: &mut Vec<TextSpan<'a>>) -> Result<Option<u64>, JsonError> {
    if cursor.peek()? == Kind::Number {
        return cursor.u64();
    }
    collect(cursor, "", Role::Other, texts).map(|()| None)
}

fn details<'a>(
    cursor: &mut Cursor<'a>,
    reported: &mut Reported,
    texts: &mut Vec<TextSpan<'a>>,
) -> Result<(), JsonError> {
    if cursor.peek()? != Kind::Object {
        return collect(cursor, "", Role::Other, texts);
    }
    let mut items = cursor.enter()?;
    while let Some(key) = cursor.key(&mut items)? {
        let name = key.text(cursor.raw());
        match &*name {
            "cached_tokens" => reported.cache_read = count(cursor, texts)?.or(reported.cache_read),
            "cache_write_tokens" | "cache_creation_tokens" => {
                reported.cache_write = count(cursor, texts)?.or(reported.cache_write);
            }
            "reasoning_tokens" => reported.reasoning = count(cursor, texts)?.or(reported.reasoning),
            "audio_tokens" | "image_tokens" => {
                if let Some(tokens) = count(cursor, texts)? {
                    reported.media = Some(sum(reported.media, Some(tokens)));
                }
            }
            _ => {
                collect(cursor, &name, Role::Other, texts)?;
                texts.extend(odd_key(&key, name, Role::Other));
            }
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
    let reported = read(&mut cursor, &mut Vec::new())?;
    cursor.end()?;
    Ok(reported)
}

#[cfg(test)]
mod tests;
