//! The texts of many rows in few large buffers, which the columns of both tables share.
//!
//! A text is stored once however many columns show it, and what repeats from row to row is stored
//! once for the run.

use std::sync::Arc;

use arrow::array::builder::{NullBufferBuilder, make_view};
use arrow::array::{ArrayRef, BinaryViewArray, StringViewArray};
use arrow::buffer::{Buffer, ScalarBuffer};
use arrow::error::ArrowError;

/// Bytes of a buffer, unless a single text is longer. All of one size: nothing is copied when there are
/// more texts than was thought, and what is given back fits whatever comes next.
const BLOCK_BYTES: usize = 128 << 10;
/// Shorter texts stand in the view itself.
pub(crate) const INLINE: usize = 12;

/// Buffers being filled.
#[derive(Debug)]
pub(crate) struct Arena {
    closed: Vec<Buffer>,
    /// Bytes of these.
    closed_bytes: usize,
    open: Vec<u8>,
}

/// Where a text lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    block: usize,
    at: usize,
    len: usize,
}

impl Place {
    /// A part of this text.
    pub(crate) fn part(self, at: usize, len: usize) -> Place {
        Place {
            at: self.at + at,
            len,
            ..self
        }
    }
}

impl Arena {
    /// An empty arena.
    pub(crate) fn new() -> Arena {
        Arena {
            closed: Vec::new(),
            closed_bytes: 0,
            open: Vec::new(),
        }
    }

    /// Bytes of its texts.
    pub(crate) fn bytes(&self) -> usize {
        self.closed_bytes + self.open.len()
    }

    fn put(&mut self, text: &[u8]) -> Place {
        if self.open.len() + text.len() > self.open.capacity() {
            let block = Vec::with_capacity(text.len().max(BLOCK_BYTES));
            let full = std::mem::replace(&mut self.open, block);
            if !full.is_empty() {
                self.closed_bytes += full.len();
                self.closed.push(full.into());
            }
        }
        let at = self.open.len();
        self.open.extend_from_slice(text);
        Place {
            block: self.closed.len(),
            at,
            len: text.len(),
        }
    }

    fn text(&self, place: Place) -> &[u8] {
        let block = (self.closed.get(place.block)).map_or(self.open.as_slice(), Buffer::as_slice);
        block.get(place.at..place.at + place.len).unwrap_or_default()
    }

    /// What the columns share.
    pub(crate) fn finish(mut self) -> Arc<[Buffer]> {
        // Few texts, from a source that has little to give: they may be held for a while.
        if self.open.len() < self.open.capacity() / 2 {
            self.open.shrink_to_fit();
        }
        self.closed.push(self.open.into());
        self.closed.into()
    }
}

/// One column of texts (or bytes) that lie in an [`Arena`].
#[derive(Debug)]
pub(crate) struct Column {
    views: Vec<u128>,
    nulls: NullBufferBuilder,
    last: Option<Place>,
}

impl Column {
    pub(crate) fn new() -> Column {
        Column {
            views: Vec::new(),
            nulls: NullBufferBuilder::new(0),
            last: None,
        }
    }

    /// Adds a text; returns where it lies, if not in the view.
    pub(crate) fn append(&mut self, arena: &mut Arena, text: &[u8]) -> Option<Place> {
        let place = (text.len() > INLINE).then(|| match self.last {
            Some(last) if last.len == text.len() && arena.text(last) == text => last,
            _ => arena.put(text),
        });
        match place {
            Some(place) => self.append_place(arena, place),
            None => {
                self.views.push(make_view(text, 0, 0));
                self.nulls.append_non_null();
            }
        }
        place
    }

    /// Adds what lies in the arena already. It has to be longer than what a view holds.
    pub(crate) fn append_place(&mut self, arena: &Arena, place: Place) {
        // A block is far smaller than 4 GiB, and so many blocks would be 2^58 bytes.
        let block = u32::try_from(place.block).unwrap_or(u32::MAX);
        let at = u32::try_from(place.at).unwrap_or(u32::MAX);
        self.views.push(make_view(arena.text(place), block, at));
        self.nulls.append_non_null();
        self.last = (place.len > INLINE).then_some(place);
    }

    pub(crate) fn append_null(&mut self) {
        self.views.push(0);
        self.nulls.append_null();
    }

    pub(crate) fn append_option(&mut self, arena: &mut Arena, text: Option<&str>) {
        match text {
            Some(text) => drop(self.append(arena, text.as_bytes())),
            None => self.append_null(),
        }
    }

    /// The column as text. Arrow checks every view and its UTF-8.
    pub(crate) fn strings(mut self, buffers: &Arc<[Buffer]>) -> Result<ArrayRef, ArrowError> {
        let views = ScalarBuffer::from(self.views);
        let array = StringViewArray::try_new(views, buffers.clone(), self.nulls.finish())?;
        Ok(Arc::new(array))
    }

    /// The column as bytes.
    pub(crate) fn binary(mut self, buffers: &Arc<[Buffer]>) -> Result<ArrayRef, ArrowError> {
        let views = ScalarBuffer::from(self.views);
        let array = BinaryViewArray::try_new(views, buffers.clone(), self.nulls.finish())?;
        Ok(Arc::new(array))
    }
}
