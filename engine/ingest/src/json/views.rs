//! Text and bytes as Arrow views, written directly.
//!
//! **Invariants**
//! 1. A view of up to 12 bytes holds them; a longer one points into a data buffer at the place where exactly these bytes
//!    were written.
//! 2. No data buffer passes [`BUFFER_BYTES_MAX`], so every offset fits a view.

use std::sync::Arc;

use arrow_array::builder::make_view;
use arrow_array::{ArrayRef, BinaryViewArray, StringViewArray};
use arrow_buffer::{Buffer, NullBufferBuilder, ScalarBuffer};

/// Offsets into a data buffer are signed 32-bit to other readers of Arrow.
const BUFFER_BYTES_MAX: usize = i32::MAX as usize;

/// Longest value that needs no data buffer.
const INLINE_BYTES_MAX: usize = 12;

/// What the values are; all text is pushed from `str`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Text,
    Bytes,
}

/// A column of texts or byte strings under construction.
#[derive(Debug)]
pub(crate) struct Views {
    kind: Kind,
    views: Vec<u128>,
    data: Vec<u8>,
    full: Vec<Buffer>,
    nulls: NullBufferBuilder,
}

impl Views {
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, views: Vec::new(), data: Vec::new(), full: Vec::new(), nulls: NullBufferBuilder::new(0) }
    }

    pub(crate) fn len(&self) -> usize {
        self.views.len()
    }

    #[inline]
    pub(crate) fn push(&mut self, value: &[u8]) {
        let view = self.view(value);
        self.views.push(view);
        self.nulls.append_non_null();
    }

    /// Whether two of the values from `from` on are the same.
    pub(crate) fn has_repeated(&self, from: usize) -> bool {
        let mut short = Vec::new();
        let mut long: Vec<&[u8]> = Vec::new();
        for view in &self.views[from..] {
            let length = *view as u32 as usize;
            if length <= INLINE_BYTES_MAX {
                short.push(*view);
                continue;
            }
            let (buffer, offset) = ((*view >> 64) as u32 as usize, (*view >> 96) as usize);
            let data = self.full.get(buffer).map_or(self.data.as_slice(), Buffer::as_slice);
            long.push(&data[offset..offset + length]);
        }
        short.sort_unstable();
        long.sort_unstable();
        short.windows(2).any(|pair| pair[0] == pair[1]) || long.windows(2).any(|pair| pair[0] == pair[1])
    }

    /// Adds a value `count` times, its bytes once.
    pub(crate) fn push_repeated(&mut self, value: &[u8], count: usize) {
        let view = self.view(value);
        self.views.resize(self.views.len() + count, view);
        self.nulls.append_n_non_nulls(count);
    }

    #[inline]
    fn view(&mut self, value: &[u8]) -> u128 {
        if value.len() <= INLINE_BYTES_MAX { make_view(value, 0, 0) } else { self.store(value) }
    }

    #[inline]
    fn store(&mut self, value: &[u8]) -> u128 {
        if self.data.len() + value.len() > BUFFER_BYTES_MAX {
            self.full.push(Buffer::from_vec(std::mem::take(&mut self.data)));
        }
        let (buffer, offset) = (self.full.len() as u32, self.data.len() as u32);
        self.data.extend_from_slice(value);
        make_view(value, buffer, offset)
    }

    pub(crate) fn push_nulls(&mut self, count: usize) {
        self.views.resize(self.views.len() + count, 0);
        self.nulls.append_n_nulls(count);
    }

    /// Bytes of values cut off stay in the data buffer, unseen.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.views.truncate(len);
        self.nulls.truncate(len);
    }

    /// Room for `rows` more values as long as those so far, at most `bytes` of them.
    pub(crate) fn reserve(&mut self, rows: usize, bytes: usize) {
        self.views.reserve(rows);
        self.data.reserve(self.data.len().saturating_mul(rows).min(bytes));
    }

    pub(crate) fn finish(mut self) -> ArrayRef {
        let (views, nulls) = (ScalarBuffer::from(self.views), self.nulls.finish());
        let last = (!self.data.is_empty()).then(|| Buffer::from_vec(self.data));
        let buffers: Arc<[Buffer]> = match last {
            Some(only) if self.full.is_empty() => Arc::new([only]),
            last => self.full.into_iter().chain(last).collect(),
        };
        match self.kind {
            Kind::Text => Arc::new(StringViewArray::new(views, buffers, nulls)),
            Kind::Bytes => Arc::new(BinaryViewArray::new(views, buffers, nulls)),
        }
    }
}
