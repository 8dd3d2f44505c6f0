//! Reads the form of a new API key: its scopes and limits, and every fault at once.

use std::{collections::BTreeMap, fmt::Display, num::NonZeroU32, str::FromStr};

use chrono::{DateTime, Utc};

use crate::{
    admin::{NewKey, check_key_name, expiry},
    console::{Faults, Fields},
    domain::{
        fields::{FieldLimit, FieldPath},
        keyset::{KeyLimits, RateLimit, Scope},
        limits::{
            COLLECTION_LIMITS_MAX, COLLECTIONS_MAX, FIELD_PATHS_MAX, INDEXES_MAX,
            KEY_REQUESTS_PER_SECOND_MAX, NETWORKS_MAX,
        },
        name::CollectionName,
    },
};

/// The key that a form asks for.
///
/// # Errors
/// The fields at fault.
pub(super) fn new_key(fields: &Fields, now: DateTime<Utc>) -> Result<NewKey, Faults> {
    let mut faults = Faults::default();
    let name = faults.take("name", check_key_name(fields.text("name")));
    let grant = grant(fields, &mut faults);
    let expires = Some(fields.text("expires")).filter(|text| !text.is_empty());
    let expires_at = faults.take("expires", expiry(expires, now));
    let limits = limits(fields, &mut faults);
    match (name, grant, expires_at, limits) {
        (Some(name), Some(grant), Some(expires_at), Some(limits)) if faults.is_empty() => {
            Ok(NewKey { name, grant, expires_at, limits })
        }
        _ => Err(faults),
    }
}

fn grant(fields: &Fields, faults: &mut Faults) -> Option<Scope> {
    match fields.text("grant") {
        "all" => Some(Scope::AllCollections),
        "some" => {
            let others = words(fields.text("collections"));
            let mut names: Vec<CollectionName> = faults.take("collections", list(others, COLLECTIONS_MAX))?;
            for name in fields.all("collection") {
                names.push(faults.take("grant", CollectionName::new(name))?);
            }
            names.sort();
            names.dedup();
            if names.is_empty() {
                faults.add("grant", "choose a collection, or all");
            }
            Some(Scope::Collections(names))
        }
        _ => {
            faults.add("grant", "choose all collections or some");
            None
        }
    }
}

fn limits(fields: &Fields, faults: &mut Faults) -> Option<KeyLimits> {
    let indexes = faults.take("indexes", list(words(fields.text("indexes")), 1 + INDEXES_MAX));
    let networks = faults.take("networks", list(words(fields.text("networks")), NETWORKS_MAX));
    let paths = faults.take("fields", list(lines(fields.text("fields")), FIELD_PATHS_MAX));
    let collection_fields =
        faults.take("collection_fields", collection_fields(lines(fields.text("collection_fields"))));
    let rate = rate(fields, faults);
    let paths: Vec<FieldPath> = paths?;
    let limit = match (fields.text("mode"), paths.is_empty()) {
        ("", true) => None,
        ("only", false) => Some(FieldLimit::Only(paths)),
        ("without", false) => Some(FieldLimit::Without(paths)),
        ("", false) => return refuse(faults, "mode", "choose what the names of fields below are for"),
        (_, true) => return refuse(faults, "fields", "name at least one field"),
        _ => return refuse(faults, "mode", "choose all fields, only some, or all but some"),
    };
    Some(KeyLimits {
        indexes: indexes.map(some)?,
        fields: limit,
        collection_fields: collection_fields?,
        networks: networks.map(some)?,
        rate: rate.ok()?,
        never_throttle_status: fields.has("never_throttle_status", "on"),
    })
}

fn refuse<T>(faults: &mut Faults, field: &'static str, fault: &str) -> Option<T> {
    faults.add(field, fault);
    None
}

/// An empty list is no limit.
fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    Some(list).filter(|list| !list.is_empty())
}

/// The rate, if there is one; the burst is a second's requests unless it is given.
///
/// # Errors
/// The faults are noted.
fn rate(fields: &Fields, faults: &mut Faults) -> Result<Option<RateLimit>, ()> {
    let number = |name| {
        let text: &str = fields.text(name);
        if text.is_empty() {
            return Ok(None);
        }
        let number = text.parse::<NonZeroU32>().ok();
        let number = number.filter(|number| u64::from(number.get()) <= KEY_REQUESTS_PER_SECOND_MAX);
        number.map(Some).ok_or_else(|| format!("a whole number from 1 to {KEY_REQUESTS_PER_SECOND_MAX}"))
    };
    let per_second = faults.take("per_second", number("per_second"));
    let burst = faults.take("burst", number("burst"));
    match (per_second.ok_or(())?, burst.ok_or(())?) {
        (None, Some(_)) => {
            faults.add("per_second", "requests at once need requests a second");
            Err(())
        }
        (None, None) => Ok(None),
        (Some(per_second), burst) => Ok(Some(RateLimit { per_second, burst: burst.unwrap_or(per_second) })),
    }
}

