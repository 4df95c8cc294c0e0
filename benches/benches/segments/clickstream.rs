//! Events of a web shop as its browsers would send them: sessions that overlap, of users of whom a few come often.

use std::fmt::Write;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::{
    Float64Builder, Int32Builder, Int64Builder, StringViewBuilder, TimestampMicrosecondBuilder,
};
use fastrand::Rng;
use siltstone_storage::LogicalType;

use super::Dataset;

const USERS: f64 = 2_000_000.0;
const SESSIONS_OPEN: usize = 4_000;
const EVENTS_PER_SESSION: usize = 12;
const PRODUCTS: f64 = 200_000.0;
const START_US: i64 = 1_760_000_000_000_000;
const COUNTRIES: [&str; 24] = [
    "US", "DE", "GB", "FR", "IN", "BR", "JP", "CA", "IT", "ES", "NL", "PL", "SE", "AT", "CH", "AU", "MX", "TR", "KR",
    "BE", "CZ", "DK", "FI", "PT",
];
const EVENTS: [&str; 6] = ["page_view", "product_view", "search", "add_to_cart", "checkout", "purchase"];
const CATEGORIES: [&str; 12] = [
    "shoes", "jackets", "kitchen", "garden", "books", "toys", "phones", "laptops", "audio", "lighting", "bicycles",
    "outdoor",
];
const SEARCHES: [&str; 16] = [
    "rain jacket",
    "usb-c cable",
    "desk lamp",
    "trail shoes",
    "coffee grinder",
    "wool socks",
    "tent 2 person",
    "headphones",
    "garden hose",
    "bike light",
    "cast iron pan",
    "phone case",
    "notebook a5",
    "led strip",
    "board game",
    "thermos",
];

struct Session {
    id: String,
    user: Option<i64>,
    ip: String,
    agent: usize,
    country: &'static str,
    referrer: Option<String>,
    page: u32,
}

/// Rows, batch by batch.
pub(crate) struct Clickstream {
    rng: Rng,
    agents: Vec<String>,
    sessions: Vec<Session>,
    now_us: i64,
}

/// 1 to `most`, half of the draws among the first `sqrt(most)`: Zipf's law with exponent 1.
fn zipf(rng: &mut Rng, most: f64) -> i64 {
    most.powf(rng.f64()) as i64
}

fn agents(rng: &mut Rng) -> Vec<String> {
    let systems = [
        "Windows NT 10.0; Win64; x64",
        "Macintosh; Intel Mac OS X 10_15_7",
        "X11; Linux x86_64",
        "Linux; Android 10; K",
        "iPhone; CPU iPhone OS 18_5 like Mac OS X",
        "iPad; CPU OS 17_7 like Mac OS X",
    ];
    let agent = |_| {
        let (system, major) = (systems[rng.usize(..systems.len())], rng.u32(110..142));
        let engine = "AppleWebKit/537.36 (KHTML, like Gecko)";
        match rng.u32(..4) {
            0 => format!("Mozilla/5.0 ({system}; rv:{major}.0) Gecko/20100101 Firefox/{major}.0"),
            1 => format!(
                "Mozilla/5.0 ({system}) {engine} Chrome/{major}.0.0.0 Safari/537.36 Edg/{major}.0.{}",
                rng.u32(..9999)
            ),
            2 => format!("Mozilla/5.0 ({system}) {engine} Version/18.{} Safari/605.1.15", rng.u32(..6)),
            _ => format!(
                "Mozilla/5.0 ({system}) {engine} Chrome/{major}.0.{}.{} Safari/537.36",
                rng.u32(5000..7000),
                rng.u32(..200)
            ),
        }
    };
    (0..200).map(agent).collect()
}

fn uuid(rng: &mut Rng) -> String {
    let (a, b) = (rng.u64(..), rng.u64(..));
    format!(
        "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
        a >> 32,
        a >> 16 & 0xffff,
        a & 0xfff,
        b >> 52,
        b & 0xffff_ffff_ffff
    )
}

impl Session {
    fn new(rng: &mut Rng, agents: usize) -> Self {
        let referrer = match rng.u32(..10) {
            0..4 => None,
            4..7 => Some("https://www.google.com/".to_owned()),
            7 => Some(format!("https://www.bing.com/search?q={}", SEARCHES[rng.usize(..16)].replace(' ', "+"))),
            8 => Some(format!("https://news.example.net/articles/{}/{}", rng.u32(2019..2026), rng.u32(..50_000))),
            _ => Some(format!("https://l.facebook.com/l.php?u=shop&h={:016x}", rng.u64(..))),
        };
        Self {
            id: uuid(rng),
            user: (rng.u32(..10) > 2).then(|| zipf(rng, USERS)),
            ip: format!("{}.{}.{}.{}", rng.u8(1..224), rng.u8(..), rng.u8(..), rng.u8(1..)),
            agent: zipf(rng, agents as f64) as usize - 1,
            country: COUNTRIES[zipf(rng, COUNTRIES.len() as f64) as usize - 1],
            referrer,
            page: 0,
        }
    }
}

