//! The head of a part, and the parameters of header values.

use std::ops::Range;

use memchr::memmem;

use super::FormError;

/// Bytes that the head of a part may have.
const MAX_HEAD_BYTES: usize = 16 << 10;

/// What the head of a part says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Bytes of the field's name in the body, without quotes.
    pub name: Range<usize>,
    /// Bytes of the file's names, `filename` and `filename*`.
    pub files: Vec<(&'static str, Range<usize>)>,
    /// Bytes of its content type.
    pub content_type: Option<Range<usize>>,
    /// Whether its content is coded, as RFC 7578 no longer allows.
    pub coded: bool,
}

impl Head {
    /// Reads the head that begins at `at`. Returns it and where the content begins.
    pub fn read(body: &[u8], at: usize) -> Result<(Head, usize), FormError> {
        let mut head = Head::default();
        let mut named = false;
        let mut start = at;
        loop {
            let rest = &body[start..body.len().min(at + MAX_HEAD_BYTES)];
            let Some(length) = memmem::find(rest, b"\r\n") else {
                let reason = "the head of a part does not end";
                return Err(FormError { reason, at });
            };
            let line = start..start + length;
            if length == 0 {
                break;
            }
            let wrong = |reason| Err(FormError { reason, at: line.start });
            let text = &body[line.clone()];
            if text.contains(&b'\n') || text.contains(&b'\r') {
                return wrong("a line of a part's head does not end with CR LF");
            }
            if text.starts_with(b" ") || text.starts_with(b"\t") {
                return wrong("a line of a part's head is folded");
            }
            let Some(colon) = memchr::memchr(b':', text) else {
                return wrong("a line of a part's head has no colon");
            };
            let value = trimmed(body, line.start + colon + 1..line.end);
            let key = text[..colon].trim_ascii();
            if key.eq_ignore_ascii_case(b"content-disposition") {
                if named {
                    return wrong("a part is named twice");
                }
                named = true;
                head.disposition(body, value)?;
            } else if key.eq_ignore_ascii_case(b"content-type") {
                head.content_type = Some(value);
            } else if key.eq_ignore_ascii_case(b"content-transfer-encoding") {
                let plain = ["7bit", "8bit", "binary"];
                head.coded |= !plain
                    .iter()
                    .any(|plain| body[value.clone()].eq_ignore_ascii_case(plain.as_bytes()));
            }
            start = line.end + 2;
        }
        match named {
            true => Ok((head, start + 2)),
            false => Err(FormError {
                reason: "a part has no name (Content-Disposition)",
                at,
            }),
        }
    }

    fn disposition(&mut self, body: &[u8], value: Range<usize>) -> Result<(), FormError> {
        let wrong = |reason| {
            Err(FormError {
                reason,
                at: value.start,
            })
        };
        let mut name = None;
        for (index, (key, value)) in parameters(body, value.clone()).into_iter().enumerate() {
            let key = body[key].to_ascii_lowercase();
            match (index, key.as_slice(), value) {
                (0, b"form-data", None) => {}
                (0, ..) => return wrong("a part's Content-Disposition is not form-data"),
                (_, b"name", Some(_)) if name.is_some() => return wrong("a part is named twice"),
                (_, b"name", Some(value)) => name = Some(value),
                (_, b"filename" | b"filename*", Some(_))
                    if self.files.iter().any(|(known, _)| known.as_bytes() == key) =>
                {
                    return wrong("a part's file is named twice");
                }
                (_, b"filename", Some(value)) => self.files.push(("filename", value)),
                (_, b"filename*", Some(value)) => self.files.push(("filename*", value)),
                _ => {}
            }
        }
        match name {
            Some(name) => self.name = name,
            None => return wrong("a part has no name (Content-Disposition)"),
        }
        Ok(())
    }
}

/// The boundary that a content type names; `None` if it is no form's, or names none.
#[must_use]
pub fn boundary(content_type: &str) -> Option<&str> {
    let bytes = content_type.as_bytes();
    let mut parameters = parameters(bytes, 0..bytes.len()).into_iter();
    let (kind, _) = parameters.next()?;
    if !content_type[kind].eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let mut named = parameters.filter(|(key, _)| content_type[key.clone()].eq_ignore_ascii_case("boundary"));
    let (Some((_, Some(value))), None) = (named.next(), named.next()) else {
        return None;
    };
    Some(&content_type[value]).filter(|boundary| !boundary.is_empty() && !boundary.contains(['\\', '"']))
}

/// Whether a content type is that of a form.
#[must_use]
pub fn is_form(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("multipart/form-data")
}

/// The pieces between the semicolons of `value`: names and what stands behind their `=`, without quotes.
fn parameters(bytes: &[u8], value: Range<usize>) -> Vec<(Range<usize>, Option<Range<usize>>)> {
    let mut found = Vec::new();
    let (mut quoted, mut escaped, mut start) = (false, false, value.start);
    for at in value.start..=value.end {
        match bytes.get(at).filter(|_| at < value.end) {
            Some(_) if escaped => escaped = false,
            Some(b'\\') if quoted => escaped = true,
            Some(b'"') => quoted = !quoted,
            Some(b';') if !quoted => found.push(parameter(bytes, std::mem::replace(&mut start, at + 1)..at)),
            None => found.push(parameter(bytes, start..at)),
            Some(_) => {}
        }
    }
    found
}

fn parameter(bytes: &[u8], piece: Range<usize>) -> (Range<usize>, Option<Range<usize>>) {
    let Some(equals) = memchr::memchr(b'=', &bytes[piece.clone()]) else {
        return (trimmed(bytes, piece), None);
    };
    let value = trimmed(bytes, piece.start + equals + 1..piece.end);
    let unquoted = match &bytes[value.clone()] {
        [b'"', .., b'"'] => value.start + 1..value.end - 1,
        _ => value,
    };
    (trimmed(bytes, piece.start..piece.start + equals), Some(unquoted))
}

fn trimmed(bytes: &[u8], range: Range<usize>) -> Range<usize> {
    let text = &bytes[range.clone()];
    let start = range.start + (text.len() - text.trim_ascii_start().len());
    start..start + text.trim_ascii().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries() {
        for (content_type, expected) in [
            ("multipart/form-data; boundary=abc", Some("abc")),
            ("Multipart/Form-Data;charset=utf-8; BOUNDARY=\"a b;c\"", Some("a b;c")),
            ("multipart/form-data", None),
            ("multipart/form-data; boundary=", None),
            ("multipart/form-data; boundary=a; boundary=b", None),
            ("multipart/mixed; boundary=a", None),
            ("multipart/form-data; boundary=\"a\\\"b\"", None),
        ] {
            assert_eq!(boundary(content_type), expected, "{content_type}");
        }
    }
}
