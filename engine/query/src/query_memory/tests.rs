use super::*;

fn reservation(pool: &Arc<QueryMemory>, spills: bool) -> MemoryReservation {
    let pool: Arc<dyn MemoryPool> = Arc::clone(pool) as _;
    MemoryConsumer::new("test").with_can_spill(spills).register(&pool)
}

#[test]
fn a_query_stays_within_its_share() {
    // Proves that one query cannot take the whole budget, and that what it gives back can be taken again.
    let shared = Arc::new(SharedMemory::new(1000));
    let query = Arc::new(QueryMemory::new(600, Arc::clone(&shared)));
    let mine = reservation(&query, false);
    assert!(mine.try_grow(600).is_ok());
    assert!(mine.try_grow(1).is_err());
    mine.shrink(200);
    assert!(mine.try_grow(200).is_ok());
    assert_eq!(query.bytes_peak(), 600);
    drop(mine);
    assert_eq!((query.reserved(), shared.bytes.load(Ordering::Relaxed)), (0, 0));
}

#[test]
fn all_queries_stay_within_the_budget() {
    // Proves that a second query gets what the first leaves, and that a refusal takes nothing.
    let shared = Arc::new(SharedMemory::new(1000));
    let first = Arc::new(QueryMemory::new(800, Arc::clone(&shared)));
    let second = Arc::new(QueryMemory::new(800, Arc::clone(&shared)));
    let (one, two) = (reservation(&first, false), reservation(&second, true));
    assert!(one.try_grow(700).is_ok());
    let refused = two.try_grow(301).expect_err("700 of 1000 are taken").to_string();
    assert!(refused.contains("other queries"), "{refused}");
    assert_eq!(second.reserved(), 0);
    assert!(two.try_grow(300).is_ok());
    drop(one);
    assert!(two.try_grow(500).is_ok());
    assert_eq!((first.bytes_peak(), second.bytes_peak()), (700, 800));
}
