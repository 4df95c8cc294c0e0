//! TPC-H `lineitem` by the rules of the specification (4.2.3), comments cut from a pool of its pseudo text (4.2.2.14).

use std::sync::Arc;

use arrow_array::builder::StringViewBuilder;
use arrow_array::{ArrayRef, Date32Array, Decimal128Array, Int32Array, Int64Array};
use fastrand::Rng;
use siltstone_storage::LogicalType;

use super::Dataset;

const SUPPLIERS: i64 = 10_000;
const PARTS: i64 = 200_000;
/// Days since 1970 of 1992-01-01, of the last order, and of "today", 1995-06-17.
const ORDER_DAYS: std::ops::RangeInclusive<i32> = 8_035..=10_440;
const TODAY: i32 = 9_298;
const COMMENT_BYTES: std::ops::RangeInclusive<usize> = 10..=43;
const POOL_BYTES: usize = 300 << 20;

type Weighted = &'static [(u32, &'static str)];

const NOUNS: Weighted = &[
    (40, "packages requests accounts deposits"),
    (20, "foxes ideas theodolites pinto_beans instructions"),
    (10, "dependencies excuses platelets asymptotes"),
    (5, "courts dolphins"),
    (1, "multipliers sauternes warthogs frets dinos attainments somas Tiresias patterns forges braids frays warhorses"),
    (1, "dugouts notornis epitaphs pearls tithes waters orbits gifts sheaves depths sentiments decoys realms pains"),
    (1, "grouches escapades hockey_players"),
];
const VERBS: Weighted = &[
    (20, "sleep wake are cajole haggle"),
    (10, "nag use boost"),
    (5, "affix detect integrate"),
    (1, "maintain nod was lose sublate solve thrash promise engage hinder print x-ray breach eat grow impress mold"),
    (1, "poach serve run dazzle snooze doze unwind kindle play hang believe doubt"),
];
const ADJECTIVES: Weighted = &[
    (50, "regular"),
    (40, "final ironic"),
    (30, "even"),
    (20, "special pending unusual express bold"),
    (10, "silent"),
    (
        1,
        "furious sly careful blithe quick fluffy slow quiet ruthless thin close dogged daring brave stealthy permanent",
    ),
    (1, "enticing idle busy"),
];
const ADVERBS: Weighted = &[
    (50, "furiously slyly carefully"),
    (40, "blithely"),
    (30, "quickly"),
    (20, "fluffily"),
    (1, "sometimes always never slowly quietly ruthlessly thinly closely doggedly daringly bravely stealthily"),
    (1, "permanently enticingly idly busily regularly finally ironically evenly boldly silently"),
];
const PREPOSITIONS: Weighted = &[
    (50, "about above according_to across after"),
    (40, "against along"),
    (30, "alongside_of among"),
    (20, "around"),
    (10, "at"),
    (
        1,
        "atop before behind beneath beside besides between beyond by despite during except for from in_place_of inside",
    ),
    (1, "instead_of into near of on outside over past since through throughout to toward under until up upon without"),
    (1, "with within"),
];
const AUXILIARIES: Weighted = &[
    (1, "do may might shall will would can could should ought_to must will_have_to shall_have_to could_have_to"),
    (1, "should_have_to must_have_to need_to try_to"),
];
const TERMINATORS: Weighted = &[(50, "."), (1, "; : ? ! --")];

/// Words to draw from, each as often as it weighs.
struct Words(Vec<String>);

impl Words {
    fn new(weighted: Weighted) -> Self {
        let words = weighted.iter().flat_map(|(weight, words)| {
            words.split(' ').flat_map(|word| std::iter::repeat_n(word.replace('_', " "), *weight as usize))
        });
        Self(words.collect())
    }

    fn draw(&self, rng: &mut Rng) -> &str {
        &self.0[rng.usize(..self.0.len())]
    }
}

struct Grammar {
    nouns: Words,
    verbs: Words,
    adjectives: Words,
    adverbs: Words,
    prepositions: Words,
    auxiliaries: Words,
    terminators: Words,
}

impl Grammar {
    fn new() -> Self {
        Self {
            nouns: Words::new(NOUNS),
            verbs: Words::new(VERBS),
            adjectives: Words::new(ADJECTIVES),
            adverbs: Words::new(ADVERBS),
            prepositions: Words::new(PREPOSITIONS),
            auxiliaries: Words::new(AUXILIARIES),
            terminators: Words::new(TERMINATORS),
        }
    }

    fn sentence(&self, rng: &mut Rng, out: &mut String) {
        let form = match rng.u32(..11) {
            0..3 => "NVT",
            3..6 => "NVPT",
            6..9 => "NVNT",
            9 => "NPVNT",
            _ => "NPVPT",
        };
        for part in form.chars() {
            match part {
                'N' => self.noun_phrase(rng, out),
                'V' => self.verb_phrase(rng, out),
                'P' => {
                    self.word(&self.prepositions, rng, out);
                    out.push_str("the ");
                    self.noun_phrase(rng, out);
                }
                _ => {
                    out.pop();
                    self.word(&self.terminators, rng, out);
                }
            }
        }
    }

    fn noun_phrase(&self, rng: &mut Rng, out: &mut String) {
        match rng.u32(..90) {
            0..10 => {}
            10..30 => self.word(&self.adjectives, rng, out),
            30..40 => {
                out.push_str(self.adjectives.draw(rng));
                out.push_str(", ");
                self.word(&self.adjectives, rng, out);
            }
            _ => {
                self.word(&self.adverbs, rng, out);
                self.word(&self.adjectives, rng, out);
            }
        }
        self.word(&self.nouns, rng, out);
    }

