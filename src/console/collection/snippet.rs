//! Snippets that get a record: the tag of Braze's Connected Content, and a command for a terminal. Those of a collection
//! have placeholders; those of a record have its path, and are only on the page that shows the record.

use maud::{Markup, html};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{
    admin::IndexValue,
    domain::{CollectionName, IndexName},
};

/// The address in snippets while `[server] public_url` is not set.
const PLACEHOLDER_URL: &str = "https://larder.example.com";
/// What a value in a path is encoded with: all but the unreserved characters of RFC 3986.
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Where a collection is requested.
#[derive(Debug, Clone, Copy)]
pub(super) struct Address<'a> {
    /// The setting `[server] public_url`.
    pub(super) public_url: Option<&'a str>,
    pub(super) collection: &'a CollectionName,
}

impl Address<'_> {
    fn records(self, index: &IndexName) -> String {
        let origin = self.public_url.unwrap_or(PLACEHOLDER_URL);
        format!("{origin}/v1/collections/{}/records/{index}", self.collection)
    }

    /// The tag that requests `url`.
    fn tag(self, url: &str) -> String {
        // A name of Liquid has no dash.
        let variable = self.collection.as_str().replace('-', "_");
        format!(
            "{{% connected_content\n     {url}\n     :method get\n     :headers {{\"Authorization\": \"Bearer lrd_...\"}}\n     \
             :content_type application/json\n     :save {variable}\n%}}\n{{% if {variable}.__http_status_code__ == 200 %}}\n  \
             ...\n{{% endif %}}"
        )
    }

    /// The tags, one for each index, the first one open.
    pub(super) fn snippets(self, indexes: &[IndexName]) -> Markup {
        html! {
            (self.explained())
            @for (at, index) in indexes.iter().enumerate() {
                details open[at == 0] {
                    summary { "By " code { (index) } }
                    (copied(&format!("tag-{at}"), "tag", &tag_of(self.public_url, self.collection, index)))
                }
            }
        }
    }

    /// The snippets of the record that is found by `value`.
    pub(super) fn of_record(self, IndexValue { index, value, .. }: &IndexValue) -> Markup {
        let url = format!("{}/{}", self.records(index), utf8_percent_encode(value, IN_PATH));
        html! {
            h3 { "In a message, for each recipient" }
            (copied("tag-message", "tag", &tag_of(self.public_url, self.collection, index)))
            h3 { "This record, for a test" }
            (copied("tag-record", "tag of this record", &self.tag(&url)))
            h3 { "In a terminal" }
            (copied("curl-record", "command", &format!("curl -H 'Authorization: Bearer lrd_...' '{url}'")))
            (self.explained())
        }
    }

    /// What has to be put into a snippet.
    fn explained(self) -> Markup {
        html! {
            p class="quiet" {
                "In place of " code { "lrd_..." } " write an API key. In place of " code { "${user_id}" } " or another name write the \
                 attribute that has the value of the index in your messages; for an index with hashes, the hash of it. "
                @if self.public_url.is_none() {
                    code { (PLACEHOLDER_URL) } " stands for the public address of your Larder. An operator sets it as "
                    code { "public_url" } " in the section " code { "[server]" } " of the configuration file, and these snippets then have it."
                }
            }
        }
    }
}

/// A text with a button that copies it. Without JavaScript there is no button, and the text can be selected.
fn copied(id: &str, what: &str, text: &str) -> Markup {
    let outcome = format!("{id}-copied");
    html! {
        pre id=(id) tabindex="0" { code { (text) } }
        div class="row" {
            button type="button" class="quiet" hidden data-copies=(id) aria-describedby=(outcome) { "Copy the " (what) }
            span id=(outcome) role="status" {}
        }
    }
}

/// The tag that gets a record of a collection by an index, for the person to whom a message goes. `public_url` is the
/// setting of this name.
pub fn tag_of(public_url: Option<&str>, collection: &CollectionName, index: &IndexName) -> String {
    let address = Address { public_url, collection };
    address.tag(&format!("{}/{{{{{}}}}}", address.records(index), attribute(index)))
}

/// The attribute of Braze that an index of this name probably has.
fn attribute(index: &IndexName) -> &'static str {
    match index.as_str() {
        name if name.contains("mail") => "${email_address} | url_param_escape",
        name if name.contains("phone") => "${phone_number} | url_param_escape",
        _ => "${user_id}",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_is_that_of_the_documentation() {
        let (collection, index) = (CollectionName::new("my-people").unwrap(), IndexName::new("id").unwrap());
        let expected = "\
{% connected_content
     https://larder.example.com/v1/collections/my-people/records/id/{{${user_id}}}
     :method get
     :headers {\"Authorization\": \"Bearer lrd_...\"}
     :content_type application/json
     :save my_people
%}
{% if my_people.__http_status_code__ == 200 %}
  ...
{% endif %}";
        assert_eq!(tag_of(None, &collection, &index), expected);
        let of_email = tag_of(Some("http://x"), &collection, &IndexName::new("email").unwrap());
        let url = "\n     http://x/v1/collections/my-people/records/email/{{${email_address} | url_param_escape}}\n";
        assert!(of_email.contains(url), "{of_email}");
    }

    #[test]
    fn the_snippets_of_a_record_have_its_path_and_nothing_that_liquid_or_a_shell_reads() {
        let collection = CollectionName::new("person").unwrap();
        let address = Address { public_url: Some("https://a.example.com"), collection: &collection };
        let value = IndexValue {
            index: IndexName::new("email").unwrap(),
            value: "a+b'{{x}}/é@x.y".to_owned(),
            finds: true,
        };
        let shown = address.of_record(&value).into_string();
        let path =
            "https://a.example.com/v1/collections/person/records/email/a%2Bb%27%7B%7Bx%7D%7D%2F%C3%A9%40x.y";
        assert!(shown.contains(&format!("\n     {path}\n")), "{shown}");
        assert!(
            shown.contains(&format!("curl -H &#39;Authorization: Bearer lrd_...&#39; &#39;{path}&#39;"))
                || shown.contains(&format!("curl -H 'Authorization: Bearer lrd_...' '{path}'")),
            "{shown}"
        );
        assert!(!shown.contains("public_url"), "the address is known");
        let unknown = Address { public_url: None, collection: &collection }.of_record(&value).into_string();
        assert!(
            unknown.contains("https://larder.example.com/v1/") && unknown.contains("public_url"),
            "{unknown}"
        );
    }
}
