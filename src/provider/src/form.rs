//! Forms (`multipart/form-data`, RFC 7578): the same view of them as of JSON, and edits carried back.
//!
//! A server that reads a form otherwise than it was looked at here would get what nobody saw. So what
//! readers of forms disagree about is an error: text before the first boundary or after the last, a
//! boundary with something behind it, lines without CR.

mod head;
mod view;

use std::ops::Range;

use memchr::memmem;

use head::Head;
pub use head::{boundary, is_form};
pub use view::View;

/// Parts that one form may have.
const MAX_PARTS: usize = 4096;

/// Why a body is not a form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a form (multipart/form-data): {reason} at byte {at}")]
pub struct FormError {
    reason: &'static str,
    at: usize,
}

/// One part of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    head: Head,
    /// Bytes of its content in the body.
    content: Range<usize>,
}

/// A form's parts, by their places in the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    parts: Vec<Part>,
}

impl Form {
    /// Takes `body` apart at `boundary`, as the content type names it ([`boundary`]).
    ///
    /// # Errors
    /// If it is not a form, or one that two servers might read in two ways.
    pub fn parse(body: &[u8], boundary: &str) -> Result<Form, FormError> {
        let wrong = |reason, at| Err(FormError { reason, at });
        let line = format!("\r\n--{boundary}");
        let finder = memmem::Finder::new(&line);
        // RFC 2046: the first boundary may lack the line break that belongs to the others.
        let mut at = match body.strip_prefix(b"\r\n").unwrap_or(body) {
            rest if rest.starts_with(&line.as_bytes()[2..]) => body.len() - rest.len() + line.len() - 2,
            _ => return wrong("it does not begin with its boundary", 0),
        };
        let mut parts = Vec::new();
        loop {
            let rest = &body[at..];
            if let Some(rest) = rest.strip_prefix(b"--") {
                return match rest {
                    b"" | b"\r\n" => Ok(Form { parts }),
                    _ => wrong("something follows its last boundary", at + 2),
                };
            }
            if !rest.starts_with(b"\r\n") {
                return wrong("something stands behind a boundary", at);
            }
            if parts.len() == MAX_PARTS {
                return wrong("it has too many parts", at);
            }
            let (head, start) = Head::read(body, at + 2)?;
            if body[start..].starts_with(&line.as_bytes()[2..]) {
                return wrong("a boundary stands where a part's content should begin", start);
            }
            let Some(end) = finder.find(&body[start..]).map(|end| start + end) else {
                return wrong("a part does not end", start);
            };
            parts.push(Part {
                head,
                content: start..end,
            });
            at = end + line.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Result<Vec<(String, String)>, FormError> {
        let form = Form::parse(body.as_bytes(), "B")?;
        let parts = form.parts.iter().map(|part| {
            let name = body[part.head.name.clone()].to_owned();
            (name, body[part.content.clone()].to_owned())
        });
        Ok(parts.collect())
    }

    #[test]
    fn parts_are_where_they_lie() {
        let body = "--B\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n\
                    --B\r\ncontent-type: text/plain\r\nCONTENT-DISPOSITION: form-data ;name=empty\r\n\r\n\r\n\
                    --B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a \\\" b; c.png\"\r\n\r\nx--B \r\n-\r\n--B--\r\n";
        let parts = parse(body).unwrap();
        let parts: Vec<_> = parts
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
            .collect();
        assert_eq!(parts, [("model", "whisper-1"), ("empty", ""), ("f", "x--B \r\n-")]);
        assert_eq!(parse("\r\n--B--").unwrap(), []);
    }

    #[test]
    fn what_readers_disagree_about_is_refused() {
        let part = "Content-Disposition: form-data; name=\"a\"\r\n\r\nx";
        for (body, reason) in [
            (format!("hi\r\n--B\r\n{part}\r\n--B--"), "begin"),
            (format!("--B\r\n{part}\r\n--B--\r\nhi"), "follows"),
            (format!("--B\r\n{part}\r\n--Bx\r\n{part}\r\n--B--"), "behind"),
            (format!("--B \r\n{part}\r\n--B--"), "behind"),
            (format!("--B\n{part}\r\n--B--"), "behind"),
            (format!("--B\r\n{part}\n--B--"), "does not end"),
            (format!("--B\r\n{part}"), "does not end"),
            (
                "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n--B--".to_owned(),
                "should begin",
            ),
            (
                "--B\r\nContent-Disposition: form-data; name=\"a\"\n\nx\r\n--B--".to_owned(),
                "line",
            ),
            ("--B\r\n\r\nx\r\n--B--".to_owned(), "name"),
            (
                "--B\r\nContent-Disposition: attachment; name=\"a\"\r\n\r\nx\r\n--B--".to_owned(),
                "form-data",
            ),
            (
                "--B\r\nContent-Disposition: form-data; name=\"a\"; name=\"b\"\r\n\r\nx\r\n--B--".to_owned(),
                "twice",
            ),
            (
                format!("--B\r\nContent-Disposition: form-data; name=\"b\"\r\n{part}\r\n--B--"),
                "twice",
            ),
            (
                "--B\r\nContent-Disposition: form-data; name=\"a\";\r\n filename=\"b\"\r\n\r\nx\r\n--B--".to_owned(),
                "folded",
            ),
        ] {
            let error = parse(&body).unwrap_err();
            assert!(error.reason.contains(reason), "{body:?}: {error}");
        }
    }

    /// No body makes it panic, and what it takes has all its parts in order.
    #[test]
    fn any_cut_of_a_form_is_an_error() {
        let body = "--B\r\nContent-Disposition: form-data; name=\"a\"; filename*=UTF-8''x\r\n\r\n1\r\n--B--\r\n";
        for end in 0..body.len() - 2 {
            assert!(parse(&body[..end]).is_err(), "{:?}", &body[..end]);
        }
    }
}
