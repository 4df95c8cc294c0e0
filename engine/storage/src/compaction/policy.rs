//! Which segments of one table to rewrite next: a pure function of what is known of them.
//!
//! Only neighbours are merged, so that a table's segments stay in commit order. A segment's *weight* is its share of the limits of a
//! segment, by bytes or by rows, whichever is more, of the rows that would be kept; one of more than a fanout-th of the limit is *settled*
//! and merged no more.
//!
//! **Invariants**
//! 1. A merge makes of each segment in it one at least [`Limits::fanout`] times as heavy, but for those of the last two kinds below, which
//!    are rare: a row is rewritten once per power of the fanout between a flush and the limit.
//! 2. Without a plan there are, between two settled neighbours, at most one segment, and after the last of them at most a fanout per power
//!    of the fanout.
//! 3. No plan is for more than the limits, nor for more than [`SOURCES_MAX`] segments.
//!
//! It does not know files, tables, snapshots or locks.

use std::ops::Range;

/// Most segments of one merge: it bounds the time of a step, and how many files it reads at once.
const SOURCES_MAX: usize = 256;

/// What is known of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) bytes: u64,
    pub(crate) rows: u64,
    /// Of these, rows that need not be kept.
    pub(crate) dead_rows: u64,
}

impl Piece {
    fn live_rows(&self) -> u64 {
        self.rows - self.dead_rows
    }

    /// Bytes that will be kept, about.
    fn live_bytes(&self) -> u64 {
        match self.rows {
            0 => 0,
            rows => (u128::from(self.bytes) * u128::from(self.live_rows())).div_ceil(u128::from(rows)) as u64,
        }
    }
}

/// How large segments become, and when it is worth it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Of a segment.
    pub(crate) bytes_max: u64,
    /// Of a segment.
    pub(crate) rows_max: u64,
    /// How much heavier merged segments are than those they are merged from.
    pub(crate) fanout: u64,
    /// A segment of which so many rows in a hundred are dead is rewritten.
    pub(crate) dead_percent: u64,
}

impl Limits {
    /// In bytes, of rows of a width that reaches both limits together.
    fn weight(&self, piece: &Piece) -> u64 {
        let by_rows = u128::from(piece.live_rows()) * u128::from(self.bytes_max) / u128::from(self.rows_max.max(1));
        piece.live_bytes().max(u64::try_from(by_rows).unwrap_or(u64::MAX)).max(1)
    }

    fn is_settled(&self, weight: u64) -> bool {
        weight.saturating_mul(self.fanout) > self.bytes_max
    }
}

/// Segments to be replaced by one that holds what is kept of their rows; by none if nothing is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Which of the pieces.
    pub(crate) sources: Range<usize>,
    /// Bytes that will be written, about.
    pub(crate) bytes: u64,
}

/// The next piece of work on a table whose segments these are, in order; `None` if they are well as they are.
pub(crate) fn plan(pieces: &[Piece], limits: &Limits) -> Option<Plan> {
    let weights: Vec<u64> = pieces.iter().map(|piece| limits.weight(piece)).collect();
    let sources = all_dead(pieces)
        .or_else(|| heaviest_merge(&weights, limits))
        .or_else(|| mostly_dead(pieces, limits))
        .or_else(|| between_settled(&weights, limits))
        .or_else(|| too_many(&weights, limits))?;
    let bytes = pieces[sources.clone()].iter().map(Piece::live_bytes).sum();
    Some(Plan { sources, bytes })
}

/// A segment without a row to keep, and its neighbours like it: nothing is to be written.
fn all_dead(pieces: &[Piece]) -> Option<Range<usize>> {
    let start = pieces.iter().position(|piece| piece.live_rows() == 0)?;
    let run = pieces[start..].iter().take(SOURCES_MAX).take_while(|piece| piece.live_rows() == 0);
    Some(start..start + run.count())
}