/// The limits of lines such as `customer only full_name`.
fn collection_fields<'a>(
    lines: impl Iterator<Item = &'a str>,
) -> Result<BTreeMap<CollectionName, FieldLimit>, String> {
    let mut limits = BTreeMap::new();
    for line in lines {
        let wrong = |fault: &dyn Display| format!("{line:?}: {fault}");
        let mut parts = line.splitn(3, char::is_whitespace).map(str::trim);
        let (name, kind, path) = (parts.next(), parts.next(), parts.next());
        let (Some(name), Some(kind), Some(path)) = (name, kind, path) else {
            return Err(wrong(&"write a collection, only or without, and a field"));
        };
        let name = CollectionName::new(name).map_err(|error| wrong(&error))?;
        let path = FieldPath::new(path).map_err(|error| wrong(&error))?;
        let limit = match kind {
            "only" => FieldLimit::Only(vec![path]),
            "without" => FieldLimit::Without(vec![path]),
            _ => return Err(wrong(&"the second word is only or without")),
        };
        if !FieldLimit::add(&mut limits, &name, limit) {
            return Err(wrong(&"a collection has lines with only or with without, not both"));
        }
    }
    let has_too_many = limits.values().any(|limit| limit.paths().len() > FIELD_PATHS_MAX);
    if has_too_many || limits.len() > COLLECTION_LIMITS_MAX {
        return Err(format!(
            "at most {FIELD_PATHS_MAX} fields of each of {COLLECTION_LIMITS_MAX} collections"
        ));
    }
    Ok(limits)
}

/// Texts between white space and commas.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|between: char| between.is_whitespace() || between == ',').filter(|word| !word.is_empty())
}

/// Lines, without empty ones.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty())
}

/// The values of texts, `max` at most.
fn list<'a, T: FromStr<Err: Display>>(
    texts: impl Iterator<Item = &'a str>,
    max: usize,
) -> Result<Vec<T>, String> {
    let parsed = texts.map(|text| text.parse().map_err(|error| format!("{text:?}: {error}")));
    let values = parsed.take(max + 1).collect::<Result<Vec<T>, _>>()?;
    if values.len() > max { Err(format!("at most {max}")) } else { Ok(values) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &[(&str, &str)]) -> Result<NewKey, Faults> {
        new_key(&Fields::preset(fields), DateTime::UNIX_EPOCH)
    }

    #[test]
    fn scopes_and_limits_of_a_form_are_those_of_the_api() {
        let new = read(&[
            ("name", " braze "),
            ("grant", "some"),
            ("collection", "customer"),
            ("collection", "order"),
            ("collections", "product, customer"),
            ("expires", "1d"),
            ("indexes", "id email"),
            ("mode", "without"),
            ("fields", "ssn\r\naddress.street\r\n"),
            ("collection_fields", "customer only full_name\norder without total\norder without  tax"),
            ("networks", "10.0.0.0/8\n192.0.2.7"),
            ("per_second", "10"),
            ("never_throttle_status", "on"),
        ])
        .unwrap();
        let limits = r#"{"indexes":["id","email"],"fields":{"without":["ssn","address.street"]},"collection_fields":{"customer":{"only":["full_name"]},"order":{"without":["total","tax"]}},"networks":["10.0.0.0/8","192.0.2.7/32"],"rate":{"per_second":10,"burst":10},"never_throttle_status":true}"#;
        assert_eq!(serde_json::to_string(&new.limits).unwrap(), limits);
        assert_eq!(
            serde_json::to_string(&new.grant).unwrap(),
            r#"{"collections":["customer","order","product"]}"#
        );
        assert_eq!(new.name, "braze");
        assert_eq!(new.expires_at, Some(DateTime::from_timestamp(86_400, 0).unwrap()));
        let plain = read(&[("name", "x"), ("grant", "all")]).unwrap();
        assert!(
            plain.limits.is_empty() && plain.grant == Scope::AllCollections && plain.expires_at.is_none()
        );
    }

    #[test]
    fn every_fault_is_found_at_its_field() {
        for (field, value, also) in [
            ("name", "", None),
            ("name", "a\u{7}", None),
            ("grant", "none", None),
            ("collections", "a/b", Some(("grant", "some"))),
            ("expires", "soon", None),
            ("expires", "0s", None),
            ("expires", "999999999d", None),
            ("indexes", "a b/c", None),
            ("mode", "only", None),
            ("mode", "other", Some(("fields", "a"))),
            ("fields", "a..b", Some(("mode", "only"))),
            ("fields", "a", None),
            ("collection_fields", "customer", None),
            ("collection_fields", "customer with a", None),
            ("collection_fields", "customer only a\ncustomer without b", None),
            ("networks", "10.0.0.1/8", None),
            ("per_second", "0", None),
            ("per_second", "1000001", None),
            ("burst", "5", None),
        ] {
            let preset = [("name", "x"), ("grant", "all")];
            let fields = Fields::preset(&preset).with(field, value);
            let fields = also.into_iter().fold(fields, |fields, (name, value)| fields.with(name, value));
            let faults = new_key(&fields, DateTime::UNIX_EPOCH).expect_err(field);
            assert!(!faults.is_empty(), "{field}={value}");
        }
        let both = read(&[("grant", "some"), ("per_second", "x")]).unwrap_err();
        let shown = format!("{both:?}");
        assert!(shown.contains("name") && shown.contains("grant") && shown.contains("per_second"), "{shown}");
    }
}
