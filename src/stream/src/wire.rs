//! A record as a Kafka message: key, headers, and the parts of one that is too long.

use std::ops::Range;

use event::JournalId;
use rdkafka::message::{Header, Headers, OwnedHeaders};

/// Headers of each message.
mod name {
    /// The event's type; [`super::UNREADABLE`] for bytes that the journal could not read.
    pub(super) const TYPE: &str = "type";
    /// The event's schema version.
    pub(super) const VERSION: &str = "v";
    /// `application/json`.
    pub(super) const CONTENT_TYPE: &str = "content-type";
    /// The record's offset in its journal, in decimal.
    pub(super) const OFFSET: &str = "offset";
    /// `900000/2400000`: these bytes start there in a record of that length.
    pub(super) const PART: &str = "part";
    /// The journal's first offset that is shipped at all, on that record.
    pub(super) const BEGINS: &str = "begins";
    /// Why a record is unreadable.
    pub(super) const WHY: &str = "why";
}

/// The type of a record that the journal could not read.
pub(crate) const UNREADABLE: &str = "unreadable";
/// Bytes that key and headers of a message take at most, beside the record itself.
pub(crate) const OVERHEAD: usize = 1024;

/// Which bytes of a record a message carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Where they start.
    pub(crate) start: u32,
    /// The length of the whole record.
    pub(crate) length: u32,
}

/// What a message's key and headers say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Label {
    pub(crate) journal_id: JournalId,
    pub(crate) offset: i64,
    pub(crate) part: Option<Part>,
    pub(crate) begins: bool,
    /// Set if the bytes are no event: why.
    pub(crate) unreadable: Option<String>,
}

impl Label {
    /// The headers of a message that carries (a part of) `payload`.
    pub(crate) fn headers(&self, payload: &[u8]) -> OwnedHeaders {
        let mut digits = [0; 20];
        let mut headers = OwnedHeaders::new_with_capacity(7);
        let (event_type, version) = match self.unreadable {
            Some(_) => (UNREADABLE, None),
            None => peek(payload),
        };
        headers = headers.insert(text(name::TYPE, event_type));
        if let Some(version) = version {
            headers = headers.insert(text(name::VERSION, version));
        }
        headers = headers
            .insert(text(name::CONTENT_TYPE, "application/json"))
            .insert(text(name::OFFSET, decimal(self.offset, &mut digits)));
        if let Some(part) = self.part {
            headers = headers.insert(text(name::PART, &format!("{}/{}", part.start, part.length)));
        }
        if self.begins {
            headers = headers.insert(text(name::BEGINS, decimal(self.offset, &mut digits)));
        }
        if let Some(why) = &self.unreadable {
            // Long enough to say what it is, short enough for `OVERHEAD`.
            let end = (0..=why.len().min(400))
                .rev()
                .find(|at| why.is_char_boundary(*at))
                .unwrap_or(0);
            headers = headers.insert(text(name::WHY, &why[..end]));
        }
        headers
    }

    /// Reads key and headers; an error says why the message is none of ours.
    pub(crate) fn read<H: Headers>(key: Option<&[u8]>, headers: Option<&H>) -> Result<Label, String> {
        let key = key.and_then(|key| std::str::from_utf8(key).ok());
        let journal_id = (key.and_then(|key| key.parse().ok())).ok_or("its key is no journal's id")?;
        let mut label = Label {
            journal_id,
            offset: -1,
            part: None,
            begins: false,
            unreadable: None,
        };
        let (mut is_unreadable, mut why) = (false, String::new());
        for header in headers.into_iter().flat_map(Headers::iter) {
            let value = header
                .value
                .and_then(|value| std::str::from_utf8(value).ok())
                .unwrap_or_default();
            match header.key {
                name::OFFSET => label.offset = value.parse().unwrap_or(-1),
                name::PART => label.part = Some(part(value).ok_or("its header `part` is not of the form 0/1")?),
                name::BEGINS => label.begins = true,
                name::TYPE => is_unreadable = value == UNREADABLE,
                name::WHY => why = value.to_owned(),
                _ => {}
            }
        }
        if label.offset < 0 {
            return Err("it has no header `offset`".to_owned());
        }
        label.unreadable = is_unreadable.then_some(why);
        Ok(label)
    }

    /// Itself, if these may be the bytes that it speaks of; an error says why the message is none of ours.
    pub(crate) fn fitting(self, payload: &[u8]) -> Result<Label, String> {
        match self.part {
            Some(part) if payload.is_empty() || payload.len() > (part.length - part.start) as usize => {
                Err("its bytes do not fit its header `part`".to_owned())
            }
            _ => Ok(self),
        }
    }
}

