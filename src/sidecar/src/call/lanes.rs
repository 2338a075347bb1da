//! The guarded texts of one stream: a scanner for each channel of each choice.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use guard::{Phase, Policy, Release, Scanner};
use provider::json::{Edit, quote};
use provider::openai::Channel;
use provider::openai::stream::{ChunkView, text_frame};
use provider::sse::Frame;

use super::findings::Findings;
use super::unescape::Unescaper;
use crate::error::CallError;

/// All texts of one stream.
pub struct Lanes {
    policy: Arc<Policy>,
    lanes: Vec<Lane>,
    findings: Findings,
    /// The last frame with a choice: its shape is that of the frames we make.
    template: Option<Frame>,
    /// Choices seen, and whether each has ended.
    choices: Vec<(u32, bool)>,
}

/// One text: what is interleaved in the stream is not read as one.
struct Lane {
    choice: u32,
    channel: Channel,
    scanner: Scanner,
    /// For arguments of tool calls, which are JSON inside a string.
    unescaper: Option<Unescaper>,
    /// The last frame with a piece of this text: frames of our own are made in its shape.
    template: Frame,
}

/// A frame of our own making.
#[derive(Debug)]
pub struct Made {
    /// Its data.
    pub data: String,
    /// Its bytes, in the shape of the provider's.
    pub bytes: Bytes,
}

impl Made {
    /// A frame that carries `text` for one text of the stream and nothing else.
    fn text(template: &Frame, choice: u32, channel: &Channel, text: &str) -> Made {
        let data = text_frame(template.data().unwrap_or(""), choice, channel, text);
        Made {
            bytes: template.with_data(&data),
            data,
        }
    }
}

/// What becomes of a frame.
#[derive(Debug, Default)]
pub struct Processed {
    /// Frames to give first: text that was held back and is now known to be clean.
    pub before: Vec<Made>,
    /// Edits of the frame's data; none means that it leaves as it came.
    pub edits: Vec<Edit>,
    /// A guardrail stopped the stream: of this frame nothing leaves but `before`.
    pub blocked: Option<CallError>,
}

impl Lanes {
    /// Lanes under `policy`.
    pub fn new(policy: Arc<Policy>) -> Lanes {
        Lanes {
            policy,
            lanes: Vec::new(),
            findings: Findings::default(),
            template: None,
            choices: Vec::new(),
        }
    }

    /// What was found so far.
    pub fn findings(&self) -> &Findings {
        &self.findings
    }

    /// Data of the last frame with a choice.
    pub fn template(&self) -> &str {
        self.template.as_ref().and_then(Frame::data).unwrap_or("")
    }

    /// Choices that have not ended, at least the first.
    pub fn open_choices(&self) -> Vec<u32> {
        if self.choices.is_empty() {
            return vec![0];
        }
        self.choices
            .iter()
            .filter(|(_, ended)| !ended)
            .map(|(choice, _)| *choice)
            .collect()
    }

    /// Looks at one frame.
    pub fn process(&mut self, frame: &Frame, data: &str, view: &ChunkView<'_>) -> Processed {
        let began = Instant::now();
        let mut done = Processed::default();
        // What each piece may say now, for the case that the frame itself must not leave.
        let mut allowed: Vec<(u32, Channel, String)> = Vec::new();
        let mut changed: Vec<u32> = Vec::new();
        for (at, piece) in view.pieces.iter().enumerate() {
            self.see(piece.choice);
            let lane = self.lane(piece.choice, &piece.channel, frame);
            let mut text = self.push(lane, &piece.span.text);
            let ends = view.finishes.iter().any(|(choice, _)| *choice == piece.choice);
            let last = || {
                !view.pieces[at + 1..]
                    .iter()
                    .any(|p| p.choice == piece.choice && p.channel == piece.channel)
            };
            if ends && last() {
                text.push_str(&self.finish(lane));
            }
            if text != piece.span.text {
                done.edits.push((piece.span.range.clone(), quote(&text).into_bytes()));
                changed.push(piece.choice);
            }
            allowed.push((piece.choice, piece.channel.clone(), text));
        }
        for (choice, channel) in &view.ends {
            let made = self.finish_lanes(|lane| lane.choice == *choice && lane.channel == *channel);
            done.before.extend(made);
        }
        for (choice, _) in &view.finishes {
            self.see(*choice);
            done.before.extend(self.finish_lanes(|lane| lane.choice == *choice));
        }
        for span in &view.others {
            let outcome = self.policy.scan(Phase::Output, &span.text);
            self.findings.spend(outcome.errors, std::time::Duration::ZERO);
            if !outcome.verdicts.is_empty() {
                self.findings.add(Phase::Output, &span.path(data), &outcome.verdicts);
                let redacted = outcome.redacted(&span.text);
                if redacted != span.text {
                    done.edits.push((span.range.clone(), quote(&redacted).into_bytes()));
                }
            }
        }
        for (choice, range) in &view.logprobs {
            if changed.contains(choice) {
                done.edits.push((range.clone(), b"null".to_vec()));
            }
        }
        if !view.pieces.is_empty() || !view.finishes.is_empty() || self.template.is_none() {
            self.template = Some(frame.clone());
        }
        self.findings.spend(0, began.elapsed());
        done.blocked.clone_from(&self.findings.blocked);
        if done.blocked.is_some() {
            for (choice, channel, text) in allowed.into_iter().filter(|(_, _, text)| !text.is_empty()) {
                done.before.push(Made::text(frame, choice, &channel, &text));
            }
        } else {
            for (choice, _) in &view.finishes {
                self.choices
                    .iter_mut()
                    .filter(|(c, _)| c == choice)
                    .for_each(|(_, ended)| *ended = true);
            }
        }
        done
    }

