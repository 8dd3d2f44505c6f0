//! Parsing tags and blocks.

use std::collections::HashMap;

use super::{
    error::Flaw,
    expression::unknown,
    scan::{Markup, Piece, Scanner, is_space, is_word, never_closed},
    tree::{self, Body, Chain, Expr, Node, Repeat, Slot},
};

/// Most blocks inside each other, as in Ruby: parsing and rendering recurse over them.
const NESTING_MAX: usize = 100;
/// Most faults of one template that are reported.
const FAULTS_MAX: usize = 20;

/// Blocks, each with the tags that divide it.
pub(super) const BLOCKS: [(&str, &[&str]); 10] = [
    ("if", &["elsif", "else"]),
    ("unless", &["elsif", "else"]),
    ("case", &["when", "else"]),
    ("for", &["else"]),
    ("tablerow", &[]),
    ("capture", &[]),
    ("ifchanged", &[]),
    ("comment", &[]),
    ("doc", &[]),
    ("raw", &[]),
];
/// Tags without an end.
pub(super) const TAGS: [&str; 9] =
    ["assign", "break", "continue", "cycle", "decrement", "echo", "increment", "liquid", "#"];

/// A name that a template reads or assigns.
#[derive(Debug, Default)]
pub(super) struct Name {
    pub(super) text: String,
    /// Where it is read first.
    pub(super) read_at: Option<usize>,
    pub(super) is_assigned: bool,
    /// The column of this name.
    pub(super) column: Option<usize>,
}

/// A parse in progress.
#[derive(Debug, Default)]
pub(super) struct Parser<'t> {
    scanner: Scanner<'t>,
    numbers: HashMap<String, Slot>,
    pub(super) names: Vec<Name>,
    pub(super) faults: Vec<Flaw>,
    /// What is read as Ruby reads it in lax mode, though it is not Liquid.
    pub(super) tolerated: Vec<Flaw>,
    /// Open blocks with the places of their tags.
    open: Vec<(&'static str, usize)>,
    depth: usize,
    /// Open brackets of the present expression.
    pub(super) nesting: usize,
    pub(super) reads_clock: bool,
    /// Whether the rest cannot be understood, or there are faults enough.
    pub(super) has_ended: bool,
}

/// Where a body ends: the tag that divides its block, or the end of the block.
type Divider<'t> = Option<(&'t str, Markup<'t>)>;

impl<'t> Parser<'t> {
    pub(super) fn new(template: &'t str) -> Self {
        Self { scanner: Scanner::new(template), ..Self::default() }
    }

    fn slot(&mut self, name: &str) -> Slot {
        if let Some(slot) = self.numbers.get(name) {
            return *slot;
        }
        self.numbers.insert(name.to_owned(), self.names.len());
        self.names.push(Name { text: name.to_owned(), ..Name::default() });
        self.names.len() - 1
    }

    /// The slot of a name that is read at a place.
    pub(super) fn read(&mut self, name: &str, at: usize) -> Slot {
        let slot = self.slot(name);
        self.names[slot].read_at.get_or_insert(at);
        slot
    }

    /// The slot of a name that the template gives a value.
    pub(super) fn assigned(&mut self, name: &str) -> Slot {
        let slot = self.slot(name);
        self.names[slot].is_assigned = true;
        slot
    }

