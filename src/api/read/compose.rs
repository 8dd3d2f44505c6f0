//! Answers that are made of records: the requested part of a record, with records of other collections.

use chrono::{DateTime, Utc};

use super::{
    authorised::Authorised,
    codes::Code,
    join::{Joined, Limits},
    parameters::Parameters,
    project::project,
    state::Inner,
};
use crate::{
    api::http::error::Error,
    cache::Served,
    domain::{
        fields::{FieldPath, FieldSelection},
        manifest::Include,
    },
};

/// How the records of one request become parts of its answer.
pub(super) struct Composition {
    fields: FieldSelection,
    joined: Vec<Joined>,
}

impl Composition {
    /// The composition for a caller and the parameters of its request; `None` if records are answered as they are.
    pub(super) fn of(
        inner: &Inner,
        caller: &Authorised,
        served: &Served,
        parameters: &Parameters,
    ) -> Result<Option<Self>, Error<Code>> {
        let includes = &served.manifest.serving.includes;
        let is_wanted = |include: &Include| {
            let is_named = parameters.includes.iter().any(|name| name == include.name.as_str());
            let is_selected =
                parameters.fields.as_ref().is_none_or(|fields| fields.allows(include.name.as_str()));
            is_named || (include.always && is_selected)
        };
        let granted = caller.rights(served.manifest.collection.as_str()).fields();
        if granted.is_none() && parameters.fields.is_none() && !includes.iter().any(is_wanted) {
            let has_names = !parameters.includes.is_empty();
            return if has_names { Err(Code::IncludeNotFound.into()) } else { Ok(None) };
        }
        let is_known = |name: &String| includes.iter().any(|include| include.name.as_str() == name);
        if !parameters.includes.iter().all(is_known) {
            return Err(Code::IncludeNotFound.into());
        }
        let all = FieldSelection::all();
        let (granted, asked) = (granted.unwrap_or(&all), parameters.fields.as_ref().unwrap_or(&all));
        let mut joined = Vec::new();
        for include in includes.iter().filter(|include| is_wanted(include)) {
            let is_named = parameters.includes.iter().any(|name| name == include.name.as_str());
            joined.extend(Joined::of(inner, caller, include, granted, asked, is_named)?);
        }
        let names = joined.iter().filter_map(|joined| FieldPath::new(joined.name()).ok()).collect::<Vec<_>>();
        let own = if names.is_empty() { FieldSelection::all() } else { FieldSelection::without(&names) };
        Ok(Some(Self { fields: granted.intersect(asked).intersect(&own), joined }))
    }

    /// The fields of the record itself.
    pub(super) fn fields(&self) -> &FieldSelection {
        &self.fields
    }

    /// The time of the oldest data in an answer, whose record is of `own`.
    pub(super) fn data_as_of(&self, own: DateTime<Utc>) -> DateTime<Utc> {
        self.joined.iter().map(Joined::data_as_of).fold(own, DateTime::min)
    }

    /// Appends what the answer has of `record`.
    pub(super) fn append(
        &self,
        record: &[u8],
        limits: &mut Limits,
        out: &mut Vec<u8>,
    ) -> Result<(), Error<Code>> {
        out.extend_from_slice(&project(record, &self.fields));
        for joined in &self.joined {
            let brace = out.pop();
            debug_assert_eq!(brace, Some(b'}'), "a record is an object");
            let separator = if out.last() == Some(&b'{') { b"".as_slice() } else { b"," };
            joined.append(record, separator, limits, out)?;
            out.push(b'}');
        }
        limits.check(out)
    }
}
