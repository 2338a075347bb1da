use event::{Chain, JournalId};
use proptest::prelude::*;
use uuid::Uuid;

use crate::format::{self, FRAME_BYTES, Frame, Header};

#[test]
fn the_bytes_are_those_of_the_specification() {
    let header = Header {
        journal: JournalId(Uuid::from_u128(0x0102)),
        segment: Uuid::from_u128(0x0304),
        first: 7,
        chain: Chain([9; 32]),
        created_unix_nano: 11,
        synced: 13,
    };
    let bytes = header.encode();
    assert_eq!(bytes.len(), 1024);
    assert_eq!(&bytes[..8], b"WEIRSEG\n");
    assert_eq!(&bytes[8..16], [1, 0, 0, 0, 0, 4, 0, 0]);
    assert_eq!(
        (bytes[31], bytes[47], bytes[48], bytes[56], bytes[88]),
        (2, 4, 7, 9, 11)
    );
    assert_eq!(bytes[..108], bytes[512..620]);
    assert_eq!(Header::decode(&bytes), Ok(header));

    let mut out = Vec::new();
    format::put(&mut out, &header.segment, 5, 0, 0, |out| out.extend_from_slice(b"{}"));
    assert_eq!(out[..4], [2, 0, 0, 0]);
    assert_eq!(out[8..], [5, 0, 0, 0, 0, 0, 0, 0, b'{', b'}']);
    let summed: Vec<u8> = [b"{}".as_slice(), header.segment.as_bytes(), &out[..4], &out[8..16]].concat();
    assert_eq!(out[4..8], crc32c::crc32c(&summed).to_le_bytes());
}

proptest! {
    #[test]
    fn a_record_parses_in_its_own_segment_alone(payload in prop::collection::vec(any::<u8>(), 1..300), head in 0usize..300, offset in 0i64..) {
        let (own, other) = (Uuid::now_v7(), Uuid::now_v7());
        let head = head.min(payload.len());
        let mut out = Vec::new();
        format::put(&mut out, &own, offset, head, crc32c::crc32c(&payload[..head]), |out| out.extend_from_slice(&payload));
        let frame = Frame::decode(&out);
        prop_assert_eq!(frame.offset, offset);
        prop_assert!(frame.fits(&own, &out[FRAME_BYTES..]));
        prop_assert!(!frame.fits(&other, &out[FRAME_BYTES..]));
        format::reframe(&mut out, &other);
        prop_assert!(Frame::decode(&out).fits(&other, &out[FRAME_BYTES..]));
    }
}
