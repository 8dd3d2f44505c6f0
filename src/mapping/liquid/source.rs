//! Reading a template before the crate's parser does.
//!
//! The crate reports unknown filters without a place, panics on long numbers, recurses without a
//! bound, knows neither tabs nor `x.90_day` nor `{% # ... %}` in tags, and takes the name
//! `nullable` for the word `null` and a rest. So a template is read once here: what is not
//! supported is refused with its place and a hint, and the rest is rewritten to what the crate
//! understands.

use std::collections::BTreeSet;

use super::{
    blocks,
    content::{Content, identifier},
    filters,
};
use crate::mapping::fault::nearest;

/// Most blocks, or brackets, inside each other: the parser recurses over them.
pub(super) const NESTING_MAX: usize = 32;
/// Put before names that begin with a literal.
pub(super) const ALIAS: &str = "larder__";

/// The name that a template has for what the parser calls `name`.
pub(super) fn original(name: &str) -> &str {
    name.strip_prefix(ALIAS).unwrap_or(name)
}

/// What stops a template from being one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    /// Byte offset in the template.
    pub(super) at: usize,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Flaw {
    pub(super) fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into(), hint: None }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// A template as the parser gets it, and what was learned on the way.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// The rewritten text.
    pub(super) text: String,
    /// Names read as variables.
    pub(super) names: BTreeSet<String>,
    /// Names that the template gives values itself.
    pub(super) assigned: BTreeSet<String>,
    /// Whether `'now'` or `'today'` stands in it.
    pub(super) reads_clock: bool,
    /// Where pieces of the text come from: offset in the text, offset in the template.
    pieces: Vec<(usize, usize)>,
}

impl Source {
    /// The place in the template of a place in the rewritten text.
    pub(super) fn original_offset(&self, at: usize) -> usize {
        let piece = self.pieces.partition_point(|(start, _)| *start <= at);
        self.pieces.get(piece.wrapping_sub(1)).map_or(at, |(start, original)| original + (at - start))
    }
}

/// Reads `template`.
pub(super) fn read(template: &str) -> Result<Source, Flaw> {
    let mut reader = Reader { template, source: Source::default(), open: Vec::new() };
    reader.read()?;
    Ok(reader.source)
}

/// Where a `{{ ... }}` or `{% ... %}` stands.
#[derive(Clone, Copy)]
struct Markup {
    /// Its first brace.
    start: usize,
    /// What is between the braces and dashes.
    inner: (usize, usize),
    /// After its last brace.
    end: usize,
    trims_before: bool,
    trims_after: bool,
}

/// Goes through a template once.
pub(super) struct Reader<'t> {
    pub(super) template: &'t str,
    pub(super) source: Source,
    /// Blocks that are open, with the places of their tags.
    open: Vec<(&'static str, usize)>,
}

impl<'t> Reader<'t> {
    fn read(&mut self) -> Result<(), Flaw> {
        let mut at = 0;
        while let Some(start) = self.opening(at) {
            self.copy(at, start);
            let markup = self.markup(start)?;
            at = if self.template.as_bytes()[start + 1] == b'{' {
                self.output(markup)?
            } else {
                self.tag(markup)?
            };
        }
        self.copy(at, self.template.len());
        match self.open.last() {
            Some((name, place)) => Err(Flaw::new(*place, format!("the block `{name}` is never closed"))
                .hint(format!("close it with {{% end{name} %}}"))),
            None => Ok(()),
        }
    }

    /// The next `{{` or `{%`.
    fn opening(&self, from: usize) -> Option<usize> {
        let rest = &self.template[from..];
        let output = rest.find("{{");
        let tag = rest.find("{%");
        output.into_iter().chain(tag).min().map(|at| from + at)
    }

    pub(super) fn copy(&mut self, start: usize, end: usize) {
        self.emit(start, &self.template[start..end]);
    }

    /// Writes `text`, which stands for what is at `at` in the template.
    pub(super) fn emit(&mut self, at: usize, text: &str) {
        self.source.pieces.push((self.source.text.len(), at));
        self.source.text.push_str(text);
    }

    fn markup(&self, start: usize) -> Result<Markup, Flaw> {
        let bytes = self.template.as_bytes();
        let (is_output, first) = (bytes[start + 1] == b'{', start + 2);
        let trims_before = bytes.get(first) == Some(&b'-');
        let inner_start = first + usize::from(trims_before);
        let close = if is_output { "}}" } else { "%}" };
        let is_comment = !is_output && self.template[inner_start..].trim_start().starts_with('#');
        let inner_end = self.closing(start, inner_start, close, is_comment)?;
        let trims_after = inner_end > inner_start && bytes[inner_end - 1] == b'-';
        Ok(Markup {
            start,
            inner: (inner_start, inner_end - usize::from(trims_after)),
            end: inner_end + 2,
            trims_before,
            trims_after,
        })
    }

