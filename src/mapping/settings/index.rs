//! `[syncs.*.indexes]`: look-up paths; the first is the primary one.

use super::ModelColumns;
use crate::{
    domain::{
        hash::{HashSecret, SECRET_BYTES_MAX, SECRET_BYTES_MIN, ValueHasher},
        index::NormalForm,
        name::IndexName,
    },
    mapping::{IndexSpec, SharedSpec},
    settings::{
        item::Item,
        section::Section,
        tree::{Entry, Value},
    },
};

const HINT: &str = "add [syncs.NAME.indexes] with the primary key first, as in id = \"user_id\"";

pub(super) fn indexes(sync: &Section<'_>, model: &ModelColumns) -> Option<Vec<IndexSpec>> {
    let item = sync.need("indexes", HINT)?;
    let section = item.section()?;
    let read: Vec<_> = section.entries().map(|(entry, item)| index(&section, entry, &item, model)).collect();
    read.into_iter().collect()
}

fn index(section: &Section<'_>, entry: &Entry, item: &Item<'_>, model: &ModelColumns) -> Option<IndexSpec> {
    let name = IndexName::new(&entry.key);
    if let Err(error) = &name {
        section.fault_at(entry, &error.to_string(), None);
    }
    let spec = match &item.node.value {
        Value::Table(_) => described(item, model),
        Value::String(_) => model.read(item).map(|column| Described { column, ..Described::default() }),
        other => {
            return item.fail(
                format!("must be a column's name or a table, not {}", other.type_name()),
                "write id = \"user_id\" or email = { column = \"email\", normalize = [\"trim\"] }".to_owned(),
            );
        }
    }?;
    let Described { column, columns, each, normalize, hash, shared } = spec;
    Some(IndexSpec { name: name.ok()?, column, columns, each, normalize, hash, shared })
}

/// What a table says of an index.
#[derive(Default)]
struct Described {
    column: String,
    columns: Vec<String>,
    each: bool,
    normalize: Vec<NormalForm>,
    hash: Option<ValueHasher>,
    shared: SharedSpec,
}

fn described(item: &Item<'_>, model: &ModelColumns) -> Option<Described> {
    let section = item.section()?;
    let columns = section.read("columns", |item| item.list(|item| model.read(item)));
    let column = if section.has("columns") {
        section.refuse("column", "conflicts with `columns`", "keep one of them".to_owned());
        let is_alone = !section.has("column");
        columns.clone().flatten().filter(|_| is_alone).map(|columns| columns.join(","))
    } else {
        section.need("column", "name the model's column").and_then(|item| model.read(&item))
    };
    let each = section.read("each", Item::boolean);
    let normalize = section.read("normalize", normal_forms);
    let hash = section.read("hash", hasher);
    let shared = section.read("shared", |item| shared(item, model));
    section.finish();
    Some(Described {
        column: column?,
        columns: columns?.unwrap_or_default(),
        each: each?.unwrap_or_default(),
        normalize: normalize?.unwrap_or_default(),
        hash: hash?,
        shared: shared?.unwrap_or_default(),
    })
}

/// `"sha256"` or `{ hmac = "${SECRET}" }`.
fn hasher(item: &Item<'_>) -> Option<ValueHasher> {
    if !matches!(item.node.value, Value::Table(_)) {
        return item.parsed("\"sha256\" or a table", |text| match text {
            "sha256" => Ok(ValueHasher::Sha256),
            _ => Err("write hash = \"sha256\" or hash = { hmac = \"${SECRET}\" }".to_owned()),
        });
    }
    let section = item.section()?;
    let secret = section.need("hmac", "write hash = { hmac = \"${SECRET}\" }").and_then(|item| secret(&item));
    section.finish();
    secret.map(ValueHasher::Hmac)
}

/// A secret of hashed index values, which is never printed.
pub(crate) fn secret(item: &Item<'_>) -> Option<HashSecret> {
    let text = item.word()?;
    if (SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&text.len()) {
        return Some(HashSecret::new(text));
    }
    item.fail(
        format!("must have {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes"),
        "make one with `openssl rand -hex 32`".to_owned(),
    )
}

/// `"lowest_key"`, `"reject"` or `{ newest = "updated_at" }`.
fn shared(item: &Item<'_>, model: &ModelColumns) -> Option<SharedSpec> {
    if !matches!(item.node.value, Value::Table(_)) {
        return item.parsed("\"lowest_key\", \"reject\" or a table", |text| match text {
            "lowest_key" => Ok(SharedSpec::LowestKey),
            "reject" => Ok(SharedSpec::Reject),
            _ => Err("write \"lowest_key\", \"reject\" or { newest = \"updated_at\" }".to_owned()),
        });
    }
    let section = item.section()?;
    let newest = section.need("newest", "name a column, as in { newest = \"updated_at\" }");
    let column = newest.and_then(|item| model.read(&item));
    section.finish();
    column.map(SharedSpec::Newest)
}

fn normal_forms(item: &Item<'_>) -> Option<Vec<NormalForm>> {
    let words = [
        ("trim", NormalForm::Trim),
        ("lowercase", NormalForm::Lowercase),
        ("nfc", NormalForm::Nfc),
        ("casefold", NormalForm::Casefold),
        ("integer", NormalForm::Integer),
    ];
    item.list(|item| item.one_of(&words))
}
