//! Sample products: a record shop.

use serde_json::json;
use sqlx::SqliteConnection;

use super::{PRODUCTS, dice::Dice};

const KINDS: [&str; 6] = ["T-shirt", "Vinyl LP", "Poster", "Hoodie", "Tote bag", "Cassette"];
const NAMES: [&str; 8] =
    ["Nordlicht", "Café Noir", "Velvet", "Static", "Señal", "Origami", "Half Moon", "Ziggurat"];
const CURRENCIES: [&str; 3] = ["USD", "EUR", "JPY"];
const TAGS: [&str; 6] = ["new", "sale", "limited", "organic", "signed", "import"];

const TABLE: &str = "create table products (
    sku text primary key,
    name text not null,
    description text,
    price_cents integer not null,
    currency text not null,
    in_stock boolean not null,
    tags json not null,
    updated_at text not null
)";

pub(super) async fn insert(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query(TABLE).execute(&mut *connection).await?;
    let mut dice = Dice::new(0x5eed_0002);
    for number in 1..=PRODUCTS {
        let (kind, name) = (dice.pick(&KINDS), dice.pick(&NAMES));
        let tags: Vec<&str> = TAGS.into_iter().filter(|_| dice.once_in(3)).collect();
        let description = (!dice.once_in(7)).then(|| format!("{kind} “{name}”, no. {number}."));
        sqlx::query("insert into products values ($1, $2, $3, $4, $5, $6, $7, $8)")
            .bind(format!("SKU-{number:04}"))
            .bind(format!("{name} {kind}"))
            .bind(description)
            .bind((500 + dice.below(9_500)).cast_signed())
            .bind(dice.pick(&CURRENCIES))
            .bind(!dice.once_in(5))
            .bind(json!(tags).to_string())
            .bind(format!("{}T{:02}:{:02}:00Z", dice.date(1000), dice.below(24), dice.below(60)))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
