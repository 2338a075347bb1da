//! Transcripts of streams, and the messages that they must become.
//!
//! `UPDATE_GOLDEN=1 cargo test -p weir-provider` writes the expected files anew.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;

use bytes::Bytes;
use provider::openai::stream::{Assembled, Assembler, parse};
use provider::sse::{Decoder, Frame};
use serde_json::{Value, json};

fn transcripts() -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "sse"));
    files.sort();
    assert!(files.len() >= 18, "transcripts are missing");
    files
}

fn frames(stream: &[u8], chunk: usize) -> Vec<Frame> {
    let mut decoder = Decoder::new();
    let mut frames = Vec::new();
    for part in stream.chunks(chunk) {
        decoder.push(&Bytes::copy_from_slice(part), &mut frames).unwrap();
    }
    frames.extend(decoder.finish().unwrap());
    frames
}

fn assemble(frames: &[Frame]) -> Assembled {
    let mut assembler = Assembler::new();
    for frame in frames.iter().filter(|frame| !frame.is_done()) {
        if let Some(data) = frame.data() {
            assembler.push(data, &parse(data).unwrap());
        }
    }
    assembler.finish()
}

fn shown(done: &Assembled) -> Value {
    let texts: Vec<Value> = done
        .texts
        .iter()
        .map(|(choice, channel, text)| json!([choice, format!("{channel:?}"), text]))
        .collect();
    json!({
        "body": serde_json::from_str::<Value>(&done.body).unwrap(),
        "texts": texts,
        "finish_reasons": done.finish_reasons,
        "usage": format!("{:?}", done.usage),
        "id": done.id,
        "model": done.model,
        "service_tier": done.service_tier,
        "error": done.error.as_ref().map(|error| &error.message),
        "complete": done.complete,
    })
}

#[test]
fn streams_become_messages() {
    let mut wrong = Vec::new();
    for path in transcripts() {
        let stream = std::fs::read(&path).unwrap();
        let found = shown(&assemble(&frames(&stream, stream.len())));
        let golden = path.with_extension("json");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&golden, format!("{found:#}\n")).unwrap();
        }
        let expected = std::fs::read_to_string(&golden)
            .ok()
            .and_then(|text| serde_json::from_str(&text).ok());
        if expected.as_ref() != Some(&found) {
            wrong.push(format!("{}: {found:#}", golden.display()));
        }
    }
    assert!(
        wrong.is_empty(),
        "not as expected (UPDATE_GOLDEN=1 rewrites them):\n{}",
        wrong.join("\n")
    );
}

#[test]
fn the_cut_does_not_matter() {
    for path in transcripts() {
        let stream = std::fs::read(&path).unwrap();
        let whole = frames(&stream, stream.len());
        let bytes: Vec<u8> = whole.iter().flat_map(|frame| frame.raw.to_vec()).collect();
        assert_eq!(bytes, stream, "{}: every byte passes", path.display());
        for chunk in [1, 2, 3, 7, 64] {
            assert_eq!(frames(&stream, chunk), whole, "{} in chunks of {chunk}", path.display());
        }
        for at in 0..stream.len() {
            let mut decoder = Decoder::new();
            let mut cut = Vec::new();
            decoder.push(&Bytes::copy_from_slice(&stream[..at]), &mut cut).unwrap();
            decoder.push(&Bytes::copy_from_slice(&stream[at..]), &mut cut).unwrap();
            cut.extend(decoder.finish().unwrap());
            assert_eq!(cut, whole, "{} cut at {at}", path.display());
        }
    }
}

/// Any byte of a transcript replaced by another: errors are typed, and nothing panics.
#[test]
fn damage_is_survived() {
    for path in transcripts() {
        let stream = std::fs::read(&path).unwrap();
        for (at, new) in (0..stream.len()).zip(
            [b'"', b'\\', b'{', b']', b'\n', b'\r', 0xff, b'0', b',', b' ']
                .iter()
                .cycle(),
        ) {
            let mut damaged = stream.clone();
            damaged[at] = *new;
            let mut decoder = Decoder::new();
            let mut frames = Vec::new();
            let _ = decoder.push(&Bytes::from(damaged), &mut frames);
            let mut assembler = Assembler::new();
            for data in frames.iter().filter_map(Frame::data) {
                if let Ok(view) = parse(data) {
                    for span in view.pieces.iter().map(|piece| &piece.span).chain(&view.others) {
                        let literal: Result<String, _> = serde_json::from_str(&data[span.range.clone()]);
                        assert!(
                            literal.is_ok_and(|text| text == span.text) || data.contains("\\u"),
                            "{data}"
                        );
                    }
                    assembler.push(data, &view);
                }
            }
            serde_json::from_str::<Value>(&assembler.finish().body).unwrap();
        }
    }
}

/// What the streamed texts say, the assembled message says.
#[test]
fn the_message_has_every_text() {
    for path in transcripts() {
        let stream = std::fs::read(&path).unwrap();
        let done = assemble(&frames(&stream, stream.len()));
        let mut found = Vec::new();
        collect(&serde_json::from_str(&done.body).unwrap(), &mut found);
        for (choice, channel, text) in &done.texts {
            let present = text.is_empty() || found.iter().any(|known| known == text);
            // Texts in parts of parts may come as several.
            let present = present || found.concat().contains(text.as_str());
            assert!(
                present,
                "{}: {choice} {channel:?} {text:?} not in {}",
                path.display(),
                done.body
            );
        }
    }
}

fn collect(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::String(text) => out.push(text.clone()),
        Value::Array(list) => list.iter().for_each(|value| collect(value, out)),
        Value::Object(map) => map.values().for_each(|value| collect(value, out)),
        _ => {}
    }
}
