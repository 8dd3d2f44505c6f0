//! The tree of targets: `address.city` is the member `city` of the object `address`.

use super::{fault::MappingFault, spec::FieldSpec};
use crate::domain::{Column, limits};

/// One member of a record, or of an object inside it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// Its key.
    pub(super) name: String,
    /// Its value.
    pub(super) content: Content,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// The value of the field with this number.
    Field(usize),
    /// An object with these members.
    Object(Vec<Member>),
}

/// The members of a record with every column under its own name.
pub(super) fn of_columns(columns: &[Column]) -> Vec<Member> {
    columns
        .iter()
        .enumerate()
        .map(|(field, column)| Member { name: column.name.clone(), content: Content::Field(field) })
        .collect()
}

/// The members of a record with these fields, in order. The fields of one object follow each other at the
/// position of the first of them.
pub(super) fn of_fields(fields: &[FieldSpec], faults: &mut Vec<MappingFault>) -> Vec<Member> {
    let mut root = Vec::new();
    for (field, spec) in fields.iter().enumerate() {
        if let Err(fault) = insert(&mut root, spec, field) {
            faults.push(fault);
        }
    }
    root
}

fn insert(root: &mut Vec<Member>, spec: &FieldSpec, field: usize) -> Result<(), MappingFault> {
    let fault = |message: String| MappingFault::new(path(spec), message);
    let segments: Vec<&str> = spec.target.split('.').collect();
    if segments.iter().any(|segment| segment.is_empty()) {
        return Err(fault(format!("the target `{}` has an empty part", spec.target))
            .hint("a dot nests: `address.city` is the member `city` of the object `address`"));
    }
    if has_nul(&spec.target) {
        return Err(fault("the target has a NUL character, which clients' parsers refuse".to_owned()));
    }
    if segments.len() > limits::DEPTH_MAX {
        return Err(fault(format!("a record has at most {} levels", limits::DEPTH_MAX)));
    }
    let (last, parents) = segments.split_last().expect("split yields at least one part");
    let mut members = root;
    for parent in parents {
        let at = members.iter().position(|member| member.name == **parent).unwrap_or_else(|| {
            members.push(Member { name: (*parent).to_owned(), content: Content::Object(Vec::new()) });
            members.len() - 1
        });
        match &mut members[at].content {
            Content::Object(inner) => members = inner,
            Content::Field(_) => {
                return Err(fault(format!(
                    "`{parent}` is the value of another field and cannot be an object too"
                )));
            }
        }
    }
    match members.iter().find(|member| member.name == **last).map(|member| &member.content) {
        Some(Content::Field(_)) => Err(fault(format!("two fields have the target `{}`", spec.target))),
        Some(Content::Object(_)) => Err(fault(format!(
            "other fields make `{}` an object, so that it cannot be a value too",
            spec.target
        ))),
        None => {
            members.push(Member { name: (*last).to_owned(), content: Content::Field(field) });
            Ok(())
        }
    }
}

/// Whether the name of a member is one that no record has.
pub(super) fn has_nul(name: &str) -> bool {
    name.contains('\0')
}

/// Where faults of this field are reported.
pub(super) fn path(spec: &FieldSpec) -> String {
    format!("fields.{}", spec.target)
}

/// Names of the top-level members.
pub(super) fn names(members: &[Member]) -> Vec<String> {
    members.iter().map(|member| member.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::FieldValue;

    fn tree(targets: &[&str]) -> (Vec<Member>, Vec<String>) {
        let fields: Vec<_> = targets
            .iter()
            .map(|target| FieldSpec {
                target: (*target).to_owned(),
                value: FieldValue::Constant(serde_json::Value::Null),
            })
            .collect();
        let mut faults = Vec::new();
        let members = of_fields(&fields, &mut faults);
        (members, faults.into_iter().map(|fault| fault.path).collect())
    }

    fn shape(members: &[Member]) -> String {
        let parts: Vec<_> = members
            .iter()
            .map(|member| match &member.content {
                Content::Field(field) => format!("{}={field}", member.name),
                Content::Object(inner) => format!("{}({})", member.name, shape(inner)),
            })
            .collect();
        parts.join(" ")
    }

    #[test]
    fn dots_nest_and_objects_stand_where_their_first_field_does() {
        for (targets, expected) in [
            (&["a", "b"][..], "a=0 b=1"),
            (&["a.x", "b", "a.y"], "a(x=0 y=2) b=1"),
            (&["a.b.c", "a.d", "a.b.e"], "a(b(c=0 e=2) d=1)"),
            (&["90_day", "x y"], "90_day=0 x y=1"),
        ] {
            let (members, faults) = tree(targets);
            assert_eq!((shape(&members).as_str(), faults.len()), (expected, 0), "{targets:?}");
        }
    }

    #[test]
    fn clashes_are_faults() {
        for (targets, path) in [
            (&["a", "a"][..], "fields.a"),
            (&["a", "a.b"], "fields.a.b"),
            (&["a.b", "a"], "fields.a"),
            (&["a..b"], "fields.a..b"),
            (&[""], "fields."),
            (&[".a"], "fields..a"),
            (&["a.b\0"], "fields.a.b\0"),
        ] {
            assert_eq!(tree(targets).1, [path], "{targets:?}");
        }
        let deep = vec!["a"; limits::DEPTH_MAX].join(".");
        assert!(tree(&[&deep]).1.is_empty());
        assert_eq!(tree(&[&format!("{deep}.a")]).1.len(), 1);
    }
}
