//! Rewritten texts, and the way back from their bytes to the characters they were made of.

use super::View;

/// A stretch of a view and the stretch of the original that it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// First byte in the view.
    at: usize,
    /// Bytes in the view.
    len: usize,
    /// First byte of the original, and one past the last.
    from: usize,
    to: usize,
    /// Byte for byte; otherwise the piece stands for all of its original.
    exact: bool,
    /// What made it; `None` if every rule sees it like this anyway.
    how: Option<View>,
}

/// Maps spans of a view to spans of the original that it was made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OffsetMap {
    /// In the order of the view, without gaps. What was left out lies in no piece.
    pieces: Vec<Piece>,
}

/// Where a span comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Bytes of the original: whole characters.
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// What made the first rewritten part of it; `None` if no part is rewritten.
    pub(crate) how: Option<View>,
    /// The classes of views that it needs, as bits of [`super::ViewSet`].
    pub(crate) needs: super::ViewSet,
}

impl OffsetMap {
    /// Whether any part is more than what every rule sees anyway.
    pub(crate) fn is_rewritten(&self) -> bool {
        self.pieces.iter().any(|p| p.how.is_some())
    }

    fn end(&self) -> usize {
        self.pieces.last().map_or(0, |p| p.at + p.len)
    }

    fn push(&mut self, len: usize, (from, to): (usize, usize), exact: bool, how: Option<View>) {
        if len == 0 {
            return;
        }
        let at = self.end();
        match self.pieces.last_mut() {
            Some(last) if exact && last.exact && last.to == from && last.how == how => {
                last.len += len;
                last.to = to;
            }
            _ => self.pieces.push(Piece {
                at,
                len,
                from,
                to,
                exact,
                how,
            }),
        }
    }

    /// Adds a piece that stands for all of `range`.
    pub(crate) fn push_piece(&mut self, len: usize, range: (usize, usize), how: View) {
        self.push(len, range, false, Some(how));
    }

    fn touched(&self, start: usize, end: usize) -> &[Piece] {
        let first = self.pieces.partition_point(|p| p.at + p.len <= start);
        let count = self.pieces[first..].partition_point(|p| p.at < end);
        &self.pieces[first..first + count]
    }

    /// Whether any part is written from behind.
    pub(crate) fn is_turned(&self) -> bool {
        self.pieces.windows(2).any(|pair| pair[1].from < pair[0].from)
    }

    /// Where the bytes `start..end` of the view come from.
    pub(crate) fn origin(&self, start: usize, end: usize) -> Origin {
        let mut origin = Origin {
            start: usize::MAX,
            end: 0,
            how: None,
            needs: super::ViewSet::NONE,
        };
        for piece in self.touched(start, end.max(start + 1)) {
            let (from, to) = if piece.exact {
                let (left, right) = (start.max(piece.at) - piece.at, end.min(piece.at + piece.len) - piece.at);
                (piece.from + left, piece.from + right)
            } else {
                (piece.from, piece.to)
            };
            origin.start = origin.start.min(from);
            origin.end = origin.end.max(to);
            if let Some(how) = piece.how {
                origin.how = origin.how.or(Some(how));
                origin.needs = origin.needs.with(how);
            }
        }
        origin.start = origin.start.min(origin.end);
        origin
    }

    /// The stretches of the view that are rewritten, with `reach` bytes to both sides, merged.
    pub(crate) fn rewritten(&self, reach: usize) -> Vec<(usize, usize)> {
        let mut found: Vec<(usize, usize)> = Vec::new();
        let end = self.end();
        for piece in self.pieces.iter().filter(|p| p.how.is_some()) {
            let (from, to) = (piece.at.saturating_sub(reach), (piece.at + piece.len + reach).min(end));
            match found.last_mut() {
                Some(last) if last.1 >= from => last.1 = last.1.max(to),
                _ => found.push((from, to)),
            }
        }
        found
    }