fn put_url(rng: &mut Rng, event: usize, product: i64, url: &mut String) {
    url.clear();
    let category = CATEGORIES[product as usize % CATEGORIES.len()];
    let written = match event {
        0 => write!(url, "https://shop.example.com/{category}?page={}&sort=price", rng.u32(1..40)),
        1 | 3 => write!(url, "https://shop.example.com/{category}/product/{product}?variant={}", rng.u32(1..8)),
        2 => {
            write!(url, "https://shop.example.com/search?q={}&offset={}", SEARCHES[rng.usize(..16)], rng.u32(..10) * 20)
        }
        _ => write!(url, "https://shop.example.com/checkout/order-{:08}/{}", rng.u32(..90_000_000), EVENTS[event]),
    };
    written.expect("text takes everything");
}

impl Clickstream {
    pub(crate) fn new() -> Self {
        let mut rng = Rng::with_seed(7);
        let agents = agents(&mut rng);
        let sessions = (0..SESSIONS_OPEN).map(|_| Session::new(&mut rng, agents.len())).collect();
        Self { rng, agents, sessions, now_us: START_US }
    }
}

impl Dataset for Clickstream {
    fn columns(&self) -> Vec<(&'static str, LogicalType)> {
        vec![
            ("ts", LogicalType::TimestampTz),
            ("user_id", LogicalType::BigInt),
            ("session", LogicalType::Varchar),
            ("event", LogicalType::Varchar),
            ("url", LogicalType::Varchar),
            ("referrer", LogicalType::Varchar),
            ("user_agent", LogicalType::Varchar),
            ("country", LogicalType::Varchar),
            ("ip", LogicalType::Varchar),
            ("product_id", LogicalType::BigInt),
            ("page", LogicalType::Integer),
            ("duration_ms", LogicalType::Integer),
            ("amount", LogicalType::Double),
            ("properties", LogicalType::Json),
        ]
    }

    fn batch(&mut self, rows: usize) -> Vec<ArrayRef> {
        let rng = &mut self.rng;
        let mut texts: Vec<_> = (0..8).map(|_| StringViewBuilder::with_capacity(rows)).collect();
        let mut times = TimestampMicrosecondBuilder::with_capacity(rows).with_timezone("UTC");
        let (mut users, mut products) = (Int64Builder::with_capacity(rows), Int64Builder::with_capacity(rows));
        let (mut pages, mut durations) = (Int32Builder::with_capacity(rows), Int32Builder::with_capacity(rows));
        let mut amounts = Float64Builder::with_capacity(rows);
        let (mut url, mut json) = (String::new(), String::new());
        for _ in 0..rows {
            let at = rng.usize(..SESSIONS_OPEN);
            if rng.usize(..EVENTS_PER_SESSION) == 0 {
                self.sessions[at] = Session::new(rng, self.agents.len());
            }
            let session = &mut self.sessions[at];
            session.page += 1;
            self.now_us += rng.i64(0..2_000);
            let event = [0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 4, 5][rng.usize(..12)];
            let product = zipf(rng, PRODUCTS);
            put_url(rng, event, product, &mut url);
            // Milliseconds, as browsers send them, and not quite in order.
            times.append_value((self.now_us + rng.i64(0..100_000)) / 1_000 * 1_000);
            users.append_option(session.user);
            texts[0].append_value(&session.id);
            texts[1].append_value(EVENTS[event]);
            texts[2].append_value(&url);
            texts[3].append_option(session.referrer.as_deref().filter(|_| session.page == 1 || event == 0));
            texts[4].append_value(&self.agents[session.agent]);
            texts[5].append_value(session.country);
            texts[6].append_value(&session.ip);
            let shows_product = matches!(event, 1 | 3);
            products.append_option(shows_product.then_some(product));
            pages.append_value(session.page as i32);
            durations.append_option((rng.u32(..8) > 0).then(|| (rng.f64() * 9.0).exp() as i32));
            amounts.append_option(matches!(event, 3..).then(|| (rng.f64() * 8.5 + 2.3).exp().round() / 100.0));
            json.clear();
            let written = match event {
                0 => write!(
                    json,
                    r#"{{"scroll":{},"experiment":"home-{}"}}"#,
                    rng.u32(..=100),
                    ["a", "b", "control"][rng.usize(..3)]
                ),
                2 => write!(
                    json,
                    r#"{{"results":{},"filters":["{}"],"took_ms":{}}}"#,
                    rng.u32(..2_000),
                    CATEGORIES[rng.usize(..12)],
                    rng.u32(3..400)
                ),
                5 => write!(
                    json,
                    r#"{{"items":{},"coupon":null,"shipping":{{"method":"{}","days":{}}}}}"#,
                    rng.u32(1..9),
                    ["std", "express"][rng.usize(..2)],
                    rng.u32(1..8)
                ),
                _ => Ok(()),
            };
            written.expect("text takes everything");
            texts[7].append_option((!json.is_empty()).then_some(&json));
        }
        let mut texts = texts.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef);
        let mut columns: Vec<ArrayRef> = vec![Arc::new(times.finish()), Arc::new(users.finish())];
        columns.extend(texts.by_ref().take(7));
        columns.push(Arc::new(products.finish()));
        columns.push(Arc::new(pages.finish()));
        columns.push(Arc::new(durations.finish()));
        columns.push(Arc::new(amounts.finish()));
        columns.extend(texts);
        columns
    }
}