    /// The stream ends: what is still held.
    pub fn flush(&mut self) -> Processed {
        let began = Instant::now();
        let mut done = Processed {
            before: self.finish_lanes(|_| true),
            ..Processed::default()
        };
        self.findings.spend(0, began.elapsed());
        done.blocked.clone_from(&self.findings.blocked);
        done
    }

    fn see(&mut self, choice: u32) {
        if !self.choices.iter().any(|(seen, _)| *seen == choice) {
            self.choices.push((choice, false));
        }
    }

    fn lane(&mut self, choice: u32, channel: &Channel, frame: &Frame) -> usize {
        let same = |lane: &Lane| lane.choice == choice && lane.channel == *channel;
        if let Some(at) = self.lanes.iter().position(same) {
            self.lanes[at].template = frame.clone();
            return at;
        }
        let scanner = self.policy.scanner(Phase::Output);
        let unescaper = channel.is_arguments().then(Unescaper::default);
        let (channel, template) = (channel.clone(), frame.clone());
        self.lanes.push(Lane {
            choice,
            channel,
            scanner,
            unescaper,
            template,
        });
        self.lanes.len() - 1
    }

    fn push(&mut self, lane: usize, text: &str) -> String {
        let Lane { scanner, unescaper, .. } = &mut self.lanes[lane];
        let release = match unescaper {
            Some(unescaper) => scanner.push(&unescaper.push(text)),
            None => scanner.push(text),
        };
        self.take(lane, release)
    }

    /// Ends a lane; later text of the same channel begins a new one.
    fn finish(&mut self, lane: usize) -> String {
        let rest = self.lanes[lane]
            .unescaper
            .as_mut()
            .map(Unescaper::finish)
            .unwrap_or_default();
        let release = self.lanes[lane].scanner.push(&rest);
        let mut text = self.take(lane, release);
        let release = self.lanes[lane].scanner.finish();
        text.push_str(&self.take(lane, release));
        self.lanes.remove(lane);
        text
    }

    /// Ends the lanes that `which` picks; gives what they still held.
    fn finish_lanes(&mut self, which: impl Fn(&Lane) -> bool) -> Vec<Made> {
        let mut made = Vec::new();
        while let Some(at) = self.lanes.iter().position(&which) {
            let Lane {
                choice,
                channel,
                template,
                ..
            } = &self.lanes[at];
            let (choice, channel, template) = (*choice, channel.clone(), template.clone());
            let text = self.finish(at);
            if !text.is_empty() {
                made.push(Made::text(&template, choice, &channel, &text));
            }
        }
        made
    }

    fn take(&mut self, lane: usize, release: Release) -> String {
        if !release.verdicts.is_empty() {
            let Lane { choice, channel, .. } = &self.lanes[lane];
            let location = format!("choices[{choice}].{}", channel.name());
            self.findings.add(Phase::Output, &location, &release.verdicts);
        }
        self.findings.spend(release.errors, std::time::Duration::ZERO);
        release.text
    }
}
