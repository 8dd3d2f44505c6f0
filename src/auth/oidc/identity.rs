//! Who signed in: the name for the audit log, and the role of the groups.

use openidconnect::{StandardClaims, UserInfoClaims, core::CoreGenderClaim};
use serde_json::Value;

use super::discovery::Claims;
use crate::domain::{AdminRole, Digest};

/// Who signed in at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The e-mail address, else the user name, else what the provider calls the person. As the provider has it: of any
    /// length, with any characters.
    pub name: String,
    /// SHA-256 of issuer and subject: the same for every sign-in of the person, and nothing can be read from it.
    pub subject: Digest,
    /// The highest role of the groups; `None` if none of them has one.
    pub role: Option<AdminRole>,
}

/// What is known of a person while claims are gathered.
pub(super) struct Person {
    subject: String,
    email: Option<String>,
    user_name: Option<String>,
    groups: Option<Vec<String>>,
}

impl Person {
    /// By the claims of an ID token.
    pub(super) fn of(
        claims: &openidconnect::IdTokenClaims<Claims, CoreGenderClaim>,
        group_claim: &str,
    ) -> Self {
        let verified = claims.email_verified() != Some(false);
        Self {
            subject: claims.subject().to_string(),
            email: claims.email().filter(|_| verified).map(|email| email.to_string()),
            user_name: claims.preferred_username().map(|name| name.to_string()),
            groups: groups(claims.additional_claims(), group_claim),
        }
    }

    /// Whether the groups are known. Without them nobody can be signed in.
    pub(super) const fn has_groups(&self) -> bool {
        self.groups.is_some()
    }

    /// Whether the userinfo endpoint is asked: for groups, or for a name that a reader of the audit log knows.
    pub(super) const fn lacks_claims(&self) -> bool {
        self.groups.is_none() || self.email.is_none() && self.user_name.is_none()
    }

    /// Adds what the ID token did not have.
    pub(super) fn complete(&mut self, more: &UserInfoClaims<Claims, CoreGenderClaim>, group_claim: &str) {
        let claims: &StandardClaims<CoreGenderClaim> = more.standard_claims();
        if claims.email_verified() != Some(false) {
            self.email = self.email.take().or_else(|| claims.email().map(|email| email.to_string()));
        }
        let user_name = claims.preferred_username().map(|name| name.to_string());
        self.user_name = self.user_name.take().or(user_name);
        self.groups = self.groups.take().or_else(|| groups(more.additional_claims(), group_claim));
    }

    /// The person at `issuer`, with the highest of the `roles` of groups.
    pub(super) fn identify(self, issuer: &str, roles: &[(String, AdminRole)]) -> Identity {
        let Self { subject, email, user_name, groups } = self;
        let groups = groups.unwrap_or_default();
        let role = roles.iter().filter(|(group, _)| groups.contains(group)).map(|(_, role)| *role).max();
        let digest = Digest::of(format!("{issuer}\n{subject}").as_bytes());
        let mut names = [email, user_name, Some(subject)].into_iter().flatten();
        let name = names.find(|name| !name.trim().is_empty()).unwrap_or_default();
        Identity { name, subject: digest, role }
    }
}

/// The groups in a claim: a list of names, or one name. `None` if there is no such claim.
fn groups(claims: &Claims, group_claim: &str) -> Option<Vec<String>> {
    match claims.0.get(group_claim)? {
        Value::Array(values) => Some(values.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
        Value::String(group) => Some(vec![group.clone()]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(groups: Option<&[&str]>, email: Option<&str>, user_name: Option<&str>) -> Person {
        Person {
            subject: "248289761001".to_owned(),
            email: email.map(str::to_owned),
            user_name: user_name.map(str::to_owned),
            groups: groups.map(|groups| groups.iter().map(|&group| group.to_owned()).collect()),
        }
    }

    #[test]
    fn the_highest_role_of_the_groups_counts_and_the_best_name_is_taken() {
        let roles = [("all", AdminRole::Viewer), ("ops", AdminRole::Admin), ("data", AdminRole::Operator)];
        let roles = roles.map(|(group, role)| (group.to_owned(), role));
        let role = |groups| person(groups, None, None).identify("https://op", &roles).role;
        assert_eq!(role(Some(&["all", "ops", "other"])), Some(AdminRole::Admin));
        assert_eq!(role(Some(&["data", "all"])), Some(AdminRole::Operator));
        for none in [None, Some(&[][..]), Some(&["Ops", "ops ", ""][..])] {
            assert_eq!(role(none), None, "{none:?}");
        }
        let named = |email, user_name| person(None, email, user_name).identify("https://op", &[]);
        assert_eq!(named(Some("jane@x"), Some("jane")).name, "jane@x");
        assert_eq!(named(Some(" "), Some("jane")).name, "jane");
        assert_eq!(named(None, None).name, "248289761001");
        assert_eq!(named(None, None).subject, named(Some("jane@x"), None).subject);
        assert_ne!(
            named(None, None).subject,
            person(None, None, None).identify("https://other", &[]).subject
        );
    }

    #[test]
    fn userinfo_is_asked_for_groups_and_for_a_name() {
        for (groups, email, user_name, lacks) in [
            (Some(&["a"][..]), Some("jane@x"), None, false),
            (Some(&["a"]), None, Some("jane"), false),
            (Some(&["a"]), None, None, true),
            (None, Some("jane@x"), Some("jane"), true),
        ] {
            let person = person(groups, email, user_name);
            assert_eq!((person.lacks_claims(), person.has_groups()), (lacks, groups.is_some()), "{email:?}");
        }
    }

    #[test]
    fn groups_are_a_list_or_one_name() {
        for (claim, expected) in [
            (r#"{"g":["a","b",1,null]}"#, Some(vec!["a", "b"])),
            (r#"{"g":"a"}"#, Some(vec!["a"])),
            (r#"{"g":[]}"#, Some(vec![])),
            (r#"{"g":{"a":true}}"#, None),
            (r#"{"other":["a"]}"#, None),
        ] {
            let claims: Claims = serde_json::from_str(claim).unwrap();
            let expected = expected.map(|names| names.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(groups(&claims, "g"), expected, "{claim}");
        }
    }
}
