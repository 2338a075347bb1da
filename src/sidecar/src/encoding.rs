//! Content codings: bodies are decoded for inspection and travel on as they came.

use std::borrow::Cow;
use std::io::{self, Read, Write};

use http::header::{self, HeaderMap};

/// Compressed bytes that a stream's decoder takes at a time.
const STEP_BYTES: usize = 1024;
/// What one piece of a compressed stream may unfold into.
const MAX_PIECE_BYTES: usize = 16 << 20;

/// A content coding that Weir can look through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// No coding.
    Identity,
    /// gzip, or the deflate of RFC 9110 (zlib).
    Gzip,
    /// zlib.
    Deflate,
    /// Brotli.
    Brotli,
    /// Zstandard.
    Zstd,
}

impl Coding {
    /// The coding of a message; `Err` names one that Weir cannot look through.
    pub fn of(headers: &HeaderMap) -> Result<Coding, String> {
        let mut values = headers.get_all(header::CONTENT_ENCODING).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return match headers.contains_key(header::CONTENT_ENCODING) {
                true => Err("several codings".to_owned()),
                false => Ok(Coding::Identity),
            };
        };
        match value.to_str().unwrap_or("?").trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(Coding::Identity),
            "gzip" | "x-gzip" => Ok(Coding::Gzip),
            "deflate" => Ok(Coding::Deflate),
            "br" => Ok(Coding::Brotli),
            "zstd" => Ok(Coding::Zstd),
            other => Err(other.to_owned()),
        }
    }

    /// `body` decoded, at most `limit` bytes of it: a small body must not unfold into a large one.
    pub fn decode(self, body: &[u8], limit: usize) -> Result<Cow<'_, [u8]>, DecodeError> {
        let reader: Box<dyn Read + '_> = match self {
            Coding::Identity => return Ok(Cow::Borrowed(body)),
            Coding::Gzip => Box::new(flate2::read::MultiGzDecoder::new(body)),
            Coding::Deflate => Box::new(flate2::read::ZlibDecoder::new(body)),
            Coding::Brotli => Box::new(brotli::Decompressor::new(body, 4096)),
            Coding::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(body)?),
        };
        let mut out = Vec::new();
        reader.take(limit as u64 + 1).read_to_end(&mut out)?;
        if out.len() > limit {
            return Err(DecodeError::TooLarge { limit });
        }
        Ok(Cow::Owned(out))
    }

    /// A decoder for a body that arrives in pieces; `None` for no coding.
    pub fn decoder(self) -> io::Result<Option<StreamDecoder>> {
        let sink = Sink::default();
        let inner = match self {
            Coding::Identity => return Ok(None),
            Coding::Gzip => Inner::Gzip(flate2::write::MultiGzDecoder::new(sink)),
            Coding::Deflate => Inner::Deflate(flate2::write::ZlibDecoder::new(sink)),
            Coding::Brotli => Inner::Brotli(Box::new(brotli::DecompressorWriter::new(sink, 4096))),
            Coding::Zstd => Inner::Zstd(zstd::stream::write::Decoder::new(sink)?),
        };
        Ok(Some(StreamDecoder { inner }))
    }
}

/// Why a body cannot be decoded.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// It unfolds into too much.
    #[error("it unfolds into more than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// It is not what its coding says.
    #[error("{0}")]
    Corrupt(#[from] io::Error),
}

/// Decodes a body piece by piece.
pub struct StreamDecoder {
    inner: Inner,
}

enum Inner {
    Gzip(flate2::write::MultiGzDecoder<Sink>),
    Deflate(flate2::write::ZlibDecoder<Sink>),
    Brotli(Box<brotli::DecompressorWriter<Sink>>),
    Zstd(zstd::stream::write::Decoder<'static, Sink>),
}

/// What a step unfolds into, up to the bound: a KiB of Brotli may be hundreds of MiB.
#[derive(Default)]
struct Sink(Vec<u8>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_PIECE_BYTES {
            let message = "a piece of the stream unfolds into more than 16 MiB";
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl StreamDecoder {
    /// What `piece` unfolds into now.
    pub fn push(&mut self, piece: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Sink::default();
        // In small steps: what a piece says leaves as soon as it is there.
        for step in piece.chunks(STEP_BYTES) {
            macro_rules! step {
                ($decoder:expr) => {{
                    $decoder.write_all(step)?;
                    $decoder.flush()?;
                    std::mem::take(&mut $decoder.get_mut().0)
                }};
            }
            let plain = match &mut self.inner {
                Inner::Gzip(decoder) => step!(decoder),
                Inner::Deflate(decoder) => step!(decoder),
                Inner::Brotli(decoder) => step!(decoder),
                Inner::Zstd(decoder) => step!(decoder),
            };
            out.write_all(&plain)?;
        }
        Ok(out.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(coding: Coding, body: &[u8]) -> Vec<u8> {
        match coding {
            Coding::Identity => body.to_vec(),
            Coding::Gzip => {
                let mut e = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                e.write_all(body).unwrap();
                e.finish().unwrap()
            }
            Coding::Deflate => {
                let mut e = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
                e.write_all(body).unwrap();
                e.finish().unwrap()
            }
            Coding::Brotli => {
                let mut out = Vec::new();
                brotli::CompressorWriter::new(&mut out, 4096, 5, 20)
                    .write_all(body)
                    .unwrap();
                out
            }
            Coding::Zstd => zstd::encode_all(body, 1).unwrap(),
        }
    }

    #[test]
    fn every_coding_whole_and_cut_at_every_byte() {
        let body = "data: {\"a\":\"zażółć\"}\n\n".repeat(20).into_bytes();
        for coding in [
            Coding::Identity,
            Coding::Gzip,
            Coding::Deflate,
            Coding::Brotli,
            Coding::Zstd,
        ] {
            let coded = encode(coding, &body);
            assert_eq!(
                coding.decode(&coded, body.len()).unwrap(),
                body.as_slice(),
                "{coding:?}"
            );
            assert!(coding == Coding::Identity || coding.decode(&coded, body.len() - 1).is_err());
            let Some(_) = coding.decoder().unwrap() else { continue };
            for cut in 0..=coded.len() {
                let mut decoder = coding.decoder().unwrap().unwrap();
                let mut out = decoder.push(&coded[..cut]).unwrap();
                out.extend(decoder.push(&coded[cut..]).unwrap());
                assert_eq!(out, body, "{coding:?} cut at {cut}");
            }
        }
    }
}