    /// Where `close` stands, outside of quotes unless `is_comment`.
    fn closing(&self, start: usize, from: usize, close: &str, is_comment: bool) -> Result<usize, Flaw> {
        let bytes = self.template.as_bytes();
        let mut at = from;
        while at < bytes.len() {
            if bytes[at..].starts_with(close.as_bytes()) {
                return Ok(at);
            }
            if matches!(bytes[at], b'\'' | b'"') && !is_comment {
                at = self.quote_end(at)?;
            } else {
                at += 1;
            }
        }
        Err(Flaw::new(start, format!("`{}` is never closed", &self.template[start..start + 2]))
            .hint(format!("close it with `{close}`")))
    }

    /// The place after the string that begins at `at`.
    pub(super) fn quote_end(&self, at: usize) -> Result<usize, Flaw> {
        let quote = char::from(self.template.as_bytes()[at]);
        self.template[at + 1..]
            .find(quote)
            .map(|found| at + found + 2)
            .ok_or_else(|| Flaw::new(at, "a quote is never closed"))
    }

    fn output(&mut self, markup: Markup) -> Result<usize, Flaw> {
        self.emit(markup.start, if markup.trims_before { "{{-" } else { "{{" });
        self.content(markup.inner, Content::Output)?;
        // The crate prints objects in random order and in Ruby's notation.
        self.emit(markup.inner.1, " | ");
        self.emit(markup.inner.1, filters::PRINT);
        self.emit(markup.inner.1, if markup.trims_after { " -}}" } else { " }}" });
        Ok(markup.end)
    }

    /// Reads a tag, and the content of `raw` and `comment` with it; the place to read on.
    fn tag(&mut self, markup: Markup) -> Result<usize, Flaw> {
        let (start, end) = markup.inner;
        let inner = &self.template[start..end];
        let name_start = start + (inner.len() - inner.trim_start().len());
        let name = identifier(&self.template[name_start..end]);
        if self.template[name_start..end].starts_with('#') {
            self.verbatim("comment", markup, "", markup.trims_after);
            return Ok(markup.end);
        }
        match name {
            "" => return Err(Flaw::new(markup.start, "a tag begins with its name")),
            "raw" | "comment" => return self.skip_block(name, markup),
            _ => {}
        }
        self.enter_or_leave(name, name_start)?;
        self.emit(markup.start, if markup.trims_before { "{%- " } else { "{% " });
        self.emit(name_start, name);
        let content = match name {
            "assign" | "capture" | "for" | "increment" | "decrement" => Content::Binding,
            _ => Content::Tag,
        };
        self.content((name_start + name.len(), end), content)?;
        self.emit(end, " ");
        self.emit(end, if markup.trims_after { "-%}" } else { "%}" });
        Ok(markup.end)
    }

    fn enter_or_leave(&mut self, name: &str, at: usize) -> Result<(), Flaw> {
        if let Some(block) = blocks::BLOCKS.into_iter().find(|block| *block == name) {
            if self.open.len() >= NESTING_MAX {
                return Err(Flaw::new(at, format!("blocks are nested more than {NESTING_MAX} deep")));
            }
            self.open.push((block, at));
            return Ok(());
        }
        let inside = self.open.last().map(|(block, _)| *block);
        if let Some((_, owners)) = blocks::BRANCHES.iter().find(|(branch, _)| *branch == name) {
            return match inside {
                Some(inside) if owners.contains(&inside) => Ok(()),
                _ => Err(Flaw::new(at, format!("`{name}` stands outside of {}", owners.join(", ")))),
            };
        }
        if let Some(block) = name.strip_prefix("end") {
            return match self.open.last() {
                Some((inside, _)) if *inside == block => {
                    self.open.pop();
                    Ok(())
                }
                Some((inside, _)) => {
                    Err(Flaw::new(at, format!("`{name}` stands where `end{inside}` is expected")))
                }
                None => Err(Flaw::new(at, format!("`{name}` closes no block"))),
            };
        }
        if blocks::TAGS.contains(&name) {
            return Ok(());
        }
        let flaw = Flaw::new(at, format!("the tag `{name}` is not supported"));
        let known = blocks::TAGS.into_iter().chain(blocks::BLOCKS);
        Err(match nearest(name, known) {
            Some(near) => flaw.hint(format!("did you mean `{near}`?")),
            None => flaw,
        })
    }

    /// Reads a block whose content is not Liquid.
    fn skip_block(&mut self, name: &'t str, markup: Markup) -> Result<usize, Flaw> {
        let close = format!("end{name}");
        let mut at = markup.end;
        let mut depth = 1;
        while let Some(found) = self.template[at..].find("{%") {
            let start = at + found;
            let word_start = self.template[start + 2..].trim_start_matches('-').trim_start();
            let word = identifier(word_start);
            let Some(length) = self.template[start..].find("%}") else { break };
            let end = start + length + 2;
            at = start + 2;
            if word == close {
                depth -= 1;
            } else if word == name && name == "comment" {
                depth += 1;
            }
            if depth == 0 {
                let body = if name == "raw" { &self.template[markup.end..start] } else { "" };
                self.verbatim(name, markup, body, self.template.as_bytes()[end - 3] == b'-');
                return Ok(end);
            }
        }
        Err(Flaw::new(markup.start, format!("the block `{name}` is never closed"))
            .hint(format!("close it with {{% {close} %}}")))
    }

