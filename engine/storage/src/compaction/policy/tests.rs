use super::*;

const LIMITS: Limits = Limits { bytes_max: 512 << 20, rows_max: 4 << 20, fanout: 8, dead_percent: 40 };

fn piece(bytes: u64) -> Piece {
    Piece { bytes, rows: bytes.div_ceil(200), dead_rows: 0 }
}

fn pieces(kib: &[u64]) -> Vec<Piece> {
    kib.iter().map(|kib| piece(kib << 10)).collect()
}

fn sources(pieces: &[Piece]) -> Option<Range<usize>> {
    plan(pieces, &LIMITS).map(|plan| plan.sources)
}

/// Small numbers that look random, the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    /// From 2^low to 2^high, each power as likely as the others.
    fn power(&mut self, low: u64, high: u64) -> u64 {
        let power = low + self.below(high - low);
        (1 << power) + self.below(1 << power)
    }
}

/// A tier of equals is merged when it is full, and a full tier above it goes along.
#[test]
fn full_tiers_are_merged() {
    assert_eq!(sources(&pieces(&[1; 7])), None);
    assert_eq!(sources(&pieces(&[1; 8])), Some(0..8));
    assert_eq!(sources(&pieces(&[8, 1, 1, 1, 1, 1, 1, 1])), None);
    assert_eq!(sources(&pieces(&[8, 1, 1, 1, 1, 1, 1, 1, 1])), Some(1..9));
    let two_tiers: Vec<u64> = [8; 7].into_iter().chain([1; 8]).collect();
    assert_eq!(sources(&pieces(&two_tiers)), Some(0..15));
}

/// Settled segments are left alone, part what is on both sides of them, and small ones among them become one.
#[test]
fn settled_segments_stay() {
    let settled = 100 << 10;
    assert_eq!(sources(&pieces(&[settled; 40])), None);
    assert_eq!(sources(&pieces(&[1, 1, 1, 1, settled, 1, 1, 1, 1])), Some(0..4));
    assert_eq!(sources(&pieces(&[4, settled, 1, 1, 1, 1])), None);
}

/// No merge passes the limits of a segment, by bytes or by rows.
#[test]
fn merges_keep_the_limits() {
    let run = sources(&pieces(&[60 << 10; 30])).unwrap();
    assert_eq!(run.len(), 8);
    let narrow = vec![Piece { bytes: 1 << 20, rows: 400_000, dead_rows: 0 }; 20];
    let run = sources(&narrow).unwrap();
    assert!(run.len() as u64 * 400_000 <= LIMITS.rows_max && run.len() >= 8, "{run:?}");
    let tiny = vec![Piece { bytes: 900, rows: 1, dead_rows: 0 }; 5_000];
    assert_eq!(sources(&tiny).unwrap().len(), SOURCES_MAX);
}

/// A segment with many dead rows is rewritten, settled or not; one with nothing else goes for free; a few dead rows are left.
#[test]
fn dead_rows_are_dropped() {
    let large = Piece { bytes: 100 << 20, rows: 1000, dead_rows: 0 };
    let dead = |dead_rows| Piece { dead_rows, ..large };
    assert_eq!(sources(&[large, dead(399), large]), None);
    assert_eq!(sources(&[large, dead(400), dead(500)]), Some(2..3));
    assert_eq!(plan(&[dead(600), dead(1000), dead(1000)], &LIMITS), Some(Plan { sources: 1..3, bytes: 0 }));
    assert_eq!(plan(&[], &LIMITS), None);
}

/// What so many flushes came to.
#[derive(Default)]
struct Outcome {
    flushed: u64,
    written: u64,
    segments_max: usize,
    open_max: usize,
}

impl Outcome {
    fn amplification(&self) -> f64 {
        self.written as f64 / self.flushed as f64
    }

    fn print(&self, name: &str, flushes: usize) {
        let Self { flushed, segments_max, open_max, .. } = self;
        let mib = flushed >> 20;
        println!(
            "{name}: flushes={flushes} MiB={mib} not settled={open_max} segments={segments_max} amplification={:.2}",
            self.amplification()
        );
    }
}

