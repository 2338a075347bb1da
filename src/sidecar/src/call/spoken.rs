//! What the model said in a stream, before any guardrail: its tokens are counted from it where the provider
//! counts none, as those of a whole answer are.

use provider::openai::Channel;
use provider::openai::stream::ChunkView;

/// Bytes of text beyond which no more is kept: an answer assembled for the record has its bound, too.
const MAX_BYTES: usize = 16 << 20;

/// The texts of one stream.
#[derive(Debug, Default)]
pub struct Spoken {
    texts: Vec<(u32, Channel, String)>,
    bytes: usize,
}

impl Spoken {
    /// Takes in one frame.
    pub fn take_in(&mut self, view: &ChunkView<'_>) {
        for piece in &view.pieces {
            if self.bytes + piece.span.text.len() > MAX_BYTES {
                return;
            }
            self.bytes += piece.span.text.len();
            let same = |(choice, channel, _): &&mut (u32, Channel, String)| {
                *choice == piece.choice && *channel == piece.channel
            };
            match self.texts.iter_mut().find(same) {
                Some((_, _, text)) => text.push_str(&piece.span.text),
                None => {
                    let text = piece.span.text.clone().into_owned();
                    self.texts.push((piece.choice, piece.channel.clone(), text));
                }
            }
        }
    }

    /// Every text, as far as it came.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(|(_, _, text)| text.as_str())
    }
}
