//! Lists and maps in documents, with at most so many entries. They are counted while they are read: 64 MiB of short
//! entries would take a gigabyte of memory before they could be counted.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};

struct Bounded<T, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Bounded<Vec<T>, MAX> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MAX} entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(entry) = entries.next_element()? {
            if list.len() == MAX {
                return Err(A::Error::invalid_length(MAX + 1, &self));
            }
            list.push(entry);
        }
        Ok(list)
    }
}

impl<'de, K: Deserialize<'de> + Ord, V: Deserialize<'de>, const MAX: usize> Visitor<'de>
    for Bounded<BTreeMap<K, V>, MAX>
{
    type Value = BTreeMap<K, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a map of at most {MAX} entries")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut map = BTreeMap::new();
        while let Some((key, value)) = entries.next_entry()? {
            map.insert(key, value);
            if map.len() > MAX {
                return Err(A::Error::invalid_length(map.len(), &self));
            }
        }
        Ok(map)
    }
}

/// Reads a list of at most `MAX` entries.
pub(crate) fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>, const MAX: usize>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    deserializer.deserialize_seq(Bounded::<Vec<T>, MAX>(PhantomData))
}

/// Reads a list of at most `MAX` entries, or null.
pub(crate) fn list_or_null<'de, D: Deserializer<'de>, T: Deserialize<'de>, const MAX: usize>(
    deserializer: D,
) -> Result<Option<Vec<T>>, D::Error> {
    struct Of<T, const MAX: usize>(Vec<T>);
    impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for Of<T, MAX> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            list::<D, T, MAX>(deserializer).map(Self)
        }
    }
    Ok(Option::<Of<T, MAX>>::deserialize(deserializer)?.map(|of| of.0))
}

/// Reads a map of at most `MAX` entries.
pub(crate) fn map<'de, D, K, V, const MAX: usize>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
where
    D: Deserializer<'de>,
    K: Deserialize<'de> + Ord,
    V: Deserialize<'de>,
{
    deserializer.deserialize_map(Bounded::<BTreeMap<K, V>, MAX>(PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Document {
        #[serde(deserialize_with = "list::<_, _, 2>")]
        list: Vec<u8>,
        #[serde(default, deserialize_with = "list_or_null::<_, _, 2>")]
        optional: Option<Vec<u8>>,
        #[serde(default, deserialize_with = "map::<_, _, _, 2>")]
        map: BTreeMap<String, u8>,
    }

    #[test]
    fn one_entry_too_many_is_refused() {
        let read = serde_json::from_str::<Document>;
        let whole = read(r#"{"list":[1,2],"optional":[3],"map":{"a":1,"b":2,"a":3}}"#).unwrap();
        assert_eq!((whole.list, whole.optional, whole.map.len()), (vec![1, 2], Some(vec![3]), 2));
        let empty = read(r#"{"list":[],"optional":null}"#).unwrap();
        assert_eq!((empty.list.len(), empty.optional, empty.map.len()), (0, None, 0));
        for refused in [
            r#"{"list":[1,2,3]}"#,
            r#"{"list":[],"optional":[1,2,3]}"#,
            r#"{"list":[],"map":{"a":1,"b":2,"c":3}}"#,
        ] {
            assert!(read(refused).is_err(), "{refused}");
        }
    }
}
