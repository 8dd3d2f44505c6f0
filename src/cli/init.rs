//! `larder init`: a first configuration for a source, from a few answers. Questions go to stderr, answers come from
//! flags or stdin, a terminal or not.

use std::{
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    path::Path,
};

use anyhow::Context as _;

use super::{
    args::{ConfigArguments, Init},
    exit::Exit,
    output::{Failure, complain, print, shown},
};
use crate::{
    admin::{QUESTIONS, Query, Question, Sources, questions},
    config::{self, Config, Environment, Fault, Faults, Overrides},
    domain::{CollectionName, Column, IndexName},
    support::private_file,
};

/// The name of the source and of the model in the new file.
const SOURCE: &str = "warehouse";
/// Tables that are listed before the question for one.
const TABLES_SHOWN_MAX: usize = 30;
/// Longest answer, in bytes: a URL is shorter.
const ANSWER_BYTES_MAX: usize = 8 * 1024;

pub(super) async fn run(arguments: &ConfigArguments, given: Init) -> Result<Exit, Failure> {
    let file = &arguments.file;
    if file.exists() {
        return Err(Failure::Usage(format!(
            "{} exists and stays as it is; name another file with --config FILE",
            file.display()
        )));
    }
    // Answers that cannot be used are refused before the next question, and before anything is connected to.
    let collection = given.collection.as_deref().map(collection_of).transpose()?;
    let index = given.index.as_deref().map(index_of).transpose()?;
    if given.primary_key.as_deref() == Some("") {
        return Err(Failure::Usage("--primary-key is empty".to_owned()));
    }
    let source_type = answer(given.source_type, "--type", &type_question(), None)?;
    check_given(&source_type, &given.source, file)?;
    let mut text = source_section(&source_type, given.source)?;
    let sources = Sources::new(load(&text, file)?.sources);
    let checked = sources.check(SOURCE).await?;
    let version = checked.version.map(|version| format!(", {}", shown(&version))).unwrap_or_default();
    complain(&format!("The source answered within {} ms{version}.", checked.latency_ms));

    if given.table.is_none() {
        show_tables(&sources).await?;
    }
    let table = answer(given.table, "--table", "Table or file of the first model", None)?;
    let columns = sources.columns(SOURCE, &Query::Table { name: table.clone(), columns: None }).await?;
    let primary_key = primary_key(given.primary_key, &columns)?;
    let usual = collection_name(&table);
    let collection = match collection {
        Some(collection) => collection,
        None => collection_of(&ask("--collection", "Name of the collection in URLs", Some(&usual))?)?,
    };
    let index = match index {
        Some(index) => index,
        None => index_of(&ask("--index", "Name of the primary index in URLs", Some("id"))?)?,
    };

    text.push_str(&model_and_sync(&table, &primary_key, &collection, &index));
    load(&text, file)?;
    let write = || {
        let mut new = private_file::options().write(true).create_new(true).open(file)?;
        new.write_all(text.as_bytes())
    };
    write().with_context(|| format!("cannot write {}", file.display()))?;
    print(&next_steps(file, &collection))?;
    Ok(Exit::Success)
}

fn load(text: &str, file: &Path) -> Result<Config, Failure> {
    read(text, file).map_err(|faults| in_flags(faults.as_slice()))
}

fn read(text: &str, file: &Path) -> Result<Config, Faults> {
    config::load_text(text, file, &Environment::process(), &Overrides::default())
}

/// Faults of a file that is not written, by the flags that give its values.
fn in_flags(faults: &[Fault]) -> Failure {
    let line = |fault: &Fault| {
        let flag = match key_of(fault) {
            Some("") | None => fault.key.clone(),
            Some("type") => "--type".to_owned(),
            Some(key) => format!("--source {key}"),
        };
        let hint = fault.hint.as_deref().map(|hint| format!("\n  hint: {hint}")).unwrap_or_default();
        format!("{flag}: {}{hint}", fault.message)
    };
    Failure::Usage(faults.iter().map(line).collect::<Vec<_>>().join("\n"))
}