/// The heaviest run of neighbours that is the fanout times as heavy as its heaviest member. Taking the heaviest does what would
/// otherwise be several merges, one after the other, in one.
fn heaviest_merge(weights: &[u64], limits: &Limits) -> Option<Range<usize>> {
    let mut best: Option<(u64, Range<usize>)> = None;
    for gap in gaps(weights, limits) {
        for start in gap.clone() {
            let mut heaviest = 0;
            for (end, total) in runs(weights, start, gap.end, limits) {
                heaviest = heaviest.max(weights[end - 1]);
                let is_worth_it = end - start >= 2 && total >= heaviest.saturating_mul(limits.fanout);
                if is_worth_it && best.as_ref().is_none_or(|(most, _)| total > *most) {
                    best = Some((total, start..end));
                }
            }
        }
    }
    best.map(|(_, sources)| sources)
}

/// The segment with the greatest share of dead rows, if it is great enough.
fn mostly_dead(pieces: &[Piece], limits: &Limits) -> Option<Range<usize>> {
    let share = |piece: &Piece| piece.dead_rows.saturating_mul(100) / piece.rows.max(1);
    let (at, piece) = pieces.iter().enumerate().max_by_key(|(_, piece)| share(piece))?;
    (piece.dead_rows > 0 && share(piece) >= limits.dead_percent).then_some(at..at + 1)
}

/// Small segments that settled ones lie around: nothing will come to join them, so they become one.
fn between_settled(weights: &[u64], limits: &Limits) -> Option<Range<usize>> {
    let closed = gaps(weights, limits).into_iter().filter(|gap| gap.end < weights.len());
    closed.filter_map(|gap| longest(weights, gap.start, gap.end, limits)).find(|run| run.len() >= 2)
}

/// Where there are more segments than a fanout per power of the fanout, those that cost the least per segment less.
fn too_many(weights: &[u64], limits: &Limits) -> Option<Range<usize>> {
    let mut best: Option<(u64, Range<usize>)> = None;
    for gap in
        gaps(weights, limits).into_iter().filter(|gap| gap.len() as u64 > count_max(&weights[gap.clone()], limits))
    {
        for start in gap.clone() {
            for (end, total) in runs(weights, start, gap.end, limits).skip(1) {
                let cost = total / (end - start - 1) as u64;
                if best.as_ref().is_none_or(|(least, _)| cost < *least) {
                    best = Some((cost, start..end));
                }
            }
        }
    }
    best.map(|(_, sources)| sources)
}

/// A fanout of segments for each power of the fanout from the lightest of them to all together.
fn count_max(weights: &[u64], limits: &Limits) -> u64 {
    let total: u64 = weights.iter().sum();
    let lightest = weights.iter().copied().min().unwrap_or(1);
    let powers = (total / lightest).max(1).ilog(limits.fanout.max(2));
    limits.fanout * (u64::from(powers) + 1)
}

/// Runs of segments that are not settled, as long as can be.
fn gaps(weights: &[u64], limits: &Limits) -> Vec<Range<usize>> {
    let mut gaps = Vec::new();
    let mut start = 0;
    for end in 0..=weights.len() {
        if weights.get(end).is_none_or(|weight| limits.is_settled(*weight)) {
            if start < end {
                gaps.push(start..end);
            }
            start = end + 1;
        }
    }
    gaps
}

/// The ends of the runs from `start`, up to `gap_end`, that fit into one segment, each with its weight.
fn runs<'a>(
    weights: &'a [u64],
    start: usize,
    gap_end: usize,
    limits: &'a Limits,
) -> impl Iterator<Item = (usize, u64)> + 'a {
    let ends = start + 1..=gap_end.min(start + SOURCES_MAX);
    let totals = ends.scan(0_u64, |total, end| {
        *total = total.saturating_add(weights[end - 1]);
        Some((end, *total))
    });
    totals.take_while(|(_, total)| *total <= limits.bytes_max)
}

fn longest(weights: &[u64], start: usize, end: usize, limits: &Limits) -> Option<Range<usize>> {
    runs(weights, start, end, limits).last().map(|(end, _)| start..end)
}

#[cfg(test)]
mod tests;