fn part(value: &str) -> Option<Part> {
    let (start, length) = value.split_once('/')?;
    let (start, length) = (start.parse::<u32>().ok()?, length.parse::<u32>().ok()?);
    (start < length && length as usize <= journal::MAX_RECORD_BYTES).then_some(Part { start, length })
}

fn text<'a>(key: &'a str, value: &'a str) -> Header<'a, &'a str> {
    Header {
        key,
        value: Some(value),
    }
}

fn decimal(value: i64, digits: &mut [u8; 20]) -> &str {
    use std::io::Write as _;
    let mut rest = &mut digits[..];
    // Twenty bytes hold every i64.
    let _ = write!(rest, "{value}");
    let length = 20 - rest.len();
    std::str::from_utf8(&digits[..length]).unwrap_or_default()
}

/// Type and version of an event, from the first bytes of its JSON: both stand before anything whose
/// content others choose.
fn peek(payload: &[u8]) -> (&str, Option<&str>) {
    let head = &payload[..payload.len().min(256)];
    let version = head
        .strip_prefix(br#"{"v":"#)
        .and_then(|rest| rest.split(|byte| *byte == b',').next());
    let event_type = memchr::memmem::find(head, br#""type":""#)
        .and_then(|at| head.get(at + 8..))
        .and_then(|rest| rest.split(|byte| *byte == b'"').next());
    (
        event_type
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .unwrap_or("unknown"),
        version.and_then(|bytes| std::str::from_utf8(bytes).ok()),
    )
}

/// The parts of a record of `length` bytes where a message may carry `limit`: whether it is the last,
/// which part it is if there are several, and its bytes.
pub(crate) fn pieces(length: usize, limit: usize) -> impl Iterator<Item = (bool, Option<Part>, Range<usize>)> {
    let limit = limit.max(1);
    let of = length.div_ceil(limit).max(1);
    (0..of).map(move |index| {
        let part = (of > 1).then(|| Part {
            // A record is 512 MiB at most.
            start: u32::try_from(index * limit).unwrap_or(u32::MAX),
            length: u32::try_from(length).unwrap_or(u32::MAX),
        });
        (index + 1 == of, part, index * limit..((index + 1) * limit).min(length))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label() -> Label {
        Label {
            journal_id: JournalId::new(),
            offset: 4_711,
            part: None,
            begins: false,
            unreadable: None,
        }
    }

    fn read(label: &Label, payload: &[u8]) -> Label {
        let headers = label.headers(payload);
        Label::read(Some(label.journal_id.to_string().as_bytes()), Some(&headers)).unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        let payload = br#"{"v":1,"event_id":"0","type":"call.started","body":{}}"#;
        let plain = label();
        assert_eq!(read(&plain, payload), plain);
        let part = Label {
            part: Some(Part {
                start: 900,
                length: 7_000,
            }),
            begins: true,
            offset: i64::MAX,
            ..label()
        };
        assert_eq!(read(&part, payload), part);
        let broken = Label {
            unreadable: Some("a record is torn".to_owned()),
            ..label()
        };
        assert_eq!(read(&broken, b"\xff\xfe"), broken);
        let headers = plain.headers(payload);
        let values: Vec<_> = (headers.iter())
            .map(|h| (h.key.to_owned(), String::from_utf8(h.value.unwrap().to_vec()).unwrap()))
            .collect();
        assert_eq!(
            values[..2],
            [
                ("type".to_owned(), "call.started".to_owned()),
                ("v".to_owned(), "1".to_owned())
            ]
        );
    }

    #[test]
    fn strangers_are_told_apart() {
        let headers = OwnedHeaders::new();
        assert!(
            Label::read(Some(b"not an id"), Some(&headers))
                .unwrap_err()
                .contains("key")
        );
        let key = JournalId::new().to_string();
        assert!(
            Label::read(Some(key.as_bytes()), Some(&headers))
                .unwrap_err()
                .contains("offset")
        );
        assert!(Label::read::<OwnedHeaders>(None, None).is_err());
        assert_eq!(part("3/3"), None);
        assert_eq!(part("-1/3"), None);
        assert_eq!(part("0/536870913"), None, "no journal has such a record");
        let label = Label {
            part: part("3/9"),
            ..label()
        };
        assert_eq!(label.clone().fitting(b"123456"), Ok(label.clone()));
        assert!(label.clone().fitting(b"1234567").is_err() && label.fitting(b"").is_err());
    }

    #[test]
    fn pieces_cover_the_record() {
        for length in [0, 1, 9, 10, 11, 100, 101] {
            let mut end = 0;
            let mut count = 0;
            for (last, part, range) in pieces(length, 10) {
                assert_eq!((range.start, last), (end, range.end == length));
                assert_eq!(part.is_some(), length > 10);
                end = range.end;
                count += 1;
            }
            assert_eq!(end, length);
            assert_eq!(count, length.div_ceil(10).max(1));
        }
    }
}