    /// Notes a fault.
    pub(super) fn note(&mut self, flaw: Flaw) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(flaw);
        }
        self.has_ended |= self.faults.len() >= FAULTS_MAX;
    }

    /// Notes what is no fault in Ruby's lax mode.
    pub(super) fn tolerate(&mut self, flaw: Flaw) {
        if self.tolerated.len() < FAULTS_MAX {
            self.tolerated.push(flaw);
        }
    }

    /// Parses up to the end of the present block or, outside of blocks, of the template.
    pub(super) fn body(&mut self) -> (Body, Divider<'t>) {
        let mut body = Body::new();
        while !self.has_ended {
            match self.scanner.next() {
                Err(flaw) => self.note(flaw),
                Ok(None) => break,
                Ok(Some(Piece::Text(text))) => {
                    body.extend((!text.is_empty()).then(|| Node::Text(text.into())));
                }
                Ok(Some(Piece::Output(mut markup))) => body.push(Node::Output(self.chain(&mut markup))),
                Ok(Some(Piece::Tag(name, at, markup))) => {
                    if let Some(divider) = self.divider(name, at, markup) {
                        return (body, divider);
                    }
                    if let Err(flaw) = self.tag(name, at, markup, &mut body) {
                        self.note(flaw);
                    }
                }
            }
        }
        if let (Some((name, at)), false) = (self.open.last(), self.has_ended) {
            self.note(never_closed(name, *at));
            self.has_ended = true;
        }
        (body, None)
    }

    /// Whether a tag ends the present body; `Some(None)` is the end of the block.
    fn divider(&mut self, name: &'t str, at: usize, markup: Markup<'t>) -> Option<Divider<'t>> {
        let inside = self.open.last().map(|(block, _)| *block);
        if BLOCKS.iter().any(|(block, dividers)| Some(*block) == inside && dividers.contains(&name)) {
            return Some(Some((name, markup)));
        }
        let block = name.strip_prefix("end")?;
        if Some(block) != inside {
            self.note(match inside {
                Some(inside) => Flaw::new(at, format!("`{name}` stands where `end{inside}` is expected")),
                None => Flaw::new(at, format!("`{name}` closes no block")),
            });
            // The rest would be understood wrongly.
            self.has_ended = true;
        }
        Some(None)
    }

    fn tag(&mut self, name: &'t str, at: usize, mut markup: Markup<'t>, body: &mut Body) -> Result<(), Flaw> {
        let markup = &mut markup;
        if let Some((block, _)) = BLOCKS.iter().find(|(block, _)| *block == name) {
            return self.nest(at, |parser| parser.block(block, at, markup, body));
        }
        match name {
            "#" => {
                let is_comment =
                    |line: &str| line.trim_start().is_empty() || line.trim_start().starts_with('#');
                if !markup.rest().lines().skip(1).all(is_comment) {
                    return Err(Flaw::new(at, "a line of the comment does not begin with `#`"));
                }
            }
            "assign" => {
                let slot = self.assign_target(markup)?;
                body.push(Node::Assign(slot, self.chain(markup)));
            }
            "echo" => body.push(Node::Output(self.chain(markup))),
            "increment" | "decrement" => {
                let slot = self.assigned(markup.word());
                body.push(Node::Count { slot, is_down: name == "decrement" });
            }
            "cycle" => body.push(self.cycle(markup)?),
            "break" => body.push(Node::Break),
            "continue" => body.push(Node::Continue),
            "liquid" => {
                let before = self.scanner.swap_lines(Some(*markup));
                let blocks = std::mem::take(&mut self.open);
                self.nest(at, |parser| {
                    body.extend(parser.body().0);
                    Ok(())
                })?;
                self.open = blocks;
                self.scanner.swap_lines(before);
            }
            "" => return Err(Flaw::new(at, "a tag begins with its name")),
            _ => {
                let owners: Vec<_> = BLOCKS.iter().filter(|block| block.1.contains(&name)).collect();
                if owners.is_empty() {
                    return Err(unknown("tag", name, at, super::tags()));
                }
                let owners: Vec<_> = owners.into_iter().map(|(block, _)| *block).collect();
                return Err(Flaw::new(at, format!("`{name}` stands outside of {}", owners.join(", "))));
            }
        }
        Ok(())
    }

    /// Parses a block or a `liquid` inside of others.
    fn nest(&mut self, at: usize, parse: impl FnOnce(&mut Self) -> Result<(), Flaw>) -> Result<(), Flaw> {
        if self.depth >= NESTING_MAX {
            self.has_ended = true;
            return Err(Flaw::new(at, format!("blocks are nested more than {NESTING_MAX} deep")));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    /// The name before `=`. Ruby's may have dots and brackets, and then nothing can read it.
    fn assign_target(&mut self, markup: &mut Markup<'t>) -> Result<Slot, Flaw> {
        let expected = |at| Flaw::new(at, "`=` is expected").hint("write {% assign name = value %}");
        markup.skip_space();
        let (before, _) = markup.rest().split_once('=').ok_or_else(|| expected(markup.at))?;
        let name = before.trim_end_matches(is_space).rsplit(|c| !is_target(c)).next().unwrap_or_default();
        if name.is_empty() {
            return Err(expected(markup.at));
        }
        markup.at += before.len() + 1;
        Ok(self.assigned(name))
    }

    fn block(
        &mut self,
        name: &'static str,
        at: usize,
        markup: &mut Markup<'t>,
        out: &mut Body,
    ) -> Result<(), Flaw> {
        match name {
            "doc" if !markup.is_at_end() => {
                return Err(Flaw::new(markup.at, "the end of the tag is expected"));
            }
            "comment" => return self.scanner.skip_block(name, at),
            "doc" | "raw" => {
                let text = self.scanner.text_block(name, at)?;
                let prints = name == "raw" && !text.is_empty();
                out.extend(prints.then(|| Node::Output(Chain::text(text))));
                return Ok(());
            }
            _ => {}
        }
        self.open.push((name, at));
        let mut node = match name {
            "if" | "unless" => self.choice(name == "unless", markup),
            "case" => self.case(markup),
            "for" | "tablerow" => Node::For(Box::new(self.repeat(markup, name == "tablerow"))),
            "capture" => {
                let name = markup.rest().split(|c| !is_target(c)).find(|name| !name.is_empty());
                if name.is_none() {
                    self.note(Flaw::new(markup.at, "the name of a variable is expected"));
                }
                let slot = self.assigned(name.unwrap_or_default());
                Node::Capture(slot, self.body().0)
            }
            _ => Node::IfChanged(self.body().0),
        };
        self.open.pop();
        if tree::is_blank(std::slice::from_ref(&node)) {
            tree::remove_text(&mut node);
        }
        out.push(node);
        Ok(())
    }

    fn choice(&mut self, is_unless: bool, markup: &mut Markup<'t>) -> Node {
        let mut condition = Some(self.condition(markup, is_unless));
        let mut branches = Vec::new();
        loop {
            let (body, divider) = self.body();
            branches.push((condition, body));
            let Some((name, mut markup)) = divider else { return Node::If(branches) };
            condition = (name == "elsif").then(|| self.condition(&mut markup, false));
        }
    }

    fn case(&mut self, markup: &mut Markup<'t>) -> Node {
        let subject = self.required(markup);
        let mut branches = Vec::new();
        // What comes before the first `when` prints nothing.
        let (_, mut divider) = self.body();
        while let Some((name, mut markup)) = divider {
            let values = (name == "when").then(|| self.values(&mut markup));
            let (body, next) = self.body();
            branches.push((values, body));
            divider = next;
        }
        Node::Case(subject, branches)
    }

    /// A value that a tag cannot be without.
    fn required(&mut self, markup: &mut Markup<'t>) -> Expr {
        if markup.is_at_end() {
            self.note(Flaw::new(markup.at, "a value is expected"));
        }
        self.expr(markup)
    }

    /// The values of `when`: between them stand commas or `or`.
    fn values(&mut self, markup: &mut Markup<'t>) -> Vec<Expr> {
        let mut values = vec![self.required(markup)];
        while (markup.takes(",") || markup.takes_word("or")) && !markup.is_at_end() {
            values.push(self.expr(markup));
        }
        self.ignore(markup, "write `,` or `or` between values", |_| false);
        values
    }

    fn repeat(&mut self, markup: &mut Markup<'t>, is_table: bool) -> Repeat {
        let head = self.repeat_head(markup);
        let mut repeat = head.unwrap_or_else(|flaw| {
            self.note(flaw);
            Repeat::default()
        });
        let mut divider;
        (repeat.body, divider) = self.body();
        while divider.is_some() {
            (repeat.otherwise, divider) = self.body();
        }
        Repeat { is_table, ..repeat }
    }

    fn repeat_head(&mut self, markup: &mut Markup<'t>) -> Result<Repeat, Flaw> {
        let item = self.assigned(markup.word());
        if self.names[item].text.is_empty() || !markup.takes_word("in") {
            let flaw = Flaw::new(markup.at, "a name and `in` are expected");
            return Err(flaw.hint("write {% for item in items %}"));
        }
        markup.skip_space();
        let from = markup.at;
        let collection = self.required(markup);
        let name = format!("{}-{}", self.names[item].text, markup.template[from..markup.at].trim_end());
        let mut repeat = Repeat { item, name: self.slot(&name), collection, ..Repeat::default() };
        while !markup.is_at_end() {
            let at = markup.at;
            match markup.word() {
                "reversed" => repeat.is_reversed = true,
                "" if markup.takes(",") => {}
                "offset" if markup.takes(":") => {
                    repeat.continues = markup.takes_word("continue");
                    repeat.offset = if repeat.continues { Expr::Nil } else { self.expr(markup) };
                }
                "limit" if markup.takes(":") => repeat.limit = self.expr(markup),
                "cols" if markup.takes(":") => repeat.columns = self.expr(markup),
                // Ruby takes any attribute, and liquidjs too.
                word if !word.is_empty() && markup.takes(":") => drop(self.expr(markup)),
                word => {
                    let flaw = Flaw::new(at, "what stands here is ignored");
                    self.tolerate(flaw.hint("a loop has `reversed`, `limit:` and `offset:`"));
                    if word.is_empty() {
                        markup.skip();
                    }
                }
            }
        }
        Ok(repeat)
    }

    fn cycle(&mut self, markup: &mut Markup<'t>) -> Result<Node, Flaw> {
        if markup.is_at_end() {
            return Err(Flaw::new(markup.at, "values with `,` between them are expected"));
        }
        let mut name = Expr::Text(markup.rest().trim().into());
        let mut values = vec![self.expr(markup)];
        if markup.takes(":") {
            name = values.swap_remove(0);
            values.extend((!markup.is_at_end()).then(|| self.expr(markup)));
        }
        loop {
            self.ignore(markup, "write `,` between values", |markup| markup.peek() == b',');
            if !markup.takes(",") {
                return Ok(Node::Cycle(name, values));
            }
            if !matches!(markup.peek(), b',' | 0) {
                values.push(self.expr(markup));
            }
        }
    }
}

/// Whether a character can be in a name that `assign` or `capture` gives a value.
fn is_target(c: char) -> bool {
    is_word(c) || ".[]()?".contains(c)
}
