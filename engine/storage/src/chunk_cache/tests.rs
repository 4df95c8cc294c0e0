use arrow_array::Int64Array;

use super::*;

const A: ColumnId = ColumnId(1);
const B: ColumnId = ColumnId(2);

fn chunks(cache: &Arc<ChunkCache>, segment: u64) -> SegmentChunks {
    SegmentChunks::new(Arc::clone(cache), SegmentId(segment), 1000, vec![A, B])
}

fn chunk(rows: i64) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(0..rows))
}

#[test]
fn what_is_kept_stays_within_the_budget() {
    // Proves the bound, whatever is kept, and that a chunk larger than all of it is not kept.
    let cache = Arc::new(ChunkCache::new(1 << 20));
    let kept = chunks(&cache, 1);
    for row_group in 0..1000 {
        kept.keep(row_group, A, &chunk(1000));
        assert!(cache.bytes() <= 1 << 20, "{}", cache.bytes());
    }
    assert!(cache.bytes() > 1 << 19, "{}", cache.bytes());
    kept.keep(0, B, &chunk(1 << 20));
    assert!(kept.get(0, B).is_none() && cache.bytes() <= 1 << 20);
}

#[test]
fn chunks_are_found_until_their_segment_goes() {
    // Proves that a place gives the chunk kept there and no other, and that a segment leaves nothing behind and takes nobody else's.
    let cache = Arc::new(ChunkCache::new(1 << 20));
    let (first, second) = (chunks(&cache, 1), chunks(&cache, 2));
    first.keep(7, A, &chunk(10));
    first.keep(7, B, &chunk(20));
    second.keep(7, A, &chunk(30));
    let rows = |kept: Option<ArrayRef>| kept.map(|array| array.len());
    assert_eq!((rows(first.get(7, A)), rows(first.get(7, B)), rows(second.get(7, A))), (Some(10), Some(20), Some(30)));
    assert!(first.get(8, A).is_none() && second.get(7, B).is_none());
    let before = cache.bytes();
    drop(first);
    assert!(cache.bytes() < before);
    assert_eq!(rows(second.get(7, A)), Some(30));
    drop(second);
    assert_eq!(cache.bytes(), 0);
}

#[test]
fn a_slice_weighs_what_it_shows() {
    // Proves that a view of a large buffer does not count for all of it.
    let buffer = arrow_buffer::Buffer::from_vec(vec![0_i64; 1 << 16]);
    let whole = Int64Array::new(arrow_buffer::ScalarBuffer::new(buffer.clone(), 0, 1 << 16), None);
    let part = Int64Array::new(arrow_buffer::ScalarBuffer::new(buffer, 0, 16), None);
    assert_eq!((bytes_of(&whole.to_data()), bytes_of(&part.to_data())), (8 << 16, 128));
}
