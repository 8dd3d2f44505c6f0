//! Sample customers of a music service.

use serde_json::{Value, json};
use sqlx::SqliteConnection;

use super::{CUSTOMERS, EXAMPLE_CUSTOMER, dice::Dice};

const FIRST: u64 = 10_001;
const GIVEN: [&str; 24] = [
    "Jane", "Amélie", "Zoë", "Björn", "Noah", "Mateo", "Sofía", "Yuki", "Aisha", "Łukasz", "Anna", "Dmitri",
    "Chloé", "Omar", "Priya", "Seán", "Ingrid", "Kofi", "Mei", "Tomás", "Elif", "Nguyễn", "Ravi", "Olivia",
];
const FAMILY: [&str; 20] = [
    "Doe",
    "García",
    "Müller",
    "O'Brien",
    "Nowak",
    "Tanaka",
    "Smith",
    "Okafor",
    "Ivanova",
    "Silva",
    "Larsson",
    "Kaya",
    "Dubois",
    "Rossi",
    "Chen",
    "Patel",
    "Kowalczyk",
    "Núñez",
    "van der Berg",
    "Ødegård",
];
const CITIES: [&str; 10] = [
    "San Francisco, CA",
    "Berlin",
    "São Paulo",
    "東京",
    "Kraków",
    "Lagos",
    "Montréal",
    "Zürich",
    "Austin, TX",
    "Malmö",
];
const GENRES: [&str; 12] = [
    "house",
    "techno",
    "ambient",
    "jazz",
    "hip hop",
    "drum & bass",
    "indie",
    "flamenco",
    "K-pop",
    "classical",
    "reggaetón",
    "folk",
];
const ARTISTS: [&str; 14] = [
    "deadmau5",
    "Marsh",
    "Enamour",
    "Aphex Twin",
    "Sultan + Shepard",
    "Simon Doty",
    "Björk",
    "Sigur Rós",
    "Rosalía",
    "Nils Frahm",
    "Fela Kuti",
    "Mitski",
    "\"Weird Al\" Yankovic",
    "AC/DC",
];
const TITLES: [&str; 8] = [
    "Universal Language",
    "Night Drive",
    "Éclat",
    "Second Sun",
    "Low Tide",
    "Paper Moons",
    "Wire & Wool",
    "静けさ",
];
const LABELS: [&str; 5] = ["Anjunadeep", "Warp", "Ninja Tune", "Erased Tapes", "XL"];

const TABLE: &str = r#"create table customers (
    user_id integer primary key,
    email text unique,
    full_name text not null,
    city text,
    signed_up date not null,
    lifetime_value real,
    churn_risk real,
    newsletter boolean not null,
    "90_day_summary" json,
    recommendations json
)"#;

pub(super) async fn insert(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query(TABLE).execute(&mut *connection).await?;
    let mut dice = Dice::new(0x1a2d_e12d);
    for id in (FIRST..).take(CUSTOMERS) {
        let customer = if id == EXAMPLE_CUSTOMER { example() } else { any(id, &mut dice) };
        sqlx::query("insert into customers values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)")
            .bind(id.cast_signed())
            .bind(customer.email)
            .bind(customer.full_name)
            .bind(customer.city)
            .bind(customer.signed_up)
            .bind(customer.lifetime_value)
            .bind(customer.churn_risk)
            .bind(customer.newsletter)
            .bind(customer.summary.map(|value| value.to_string()))
            .bind(customer.recommendations.map(|value| value.to_string()))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

struct Customer {
    email: Option<String>,
    full_name: String,
    city: Option<&'static str>,
    signed_up: String,
    lifetime_value: Option<f64>,
    churn_risk: Option<f64>,
    newsletter: bool,
    summary: Option<Value>,
    recommendations: Option<Value>,
}

fn example() -> Customer {
    Customer {
        email: Some("jane.doe@example.com".to_owned()),
        full_name: "Jane Doe".to_owned(),
        city: Some("San Francisco, CA"),
        signed_up: "2021-05-17".to_owned(),
        lifetime_value: Some(1492.18),
        churn_risk: Some(0.04),
        newsletter: true,
        summary: Some(json!({
            "num_songs_listened": 813,
            "top_genres": ["house", "techno", "ambient"],
            "top_artists": ["deadmau5", "Marsh", "Enamour"]
        })),
        recommendations: Some(json!({
            "concerts": [
                {"artist": "Aphex Twin", "location": "San Francisco, CA", "event_date": "2023-01-31"},
                {"artist": "Sultan + Shepard", "location": "San Francisco, CA", "event_date": "2023-02-25"}
            ],
            "upcoming_album_release": {
                "title": "Universal Language",
                "artist": "Simon Doty",
                "label": "Anjunadeep",
                "release_date": "2023-04-28"
            }
        })),
    }
}

fn any(id: u64, dice: &mut Dice) -> Customer {
    let (given, family) = (dice.pick(&GIVEN), dice.pick(&FAMILY));
    let city = (!dice.once_in(15)).then(|| dice.pick(&CITIES));
    let silent = dice.once_in(12);
    Customer {
        email: (!dice.once_in(20)).then(|| format!("customer+{id}@example.com")),
        full_name: format!("{given} {family}"),
        city,
        signed_up: dice.date(1000),
        lifetime_value: (!dice.once_in(10)).then(|| dice.below(500_000) as f64 / 100.0),
        churn_risk: (!dice.once_in(8)).then(|| dice.below(100) as f64 / 100.0),
        newsletter: !dice.once_in(3),
        summary: (!silent).then(|| summary(dice)),
        recommendations: (!silent).then(|| recommendations(city.unwrap_or("Online"), dice)),
    }
}

fn several(dice: &mut Dice, choices: &[&'static str], most: u64) -> Vec<&'static str> {
    let mut picked: Vec<&str> = Vec::new();
    for _ in 0..dice.below(most + 1) {
        let choice = dice.pick(choices);
        if !picked.contains(&choice) {
            picked.push(choice);
        }
    }
    picked
}

fn summary(dice: &mut Dice) -> Value {
    json!({
        "num_songs_listened": dice.below(3000),
        "top_genres": several(dice, &GENRES, 4),
        "top_artists": several(dice, &ARTISTS, 5)
    })
}

fn recommendations(city: &str, dice: &mut Dice) -> Value {
    let concerts: Vec<Value> = (0..dice.below(4))
        .map(|_| json!({"artist": dice.pick(&ARTISTS), "location": city, "event_date": dice.date(1400)}))
        .collect();
    let album = (!dice.once_in(6)).then(|| {
        json!({
            "title": dice.pick(&TITLES),
            "artist": dice.pick(&ARTISTS),
            "label": dice.pick(&LABELS),
            "release_date": dice.date(1400)
        })
    });
    json!({"concerts": concerts, "upcoming_album_release": album})
}
