//! HTTP by hand, so that every byte is known.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// An answer as it came.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body with its transfer coding taken off, its content coding left on.
    pub body: Vec<u8>,
    /// Whether the body came to its end.
    pub complete: bool,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    #[track_caller]
    pub fn call_id(&self) -> String {
        self.header("x-weir-call-id")
            .unwrap_or_else(|| panic!("no x-weir-call-id: {self:?}"))
            .to_owned()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }
}

/// A request whose answer's head is there, and whose body is still to be read.
pub struct Open {
    pub answer: Answer,
    reader: BufReader<TcpStream>,
}

pub fn get(addr: &str, target: &str) -> Answer {
    try_get(addr, target).unwrap()
}

pub fn try_get(addr: &str, target: &str) -> io::Result<Answer> {
    try_send(addr, "GET", target, &[], b"")?.read_all()
}

/// Posts a JSON body and reads the whole answer.
pub fn post(addr: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    open(addr, target, headers, body).read_all().unwrap()
}

/// Posts a JSON body and reads the answer's head.
pub fn open(addr: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Open {
    try_send(addr, "POST", target, headers, body).unwrap()
}

pub fn try_send(addr: &str, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Open> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut head = format!("{method} {target} HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n");
    if method != "GET" {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            head.push_str("content-type: application/json\r\n");
        }
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    // A server that refuses a body by its length answers before it is sent.
    let written = stream.write_all(body);
    open_answer(stream).map_err(|error| written.err().unwrap_or(error))
}

/// Reads the whole answer of a request that was written by hand.
pub fn read(stream: TcpStream) -> io::Result<Answer> {
    open_answer(stream)?.read_all()
}

fn open_answer(stream: TcpStream) -> io::Result<Open> {
    let mut reader = BufReader::new(stream);
    Ok(Open {
        answer: read_head(&mut reader)?,
        reader,
    })
}

fn read_head(reader: &mut impl BufRead) -> io::Result<Answer> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("no status line: {line:?}")))?;
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.trim().to_owned())),
            None => {
                return Ok(Answer {
                    status,
                    headers,
                    body: Vec::new(),
                    complete: false,
                });
            }
        }
    }
}

impl Open {
    /// Reads the next piece of the body as the transport gave it; `None` at the end, in order or not.
    pub fn next(&mut self) -> Option<Vec<u8>> {
        if self.answer.complete {
            return None;
        }
        let chunked = self
            .answer
            .header("transfer-encoding")
            .is_some_and(|coding| coding.contains("chunked"));
        let piece = if chunked { self.next_chunk() } else { self.next_plain() };
        let piece = piece.unwrap_or(None)?;
        self.answer.body.extend_from_slice(&piece);
        Some(piece)
    }

    fn next_chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        let size = line
            .trim()
            .split(';')
            .next()
            .and_then(|hex| usize::from_str_radix(hex, 16).ok());
        let size = size.ok_or_else(|| io::Error::other("no chunk size"))?;
        let mut piece = vec![0; size + 2];
        self.reader.read_exact(&mut piece)?;
        piece.truncate(size);
        self.answer.complete = size == 0;
        Ok((size > 0).then_some(piece))
    }

    fn next_plain(&mut self) -> io::Result<Option<Vec<u8>>> {
        let length = self
            .answer
            .header("content-length")
            .and_then(|length| length.parse::<usize>().ok());
        let left = length.map_or(usize::MAX, |length| length.saturating_sub(self.answer.body.len()));
        if left == 0 {
            self.answer.complete = true;
            return Ok(None);
        }
        let mut piece = vec![0; left.min(64 << 10)];
        let read = self.reader.read(&mut piece)?;
        piece.truncate(read);
        // Without a length, the connection's end is the body's.
        self.answer.complete = read == 0 && length.is_none();
        Ok((read > 0).then_some(piece))
    }

    pub fn read_all(mut self) -> io::Result<Answer> {
        while self.next().is_some() {}
        Ok(self.answer)
    }
}

/// The texts of a streamed chat answer's deltas, joined.
pub fn streamed_text(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let frames = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .filter(|data| *data != "[DONE]");
    frames
        .filter_map(|data| serde_json::from_str::<serde_json::Value>(data).ok())
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned))
        .collect()
}
