//! Suggests the word that was probably meant.

/// The candidate nearest to `word`, if it is near enough to be a typing error: one edit in three letters.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.chars().count().max(3) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `did you mean "delete"?`, or a list of the candidates, which are called `what`.
pub(crate) fn hint<'a>(
    word: &str,
    what: &str,
    candidates: impl IntoIterator<Item = &'a str> + Clone,
) -> Option<String> {
    if let Some(near) = nearest(word, candidates.clone()) {
        return Some(format!("did you mean \"{near}\"?"));
    }
    let list = quoted(candidates);
    (!list.is_empty()).then(|| format!("{what}: {list}"))
}

/// `"a", "b", "c"`, cut after twenty words.
pub(crate) fn quoted<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN_MAX: usize = 20;
    let mut list: Vec<String> =
        words.into_iter().take(SHOWN_MAX + 1).map(|word| format!("\"{word}\"")).collect();
    if list.len() > SHOWN_MAX {
        "...".clone_into(&mut list[SHOWN_MAX]);
    }
    list.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_are_recognised_and_other_words_are_not() {
        for (word, expected) in [
            ("delte", Some("delete")),
            ("Keep", Some("keep")),
            ("remove", None),
            ("", None),
            ("clea", Some("clear")),
        ] {
            assert_eq!(nearest(word, ["delete", "keep", "clear"]), expected, "{word}");
        }
    }
}
