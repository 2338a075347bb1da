//! The guarded texts of one stream: a scanner for each channel of each choice.

mod choice;
mod made;

use std::borrow::Cow;
use std::time::Instant;

use guard::{Action, Escaping, Phase, Release, Restorer, Scanner, Verdict};
use provider::json::{self, Edit, quote};
use provider::openai::Channel;
use provider::openai::stream::{ChunkView, ToolCall};
use provider::sse::Frame;

use super::findings::{Findings, Looked, Subject};
use super::guarding::Guarding;
use super::logprobs::Progress;
use super::unescape::{Escaper, Unescaper, looks_like_json};
use crate::error::CallError;
use choice::Choice;
pub use made::Made;
use made::Said;

/// All texts of one stream.
pub struct Lanes {
    guarding: Guarding,
    lanes: Vec<Lane>,
    findings: Findings,
    /// The last frame with a choice: its shape is that of the frames we make.
    template: Option<Frame>,
    choices: Vec<Choice>,
}

/// One text: what is interleaved in the stream is not read as one.
struct Lane {
    choice: u32,
    channel: Channel,
    scanner: Scanner,
    /// Puts the values of the session back.
    restorer: Option<Restorer>,
    /// Bytes of the text so far, after the white space at its beginning.
    pushed: usize,
    /// Whether what the scanner sees has another length than what came.
    unescaped: bool,
    /// Bytes of that white space.
    blank: usize,
    /// For JSON inside a string: arguments of tool calls, structured answers.
    json: Option<(Unescaper, Escaper)>,
    /// For what is kept of it, where values of the session are put back for the app.
    kept_escaper: Escaper,
    /// The last frame with a piece of this text: frames of our own are made in its shape.
    template: Frame,
    /// The app did not get that frame.
    hidden: bool,
}

/// Texts of one stream and pieces of one frame: more are no answer, and each is looked for among the others.
const MAX_TEXTS: usize = 4096;

/// What becomes of a frame.
#[derive(Debug, Default)]
pub struct Processed {
    /// Frames to give first: text that was held back and is now known to be clean.
    pub before: Vec<Made>,
    /// Edits of the frame's data; none means that it leaves as it came.
    pub edits: Vec<Edit>,
    /// The edits that give what is kept of it, where those are others.
    pub kept_edits: Option<Vec<Edit>>,
    /// All that the frame said is held back: there is nothing left to give.
    pub held: bool,
    /// A guardrail stopped the stream: of this frame nothing leaves but `before`.
    pub blocked: Option<CallError>,
}

