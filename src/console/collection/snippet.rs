//! The tag of Braze's Connected Content that gets a record. It has placeholders, never a value of a person.

use maud::{Markup, html};

use crate::domain::{CollectionName, IndexName};

/// The tags, one for each index, the first one open.
pub(super) fn snippets(collection: &CollectionName, indexes: &[IndexName]) -> Markup {
    html! {
        p class="quiet" {
            "Put the public address of a region and an API key in. In place of " code { "${user_id}" } " write what has the value of \
             the index in your messages, and pass e-mail addresses through " code { "url_param_escape" } "."
        }
        @for (at, index) in indexes.iter().enumerate() {
            details open[at == 0] {
                summary { "By " code { (index) } }
                pre tabindex="0" { code { (tag_of(collection, index)) } }
            }
        }
    }
}

/// The tag that gets a record of a collection by an index.
pub fn tag_of(collection: &CollectionName, index: &IndexName) -> String {
    // A name of Liquid has no dash.
    let variable = collection.as_str().replace('-', "_");
    format!(
        "{{% connected_content\n     https://larder.example.com/v1/collections/{collection}/records/{index}/{{{{${{user_id}}}}}}\n     \
         :method get\n     :headers {{\"Authorization\": \"Bearer lrd_...\"}}\n     :content_type application/json\n     \
         :save {variable}\n%}}\n{{% if {variable}.__http_status_code__ == 200 %}}\n  ...\n{{% endif %}}"
    )
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
        assert_eq!(tag_of(&collection, &index), expected);
    }
}
