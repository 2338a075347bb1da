use proptest::prelude::*;

use super::*;

fn whole(stream: &[u8]) -> (Vec<Frame>, Option<Frame>) {
    let mut decoder = Decoder::new();
    let mut frames = Vec::new();
    decoder.push(&Bytes::copy_from_slice(stream), &mut frames).unwrap();
    (frames, decoder.finish().unwrap())
}

fn cut(stream: &[u8], sizes: &[usize]) -> Result<(Vec<Frame>, Option<Frame>), SseError> {
    let mut decoder = Decoder::new();
    let mut frames = Vec::new();
    let mut rest = stream;
    for size in sizes.iter().chain(std::iter::once(&usize::MAX)) {
        let (chunk, tail) = rest.split_at((*size).min(rest.len()));
        decoder.push(&Bytes::copy_from_slice(chunk), &mut frames)?;
        rest = tail;
    }
    decoder.finish().map(|tail| (frames, tail))
}

#[test]
fn fields() {
    let (frames, tail) =
        whole(b"\xef\xbb\xbfevent: ping\ndata: {\"a\":1}\nid: 7\n\n: comment\n\ndata:x\ndata: y\ndata\n\n");
    assert_eq!(tail, None);
    assert_eq!(frames.len(), 3);
    assert_eq!((frames[0].event(), frames[0].data()), (Some("ping"), Some("{\"a\":1}")));
    assert_eq!(&frames[0].raw[frames[0].data_range.clone().unwrap()], b"{\"a\":1}");
    assert_eq!((frames[1].event(), frames[1].data()), (None, None));
    assert_eq!((frames[2].data(), &frames[2].data_range), (Some("x\ny\n"), &None));
    assert_eq!(frames[2].with_data("z\nw"), "data: z\ndata: w\n\n");
}

#[test]
fn line_ends() {
    for end in ["\n", "\r\n", "\r"] {
        let stream = format!("data: é{end}{end}data: [DONE]{end}{end}");
        let (frames, tail) = whole(stream.as_bytes());
        let all: Vec<Frame> = frames.into_iter().chain(tail).collect();
        assert_eq!(all.len(), 2, "{end:?}");
        assert_eq!(all[0].data(), Some("é"));
        assert!(all[1].is_done() && all[1].complete, "{end:?}");
    }
}

#[test]
fn a_frame_within_one_chunk_is_not_copied() {
    let chunk = Bytes::from_static(b"data: a\n\ndata: b\n\n");
    let mut frames = Vec::new();
    Decoder::new().push(&chunk, &mut frames).unwrap();
    assert_eq!(frames[1].raw.as_ptr(), chunk[9..].as_ptr());
}

#[test]
fn what_never_ended_can_be_ended() {
    for end in ["", "\n", "\r\n", "\r", "\n\n", "\r\n\r\n", "\r\r"] {
        let (frames, tail) = whole(format!("data: a{end}").as_bytes());
        let frame = frames.into_iter().chain(tail).next().unwrap().completed();
        assert!(frame.complete && frame.data() == Some("a"), "{end:?}");
        // What follows is a frame of its own.
        let (frames, tail) = whole(&[&frame.raw[..], b"data: b\n\n"].concat());
        assert_eq!((frames.len(), frames[0].data(), tail), (2, Some("a"), None), "{end:?}");
    }
}

#[test]
fn what_never_ended_is_given_out_at_the_end() {
    let (frames, tail) = whole(b"data: a\n\ndata: {\"half\"");
    assert_eq!(frames.len(), 1);
    let tail = tail.unwrap();
    assert_eq!((tail.data(), tail.complete), (Some("{\"half\""), false));
    assert_eq!(&tail.raw[..], b"data: {\"half\"");
}

