//! The bytes of a segment file; `docs/specs/durability.md` has the same as a table.
//!
//! The checksum of a record runs over the payload first and over the segment's id, the length and
//! the offset last. So the long part, over the draft, is computed before the writer's lock is
//! taken, and continued under it over the short rest.

use event::{Chain, JournalId};
use uuid::Uuid;

/// Bytes before the first record: two copies of the header, one a sector, and room to grow.
pub(crate) const HEADER_BYTES: u64 = 1024;
/// Where the second copy of the header lies.
const SECOND_COPY: usize = 512;
const COPY_BYTES: usize = 108;
const MAGIC: [u8; 8] = *b"WEIRSEG\n";
const VERSION: u32 = 1;

/// Bytes before a record's payload: length, checksum, offset.
pub(crate) const FRAME_BYTES: usize = 16;
/// The largest payload of one record.
pub const MAX_RECORD_BYTES: usize = 512 << 20;
/// What the seal adds to a draft at most: two uuids' worth of text, 20 digits, 64 hex digits.
pub(crate) const SEAL_BYTES: usize = 192;

/// What a segment file says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub journal: JournalId,
    /// Random, new for each file: part of every checksum in it.
    pub segment: Uuid,
    pub first: i64,
    /// The chain's value before the first record.
    pub chain: Chain,
    pub created_unix_nano: i64,
    /// Everything below this offset was on the device when the segment was begun: what recovery
    /// need not look at.
    pub synced: i64,
}

/// Why bytes are not a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeaderError {
    /// As preallocated: the header never reached the device.
    #[error("it is all zeros")]
    Zero,
    #[error("it does not begin as a journal segment")]
    Magic,
    #[error("format version {0} is not known here: use a newer Weir")]
    Version(u32),
    #[error("its checksum does not match")]
    Checksum,
}

impl Header {
    pub fn encode(&self) -> Vec<u8> {
        let mut copy = Vec::with_capacity(COPY_BYTES);
        copy.extend_from_slice(&MAGIC);
        copy.extend_from_slice(&VERSION.to_le_bytes());
        copy.extend_from_slice(&(HEADER_BYTES as u32).to_le_bytes());
        copy.extend_from_slice(self.journal.0.as_bytes());
        copy.extend_from_slice(self.segment.as_bytes());
        copy.extend_from_slice(&self.first.to_le_bytes());
        copy.extend_from_slice(&self.chain.0);
        copy.extend_from_slice(&self.created_unix_nano.to_le_bytes());
        copy.extend_from_slice(&self.synced.to_le_bytes());
        copy.extend_from_slice(&crc32c::crc32c(&copy).to_le_bytes());
        let mut bytes = vec![0; HEADER_BYTES as usize];
        bytes[..COPY_BYTES].copy_from_slice(&copy);
        bytes[SECOND_COPY..SECOND_COPY + COPY_BYTES].copy_from_slice(&copy);
        bytes
    }

    /// Reads the first good copy.
    pub fn decode(bytes: &[u8]) -> Result<Header, HeaderError> {
        let at = |start: usize| bytes.get(start..start + COPY_BYTES).ok_or(HeaderError::Zero);
        match at(0).and_then(decode_copy) {
            Ok(header) => Ok(header),
            Err(first) => match at(SECOND_COPY).and_then(decode_copy) {
                Ok(header) => Ok(header),
                Err(HeaderError::Zero) => Err(first),
                Err(second) => Err(if first == HeaderError::Zero { second } else { first }),
            },
        }
    }
}

fn decode_copy(copy: &[u8]) -> Result<Header, HeaderError> {
    if copy.iter().all(|b| *b == 0) {
        return Err(HeaderError::Zero);
    }
    if copy[..8] != MAGIC {
        return Err(HeaderError::Magic);
    }
    if crc32c::crc32c(&copy[..104]) != u32_at(copy, 104) {
        return Err(HeaderError::Checksum);
    }
    let version = u32_at(copy, 8);
    if version != VERSION {
        return Err(HeaderError::Version(version));
    }
    Ok(Header {
        journal: JournalId(Uuid::from_bytes(array(copy, 16))),
        segment: Uuid::from_bytes(array(copy, 32)),
        first: i64::from_le_bytes(array(copy, 48)),
        chain: Chain(array(copy, 56)),
        created_unix_nano: i64::from_le_bytes(array(copy, 88)),
        synced: i64::from_le_bytes(array(copy, 96)),
    })
}

/// The frame of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub len: u32,
    pub crc: u32,
    pub offset: i64,
}

impl Frame {
    /// Reads the first [`FRAME_BYTES`] of `bytes`.
    pub fn decode(bytes: &[u8]) -> Frame {
        Frame {
            len: u32_at(bytes, 0),
            crc: u32_at(bytes, 4),
            offset: i64::from_le_bytes(array(bytes, 8)),
        }
    }

    pub fn is_zero(&self) -> bool {
        self.len == 0 && self.crc == 0 && self.offset == 0
    }

    /// Whether `payload` is what the writer framed in segment `segment`.
    pub fn fits(&self, segment: &Uuid, payload: &[u8]) -> bool {
        payload.len() == self.len as usize
            && finish_crc(crc32c::crc32c(payload), segment, self.len, self.offset) == self.crc
    }
}

/// Completes the checksum of a payload with what places it.
pub(crate) fn finish_crc(payload_crc: u32, segment: &Uuid, len: u32, offset: i64) -> u32 {
    let mut place = [0u8; 28];
    place[..16].copy_from_slice(segment.as_bytes());
    place[16..20].copy_from_slice(&len.to_le_bytes());
    place[20..].copy_from_slice(&offset.to_le_bytes());
    crc32c::crc32c_append(payload_crc, &place)
}

/// Appends a frame and its payload to `out`: the payload is what `write` appends, `head_crc` the
/// checksum of its first `head` bytes.
pub(crate) fn put(
    out: &mut Vec<u8>,
    segment: &Uuid,
    offset: i64,
    head: usize,
    head_crc: u32,
    write: impl FnOnce(&mut Vec<u8>),
) {
    let at = out.len();
    out.extend_from_slice(&[0; FRAME_BYTES]);
    write(out);
    let payload = at + FRAME_BYTES;
    let len = (out.len() - payload) as u32;
    let crc = crc32c::crc32c_append(head_crc, &out[payload + head..]);
    out[at..at + 4].copy_from_slice(&len.to_le_bytes());
    out[at + 4..at + 8].copy_from_slice(&finish_crc(crc, segment, len, offset).to_le_bytes());
    out[at + 8..at + 16].copy_from_slice(&offset.to_le_bytes());
}

/// Frames a batch anew for another segment: same payloads, same offsets, other checksums.
pub(crate) fn reframe(batch: &mut [u8], segment: &Uuid) {
    let mut at = 0;
    while at + FRAME_BYTES <= batch.len() {
        let frame = Frame::decode(&batch[at..]);
        let payload = at + FRAME_BYTES..at + FRAME_BYTES + frame.len as usize;
        let crc = finish_crc(
            crc32c::crc32c(&batch[payload.clone()]),
            segment,
            frame.len,
            frame.offset,
        );
        batch[at + 4..at + 8].copy_from_slice(&crc.to_le_bytes());
        at = payload.end;
    }
}

/// The chain value at the end of a sealed payload.
pub(crate) fn chain_of(payload: &[u8]) -> Option<Chain> {
    let end = payload.len().checked_sub(2)?;
    let hex = payload.get(end.checked_sub(64)?..end)?;
    std::str::from_utf8(hex).ok()?.parse().ok()
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(bytes, at))
}