    /// The map of a view that `later` made of this one.
    pub(crate) fn then(&self, later: &OffsetMap) -> OffsetMap {
        let mut map = OffsetMap::default();
        for piece in &later.pieces {
            if !piece.exact {
                let origin = self.origin(piece.from, piece.to);
                map.push(piece.len, (origin.start, origin.end), false, piece.how);
                continue;
            }
            for under in self.touched(piece.from, piece.to) {
                let (left, right) = (piece.from.max(under.at), piece.to.min(under.at + under.len));
                let range = if under.exact {
                    (under.from + left - under.at, under.from + right - under.at)
                } else {
                    (under.from, under.to)
                };
                map.push(right - left, range, under.exact, piece.how.or(under.how));
            }
        }
        map
    }
}

/// Builds a view from left to right out of a source text.
pub(crate) struct Rewrite<'t> {
    source: &'t str,
    text: String,
    map: OffsetMap,
    /// Up to here the source was taken over, replaced or left out.
    done: usize,
    /// Where what was replaced by nothing begins: it goes with the character behind it.
    gone: Option<(usize, View)>,
}

impl<'t> Rewrite<'t> {
    pub(crate) fn new(source: &'t str) -> Rewrite<'t> {
        Rewrite {
            source,
            text: String::new(),
            map: OffsetMap::default(),
            done: 0,
            gone: None,
        }
    }

    /// Takes the source over as it is up to `to`.
    pub(crate) fn keep(&mut self, to: usize) {
        self.keep_as(to, None);
    }

    /// The same, as part of a rewriting.
    pub(crate) fn keep_as(&mut self, to: usize, how: Option<View>) {
        if to > self.done {
            let kept = &self.source[self.done..to];
            self.text.push_str(kept);
            if let (Some((from, how)), Some(first)) = (self.gone.take(), kept.chars().next()) {
                let next = self.done + first.len_utf8();
                self.map.push(first.len_utf8(), (from, next), false, Some(how));
                self.done = next;
            }
            self.map.push(to - self.done, (self.done, to), true, how);
            self.done = to;
        }
    }

    /// Leaves the source out up to `to`.
    pub(crate) fn skip(&mut self, to: usize) {
        self.done = self.done.max(to);
    }

    /// Puts `text` in the place of the source up to `to`. Nothing before is taken over.
    pub(crate) fn put(&mut self, to: usize, text: &str, how: Option<View>) {
        if let ("", Some(how)) = (text, how) {
            self.gone.get_or_insert((self.done, how));
        } else {
            self.text.push_str(text);
            let gone = self.gone.take();
            let from = gone.map_or(self.done, |(from, _)| from);
            let exact = text.len() == 1 && to == from + 1;
            self.map
                .push(text.len(), (from, to), exact, how.or(gone.map(|(_, how)| how)));
        }
        self.done = self.done.max(to);
    }

    /// Puts `text` byte for byte in the place of the source up to `to`.
    pub(crate) fn swap(&mut self, to: usize, text: &str, how: View) {
        self.text.push_str(text);
        self.map.push(text.len(), (self.done, to), true, Some(how));
        self.done = to;
    }

    /// Puts `text` in, which stands for `range` and takes nothing away.
    pub(crate) fn insert(&mut self, text: &str, range: (usize, usize), how: View) {
        self.text.push_str(text);
        self.map.push(text.len(), range, false, Some(how));
    }

    /// Puts a nested rewriting of the source from `from` on in the place of the source up to `to`.
    pub(crate) fn put_nested(&mut self, from: usize, to: usize, text: &str, map: &OffsetMap, how: View) {
        self.text.push_str(text);
        for piece in &map.pieces {
            self.map.push(
                piece.len,
                (from + piece.from, from + piece.to),
                false,
                piece.how.or(Some(how)),
            );
        }
        self.done = self.done.max(to);
    }

    /// Whether the view so far ends with `c`.
    pub(crate) fn ends_with(&self, c: char) -> bool {
        self.text.ends_with(c)
    }

    /// Up to where the source was dealt with.
    pub(crate) fn done(&self) -> usize {
        self.done
    }

    /// The view; `None` if nothing was rewritten.
    pub(crate) fn finish(mut self) -> Option<(String, OffsetMap)> {
        if self.done == 0 && self.text.is_empty() {
            return None;
        }
        self.keep(self.source.len());
        let same = self.text == self.source;
        (!same).then_some((self.text, self.map))
    }
}
