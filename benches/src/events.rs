//! Clickstream events as JSON: 12 columns, about 280 bytes, with the cardinalities of a shop's website.
//!
//! Seeded: the same seed gives the same events. Ids and sessions are random, so that nothing compresses better than it would in life.

use std::fmt::Write as _;

const EVENT_TYPES: [&str; 8] =
    ["page_view", "page_view", "page_view", "click", "click", "search", "add_to_cart", "purchase"];
const REFERRERS: [&str; 6] = [
    "https://www.google.com/",
    "https://duckduckgo.com/",
    "https://news.ycombinator.com/",
    "https://mail.example.org/campaign/spring",
    "https://t.co/9fK2lQx1",
    "",
];
const COUNTRIES: [&str; 24] = [
    "US", "DE", "FR", "GB", "IN", "BR", "JP", "CA", "ES", "IT", "NL", "SE", "PL", "MX", "AU", "KR", "CH", "AT", "BE",
    "DK", "NO", "FI", "PT", "IE",
];
const DEVICES: [&str; 4] = ["mobile", "desktop", "tablet", "tv"];
const SECTIONS: [&str; 10] =
    ["shoes", "jackets", "books", "garden", "kitchen", "audio", "toys", "bikes", "lamps", "outlet"];

/// SQL columns of an event, for the dialect whose tables exist beforehand.
pub const TABLE_COLUMNS: &str = "id VARCHAR, user_id BIGINT, session VARCHAR, event VARCHAR, url VARCHAR, referrer VARCHAR, \
     country VARCHAR, device VARCHAR, amount DOUBLE, quantity BIGINT, member BOOLEAN, ts TIMESTAMP";

/// Makes events one after the other; time moves on a few milliseconds with each.
#[derive(Debug)]
pub struct Events {
    random: fastrand::Rng,
    milliseconds: u64,
}

impl Events {
    /// The sequence that belongs to a seed.
    pub fn seeded(seed: u64) -> Self {
        Self { random: fastrand::Rng::with_seed(seed), milliseconds: 0 }
    }

    /// Appends the next event as one JSON object.
    pub fn push(&mut self, text: &mut String) {
        let id = uuid::Builder::from_random_bytes(self.random.u128(..).to_le_bytes()).into_uuid();
        self.push_with_id(id, text);
    }

    /// Appends the next event, under a given id.
    pub fn push_with_id(&mut self, id: uuid::Uuid, text: &mut String) {
        let random = &mut self.random;
        self.milliseconds += random.u64(0..40);
        // Squaring a uniform number makes few users busy and many rare.
        let user = (random.f64().powi(2) * 200_000.0) as u64;
        let session = random.u64(..1 << 48);
        let event = pick(random, &EVENT_TYPES);
        let (section, product) = (pick(random, &SECTIONS), (random.f64().powi(2) * 20_000.0) as u64);
        let (referrer, country, device) = (pick(random, &REFERRERS), pick(random, &COUNTRIES), pick(random, &DEVICES));
        let amount = if event == "purchase" { random.u64(100..50_000) as f64 / 100.0 } else { 0.0 };
        let (quantity, member) = (random.u64(1..6), random.bool());
        let _ = write!(
            text,
            "{{\"id\":\"{id}\",\"user_id\":{user},\"session\":\"{session:012x}\",\"event\":\"{event}\",\
             \"url\":\"https://shop.example/{section}/{product}\",\"referrer\":\"{referrer}\",\"country\":\"{country}\",\
             \"device\":\"{device}\",\"amount\":{amount},\"quantity\":{quantity},\"member\":{member},\"ts\":\""
        );
        push_timestamp(self.milliseconds, text);
        text.push_str("\"}");
    }
}

fn pick<'a>(random: &mut fastrand::Rng, from: &[&'a str]) -> &'a str {
    from[random.usize(..from.len())]
}

/// RFC 3339 text of a moment, counted from the start of 2026-03-01; wraps after 28 days.
fn push_timestamp(milliseconds: u64, text: &mut String) {
    let (seconds, millisecond) = (milliseconds / 1000, milliseconds % 1000);
    let (minutes, second) = (seconds / 60, seconds % 60);
    let (hours, minute) = (minutes / 60, minutes % 60);
    let (day, hour) = (hours / 24 % 28 + 1, hours % 24);
    let _ = write!(text, "2026-03-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_have_the_advertised_size_and_columns() {
        // The published numbers speak of 12 columns and about 280 bytes: check both on a sample.
        let mut events = Events::seeded(7);
        let (mut total, rows) = (0, 1000);
        for _ in 0..rows {
            let mut text = String::new();
            events.push(&mut text);
            let event: serde_json::Value = serde_json::from_str(&text).expect("an event is JSON");
            assert_eq!(event.as_object().map(serde_json::Map::len), Some(12));
            assert_eq!(TABLE_COLUMNS.split(',').count(), 12);
            total += text.len();
        }
        let mean = total / rows;
        assert!((270..=295).contains(&mean), "mean bytes of an event: {mean}");
    }

    #[test]
    fn a_seed_names_one_sequence() {
        // Two runs with one seed send the same bytes; another seed sends others.
        let text = |seed| {
            let mut text = String::new();
            Events::seeded(seed).push(&mut text);
            text
        };
        assert_eq!(text(1), text(1));
        assert_ne!(text(1), text(2));
    }

    #[test]
    fn time_wraps_inside_the_month() {
        // However many events a run makes, their timestamps stay valid dates.
        let mut text = String::new();
        push_timestamp(29 * 24 * 3_600_000 + 61_005, &mut text);
        assert_eq!(text, "2026-03-02T00:01:01.005Z");
    }
}