/// The key of a fault within the section of the source.
fn key_of(fault: &Fault) -> Option<&str> {
    let key = fault.key.strip_prefix("sources.")?.strip_prefix(SOURCE)?;
    Some(key.strip_prefix('.').unwrap_or(key))
}

/// Refuses a type that does not exist, keys that it does not have, and a key that is given twice.
fn check_given(source_type: &str, given: &[(String, String)], file: &Path) -> Result<(), Failure> {
    for (at, (name, _)) in given.iter().enumerate() {
        if given[..at].iter().any(|(other, _)| other == name) {
            return Err(Failure::Usage(format!("--source {name} is given twice")));
        }
    }
    let Err(faults) = read(&source_text(source_type, given)?, file) else { return Ok(()) };
    let is_wrong = |fault: &&Fault| key_of(fault) == Some("type") || fault.message == "unknown key";
    let wrong: Vec<Fault> = faults.as_slice().iter().filter(is_wrong).cloned().collect();
    if wrong.is_empty() { Ok(()) } else { Err(in_flags(&wrong)) }
}

fn collection_of(name: &str) -> Result<CollectionName, Failure> {
    CollectionName::new(name).map_err(|error| Failure::Usage(format!("--collection {name:?}: {error}")))
}

fn index_of(name: &str) -> Result<IndexName, Failure> {
    IndexName::new(name).map_err(|error| Failure::Usage(format!("--index {name:?}: {error}")))
}

fn type_question() -> String {
    let names: Vec<&str> = QUESTIONS.iter().map(|(name, _)| *name).collect();
    format!("Type of the source ({})", names.join(", "))
}

/// `Password, better a variable such as ${WAREHOUSE_PASSWORD}`.
fn question(asked: &Question) -> String {
    let example = if asked.example.is_empty() { String::new() } else { format!(" ({})", asked.example) };
    let variable = if asked.is_secret {
        format!(", better a variable such as ${{WAREHOUSE_{}}}", asked.key.to_ascii_uppercase())
    } else {
        String::new()
    };
    format!("{}{example}{variable}", asked.label)
}

/// The section of the source: the keys that are `given`, and those that are asked for.
fn source_section(source_type: &str, mut keys: Vec<(String, String)>) -> Result<String, Failure> {
    // Who gives keys by flags gives all that are not needed.
    let asks_optional = keys.is_empty();
    for asked in questions(source_type) {
        let is_given = |key: &str| keys.iter().any(|(name, _)| name == key);
        if is_given(asked.key) || is_given(asked.alternative) || !(asked.is_needed || asks_optional) {
            continue;
        }
        let usual = (!asked.is_needed).then_some("");
        let value = ask(&format!("--source {}=", asked.key), &question(asked), usual)?;
        if !value.is_empty() {
            keys.push((asked.key.to_owned(), value));
        }
    }
    source_text(source_type, &keys)
}

fn source_text(source_type: &str, keys: &[(String, String)]) -> Result<String, Failure> {
    let mut text = format!(
        "# Written by `larder init`. docs/configuration.md describes every key.\n\n\
         [sources.{SOURCE}]\ntype = {}\n",
        quoted(source_type)
    );
    for (name, value) in keys {
        let is_bare = |part: &str| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
        };
        if !name.split('.').all(is_bare) {
            return Err(Failure::Usage(format!("--source {name:?} is no key of a source")));
        }
        let value = if value.parse::<u16>().is_ok() { value.clone() } else { quoted(value) };
        text.push_str(&format!("{name} = {value}\n"));
    }
    Ok(text)
}

async fn show_tables(sources: &Sources) -> Result<(), Failure> {
    let tables = sources.tables(SOURCE, "").await?;
    for table in tables.iter().take(TABLES_SHOWN_MAX) {
        complain(&format!("  {}", shown(table)));
    }
    if tables.len() > TABLES_SHOWN_MAX {
        complain(&format!("  ... and {} more", tables.len() - TABLES_SHOWN_MAX));
    }
    Ok(())
}

