//! Reading a template piece by piece: text, `{{ ... }}`, `{% ... %}`, the lines of `{% liquid %}`.

use super::{Parsed, SyntaxError};

/// What stands between the delimiters of an output or a tag, and how far it has been read.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Markup<'t> {
    pub(super) template: &'t str,
    pub(super) at: usize,
    pub(super) end: usize,
}

#[derive(Debug)]
pub(super) enum Piece<'t> {
    Text(&'t str),
    Output(Markup<'t>),
    /// Name and place of a tag, and what follows the name.
    Tag(&'t str, usize, Markup<'t>),
}

/// Goes through a template once, in linear time.
#[derive(Debug, Default, Clone)]
pub(super) struct Scanner<'t> {
    template: &'t str,
    at: usize,
    trims_next: bool,
    /// Lines of a `{% liquid %}` that are still to be read.
    lines: Option<Markup<'t>>,
    /// Whether no quote of this kind follows: `'`, `"`.
    no_quote: [bool; 2],
}

impl<'t> Scanner<'t> {
    pub(super) fn new(template: &'t str) -> Self {
        Self { template, ..Self::default() }
    }

    /// Reads what stands between two places of a template.
    pub(super) fn between(template: &'t str, from: usize, to: usize) -> Self {
        Self { template: &template[..to], at: from, ..Self::default() }
    }

    /// Reads lines instead of the template; gives back what was read before.
    pub(super) fn swap_lines(&mut self, lines: Option<Markup<'t>>) -> Option<Markup<'t>> {
        std::mem::replace(&mut self.lines, lines)
    }

    /// The next piece.
    pub(super) fn next(&mut self) -> Parsed<Option<Piece<'t>>> {
        if self.lines.is_some() {
            return Ok(self.next_line());
        }
        let rest = &self.template[self.at..];
        if rest.is_empty() {
            return Ok(None);
        }
        let opening = memchr::memchr_iter(b'{', rest.as_bytes())
            .find(|at| matches!(rest.as_bytes().get(at + 1), Some(b'{' | b'%')));
        if opening == Some(0) {
            return self.markup().map(Some);
        }
        let from = self.at;
        self.at += opening.unwrap_or(rest.len());
        Ok(Some(Piece::Text(self.text(from, self.at))))
    }

    /// Text without the white space that the markup on its sides removes.
    fn text(&mut self, from: usize, to: usize) -> &'t str {
        let mut text = &self.template[from..to];
        if std::mem::take(&mut self.trims_next) {
            text = text.trim_start_matches(is_space);
        }
        if self.inside(to) > to + 2 { text.trim_end_matches(is_space) } else { text }
    }

    /// Where the content of the markup at `start` begins.
    fn inside(&self, start: usize) -> usize {
        start + 2 + usize::from(self.template.as_bytes().get(start + 2) == Some(&b'-'))
    }

    fn markup(&mut self) -> Parsed<Piece<'t>> {
        let (start, from, bytes) = (self.at, self.inside(self.at), self.template.as_bytes());
        let is_output = bytes[start + 1] == b'{';
        let close = if is_output { "}}" } else { "%}" };
        let found = if is_output {
            self.output_end(from)
        } else {
            self.template[from..].find(close).map(|at| at + from)
        };
        let Some(end) = found else {
            self.at = self.template.len();
            let message = format!("`{}` is never closed", &self.template[start..start + 2]);
            return Err(SyntaxError::new(start, message).hint(format!("close it with `{close}`")));
        };
        self.at = end + 2;
        self.trims_next = end > from && bytes[end - 1] == b'-';
        let mut markup =
            Markup { template: self.template, at: from, end: end - usize::from(self.trims_next) };
        if is_output {
            return Ok(Piece::Output(markup));
        }
        markup.skip_space();
        let place = markup.at;
        Ok(Piece::Tag(markup.tag_name(), place, markup))
    }

    /// The `}}` that is not inside quotes; a quote that is never closed is none.
    fn output_end(&mut self, from: usize) -> Option<usize> {
        let bytes = self.template.as_bytes();
        let mut at = from;
        loop {
            at += memchr::memchr3(b'\'', b'"', b'}', &bytes[at..])?;
            match bytes[at] {
                b'}' if bytes.get(at + 1) == Some(&b'}') => return Some(at),
                b'}' => at += 1,
                quote => {
                    let no_more = &mut self.no_quote[usize::from(quote == b'"')];
                    let close = if *no_more { None } else { memchr::memchr(quote, &bytes[at + 1..]) };
                    *no_more = close.is_none();
                    at += close.map_or(1, |length| length + 2);
                }
            }
        }
    }

    fn next_line(&mut self) -> Option<Piece<'t>> {
        let lines = self.lines.as_mut()?;
        lines.skip_space();
        if lines.at >= lines.end {
            return None;
        }
        let length = lines.rest().find('\n').unwrap_or(lines.end - lines.at);
        let mut line = Markup { end: lines.at + length, ..*lines };
        lines.at += length;
        let place = line.at;
        Some(Piece::Tag(line.tag_name(), place, line))
    }

    /// Skips to the tag that ends a block, whose content is read but not parsed.
    pub(super) fn skip_block(&mut self, name: &str, place: usize) -> Parsed {
        let mut depth = 1;
        while depth > 0 {
            match self.next()?.ok_or_else(|| never_closed(name, place))? {
                Piece::Tag("raw", place, _) => drop(self.text_block("raw", place)?),
                Piece::Tag(tag, ..) if tag == name => depth += 1,
                Piece::Tag(tag, ..) if tag.strip_prefix("end") == Some(name) => depth -= 1,
                _ => {}
            }
        }
        Ok(())
    }

    /// Reads the text of `raw` or `doc`, up to its end. Lines of `liquid` have none.
    pub(super) fn text_block(&mut self, name: &str, place: usize) -> Parsed<&'t str> {
        let from = self.at;
        // As in Ruby, the tag removes no white space after it.
        self.trims_next = false;
        while self.lines.is_none()
            && let Some(found) = self.template[self.at..].find("{%")
        {
            let start = self.at + found;
            self.at = self.inside(start);
            let mut tag = Markup { template: self.template, at: self.at, end: self.template.len() };
            tag.skip_space();
            if tag.tag_name().strip_prefix("end") == Some(name) {
                let length = tag.rest().find("%}").ok_or_else(|| never_closed(name, place))?;
                self.at = tag.at + length + 2;
                let text = self.text(from, start);
                self.trims_next = self.template.as_bytes()[self.at - 3] == b'-';
                return Ok(text);
            }
        }
        Err(never_closed(name, place))
    }
}

