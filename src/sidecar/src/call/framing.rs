//! What of a provider's frame may leave beside its data.
//!
//! Comments, ids and fields of other names are text that no guardrail looks at: under guardrails a frame
//! leaves with its data and a plain event name, and with nothing else.

use bytes::Bytes;
use provider::sse::{self, Frame};

/// The frame as it may leave: as it came, or its data in a frame of our own.
pub fn bytes(frame: &Frame, data: &str) -> Bytes {
    match is_plain(frame) {
        true => frame.raw.clone(),
        false => sse::encode(event_name(frame), data),
    }
}

/// The frame with other data.
pub fn with_data(frame: &Frame, data: &str) -> Bytes {
    match is_plain(frame) {
        true => frame.with_data(data),
        false => sse::encode(event_name(frame), data),
    }
}

/// Whether a frame has nothing but `data` and a plain `event`.
fn is_plain(frame: &Frame) -> bool {
    let text = std::str::from_utf8(&frame.raw).unwrap_or("");
    // A lone CR ends a line, too.
    text.split(['\n', '\r']).all(|line| {
        line.is_empty()
            || line.starts_with("data:")
            || line.strip_prefix("event:").is_some_and(|name| is_name(name.trim()))
    })
}

fn event_name(frame: &Frame) -> Option<&str> {
    frame.event().filter(|name| is_name(name))
}

fn is_name(name: &str) -> bool {
    name.len() <= 64
        && name
            .bytes()
            .all(|b| b.is_ascii_alphabetic() || matches!(b, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use provider::sse::Decoder;

    fn frame(text: &str) -> Frame {
        let mut frames = Vec::new();
        let mut decoder = Decoder::new();
        // The first one may have a byte order mark.
        decoder.push(&Bytes::from_static(b": first\n\n"), &mut frames).unwrap();
        decoder.push(&Bytes::from(text.to_owned()), &mut frames).unwrap();
        frames.remove(1)
    }

    #[test]
    fn only_data_and_event_leave() {
        for end in ["\n", "\r\n", "\r"] {
            for aside in [
                ": ana@example.com",
                "id: ana@example.com",
                "retry: 1",
                "x: y",
                "event: a b",
            ] {
                for lines in [[aside, "data: {}"], ["data: {}", aside]] {
                    let frame = frame(&format!("{}{end}{}{end}{end}x", lines[0], lines[1]));
                    assert_eq!(bytes(&frame, "{}"), "data: {}\n\n", "{lines:?} {end:?}");
                    assert_eq!(with_data(&frame, "[]"), "data: []\n\n", "{lines:?} {end:?}");
                }
            }
            let plain = format!("event: response.created{end}data: {{}}{end}{end}");
            let frame = frame(&format!("{plain}x"));
            assert_eq!(bytes(&frame, "{}"), plain);
            assert_eq!(with_data(&frame, "[]"), plain.replace("{}", "[]"));
        }
    }
}
