//! What can be said about a mapping without its model's columns.

use std::collections::BTreeSet;

use crate::mapping::{FieldsSpec, MappingSpec};

/// A fault of a mapping.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MappingFault {
    /// Where, relative to the sync: `fields.address.city`, `indexes.email`.
    pub(super) path: String,
    /// What is wrong.
    pub(super) message: String,
    /// What to do.
    pub(super) hint: Option<String>,
}

/// Checks the targets of a mapping: each stands for one value, and none is an object as well.
///
/// This is the one place where the configuration asks about a mapping's sense.
pub(super) fn check_mapping(spec: &MappingSpec) -> Vec<MappingFault> {
    let FieldsSpec::Chosen(fields) = &spec.fields else { return Vec::new() };
    let fault = |target: &str, message: String| MappingFault {
        path: format!("fields.{target}"),
        message,
        hint: Some("a dot nests: \"a.b\" is the member b of the object a".to_owned()),
    };
    let mut faults = Vec::new();
    let mut targets = BTreeSet::new();
    for field in fields {
        if !targets.insert(field.target.as_str()) {
            faults.push(fault(&field.target, "is mapped twice".to_owned()));
        }
    }
    for field in fields {
        let objects = field.target.match_indices('.').map(|(at, _)| &field.target[..at]);
        for object in objects.filter(|object| targets.contains(object)) {
            let message = format!("needs \"{object}\" to be an object, but it is a field too");
            faults.push(fault(&field.target, message));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::{FieldSpec, FieldValue};

    #[test]
    fn targets_must_be_distinct_and_not_objects() {
        let faulty = |targets: &[&str]| {
            let field = |target: &&str| FieldSpec {
                target: (*target).to_owned(),
                value: FieldValue::Constant(serde_json::Value::Null),
            };
            let fields = FieldsSpec::Chosen(targets.iter().map(field).collect());
            let spec = MappingSpec { primary_key: "id".to_owned(), indexes: Vec::new(), fields };
            check_mapping(&spec).into_iter().map(|fault| fault.path).collect::<Vec<_>>()
        };
        assert_eq!(faulty(&["a", "b", "c.d", "c.e", "ca"]), [""; 0]);
        assert_eq!(faulty(&["a", "b", "a"]), ["fields.a"]);
        assert_eq!(faulty(&["a.b.c", "a.b"]), ["fields.a.b.c"]);
        assert_eq!(faulty(&["a", "a.b.c"]), ["fields.a.b.c"]);
    }
}
