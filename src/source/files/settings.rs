//! `[sources.NAME]` of type `files`.

use std::sync::Arc;

use super::{
    Files, Reading,
    csv::CsvOptions,
    format::{FORMATS, Format},
    place::Place,
    sftp,
};
use crate::{
    domain::limits::FIELDS_MAX,
    settings::{item::Item, section::Section, tree::Value},
    source::driver::{Driver, OpenOptions},
    store::bucket_of,
};

const PLACE_HINT: &str = "write path = \"exports\" for a directory, or url = \"s3://bucket/prefix\", \
    \"gs://bucket/prefix\", \"az://container/prefix\" or \"sftp://user@host/directory\"";

/// Reads `path`, the directory of the files, or `url`, their bucket or server; `format`, `csv` and `sheet`.
pub(super) fn open(section: &Section<'_>, options: &OpenOptions<'_>) -> Option<Arc<dyn Driver>> {
    let place = match (section.get("path"), section.get("url")) {
        (Some(path), None) => path.file_path(options.dir).map(Place::Directory),
        (None, Some(url)) if is_sftp(&url) => {
            sftp::Server::read(section, &url, options).map(|server| Place::Server(server.into()))
        }
        (None, Some(url)) => bucket_of(section, &url, options.dir, options.env, PLACE_HINT)
            .map(|bucket| Place::Bucket(bucket.into())),
        (Some(_), Some(url)) => url.fail("conflicts with path", PLACE_HINT.to_owned()),
        (None, None) => section.fail("has no path or URL", PLACE_HINT.to_owned()),
    };
    let format = section.read("format", |item| item.one_of(&FORMATS));
    let csv = section.read_table("csv", |section| csv(section, format.flatten()));
    let sheet = section.read("sheet", Item::printable_word);
    let reading = Reading { format: format?, csv: csv?, sheet: sheet? };
    Some(Arc::new(Files { place: place?, reading }))
}

fn is_sftp(url: &Item<'_>) -> bool {
    matches!(&url.node.value, Value::String(text) if text.value.starts_with("sftp://"))
}

fn csv(section: &Section<'_>, format: Option<Format>) -> Option<CsvOptions> {
    let default = CsvOptions::default();
    let mut taken: Vec<(&str, u8)> = Vec::new();
    let mut own = |key: &'static str, default: Option<u8>| {
        let read = section.read(key, |item| {
            let byte = character(item)?;
            match taken.iter().find(|(_, taken)| *taken == byte) {
                Some((other, _)) => item.fail(
                    format!("is the same character as that of `csv.{other}`"),
                    "write another one; a quote within quotes is doubled without `csv.escape`".to_owned(),
                ),
                None => Some(byte),
            }
        });
        taken.extend(read.flatten().or(default).map(|byte| (key, byte)));
        read
    };
    let usual_delimiter = match format {
        Some(Format::Csv) => Some(b','),
        Some(Format::Tsv) => Some(b'\t'),
        // The end of a name tells it.
        _ => None,
    };
    let delimiter = own("delimiter", usual_delimiter);
    let quote = own("quote", Some(default.quote));
    let escape = own("escape", None);
    let comment = own("comment", None);
    let names = section.read("header", header);
    let null = section.read("null", |item| item.printable().string().map(str::to_owned));
    Some(CsvOptions {
        delimiter: delimiter?,
        quote: quote?.unwrap_or(default.quote),
        escape: escape?,
        comment: comment?,
        names: names?.flatten(),
        null: null?,
    })
}

/// `true`, or the names of the columns of files that have no header line.
#[expect(clippy::option_option, reason = "the outer one is a reported fault, the inner one a header line")]
fn header(item: &Item<'_>) -> Option<Option<Vec<String>>> {
    const HINT: &str = "write header = [\"id\", \"name\"] for files without a header line";
    match item.node.value {
        Value::Boolean(true) => Some(None),
        Value::Boolean(false) => item.fail("needs the names of the columns", HINT.to_owned()),
        _ => {
            let names = item.list(Item::printable_word)?;
            if names.is_empty() || names.len() > FIELDS_MAX {
                return item.fail(format!("must name from 1 to {FIELDS_MAX} columns"), HINT.to_owned());
            }
            Some(Some(names))
        }
    }
}

/// One ASCII character.
fn character(item: &Item<'_>) -> Option<u8> {
    item.parsed("one ASCII character", |text| match text.as_bytes() {
        [byte] if byte.is_ascii() && !matches!(byte, b'\r' | b'\n') => Ok(*byte),
        _ => Err("write \";\" or \"\\t\"".to_owned()),
    })
}