/// Runs the policy against flushes alone: every segment it writes has the size it expected. Of each flush, `replaced_percent` of the rows
/// make older ones dead, anywhere.
fn simulate(flushes: usize, replaced_percent: u64, mut size: impl FnMut(usize) -> u64) -> Outcome {
    let mut segments: Vec<Piece> = Vec::new();
    let mut outcome = Outcome::default();
    for at in 0..flushes {
        let new = piece(size(at));
        outcome.flushed += new.bytes;
        outcome.written += new.bytes;
        kill(&mut segments, new.rows * replaced_percent / 100);
        segments.push(new);
        while let Some(Plan { sources, bytes }) = plan(&segments, &LIMITS) {
            assert!(bytes <= LIMITS.bytes_max && !sources.is_empty());
            let rows = segments[sources.clone()].iter().map(Piece::live_rows).sum();
            outcome.written += bytes;
            segments.splice(sources, (rows > 0).then_some(Piece { bytes, rows, dead_rows: 0 }));
        }
        let settled = segments.iter().filter(|piece| LIMITS.is_settled(LIMITS.weight(piece))).count();
        outcome.open_max = outcome.open_max.max(segments.len() - settled);
        outcome.segments_max = outcome.segments_max.max(segments.len());
    }
    outcome
}

/// Makes so many rows dead, each segment's share by its live rows.
fn kill(segments: &mut [Piece], rows: u64) {
    let live: u64 = segments.iter().map(Piece::live_rows).sum();
    for segment in segments.iter_mut() {
        let share = u128::from(rows) * u128::from(segment.live_rows()) / u128::from(live.max(1));
        segment.dead_rows += (share as u64).min(segment.live_rows());
    }
}

/// Over thousands of flushes of many size distributions each byte is written less than six times, and the segments that are not settled stay
/// few: at most one between two settled ones, and a fanout per power of the fanout.
#[test]
fn write_amplification_and_segment_count_are_bounded() {
    let (mut a, mut b, mut c) = (Random(1), Random(2), Random(3));
    type Size = Box<dyn FnMut(usize) -> u64>;
    let kinds: Vec<(&str, usize, Size)> = vec![
        ("1 KiB each", 30_000, Box::new(|_| 1 << 10)),
        ("64 KiB each", 20_000, Box::new(|_| 64 << 10)),
        ("1 MiB each", 5_000, Box::new(|_| 1 << 20)),
        ("40 MiB each", 300, Box::new(|_| 40 << 20)),
        ("1 KiB to 64 KiB", 10_000, Box::new(move |_| a.power(10, 16))),
        ("1 KiB to 16 MiB", 5_000, Box::new(move |_| b.power(10, 24))),
        ("1 MiB and 1 KiB in turn", 5_000, Box::new(|at| 1 << (10 + at % 2 * 10))),
        ("2 KiB, now and then 4 MiB", 10_000, Box::new(move |_| if c.below(50) == 0 { 4 << 20 } else { 2 << 10 })),
        ("growing and starting again", 5_000, Box::new(|at| 1 << (10 + at % 14))),
    ];
    for (name, flushes, size) in kinds {
        let outcome = simulate(flushes, 0, size);
        outcome.print(name, flushes);
        assert!(outcome.amplification() < 6.0, "{name}");
        let settled_max = (outcome.flushed / (LIMITS.bytes_max / LIMITS.fanout)) as usize;
        assert!(outcome.segments_max <= 2 * settled_max + 8 * 8, "{name}");
    }
}

/// The same with rows that replace others, of which nothing is kept: half of them, nearly all, and all.
#[test]
fn upserts_keep_the_bounds() {
    for percent in [50, 95, 100] {
        for (name, flushes, bytes) in
            [("64 KiB", 10_000, 64 << 10), ("1 MiB", 5_000, 1 << 20), ("30 MiB", 500, 30 << 20)]
        {
            let outcome = simulate(flushes, percent, |_| bytes);
            outcome.print(&format!("{name} each, {percent} % replace"), flushes);
            assert!(outcome.amplification() < 6.0, "{name}, {percent} %");
            assert!(outcome.open_max <= 64, "{name}, {percent} %");
        }
    }
}
