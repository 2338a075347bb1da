use std::collections::BTreeMap;
use std::time::Duration;

/// What a test asks of the demo upstream besides an answer: the header `x-demo: key=value,…`, or the
/// same after a `+` in the model's name (`gpt-4o-mini+status=500`). Values are percent-encoded.
///
/// | key | effect |
/// | --- | --- |
/// | `status=N` | answer with this status and an error of OpenAI's shape |
/// | `first=N`, `key=K` | with `status`: only the first N requests that carry key K |
/// | `after=N` | with `status`: a stream gives N frames, then an `error` frame, and ends |
/// | `retry_after=N` | with `status`: a `retry-after` header of N seconds |
/// | `ttft_ms=N` | wait before the head of the answer |
/// | `delay_ms=N` | wait between frames; 0 switches every made-up latency off |
/// | `hang=1`, `hang_after=N` | never answer; or stop after N frames and keep the connection |
/// | `drop=1`, `die_after=N` | close the connection without an answer; or after N frames |
/// | `end_after=N`, `no_done=1` | a stream that ends early in good order; without its `[DONE]` |
/// | `say=TEXT`, `echo=1` | say this text; say the prompt |
/// | `think=TEXT`, `args=JSON` | reason this; call tools with these arguments |
/// | `bytes=N` | make the answer's text N bytes long |
/// | `chunk=N`, `cut=N` | N characters a delta; N bytes a transport frame, wherever they fall |
/// | `gzip=1`, `br=1`, `zstd=1` | compress the answer |
/// | `omit_usage=1`, `refusal=1`, `reason=1`, `extra=1` | leave out usage; refuse; reason; add unknown fields |
/// | `crlf=1`, `comments=1` | unusual but legal SSE |
/// | `body=TEXT`, `type=MIME` | exactly this body; of this content type |
/// | `keep=NAME` | keep the request as it came, to be read at `/kept/NAME` |
#[derive(Clone, Debug, Default)]
pub struct Directives(BTreeMap<String, String>);

impl Directives {
    /// Reads the header, then the model's suffix, which wins.
    pub fn read(header: Option<&str>, model: Option<&str>) -> Self {
        let mut map = BTreeMap::new();
        let suffix = model.and_then(|m| m.split_once('+')).map(|(_, s)| s);
        for list in header.into_iter().chain(suffix) {
            for pair in list.split(',').filter(|p| !p.trim().is_empty()) {
                let (key, value) = pair.split_once('=').unwrap_or((pair, "1"));
                map.insert(key.trim().to_owned(), decode(value.trim()));
            }
        }
        Self(map)
    }

    pub fn on(&self, key: &str) -> bool {
        self.0.get(key).is_some_and(|v| v != "0")
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    pub fn number(&self, key: &str) -> Option<u64> {
        self.0.get(key).and_then(|v| v.parse().ok())
    }

    pub fn count(&self, key: &str) -> Option<usize> {
        self.0.get(key).and_then(|v| v.parse().ok())
    }

    pub fn millis(&self, key: &str) -> Option<Duration> {
        self.number(key).map(Duration::from_millis)
    }
}

/// A model's name without its directives.
pub fn base_model(model: &str) -> &str {
    model.split_once('+').map_or(model, |(base, _)| base)
}

/// Percent-decodes; what is no escape stays as it is.
pub fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escape = (byte == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(escape.unwrap_or(byte));
        at += if escape.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Percent-encodes everything but letters, digits, `-`, `_` and `.`.
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for &byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_models_suffix_wins_over_the_header() {
        let read = Directives::read(Some("status=500, hang"), Some("gpt-4o-mini+status=429,say=a%2Cb%20c"));
        assert_eq!(read.number("status"), Some(429));
        assert_eq!(read.text("say"), Some("a,b c"));
        assert!(read.on("hang"));
        assert_eq!(base_model("gpt-4o-mini+status=429"), "gpt-4o-mini");
    }

    #[test]
    fn encoded_text_comes_back() {
        for text in ["", "a%b", "100%", "ä,=+\r\n\u{1F600}", "%zz"] {
            assert_eq!(decode(&encode(text)), text);
        }
        assert_eq!(decode("%zz%4"), "%zz%4");
    }
}