    fn verb_phrase(&self, rng: &mut Rng, out: &mut String) {
        let form = rng.u32(..72);
        if matches!(form, 30 | 71) {
            self.word(&self.auxiliaries, rng, out);
        }
        self.word(&self.verbs, rng, out);
        if form > 30 {
            self.word(&self.adverbs, rng, out);
        }
    }

    fn word(&self, words: &Words, rng: &mut Rng, out: &mut String) {
        out.push_str(words.draw(rng));
        out.push(' ');
    }
}

/// Rows, batch by batch.
pub(crate) struct Lineitem {
    rng: Rng,
    pool: String,
    order: i64,
    /// Lines of the current order still to come, and its date.
    lines_left: i32,
    line: i32,
    order_day: i32,
}

impl Lineitem {
    pub(crate) fn new() -> Self {
        let (grammar, mut rng) = (Grammar::new(), Rng::with_seed(42));
        let mut pool = String::with_capacity(POOL_BYTES + 1024);
        while pool.len() < POOL_BYTES {
            grammar.sentence(&mut rng, &mut pool);
        }
        Self { rng, pool, order: -1, lines_left: 0, line: 0, order_day: 0 }
    }

    fn next_line(&mut self) {
        if self.lines_left == 0 {
            self.order += 1;
            self.lines_left = self.rng.i32(1..=7);
            self.line = 0;
            self.order_day = self.rng.i32(ORDER_DAYS);
        }
        self.lines_left -= 1;
        self.line += 1;
    }

    /// Eight keys are used, then 24 are left out.
    fn order_key(&self) -> i64 {
        self.order / 8 * 32 + self.order % 8 + 1
    }

    fn comment(&mut self) -> &str {
        let length = self.rng.usize(COMMENT_BYTES);
        let start = self.rng.usize(..self.pool.len() - length);
        &self.pool[start..start + length]
    }
}

fn money() -> LogicalType {
    LogicalType::Decimal { precision: 15, scale: 2 }
}

impl Dataset for Lineitem {
    fn columns(&self) -> Vec<(&'static str, LogicalType)> {
        vec![
            ("l_orderkey", LogicalType::BigInt),
            ("l_partkey", LogicalType::BigInt),
            ("l_suppkey", LogicalType::BigInt),
            ("l_linenumber", LogicalType::Integer),
            ("l_quantity", money()),
            ("l_extendedprice", money()),
            ("l_discount", money()),
            ("l_tax", money()),
            ("l_returnflag", LogicalType::Varchar),
            ("l_linestatus", LogicalType::Varchar),
            ("l_shipdate", LogicalType::Date),
            ("l_commitdate", LogicalType::Date),
            ("l_receiptdate", LogicalType::Date),
            ("l_shipinstruct", LogicalType::Varchar),
            ("l_shipmode", LogicalType::Varchar),
            ("l_comment", LogicalType::Varchar),
        ]
    }

    fn batch(&mut self, rows: usize) -> Vec<ArrayRef> {
        let (mut longs, mut ints) = (vec![Vec::new(); 3], vec![Vec::new(); 4]);
        let mut decimals: Vec<Vec<i128>> = vec![Vec::new(); 4];
        let mut texts: Vec<_> = (0..5).map(|_| StringViewBuilder::with_capacity(rows)).collect();
        for _ in 0..rows {
            self.next_line();
            let part = self.rng.i64(1..=PARTS);
            let supplier = (part + self.rng.i64(0..4) * (SUPPLIERS / 4 + (part - 1) / SUPPLIERS)) % SUPPLIERS + 1;
            for (column, value) in longs.iter_mut().zip([self.order_key(), part, supplier]) {
                column.push(value);
            }
            let quantity = self.rng.i64(1..=50);
            let price = 90_000 + part / 10 % 20_001 + 100 * (part % 1_000);
            let cents = [quantity * 100, quantity * price, self.rng.i64(0..=10), self.rng.i64(0..=8)];
            for (column, value) in decimals.iter_mut().zip(cents) {
                column.push(i128::from(value));
            }
            let shipped = self.order_day + self.rng.i32(1..=121);
            let committed = self.order_day + self.rng.i32(30..=90);
            let received = shipped + self.rng.i32(1..=30);
            for (column, value) in ints.iter_mut().zip([self.line, shipped, committed, received]) {
                column.push(value);
            }
            let returned = ["R", "A"][self.rng.usize(..2)];
            texts[0].append_value(if received <= TODAY { returned } else { "N" });
            texts[1].append_value(if shipped > TODAY { "O" } else { "F" });
            let instructions = ["DELIVER IN PERSON", "COLLECT COD", "NONE", "TAKE BACK RETURN"];
            texts[2].append_value(instructions[self.rng.usize(..4)]);
            let modes = ["REG AIR", "AIR", "RAIL", "SHIP", "TRUCK", "MAIL", "FOB"];
            texts[3].append_value(modes[self.rng.usize(..7)]);
            let comment = self.comment();
            texts[4].append_value(comment);
        }
        let date = |column: &Vec<i32>| -> ArrayRef { Arc::new(Date32Array::from(column.clone())) };
        let mut columns: Vec<ArrayRef> = longs.into_iter().map(|c| Arc::new(Int64Array::from(c)) as ArrayRef).collect();
        columns.push(Arc::new(Int32Array::from(ints[0].clone())));
        for column in decimals {
            columns.push(Arc::new(Decimal128Array::from(column).with_data_type(money().arrow())));
        }
        let mut texts = texts.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef);
        columns.extend(texts.by_ref().take(2));
        columns.extend(ints[1..].iter().map(date));
        columns.extend(texts);
        columns
    }
}