impl Lanes {
    /// Lanes under the guardrails of a call.
    pub fn new(guarding: Guarding) -> Lanes {
        Lanes {
            guarding,
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
            .filter(|choice| !choice.ended)
            .map(|choice| choice.index)
            .collect()
    }

    /// Whether a frame brings more texts than an answer has.
    pub fn is_beyond_measure(&self, view: &ChunkView<'_>) -> bool {
        self.lanes.len() + self.choices.len() + view.pieces.len() + view.finishes.len() > MAX_TEXTS
    }

    /// Looks at one frame. `hidden`: the app does not get it, nor what is still held of its texts then.
    pub fn process(&mut self, frame: &Frame, data: &str, view: &ChunkView<'_>, hidden: bool) -> Processed {
        let began = Instant::now();
        let mut done = Processed::default();
        // The first frame of a choice may say more than its text, such as the role; for that the Responses API has
        // events of their own.
        let begun = view.event
            || view
                .pieces
                .iter()
                .all(|piece| self.choices.iter().any(|choice| choice.index == piece.choice));
        // What each piece may say now, for the case that the frame itself must not leave.
        let mut allowed: Vec<(u32, Channel, Said)> = Vec::new();
        let mut kept_edits: Vec<Edit> = Vec::new();
        let mut changed: Vec<u32> = Vec::new();
        for (at, piece) in view.pieces.iter().enumerate() {
            self.choice(piece.choice);
            let lane = self.lane(piece.choice, &piece.channel, frame);
            self.lanes[lane].hidden = hidden;
            let mut said = self.push(lane, &piece.span.text);
            let ends = view.finishes.iter().any(|(choice, _)| *choice == piece.choice);
            let last = || {
                !view.pieces[at + 1..]
                    .iter()
                    .any(|p| p.choice == piece.choice && p.channel == piece.channel)
            };
            if ends && last() {
                said.push(self.finish(lane));
            }
            let range = &piece.span.range;
            if said.app != piece.span.text {
                done.edits.push((range.clone(), quote(&said.app).into_bytes()));
                changed.push(piece.choice);
            }
            if said.kept() != piece.span.text {
                kept_edits.push((range.clone(), quote(said.kept()).into_bytes()));
            }
            allowed.push((piece.choice, piece.channel.clone(), said));
        }
        for (choice, channel) in &view.ends {
            let made = self.finish_lanes(|lane| lane.choice == *choice && lane.channel == *channel);
            done.before.extend(made);
        }
        for (choice, _) in &view.finishes {
            self.choice(*choice);
            done.before.extend(self.finish_lanes(|lane| lane.choice == *choice));
        }
        let mut matched: Vec<(usize, Vec<Verdict>)> = Vec::new();
        for span in &view.others {
            let subject = Subject {
                phase: Phase::Output,
                answer: false,
                span,
            };
            let Some(looked) = Looked::at(&self.guarding, &subject, true) else {
                continue;
            };
            self.findings.spend(looked.errors, std::time::Duration::ZERO);
            if !looked.verdicts.is_empty() {
                matched.push((span.range.start, looked.verdicts));
            }
            done.edits.extend(looked.passed.map(|new| (span.range.clone(), new)));
            kept_edits.extend(looked.kept.map(|new| (span.range.clone(), new)));
        }
        if !matched.is_empty() {
            let starts: Vec<usize> = matched.iter().map(|(start, _)| *start).collect();
            for ((_, verdicts), path) in matched.iter().zip(&json::paths(data, &starts)) {
                self.findings.add(&self.guarding, Phase::Output, path, verdicts);
            }
        }
        for range in &view.event_logprobs {
            done.edits.push((range.clone(), b"[]".to_vec()));
            kept_edits.push((range.clone(), b"[]".to_vec()));
        }
        let mut spelled = false;
        for (choice, range) in &view.logprobs {
            let edited = self.logprobs(*choice, &data[range.clone()], changed.contains(choice));
            spelled |= edited.as_deref() != Some("null");
            if let Some(edited) = edited {
                kept_edits.push((range.clone(), edited.clone().into_bytes()));
                done.edits.push((range.clone(), edited.into_bytes()));
            }
        }
        done.kept_edits = self.guarding.vault().is_some().then_some(kept_edits);
        let only_text = begun && view.finishes.is_empty() && view.ends.is_empty();
        let named = |call: &ToolCall<'_>| call.id.is_some() || call.kind.is_some() || call.name.is_some();
        let plain =
            !view.tools.iter().any(named) && view.others.is_empty() && view.usage.is_none() && !spelled && !view.extra;
        done.held = only_text
            && plain
            && view.pieces.iter().any(|piece| !piece.span.text.is_empty())
            && allowed.iter().all(|(_, _, said)| said.is_empty());
        if !view.pieces.is_empty() || !view.finishes.is_empty() || self.template.is_none() {
            self.template = Some(frame.clone());
        }
        self.findings.spend(0, began.elapsed());
        done.blocked.clone_from(&self.findings.blocked);
        if done.blocked.is_some() {
            for (choice, channel, said) in allowed.into_iter().filter(|(_, _, said)| !said.is_empty()) {
                done.before.push(Made::text(frame, choice, &channel, &said));
            }
        } else {
            for (choice, _) in &view.finishes {
                self.choice(*choice).ended = true;
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

    fn choice(&mut self, index: u32) -> &mut Choice {
        let at = match self.choices.iter().position(|choice| choice.index == index) {
            Some(at) => at,
            None => {
                self.choices.push(Choice::new(index));
                self.choices.len() - 1
            }
        };
        &mut self.choices[at]
    }

    /// What a chunk's `logprobs` may say now; `None`: as it came.
    fn logprobs(&mut self, index: u32, raw: &str, changed: bool) -> Option<String> {
        // Tokens that stand for values are not those of the text that leaves.
        if self.guarding.vault().is_some() {
            return Some("null".to_owned());
        }
        let progress = |channel: &Channel| {
            let mut lanes = self.lanes.iter();
            lanes
                .find(|lane| lane.choice == index && lane.channel == *channel)
                .map(Lane::progress)
        };
        let (content, refusal) = (progress(&Channel::Content), progress(&Channel::Refusal));
        self.choice(index).logprobs(raw, content, refusal, changed)
    }

    fn lane(&mut self, choice: u32, channel: &Channel, frame: &Frame) -> usize {
        let same = |lane: &Lane| lane.choice == choice && lane.channel == *channel;
        if let Some(at) = self.lanes.iter().position(same) {
            self.lanes[at].template = frame.clone();
            return at;
        }
        let scanner = self.guarding.scanner(Phase::Output, *channel == Channel::Content);
        let json = channel.is_arguments().then(Default::default);
        let (channel, template, pushed) = (channel.clone(), frame.clone(), 0);
        self.lanes.push(Lane {
            choice,
            channel,
            scanner,
            restorer: None,
            pushed,
            blank: 0,
            unescaped: false,
            json,
            kept_escaper: Escaper::default(),
            template,
            hidden: false,
        });
        self.lanes.len() - 1
    }

    fn push(&mut self, lane: usize, text: &str) -> Said {
        let Lane {
            scanner,
            json,
            pushed,
            unescaped,
            ..
        } = &mut self.lanes[lane];
        if *pushed == 0 && json.is_none() && looks_like_json(text) {
            *json = Some(Default::default());
        }
        let release = match json {
            Some((unescaper, _)) => {
                let seen = unescaper.push(text);
                *unescaped |= seen != text;
                scanner.push(&seen)
            }
            None => scanner.push(text),
        };
        if *pushed > 0 || !text.trim_start().is_empty() {
            *pushed += text.len();
        } else {
            self.lanes[lane].blank += text.len();
        }
        self.take(lane, release)
    }

    /// Ends a lane; later text of the same channel begins a new one.
    fn finish(&mut self, lane: usize) -> Said {
        let rest = self.lanes[lane]
            .json
            .as_mut()
            .map(|(unescaper, _)| unescaper.finish())
            .unwrap_or_default();
        let release = self.lanes[lane].scanner.push(&rest);
        let mut said = self.take(lane, release);
        let release = self.lanes[lane].scanner.finish();
        said.push(self.take(lane, release));
        let mut lane = self.lanes.remove(lane);
        if let Some(rest) = lane.restorer.as_mut().map(Restorer::finish) {
            said.app.push_str(&lane.written(&rest));
        }
        if let Some(tokens) = self.choice(lane.choice).tokens(&lane.channel) {
            tokens.end(lane.progress().length);
        }
        said
    }

    /// Ends the lanes that `which` picks; gives what they still held.
    fn finish_lanes(&mut self, which: impl Fn(&Lane) -> bool) -> Vec<Made> {
        let mut made = Vec::new();
        while let Some(at) = self.lanes.iter().position(&which) {
            let Lane {
                choice,
                channel,
                template,
                hidden,
                ..
            } = &self.lanes[at];
            let (choice, channel, template, hidden) = (*choice, channel.clone(), template.clone(), *hidden);
            let said = self.finish(at);
            if !said.is_empty() {
                // Behind a block they would spell what stays.
                let blocked = self.findings.blocked.is_some();
                let tokens = self.choice(choice).tokens(&channel).filter(|_| !blocked);
                let tokens = tokens.and_then(|tokens| tokens.release(usize::MAX));
                let text = Made::text(&template, choice, &channel, &said).with_logprobs(&channel, tokens);
                made.push(Made { hidden, ..text });
            }
        }
        made
    }

    fn take(&mut self, lane: usize, release: Release) -> Said {
        if !release.verdicts.is_empty() {
            let Lane { choice, channel, .. } = &self.lanes[lane];
            let location = format!("choices[{choice}].{}", channel.name());
            self.findings
                .add(&self.guarding, Phase::Output, &location, &release.verdicts);
            let (choice, channel) = (*choice, channel.clone());
            if let Some(tokens) = self.choice(choice).tokens(&channel) {
                let acted = release.verdicts.iter().filter(|verdict| verdict.action != Action::Flag);
                acted.for_each(|verdict| tokens.forbid(verdict.start..verdict.end));
            }
        }
        self.findings.spend(release.errors, std::time::Duration::ZERO);
        let lane = &mut self.lanes[lane];
        let Some(vault) = self.guarding.vault() else {
            let written = lane.written(&release.text).into_owned();
            let untouched = !release.blocked && release.verdicts.iter().all(|v| v.action == Action::Flag);
            let app = match &mut lane.json {
                // Whatever it is, it leaves as it came.
                Some((unescaper, _)) if untouched => unescaper.spelled(&release.text, lane.scanner.held()),
                _ => written,
            };
            return Said { app, kept: None };
        };
        let escaping = if lane.json.is_some() {
            Escaping::Json
        } else {
            Escaping::Plain
        };
        let restorer = lane.restorer.get_or_insert_with(|| vault.restorer(escaping));
        let restored = restorer.push(&release.text).into_owned();
        // Escapes are a matter of what came before, which is another text for the app than at rest.
        let kept = match &lane.json {
            Some(_) => lane.kept_escaper.push(&release.text),
            None => release.text,
        };
        let app = lane.written(&restored).into_owned();
        Said { app, kept: Some(kept) }
    }
}

impl Lane {
    fn progress(&self) -> Progress {
        let came = self.blank + self.pushed;
        Progress {
            length: if self.unescaped { usize::MAX } else { came },
            released: came.saturating_sub(self.scanner.held()),
        }
    }

    /// A released text as it is written in the frame.
    fn written<'t>(&mut self, text: &'t str) -> Cow<'t, str> {
        match &mut self.json {
            Some((_, escaper)) => escaper.push(text).into(),
            None => text.into(),
        }
    }
}
