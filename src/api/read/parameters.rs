//! The parameters of a look-up: `?fields=a,b.c&include=x,y`, beside those of its freshness.

use super::{codes::Code, freshness::Freshness};
use crate::domain::{
    fields::{FieldPath, FieldSelection},
    limits::INCLUDES_MAX,
    name::IndexName,
};

/// The parameter for the fields of the answer.
pub(in crate::api) const FIELDS: &str = "fields";
/// The parameter for the includes of the answer.
pub(in crate::api) const INCLUDE: &str = "include";

/// The parameters of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parameters {
    pub(super) freshness: Freshness,
    /// The requested fields; `None` is all.
    pub(super) fields: Option<FieldSelection>,
    /// The names of requested includes, each once.
    pub(super) includes: Vec<String>,
}

impl Parameters {
    /// Reads a query. A known parameter that occurs twice is refused like one with an invalid value. Others are
    /// ignored, whatever they hold.
    pub(super) fn of(query: Option<&str>) -> Result<Self, Code> {
        let mut read = Self { freshness: Freshness::of(query)?, fields: None, includes: Vec::new() };
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            let is_second = match &*name {
                FIELDS => read.fields.replace(selection(&value)?).is_some(),
                INCLUDE => !std::mem::replace(&mut read.includes, names(&value)?).is_empty(),
                _ => false,
            };
            if is_second {
                return Err(Code::InvalidParameter);
            }
        }
        Ok(read)
    }
}

/// Field paths between commas.
fn selection(value: &str) -> Result<FieldSelection, Code> {
    let paths = value.split(',').map(FieldPath::new).collect::<Result<Vec<_>, _>>();
    Ok(FieldSelection::only(&paths.map_err(|_| Code::InvalidParameter)?))
}

/// Names between commas; at least one. A name that occurs again changes nothing.
fn names(value: &str) -> Result<Vec<String>, Code> {
    let mut names: Vec<String> = Vec::new();
    for (at, name) in value.split(',').enumerate() {
        if at == INCLUDES_MAX || IndexName::new(name).is_err() {
            return Err(Code::InvalidParameter);
        }
        if !names.iter().any(|other| other == name) {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_includes_are_lists() {
        let only = |paths: &[&str]| {
            FieldSelection::only(&paths.iter().map(|path| FieldPath::new(path).unwrap()).collect::<Vec<_>>())
        };
        for (query, fields, includes) in [
            (None, None, &[][..]),
            (Some("max_age=1s&x=%FF"), None, &[]),
            (Some("fields=a,b.c"), Some(only(&["a", "b.c"])), &[]),
            (Some("include=x%2Cy,x&fields=a"), Some(only(&["a"])), &["x", "y"]),
        ] {
            let read = Parameters::of(query).unwrap();
            assert_eq!(
                (read.fields, read.includes),
                (fields, includes.iter().map(|&n| n.to_owned()).collect())
            );
        }
        let many = format!("include={}", ["a", "b", "c", "d", "e", "f", "g", "h", "i"].join(","));
        for query in [
            "fields",
            "fields=",
            "fields=a,,b",
            "fields=a..b",
            "fields=a&fields=a",
            "include=",
            "include=a b",
            "include=a&include=b",
            "max_age=x&fields=a",
            &many,
        ] {
            assert_eq!(Parameters::of(Some(query)), Err(Code::InvalidParameter), "{query}");
        }
    }
}
