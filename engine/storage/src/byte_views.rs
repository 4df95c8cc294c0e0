//! Text and bytes as Arrow views over one run of data, built from lengths.
//!
//! **Invariants**
//! 1. A view array made here refers only to bytes that were checked: every range lies in its buffer, and text is UTF-8 value by
//!    value.
//! 2. Data of any length is addressable: it is cut into buffers whose offsets fit the 31 bits that Arrow allows.
//!
//! It does not know where the lengths and the data come from.

use std::sync::Arc;

use arrow_array::types::{BinaryViewType, ByteViewType, StringViewType};
use arrow_array::{Array, ArrayRef, GenericByteViewArray};
use arrow_buffer::{Buffer, NullBuffer, ScalarBuffer};

/// Longest value that lives in its view.
pub(crate) const INLINE_BYTES_MAX: usize = 12;

/// Largest offset into a data buffer: Arrow's are signed 32-bit.
pub(crate) const BUFFER_BYTES_MAX: usize = i32::MAX as usize;

/// What is wrong with a run of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ViewsError {
    #[error("value of 2 GiB or more")]
    TooLong,
    #[error("text that is not UTF-8")]
    NotText,
    #[error("lengths that do not add up to the data")]
    Lengths,
}

/// The bytes under the views.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Data<'a> {
    /// Kept: the array will share this memory.
    Shared(&'a Buffer),
    /// Borrowed: the array gets a copy, if any value needs one.
    Borrowed(&'a [u8]),
}

impl Data<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Shared(buffer) => buffer.as_slice(),
            Self::Borrowed(bytes) => bytes,
        }
    }
}

/// Checked views of values that lie one after the other.
#[derive(Debug)]
pub(crate) struct Views<'a> {
    views: Vec<u128>,
    /// Where each data buffer starts; empty when every value is inline.
    cuts: Vec<usize>,
    data: Data<'a>,
    text: bool,
}

impl<'a> Views<'a> {
    /// Lays values of these lengths over the data.
    ///
    /// # Errors
    /// When the lengths do not sum up to the data, or `text` is asked for and a value is not UTF-8.
    pub(crate) fn new(
        lengths: impl ExactSizeIterator<Item = usize>,
        data: Data<'a>,
        text: bool,
    ) -> Result<Self, ViewsError> {
        Self::cut(lengths, data, text, BUFFER_BYTES_MAX)
    }

    /// [`Views::new`] with data buffers of at most `buffer_bytes_max`.
    fn cut(
        lengths: impl ExactSizeIterator<Item = usize>,
        data: Data<'a>,
        text: bool,
        buffer_bytes_max: usize,
    ) -> Result<Self, ViewsError> {
        let bytes = data.bytes();
        // A run that is ASCII throughout needs no check of the borders between values.
        let borders = match text && !bytes.is_ascii() {
            true => Some(std::str::from_utf8(bytes).map_err(|_| ViewsError::NotText)?),
            false => None,
        };
        let mut views = Vec::with_capacity(lengths.len());
        let mut cuts = vec![0];
        let (mut cut, mut start, mut any_long) = (0, 0_usize, false);
        for length in lengths {
            let end = start.checked_add(length).filter(|end| *end <= bytes.len()).ok_or(ViewsError::Lengths)?;
            if borders.is_some_and(|text| !text.is_char_boundary(start)) {
                return Err(ViewsError::NotText);
            }
            if length <= INLINE_BYTES_MAX {
                views.push(inline_view(head(bytes, start), length));
            } else {
                if length > buffer_bytes_max {
                    return Err(ViewsError::TooLong);
                }
                if end - cut > buffer_bytes_max {
                    cut = start;
                    cuts.push(cut);
                }
                any_long = true;
                views.push(long_view(head(bytes, start), length, cuts.len() - 1, start - cut));
            }
            start = end;
        }
        if start != bytes.len() {
            return Err(ViewsError::Lengths);
        }
        if !any_long {
            cuts.clear();
        }
        Ok(Self { views, cuts, data, text })
    }

    /// The array of these values.
    ///
    /// # Panics
    /// If `nulls` is of another length.
    pub(crate) fn into_array(self, nulls: Option<NullBuffer>) -> ArrayRef {
        assert!(nulls.as_ref().is_none_or(|nulls| nulls.len() == self.views.len()), "one null bit per view");
        let buffers = self.buffers();
        if self.text {
            // SAFETY: `new` is the only maker of views; it checked that each range lies in its buffer and is UTF-8, wrote the prefix
            // from the same bytes. `buffers` cuts the very bytes that `new` looked at.
            unsafe { view_array::<StringViewType>(self.views, buffers, nulls) }
        } else {
            // SAFETY: as above, less the UTF-8.
            unsafe { view_array::<BinaryViewType>(self.views, buffers, nulls) }
        }
    }

