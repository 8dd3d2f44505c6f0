//! JSON as a tree whose branches open and close, without JavaScript.

use maud::{Markup, html};
use serde_json::Value;

/// Most members and elements that are shown of one value; the text below the tree has the rest.
const NODES_MAX: usize = 2000;
/// Most characters of one text.
const TEXT_CHARACTERS_MAX: usize = 10_000;

/// A JSON text as a tree, with the text itself behind it. Numbers keep all their digits.
pub(in super::super) fn json_tree(text: &str) -> Markup {
    let mut left = NODES_MAX;
    let tree = serde_json::from_str::<Value>(text).map(|value| node(&value, &mut left));
    html! {
        @match tree {
            Ok(tree) => (tree),
            // A tree of this depth is readable as text only.
            Err(_) => p class="quiet" { "It is nested too deeply for a tree." },
        }
        @if left == 0 { p class="quiet" { "The tree shows the first " (NODES_MAX) " values; the text has all." } }
        details {
            summary { "As text" }
            pre tabindex="0" { code { (text) } }
        }
    }
}

fn node(value: &Value, left: &mut usize) -> Markup {
    match value {
        Value::Object(members) if !members.is_empty() => {
            let members = members.iter().map(|(name, member)| (Some(name.as_str()), member));
            branch(&format!("{{{}}}", members.len()), members, left)
        }
        Value::Array(elements) if !elements.is_empty() => {
            let count = format!("[{}]", elements.len());
            branch(&count, elements.iter().map(|element| (None, element)), left)
        }
        Value::String(text) => {
            let shown: String = text.chars().take(TEXT_CHARACTERS_MAX).collect();
            let is_cut = shown.len() < text.len();
            html! { span class="text" { "\"" (shown) "\"" @if is_cut { "..." } } }
        }
        other => html! { span class="value" { (other.to_string()) } },
    }
}

fn branch<'a>(
    count: &str,
    members: impl Iterator<Item = (Option<&'a str>, &'a Value)>,
    left: &mut usize,
) -> Markup {
    let mut shown = Vec::new();
    for (at, (name, member)) in members.enumerate() {
        if *left == 0 {
            break;
        }
        *left -= 1;
        let label = name.map_or_else(|| at.to_string(), str::to_owned);
        shown.push((label, node(member, left)));
    }
    html! {
        details open {
            summary { (count) }
            ul { @for (label, member) in shown { li { span class="name" { (label) } ": " (member) } } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_keep_order_and_digits_and_escape_every_text() {
        let text = r#"{"z<b>":12345678901234567890.10,"a":["</pre><script>",null,{}],"e":{}}"#;
        let tree = json_tree(text).into_string();
        assert!(!tree.contains("<script") && !tree.contains("<b>"), "{tree}");
        assert!(
            tree.contains("12345678901234567890.10") && tree.contains("<span class=\"value\">{}</span>"),
            "{tree}"
        );
        assert!(
            tree.find("z&lt;b&gt;").unwrap() < tree.find("<span class=\"name\">a</span>").unwrap(),
            "{tree}"
        );
    }

    #[test]
    fn large_and_deep_values_are_bounded() {
        let large = format!("[{}0]", "0,".repeat(NODES_MAX * 2));
        let tree = json_tree(&large).into_string();
        assert_eq!(tree.matches("<li>").count(), NODES_MAX);
        assert!(tree.contains("the first 2000 values"), "{tree}");
        let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
        assert!(json_tree(&deep).into_string().contains("nested too deeply"));
    }
}