#[test]
fn too_large_and_not_utf8() {
    let mut decoder = Decoder::with_limit(16);
    let mut frames = Vec::new();
    decoder
        .push(&Bytes::from_static(b"data: a\n\ndata: 01234567"), &mut frames)
        .unwrap();
    let error = decoder.push(&Bytes::from_static(b"8901"), &mut frames).unwrap_err();
    assert_eq!(
        (error.clone(), frames.len()),
        (SseError::FrameTooLarge { limit: 16 }, 1)
    );
    assert_eq!(decoder.push(&Bytes::from_static(b"\n\n"), &mut frames), Err(error));

    let mut decoder = Decoder::new();
    let error = decoder
        .push(&Bytes::from_static(b"data: a\n\ndata: \xff\n\n"), &mut frames)
        .unwrap_err();
    assert_eq!(error, SseError::NotUtf8 { offset: 15 });

    let mut decoder = Decoder::new();
    decoder.push(&Bytes::from_static(b"data: \xc3"), &mut frames).unwrap();
    assert_eq!(decoder.finish(), Err(SseError::NotUtf8 { offset: 6 }));
}

#[test]
fn data_is_replaced_in_place() {
    let (frames, _) = whole(b"id: 1\r\ndata: {\"a\":\"b\"}\r\nretry: 5\r\n\r\n");
    let frame = &frames[0];
    assert_eq!(frame.with_data("{}"), "id: 1\r\ndata: {}\r\nretry: 5\r\n\r\n");
    assert_eq!(
        frame.splice_data(&mut [(5..8, b"\"long\"".to_vec())]),
        "id: 1\r\ndata: {\"a\":\"long\"}\r\nretry: 5\r\n\r\n"
    );
    assert_eq!(encode(Some("x"), "a\r\nb"), "event: x\ndata: a\ndata: b\n\n");
}

/// Streams with every line end, blank lines, comments, BOMs, multi-byte text and multi-line data.
fn stream() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        Just(String::new()),
        Just("data: {\"x\":\"é漢🦀\"}".to_owned()),
        Just("data".to_owned()),
        Just(": keep-alive".to_owned()),
        Just("event: e".to_owned()),
        "data: ?[a-zé🦀:\u{feff}]{0,6}",
        "[^\r\n]{0,8}",
    ];
    let end = prop_oneof![
        Just("\n"),
        Just("\r\n"),
        Just("\r"),
        Just("\n\n"),
        Just("\r\n\r\n"),
        Just("\r\r")
    ];
    (any::<bool>(), prop::collection::vec((line, end), 0..12)).prop_map(|(bom, lines)| {
        let mut out = String::from(if bom { "\u{feff}" } else { "" });
        lines.iter().for_each(|(line, end)| out.extend([line.as_str(), end]));
        out
    })
}

proptest! {
    #[test]
    fn cuts_change_nothing(stream in stream(), sizes in prop::collection::vec(0usize..9, 0..40)) {
        let expected = whole(stream.as_bytes());
        prop_assert_eq!(cut(stream.as_bytes(), &sizes).unwrap(), expected.clone());
        let every_byte = vec![1; stream.len()];
        prop_assert_eq!(cut(stream.as_bytes(), &every_byte).unwrap(), expected);
    }

    #[test]
    fn every_byte_is_given_out_once(stream in stream()) {
        let (frames, tail) = whole(stream.as_bytes());
        let out: Vec<u8> = frames.iter().chain(&tail).flat_map(|frame| frame.raw.to_vec()).collect();
        prop_assert_eq!(out, stream.as_bytes());
    }

    #[test]
    fn any_bytes_never_panic(stream in prop::collection::vec(any::<u8>(), 0..200), sizes in prop::collection::vec(0usize..9, 0..40)) {
        let _ = cut(&stream, &sizes);
    }

    #[test]
    fn what_we_encode_we_decode(data in "[^\r]{0,40}") {
        let (frames, tail) = whole(&encode(Some("e"), &data));
        prop_assert_eq!(tail, None);
        prop_assert_eq!(frames.len(), 1);
        prop_assert_eq!((frames[0].event(), frames[0].data()), (Some("e"), Some(data.as_str())));
    }
}