    /// Writes a block with the content `body`.
    fn verbatim(&mut self, name: &str, markup: Markup, body: &str, trims_after: bool) {
        self.emit(markup.start, if markup.trims_before { "{%- " } else { "{% " });
        self.emit(markup.start, name);
        self.emit(markup.start, if markup.trims_after { " -%}" } else { " %}" });
        self.emit(markup.end, body);
        self.emit(markup.end, "{% end");
        self.emit(markup.end, name);
        self.emit(markup.end, if trims_after { " -%}" } else { " %}" });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(template: &str) -> String {
        read(template).unwrap().text.replace(&format!(" | {} ", filters::PRINT), "~")
    }

    #[test]
    fn what_the_parser_does_not_know_is_rewritten() {
        for (template, expected) in [
            ("a {{ b }} c", "a {{ b ~}} c"),
            ("{{-b-}}", "{{-b~-}}"),
            ("{{ x.90_day.k }}", "{{ x['90_day'].k ~}}"),
            ("{{ x[0].1a }}", "{{ x[0]['1a'] ~}}"),
            ("{{ 1.5 | plus: 2 }}", "{{ 1.5 | plus: 2 ~}}"),
            ("{{ nullable }}{{ null }}", "{{ larder__nullable ~}}{{ null ~}}"),
            ("{%\tif true_x %}{% endif %}", "{% if larder__true_x  %}{% endif  %}"),
            ("{% # a 'note %}x", "{% comment %}{% endcomment %}x"),
            ("{% comment %}{{ a | nonsense }}{% endcomment -%} x", "{% comment %}{% endcomment -%} x"),
            ("{% raw %}{{ a | nonsense }}{% endraw %}", "{% raw %}{{ a | nonsense }}{% endraw %}"),
            ("{% for i in (1..n) %}{% endfor %}", "{% for i in (1..n)  %}{% endfor  %}"),
            ("{{ 'a }} | b' }}", "{{ 'a }} | b' ~}}"),
        ] {
            assert_eq!(rewritten(template), expected, "{template}");
        }
    }

    #[test]
    fn names_and_the_clock_are_noticed() {
        let source = read(
            "{% assign a = b.c | default: d %}{% for i in e limit: f %}{{ i }}{% endfor %}{{ 'Now' | date: '%Y' }}",
        )
        .unwrap();
        assert_eq!(
            source.names.iter().map(String::as_str).collect::<Vec<_>>(),
            ["b", "d", "e", "f", "i", "in"]
        );
        assert_eq!(source.assigned.iter().map(String::as_str).collect::<Vec<_>>(), ["a", "i"]);
        assert!(source.reads_clock);
        assert!(!read("{{ now }}").unwrap().reads_clock);
    }

    #[test]
    fn flaws_have_a_place() {
        let deep = "{% if a %}".repeat(33);
        let brackets = format!("{{{{ {}a{} }}}}", "a[".repeat(33), "]".repeat(33));
        for (template, at, message) in [
            ("{{ a | upcas }}", 7, "the filter `upcas` is not supported"),
            ("{% include 'x' %}", 3, "the tag `include` is not supported"),
            ("x {{ a", 2, "`{{` is never closed"),
            ("{{ 'a }}", 3, "a quote is never closed"),
            ("{% if a %}", 3, "the block `if` is never closed"),
            ("{% if a %}{% endfor %}", 13, "`endfor` stands where `endif` is expected"),
            ("{% endif %}", 3, "`endif` closes no block"),
            ("{% else %}", 3, "`else` stands outside of if, unless, case, for"),
            ("{% raw %}x", 0, "the block `raw` is never closed"),
            ("{% %}", 0, "a tag begins with its name"),
            ("{{ 1234567890123456789 }}", 3, "a number in a template has at most 18 digits"),
            (&deep, 323, "blocks are nested more than 32 deep"),
            (&brackets, 68, "brackets are nested more than 32 deep"),
        ] {
            let flaw = read(template).unwrap_err();
            assert_eq!((flaw.at, flaw.message.as_str()), (at, message), "{template}");
        }
        assert_eq!(read("{{ a | upcas }}").unwrap_err().hint.unwrap(), "did you mean `upcase`?");
    }

    #[test]
    fn places_lead_back() {
        let template = "{{ nullable }} {{ x.9a }} tail";
        let source = read(template).unwrap();
        for word in ["nullable", "x", "tail"] {
            assert_eq!(
                source.original_offset(source.text.find(word).unwrap()),
                template.find(word).unwrap(),
                "{word}"
            );
        }
    }
}