pub(super) fn never_closed(name: &str, place: usize) -> SyntaxError {
    SyntaxError::new(place, format!("the block `{name}` is never closed"))
        .hint(format!("close it with {{% end{name} %}}"))
}

pub(super) fn is_space(c: char) -> bool {
    c.is_ascii_whitespace() || c == '\x0b' || c == '\0'
}

/// Whether a character can be in a name.
pub(super) fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-') || !c.is_ascii()
}

/// How much of `text` fulfils a condition from its beginning, in bytes.
fn length(text: &str, is_part: impl Fn(char) -> bool) -> usize {
    text.find(|c| !is_part(c)).unwrap_or(text.len())
}

impl<'t> Markup<'t> {
    pub(super) fn rest(&self) -> &'t str {
        &self.template[self.at..self.end.max(self.at)]
    }

    pub(super) fn skip_space(&mut self) {
        self.at += length(self.rest(), is_space);
    }

    /// The next byte after white space; 0 at the end.
    pub(super) fn peek(&mut self) -> u8 {
        self.skip_space();
        self.rest().bytes().next().unwrap_or(0)
    }

    pub(super) fn is_at_end(&mut self) -> bool {
        self.skip_space();
        self.at >= self.end
    }

    /// Takes `text` if it comes next after white space.
    pub(super) fn takes(&mut self, text: &str) -> bool {
        self.skip_space();
        let is_next = self.rest().starts_with(text);
        self.at += if is_next { text.len() } else { 0 };
        is_next
    }

    /// Takes the word if it comes next as a whole.
    pub(super) fn takes_word(&mut self, word: &str) -> bool {
        let is_next = self.peek_word() == word;
        self.at += if is_next { word.len() } else { 0 };
        is_next
    }

    /// The letters, digits, `_` and `-` that come next, with a `?` at their end.
    pub(super) fn peek_word(&mut self) -> &'t str {
        self.skip_space();
        let rest = self.rest();
        let word = if rest.starts_with('-') { 0 } else { length(rest, is_word) };
        let has_question = word > 0 && rest[word..].starts_with('?');
        &rest[..word + usize::from(has_question)]
    }

    pub(super) fn word(&mut self) -> &'t str {
        let word = self.peek_word();
        self.at += word.len();
        word
    }

    fn tag_name(&mut self) -> &'t str {
        let rest = self.rest();
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let name = &rest[..if rest.starts_with('#') { 1 } else { length(rest, is_part) }];
        self.at += name.len();
        name
    }

    /// The text between quotes.
    pub(super) fn string(&mut self) -> Parsed<&'t str> {
        let (start, rest) = (self.at, self.rest());
        let length = memchr::memchr(rest.as_bytes()[0], &rest.as_bytes()[1..]);
        let length = length.ok_or_else(|| SyntaxError::new(start, "a quote is never closed"))?;
        self.at += length + 2;
        Ok(&rest[1..=length])
    }

    /// Skips a word, a text in quotes or one other character.
    pub(super) fn skip(&mut self) {
        let is_quote = matches!(self.peek(), b'\'' | b'"');
        if self.word().is_empty() && !(is_quote && self.string().is_ok()) {
            self.at += self.rest().chars().next().map_or(0, char::len_utf8);
        }
    }

    /// What comes up to white space, a comma or `|` outside of quotes.
    pub(super) fn fragment(&mut self) -> &'t str {
        let from = self.at;
        while self.rest().starts_with(|c| !is_space(c) && c != ',' && c != '|') {
            self.skip();
        }
        &self.template[from..self.at]
    }
}
