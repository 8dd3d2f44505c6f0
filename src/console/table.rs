//! Tables, and the links between the pages of a list.

use maud::{Markup, html};

/// The heading of a column.
#[derive(Debug, Clone, Copy)]
pub(super) enum Column {
    /// Of texts.
    Text(&'static str),
    /// Of numbers, which stand below each other.
    Number(&'static str),
}

/// A table of `rows`, which scrolls by itself on narrow screens. `label` is its name for screen readers.
pub(super) fn table(label: &str, columns: &[Column], rows: &Markup) -> Markup {
    html! {
        div class="table" tabindex="0" role="region" aria-label=(label) {
            table {
                thead { tr {
                    @for column in columns {
                        @match column {
                            Column::Text(heading) => th scope="col" { (heading) },
                            Column::Number(heading) => th scope="col" class="number" { (heading) },
                        }
                    }
                } }
                tbody { (rows) }
            }
        }
    }
}

/// Terms with what they are, for pages about one thing.
pub(super) fn terms(terms: &[(&str, Markup)]) -> Markup {
    html! {
        dl { @for (term, what) in terms { div { dt { (term) } dd { (what) } } } }
    }
}

/// `path` with these parameters; empty ones are left out.
pub(super) fn link(path: &str, parameters: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters.iter().filter(|(_, value)| !value.is_empty()));
    match query.finish() {
        query if query.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

/// The links to the first and the next page of the list at `path`, which `filters` narrow. `cursor` is that of this
/// page, `next` that of the next one.
pub(super) fn pages(
    path: &str,
    filters: &[(&str, &str)],
    cursor: Option<&str>,
    next: Option<&str>,
) -> Markup {
    if cursor.or(next).is_none() {
        return html! {};
    }
    let next = next.map(|next| link(path, &[filters, &[("cursor", next)]].concat()));
    html! {
        nav class="pages" aria-label="Pages" {
            @if cursor.is_some() { a href=(link(path, filters)) { "First page" } }
            @if let Some(next) = next { a href=(next) rel="next" { "Next page" } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_have_what_is_given_and_escape_it() {
        assert_eq!(link("/console/x", &[("a", "")]), "/console/x");
        assert_eq!(link("/console/x", &[("a", "b&c\"<"), ("d", "")]), "/console/x?a=b%26c%22%3C");
        assert_eq!(pages("/x", &[], None, None).into_string(), "");
        let both = pages("/x", &[("q", "y")], Some("1"), Some("2")).into_string();
        assert!(both.contains("href=\"/x?q=y\"") && both.contains("href=\"/x?q=y&amp;cursor=2\""), "{both}");
    }
}