fn primary_key(given: Option<String>, columns: &[Column]) -> Result<String, Failure> {
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let usual = names.iter().find(|name| name.eq_ignore_ascii_case("id")).or(names.first()).copied();
    let listed = names.iter().map(|name| shown(name)).collect::<Vec<_>>().join(", ");
    let question = format!("Column whose value is unique in every row ({listed})");
    let key = answer(given, "--primary-key", &question, usual)?;
    if names.contains(&key.as_str()) {
        return Ok(key);
    }
    Err(Failure::Usage(format!("--primary-key {key:?}: the table has no such column; it has: {listed}")))
}

/// A name for the collection of a table: `customers` of `public.customers`.
fn collection_name(table: &str) -> String {
    let file = table.rsplit('/').next().unwrap_or(table);
    let is_file =
        file != table || [".csv", ".parquet", ".jsonl", ".arrow"].iter().any(|end| file.contains(end));
    let name = if is_file { file.split('.').next() } else { file.rsplit('.').next() };
    let name: String = name
        .unwrap_or_default()
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '_' })
        .collect();
    let name = name.trim_matches('_');
    if name.is_empty() { "records".to_owned() } else { name.to_owned() }
}

fn model_and_sync(table: &str, primary_key: &str, collection: &CollectionName, index: &IndexName) -> String {
    let key = quoted(primary_key);
    format!(
        "\n# One query on the source. `sql` in place of `table` takes any select statement.\n\
         [models.{collection}]\nsource = \"{SOURCE}\"\ntable = {}\nprimary_key = {key}\n\n\
         # GET /v1/collections/{collection}/records/{index}/...\n\
         [syncs.{collection}]\nmodel = \"{collection}\"\n\
         # The source is read when `larder sync` says so; \"every 5m\" lets the server do it.\n\
         schedule = \"manual\"\nindexes = {{ {index} = {key} }}\n",
        quoted(table)
    )
}

fn next_steps(file: &Path, collection: &CollectionName) -> String {
    let config = if file == Path::new("larder.toml") {
        String::new()
    } else {
        format!(" --config {}", file.display())
    };
    format!(
        "Wrote {}. Next:\n\n  larder preview{config} {collection}\n  larder sync{config} {collection}\n  \
         larder keys create{config} --name first --collection {collection}\n  larder serve{config}",
        file.display()
    )
}

/// A string of TOML.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// The value of a flag, or the answer to a question.
fn answer(given: Option<String>, flag: &str, question: &str, usual: Option<&str>) -> Result<String, Failure> {
    given.map_or_else(|| ask(flag, question, usual), Ok)
}

/// Asks on stderr and reads a line of stdin. An empty line is the usual answer.
fn ask(flag: &str, question: &str, usual: Option<&str>) -> Result<String, Failure> {
    let default = usual.filter(|usual| !usual.is_empty()).map(|usual| format!(" [{}]", shown(usual)));
    let mut stderr = io::stderr().lock();
    let _ = write!(stderr, "{question}{}: ", default.unwrap_or_default());
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line).context("cannot read stdin")?;
    if !io::stdin().is_terminal() {
        let _ = writeln!(stderr);
    }
    let text = line.trim();
    match usual {
        _ if read == 0 => Err(Failure::Usage(format!("the answers ended before this one; give {flag}"))),
        _ if text.len() > ANSWER_BYTES_MAX => {
            Err(Failure::Usage(format!("the answer is longer than {ANSWER_BYTES_MAX} bytes")))
        }
        Some(usual) if text.is_empty() => Ok(usual.to_owned()),
        None if text.is_empty() => Err(Failure::Usage(format!("an answer is needed; give {flag}"))),
        _ => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collections_are_named_by_their_tables() {
        for (table, name) in [
            ("customers", "customers"),
            ("public.Customers", "customers"),
            ("exports/customers-*.parquet", "customers"),
            ("customers.csv", "customers"),
            ("Ünter.größe", "gr__e"),
            ("_", "records"),
        ] {
            assert_eq!(collection_name(table), name, "{table}");
        }
    }
}