    fn buffers(&self) -> Vec<Buffer> {
        if self.cuts.is_empty() {
            return Vec::new();
        }
        let data = match self.data {
            Data::Shared(buffer) => buffer.clone(),
            Data::Borrowed(bytes) => Buffer::from(bytes),
        };
        let ends = self.cuts.iter().skip(1).copied().chain([data.len()]);
        self.cuts.iter().zip(ends).map(|(start, end)| data.slice_with_length(*start, end - start)).collect()
    }
}

/// The values of an array at these positions, in that order, sharing its data; `None` if there is no such position.
///
/// # Panics
/// If the array has NULLs, or `nulls` is of another length than the positions.
pub(crate) fn gather<T: ByteViewType>(
    array: &GenericByteViewArray<T>,
    positions: &[u32],
    nulls: Option<NullBuffer>,
) -> Option<GenericByteViewArray<T>> {
    assert!(nulls.as_ref().is_none_or(|nulls| nulls.len() == positions.len()), "one null bit per view");
    let highest = positions.iter().copied().max().unwrap_or(0);
    if !positions.is_empty() && highest as usize >= array.len() {
        return None;
    }
    let source = array.views();
    let views: Vec<u128> = positions.iter().map(|position| source[*position as usize]).collect();
    let buffers = array.data_buffers().to_vec();
    // SAFETY: every view is one of a valid array of the same type, over the same buffers.
    Some(unsafe { GenericByteViewArray::new_unchecked(ScalarBuffer::from(views), buffers, nulls) })
}

/// # Safety
/// The views must be valid for these buffers and for `T`.
pub(crate) unsafe fn view_array<T: ByteViewType>(
    views: Vec<u128>,
    buffers: Vec<Buffer>,
    nulls: Option<NullBuffer>,
) -> ArrayRef {
    // SAFETY: passed on to the caller.
    Arc::new(unsafe { GenericByteViewArray::<T>::new_unchecked(ScalarBuffer::from(views), buffers, nulls) })
}

/// Up to 16 bytes from `start`, zeros past the end.
#[inline]
fn head(bytes: &[u8], start: usize) -> u128 {
    let mut head = [0; 16];
    match bytes.get(start..start + 16) {
        Some(whole) => head.copy_from_slice(whole),
        None => head[..bytes.len() - start].copy_from_slice(&bytes[start..]),
    }
    u128::from_le_bytes(head)
}

#[inline]
fn inline_view(head: u128, length: usize) -> u128 {
    let kept = head & ((1 << (8 * length)) - 1);
    (kept << 32) | length as u128
}

#[inline]
fn long_view(head: u128, length: usize, buffer: usize, offset: usize) -> u128 {
    let prefix = head & u128::from(u32::MAX);
    length as u128 | (prefix << 32) | ((buffer as u128) << 64) | ((offset as u128) << 96)
}

/// The view of a value that is alone in its buffer: whole if it is short, else its length and first bytes are that of any view of it.
#[inline]
pub(crate) fn view_of(value: &[u8]) -> u128 {
    match value.len() {
        length if length <= INLINE_BYTES_MAX => inline_view(head(value, 0), length),
        length => long_view(head(value, 0), length, 0, 0),
    }
}

/// Length of the value behind a view.
#[inline]
pub(crate) fn view_length(view: u128) -> usize {
    view as u32 as usize
}

/// Appends the bytes of every value, in order; a NULL has none.
pub(crate) fn append_values<T: ByteViewType>(array: &GenericByteViewArray<T>, out: &mut Vec<u8>) {
    let buffers = array.data_buffers();
    let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
    for (i, view) in array.views().iter().enumerate() {
        let length = view_length(*view);
        if nulls.is_some_and(|nulls| nulls.is_null(i)) {
            continue;
        }
        if length <= INLINE_BYTES_MAX {
            // A copy of fixed size, cut back, is several times faster than one of variable size.
            let end = out.len() + length;
            out.extend_from_slice(&(*view >> 32).to_le_bytes());
            out.truncate(end);
        } else {
            let offset = (*view >> 96) as usize;
            out.extend_from_slice(&buffers[(*view >> 64) as u32 as usize][offset..offset + length]);
        }
    }
}

/// Lengths of all values, in order; that of a NULL is 0.
pub(crate) fn lengths<T: ByteViewType>(
    array: &GenericByteViewArray<T>,
) -> impl ExactSizeIterator<Item = usize> + Clone {
    let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
    array.views().iter().enumerate().map(move |(i, view)| match nulls {
        Some(nulls) if nulls.is_null(i) => 0,
        _ => view_length(*view),
    })
}

#[cfg(test)]
mod tests;
