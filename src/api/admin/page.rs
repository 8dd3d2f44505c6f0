//! Pages of lists: some items, and the cursor of the next page.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::input::invalid;
use crate::{api::http::error::Error, domain::RunRecord};

/// One page.
#[derive(utoipa::ToSchema, Debug, Serialize)]
pub(in crate::api) struct Page<T> {
    /// The items.
    pub(in crate::api) items: Vec<T>,
    /// The cursor of the next page; null on the last one.
    pub(in crate::api) next: Option<String>,
}

impl<T> Page<T> {
    /// The page behind `cursor` of things in the order of their names.
    pub(in crate::api) fn by_name(things: Vec<(String, T)>, limit: usize, cursor: Option<&str>) -> Self {
        let mut behind = things.into_iter().filter(|(name, _)| cursor.is_none_or(|cursor| **name > *cursor));
        let (mut items, mut last) = (Vec::new(), None);
        for (name, thing) in behind.by_ref().take(limit) {
            items.push(thing);
            last = Some(name);
        }
        let next = last.filter(|_| behind.next().is_some());
        Self { items, next }
    }

    /// The page behind `cursor` of things with a time and an id, newest first.
    pub(in crate::api) fn newest_first(
        mut things: Vec<T>,
        limit: usize,
        cursor: Option<&str>,
        time_and_id_of: impl Fn(&T) -> (DateTime<Utc>, &str),
    ) -> Result<Self, Error> {
        if let Some((at, id)) = time_and_id::<String>(cursor)? {
            things.retain(|thing| time_and_id_of(thing) < (at, &id));
        }
        things.sort_by(|a, b| time_and_id_of(b).cmp(&time_and_id_of(a)));
        Ok(Self::of(things, limit, |thing| {
            let (at, id) = time_and_id_of(thing);
            cursor_at(at, id)
        }))
    }

    /// A page of things that were read with one more than `limit`, to know whether there is a next one.
    pub(in crate::api) fn of(mut items: Vec<T>, limit: usize, cursor_of: impl Fn(&T) -> String) -> Self {
        let has_more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| has_more).map(cursor_of);
        Self { items, next }
    }
}

/// The cursor behind something at a time: the time, and its id.
pub(in crate::api) fn cursor_at(at: DateTime<Utc>, id: impl std::fmt::Display) -> String {
    format!("{}.{id}", at.timestamp_micros())
}

/// The cursor behind a run.
pub(in crate::api) fn cursor_of_run(run: &RunRecord) -> String {
    cursor_at(run.started_at, run.id)
}

/// The time and id of a cursor.
pub(in crate::api) fn time_and_id<T: FromStr>(
    cursor: Option<&str>,
) -> Result<Option<(DateTime<Utc>, T)>, Error> {
    let Some(cursor) = cursor else { return Ok(None) };
    let read = || {
        let (at, id) = cursor.split_once('.')?;
        Some((DateTime::from_timestamp_micros(at.parse().ok()?)?, id.parse().ok()?))
    };
    read().map(Some).ok_or_else(|| invalid("cursor must be `next` of the page before"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_without_gaps() {
        let things = || ["a", "b", "c", "d", "e"].map(|name| (name.to_owned(), name)).to_vec();
        let (mut seen, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let page = Page::by_name(things(), 2, cursor.as_deref());
            assert!(page.items.len() <= 2);
            seen.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, ["a", "b", "c", "d", "e"]);
        assert_eq!(Page::by_name(things(), 5, None).next, None);
        let page = Page::of(vec![1, 2, 3], 2, ToString::to_string);
        assert_eq!((page.items, page.next.as_deref()), (vec![1, 2], Some("2")));
        assert_eq!(Page::of(vec![1, 2], 2, ToString::to_string).next, None);
    }

    #[test]
    fn the_newest_come_first_and_none_twice() {
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        let things = || vec![(at(1), "a"), (at(3), "b"), (at(2), "c"), (at(3), "d")];
        let page = |cursor| Page::newest_first(things(), 3, cursor, |(at, id)| (*at, *id)).unwrap();
        let first = page(None);
        assert_eq!(first.items, [(at(3), "d"), (at(3), "b"), (at(2), "c")]);
        let second = page(first.next.as_deref());
        assert_eq!((second.items, second.next), (vec![(at(1), "a")], None));
        Page::newest_first(things(), 3, Some("x"), |(at, id)| (*at, *id)).unwrap_err();
    }

    #[test]
    fn cursors_are_read_back() {
        let at = DateTime::from_timestamp_micros(1_700_000_000_123_456).unwrap();
        assert_eq!(time_and_id::<u64>(Some(&cursor_at(at, 7))).unwrap(), Some((at, 7)));
        for wrong in ["", "x", "1", "1.x", ".1", "99999999999999999999.1"] {
            time_and_id::<u64>(Some(wrong)).unwrap_err();
        }
    }
}
