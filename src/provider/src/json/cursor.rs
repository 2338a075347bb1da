//! A pull parser: the caller asks for what it expects, everything is validated on the way.

use std::borrow::Cow;
use std::ops::Range;

use super::{ErrorKind, JsonError, MAX_DEPTH, Role, TextSpan, literal};

/// What kind of value comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Object,
    Array,
    String,
    Number,
    True,
    False,
    Null,
}

/// A string literal in the document, not yet decoded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Literal {
    /// Of the opening quote.
    pub(crate) start: usize,
    /// After the closing quote.
    pub(crate) end: usize,
    pub(crate) escaped: bool,
}

impl Literal {
    pub(crate) fn range(&self) -> Range<usize> {
        self.start..self.end
    }

    pub(crate) fn text<'a>(&self, raw: &'a str) -> Cow<'a, str> {
        literal::decode(raw.get(self.start + 1..self.end - 1).unwrap_or(""), self.escaped)
    }
}

/// Progress through one array or object.
#[derive(Debug)]
pub(crate) struct Items {
    first: bool,
}

/// A position in a document.
#[derive(Debug)]
pub(crate) struct Cursor<'a> {
    raw: &'a str,
    bytes: &'a [u8],
    at: usize,
    depth: u32,
    /// Where long whole numbers stand that nobody asked for, if somebody wants to know.
    numbers: Option<Vec<Range<usize>>>,
}

/// Digits from which on a number may be one of a card, an account or a person.
const LONG_NUMBER: usize = 9;

type Result<T> = std::result::Result<T, JsonError>;

impl<'a> Cursor<'a> {
    pub(crate) fn new(raw: &'a str) -> Cursor<'a> {
        Cursor {
            raw,
            bytes: raw.as_bytes(),
            at: 0,
            depth: 0,
            numbers: None,
        }
    }

    /// One that takes down long numbers: [`Cursor::long_numbers`].
    pub(crate) fn noting_numbers(raw: &'a str) -> Cursor<'a> {
        Cursor {
            numbers: Some(Vec::new()),
            ..Cursor::new(raw)
        }
    }

    /// The whole numbers of nine or more digits that were passed over as values of no known meaning.
    pub(crate) fn long_numbers(&mut self) -> impl Iterator<Item = TextSpan<'a>> + use<'a> {
        let raw = self.raw;
        let numbers = self.numbers.as_mut().map(std::mem::take).unwrap_or_default();
        numbers.into_iter().map(move |range| TextSpan {
            text: Cow::Borrowed(raw.get(range.clone()).unwrap_or("")),
            range,
            role: Role::Other,
        })
    }

    pub(crate) fn raw(&self) -> &'a str {
        self.raw
    }

    /// The offset of the next value, once white space is skipped.
    pub(crate) fn value_start(&mut self) -> usize {
        self.space();
        self.at
    }

    /// The offset just after what was last read.
    pub(crate) fn offset(&self) -> usize {
        self.at
    }

    #[cold]
    pub(crate) fn error(&self, kind: ErrorKind) -> JsonError {
        let kind = if self.at >= self.bytes.len() && kind != ErrorKind::TooDeep {
            ErrorKind::UnexpectedEnd
        } else {
            kind
        };
        JsonError::new(kind, self.raw, self.at)
    }

    #[inline]
    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    /// The kind of the next value, by its first byte.
    #[inline]
    pub(crate) fn peek(&mut self) -> Result<Kind> {
        self.space();
        Ok(match self.bytes.get(self.at) {
            Some(b'"') => Kind::String,
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'-' | b'0'..=b'9') => Kind::Number,
            Some(b't') => Kind::True,
            Some(b'f') => Kind::False,
            Some(b'n') => Kind::Null,
            _ => return Err(self.error(ErrorKind::ExpectedValue)),
        })
    }

    /// Enters an object or array; [`Cursor::peek`] said that it is one.
    #[inline]
    pub(crate) fn enter(&mut self) -> Result<Items> {
        if self.depth >= MAX_DEPTH {
            return Err(self.error(ErrorKind::TooDeep));
        }
        self.depth += 1;
        self.at += 1;
        Ok(Items { first: true })
    }

    /// The next key of an object, or `None` once it is closed.
    #[inline]
    pub(crate) fn key(&mut self, items: &mut Items) -> Result<Option<Literal>> {
        if !self.next(items, b'}')? {
            return Ok(None);
        }
        if self.bytes.get(self.at) != Some(&b'"') {
            return Err(self.error(ErrorKind::ExpectedKey));
        }
        let key = self.literal()?;
        self.space();
        if self.bytes.get(self.at) != Some(&b':') {
            return Err(self.error(ErrorKind::ExpectedColon));
        }
        self.at += 1;
        Ok(Some(key))
    }

