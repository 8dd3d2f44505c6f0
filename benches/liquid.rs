//! CPU time of a template for a row: `cargo bench --bench liquid`.

use std::hint::black_box;

use chrono::DateTime;
use larder::{
    domain::row::{CellKind, Column, ColumnKind, RowBatch},
    liquid::Template,
};
use rustix::time::{ClockId, clock_gettime};

const ROWS: usize = 200_000;
const TEMPLATES: [(&str, &str); 4] = [
    ("one name", "{{ name }}"),
    (
        "three expressions with filters, one if",
        "{{ name | upcase }} {{ city | default: 'nowhere' }} {{ visits | plus: 1 }}{% if visits > 10 %}!{% endif %}",
    ),
    ("decimals and a date", "{{ ltv | times: 1.19 | round: 2 }} {{ joined | date: '%d.%m.%Y' }}"),
    (
        "a loop over JSON",
        "{% for item in items %}{{ item.name }}={{ item.price }}{% unless forloop.last %}, {% endunless %}{% endfor %}",
    ),
];
const CELLS: [(&str, CellKind, &str); 6] = [
    ("name", CellKind::Text, "Ann Andersen"),
    ("city", CellKind::Null, ""),
    ("visits", CellKind::Integer, "17"),
    ("ltv", CellKind::Number, "1234.50"),
    ("joined", CellKind::Text, "2024-03-05T07:08:09Z"),
    (
        "items",
        CellKind::Json,
        r#"[{"name":"Hat","price":20},{"name":"Mug","price":5.5},{"name":"Sock","price":9}]"#,
    ),
];

/// What this thread has used, so that other programs do not count.
fn cpu_seconds() -> f64 {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    used.tv_sec as f64 + used.tv_nsec as f64 / 1e9
}

fn main() {
    let columns =
        CELLS.map(|(name, ..)| Column { name: name.into(), kind: ColumnKind::Any, type_name: String::new() });
    let mut batch = RowBatch::new(CELLS.len());
    for _ in 0..2_000 {
        for (_, kind, text) in CELLS {
            batch.push(kind, text.as_bytes());
        }
    }
    println!("| template | a row |\n|---|---|");
    for (name, text) in TEMPLATES {
        let mut template = Template::parse(text).expect("the template is valid");
        template.bind(&columns);
        let mut out = String::new();
        let mut best = f64::MAX;
        for _ in 0..5 {
            let start = cpu_seconds();
            for row in 0..ROWS {
                out.clear();
                let rendered = template.render(&batch, row % batch.rows(), DateTime::UNIX_EPOCH, &mut out);
                black_box(rendered.is_ok());
            }
            best = best.min((cpu_seconds() - start) / ROWS as f64);
        }
        println!("| {name} | {:.2} µs |", best * 1e6);
    }
}