    /// Whether an array has another element.
    #[inline]
    pub(crate) fn element(&mut self, items: &mut Items) -> Result<bool> {
        self.next(items, b']')
    }

    #[inline]
    fn next(&mut self, items: &mut Items, close: u8) -> Result<bool> {
        self.space();
        let first = std::mem::replace(&mut items.first, false);
        match self.bytes.get(self.at) {
            Some(byte) if *byte == close => {
                self.at += 1;
                self.depth -= 1;
                Ok(false)
            }
            Some(b',') if !first => {
                self.at += 1;
                self.space();
                // A comma promises another item.
                if self.bytes.get(self.at) == Some(&close) {
                    let kind = if close == b'}' {
                        ErrorKind::ExpectedKey
                    } else {
                        ErrorKind::ExpectedValue
                    };
                    return Err(self.error(kind));
                }
                Ok(true)
            }
            Some(_) if first => Ok(true),
            _ => Err(self.error(ErrorKind::ExpectedCommaOrEnd)),
        }
    }

    /// A string; [`Cursor::peek`] said that it is one.
    #[inline]
    pub(crate) fn literal(&mut self) -> Result<Literal> {
        let start = self.at;
        match literal::scan(self.bytes, start + 1) {
            Ok((quote, escaped)) => {
                self.at = quote + 1;
                Ok(Literal {
                    start,
                    end: quote + 1,
                    escaped,
                })
            }
            Err((kind, at)) => Err(JsonError::new(kind, self.raw, at)),
        }
    }

    /// A string value as a span.
    #[inline]
    pub(crate) fn span(&mut self, role: Role) -> Result<TextSpan<'a>> {
        let literal = self.literal()?;
        Ok(TextSpan {
            range: literal.range(),
            text: literal.text(self.raw),
            role,
        })
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.bytes.get(self.at) {
            self.at += 1;
        }
        self.at - start
    }

    /// A number, as it is written.
    pub(crate) fn number(&mut self) -> Result<&'a str> {
        let start = self.at;
        if self.bytes.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        let leading_zero = self.bytes.get(self.at) == Some(&b'0');
        let whole = self.digits();
        if whole == 0 || (leading_zero && whole > 1) {
            return Err(self.error(ErrorKind::InvalidNumber));
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return Err(self.error(ErrorKind::InvalidNumber));
            }
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.bytes.get(self.at) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(self.error(ErrorKind::InvalidNumber));
            }
        }
        Ok(self.raw.get(start..self.at).unwrap_or(""))
    }

    #[inline]
    fn word(&mut self, word: &[u8]) -> Result<()> {
        if self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            self.at += word.len();
            Ok(())
        } else {
            Err(self.error(ErrorKind::ExpectedValue))
        }
    }

    /// A value that is neither text nor container.
    #[inline]
    pub(crate) fn scalar(&mut self, kind: Kind) -> Result<()> {
        match kind {
            Kind::Number => {
                let start = self.at;
                let number = self.number()?;
                let digits = number.bytes().skip_while(|byte| *byte == b'-');
                if let Some(numbers) = &mut self.numbers
                    && digits.take_while(u8::is_ascii_digit).count() >= LONG_NUMBER
                {
                    numbers.push(start..self.at);
                }
                Ok(())
            }
            Kind::True => self.word(b"true"),
            Kind::False => self.word(b"false"),
            Kind::Null => self.word(b"null"),
            Kind::String => self.literal().map(drop),
            Kind::Object | Kind::Array => self.skip(),
        }
    }

    /// Any value, validated and forgotten. Recursion ends at [`MAX_DEPTH`].
    pub(crate) fn skip(&mut self) -> Result<()> {
        match self.peek()? {
            Kind::Object => {
                let mut items = self.enter()?;
                while self.key(&mut items)?.is_some() {
                    self.skip()?;
                }
                Ok(())
            }
            Kind::Array => {
                let mut items = self.enter()?;
                while self.element(&mut items)? {
                    self.skip()?;
                }
                Ok(())
            }
            kind => self.scalar(kind),
        }
    }

    /// A whole number that is not negative; `None` for any other value.
    pub(crate) fn u64(&mut self) -> Result<Option<u64>> {
        if self.peek()? == Kind::Number {
            let digits = self.number()?;
            // Some servers write counts as 12.0.
            return Ok(digits.strip_suffix(".0").unwrap_or(digits).parse().ok());
        }
        self.skip().map(|()| None)
    }

    /// The document has ended.
    pub(crate) fn end(&mut self) -> Result<()> {
        self.space();
        if self.at == self.bytes.len() {
            return Ok(());
        }
        Err(self.error(ErrorKind::TrailingCharacters))
    }
}
