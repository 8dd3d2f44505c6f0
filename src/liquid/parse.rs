//! Parsing tags and blocks.

use std::collections::HashMap;

use super::{
    error::Flaw,
    expression::suggest,
    scan::{Markup, Piece, Scanner},
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
#[derive(Debug)]
pub(super) struct Name {
    pub(super) text: String,
    /// Where it is read first.
    pub(super) read_at: Option<usize>,
    pub(super) is_assigned: bool,
    /// The column of this name.
    pub(super) column: Option<usize>,
}

/// A parse in progress.
#[derive(Debug)]
pub(super) struct Parser<'t> {
    scanner: Scanner<'t>,
    numbers: HashMap<String, Slot>,
    pub(super) names: Vec<Name>,
    pub(super) flaws: Vec<Flaw>,
    /// Open blocks with the places of their tags.
    open: Vec<(&'static str, usize)>,
    depth: usize,
    /// Open brackets of the present expression.
    pub(super) nesting: usize,
    pub(super) reads_clock: bool,
    /// Whether the rest cannot be understood.
    has_ended: bool,
}

/// Where a body ends: the tag that divides its block, or the end of the block.
type Divider<'t> = Option<(&'t str, Markup<'t>)>;

/// A value if it parses; else the flaw is noted.
macro_rules! parsed {
    ($self:ident, $value:expr) => {{
        let value = $value;
        $self.noted(value)
    }};
}

impl<'t> Parser<'t> {
    pub(super) fn new(template: &'t str) -> Self {
        Self {
            scanner: Scanner::new(template),
            numbers: HashMap::new(),
            names: Vec::new(),
            flaws: Vec::new(),
            open: Vec::new(),
            depth: 0,
            nesting: 0,
            reads_clock: false,
            has_ended: false,
        }
    }

    fn slot(&mut self, name: &str) -> Slot {
        if let Some(slot) = self.numbers.get(name) {
            return *slot;
        }
        self.numbers.insert(name.to_owned(), self.names.len());
        self.names.push(Name { text: name.to_owned(), read_at: None, is_assigned: false, column: None });
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

    fn note(&mut self, flaw: Flaw) {
        self.flaws.push(flaw);
        self.nesting = 0;
        self.has_ended |= self.flaws.len() >= FAULTS_MAX;
    }

    fn noted<T: Default>(&mut self, parsed: Result<T, Flaw>) -> T {
        parsed.unwrap_or_else(|flaw| {
            self.note(flaw);
            T::default()
        })
    }

    /// Parses up to the end of the present block or, outside of blocks, of the template.
    pub(super) fn body(&mut self) -> (Body, Divider<'t>) {
        let mut body = Body::new();
        while !self.has_ended {
            match self.scanner.next() {
                Err(flaw) => self.note(flaw),
                Ok(None) => break,
                Ok(Some(Piece::Text(""))) => {}
                Ok(Some(Piece::Text(text))) => body.push(Node::Text(text.into())),
                Ok(Some(Piece::Output(mut markup))) => {
                    let chain = parsed!(self, self.chain(&mut markup));
                    body.push(Node::Output(chain));
                }
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
            let flaw = super::scan::never_closed(name, *at);
            self.note(flaw);
            self.has_ended = true;
        }
        (body, None)
    }

    /// Whether a tag ends the present body; `Some(None)` is the end of the block.
    fn divider(&mut self, name: &'t str, at: usize, markup: Markup<'t>) -> Option<Divider<'t>> {
        let inside = self.open.last().map(|(block, _)| *block);
        let dividers =
            BLOCKS.iter().find(|(block, _)| Some(*block) == inside).map_or(&[][..], |(_, tags)| tags);
        if dividers.contains(&name) {
            return Some(Some((name, markup)));
        }
        let block = name.strip_prefix("end")?;
        if Some(block) == inside {
            return Some(None);
        }
        self.note(match inside {
            Some(inside) => Flaw::new(at, format!("`{name}` stands where `end{inside}` is expected")),
            None => Flaw::new(at, format!("`{name}` closes no block")),
        });
        // The rest would be understood wrongly.
        self.has_ended = true;
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
                let slot = self.target(markup)?;
                if !markup.takes("=") {
                    return Err(
                        Flaw::new(markup.at, "`=` is expected").hint("write {% assign name = value %}")
                    );
                }
                let chain = self.chain(markup)?;
                body.push(Node::Assign(slot, chain));
            }
            "echo" if markup.is_at_end() => {}
            "echo" => {
                let chain = self.chain(markup)?;
                body.push(Node::Output(chain));
            }
            "increment" | "decrement" => {
                let slot = self.target(markup)?;
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
            _ => return Err(Self::unknown_tag(name, at)),
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

    fn unknown_tag(name: &str, at: usize) -> Flaw {
        if name.is_empty() {
            return Flaw::new(at, "a tag begins with its name");
        }
        let owners: Vec<_> =
            BLOCKS.iter().filter(|(_, dividers)| dividers.contains(&name)).map(|(block, _)| *block).collect();
        if !owners.is_empty() {
            return Flaw::new(at, format!("`{name}` stands outside of {}", owners.join(", ")));
        }
        let flaw = Flaw::new(at, format!("the tag `{name}` is not supported"));
        match suggest(name, super::tags()) {
            Some(near) => flaw.hint(format!("did you mean `{near}`?")),
            None => flaw,
        }
    }

    /// The name that a tag gives a value; Ruby's also in quotes.
    fn target(&mut self, markup: &mut Markup<'t>) -> Result<Slot, Flaw> {
        let name = match markup.peek() {
            b'\'' | b'"' => markup.string()?,
            _ => markup.word(),
        };
        if name.is_empty() {
            return Err(Flaw::new(markup.at, "the name of a variable is expected"));
        }
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
            "for" => Node::For(Box::new(self.repeat(markup, true))),
            "tablerow" => Node::TableRow(Box::new(self.repeat(markup, false))),
            "capture" => {
                let slot = parsed!(self, self.target(markup));
                Node::Capture(slot, self.body().0)
            }
            _ => Node::IfChanged(self.body().0),
        };
        self.open.pop();
        if tree::is_blank(std::slice::from_ref(&node)) {
            remove_text(&mut node);
        }
        out.push(node);
        Ok(())
    }

    fn choice(&mut self, is_unless: bool, markup: &mut Markup<'t>) -> Node {
        let mut branches = Vec::new();
        let mut condition = Some(parsed!(self, self.whole_condition(markup)));
        loop {
            let (body, divider) = self.body();
            branches.push((condition, body));
            let Some((name, mut markup)) = divider else { return Node::If { is_unless, branches } };
            condition = (name == "elsif").then(|| parsed!(self, self.whole_condition(&mut markup)));
        }
    }

    fn whole_condition(&mut self, markup: &mut Markup<'t>) -> Result<tree::Condition, Flaw> {
        let condition = self.condition(markup)?;
        if markup.is_at_end() {
            return Ok(condition);
        }
        let flaw = Flaw::new(markup.at, "`and`, `or` or the end of the condition is expected");
        Err(flaw.hint("the operators are ==, !=, <, <=, >, >= and contains"))
    }

    fn case(&mut self, markup: &mut Markup<'t>) -> Node {
        let subject = parsed!(self, self.expr(markup));
        let mut branches = Vec::new();
        // What comes before the first `when` prints nothing.
        let (_, mut divider) = self.body();
        while let Some((name, mut markup)) = divider {
            let values = (name == "when").then(|| parsed!(self, self.values(&mut markup)));
            let (body, next) = self.body();
            branches.push((values, body));
            divider = next;
        }
        Node::Case(subject, branches)
    }

    /// The values of `when`: between them stand commas or `or`.
    fn values(&mut self, markup: &mut Markup<'t>) -> Result<Vec<Expr>, Flaw> {
        let mut values = vec![self.expr(markup)?];
        while markup.takes(",") || markup.takes_word("or") {
            values.push(self.expr(markup)?);
        }
        if markup.is_at_end() {
            return Ok(values);
        }
        Err(Flaw::new(markup.at, "`,`, `or` or the end of the tag is expected"))
    }

    fn repeat(&mut self, markup: &mut Markup<'t>, has_else: bool) -> Repeat {
        let mut repeat = parsed!(self, self.repeat_head(markup));
        let (body, mut divider) = self.body();
        (repeat.body, repeat.is_table) = (body, !has_else);
        while divider.is_some() && has_else {
            (repeat.otherwise, divider) = self.body();
        }
        repeat
    }

    fn repeat_head(&mut self, markup: &mut Markup<'t>) -> Result<Repeat, Flaw> {
        let item = self.target(markup)?;
        if !markup.takes_word("in") {
            return Err(Flaw::new(markup.at, "`in` is expected").hint("write {% for item in items %}"));
        }
        markup.skip_space();
        let from = markup.at;
        let collection = self.expr(markup)?;
        let text = markup.template[from..markup.at].trim_end();
        let name = format!("{}-{text}", self.names[item].text);
        let mut repeat = Repeat { item, name: self.slot(&name), collection, ..Repeat::default() };
        while !markup.is_at_end() {
            let at = markup.at;
            if markup.takes(",") {
                continue;
            }
            let word = markup.word();
            if word == "reversed" {
                repeat.is_reversed = true;
                continue;
            }
            if !markup.takes(":") {
                return Err(Flaw::new(at, "`reversed`, `limit:` or `offset:` is expected"));
            }
            if word == "offset" && markup.takes_word("continue") {
                repeat.continues = true;
                continue;
            }
            let value = Some(self.expr(markup)?);
            match word {
                "limit" => repeat.limit = value,
                "offset" => (repeat.offset, repeat.continues) = (value, false),
                "cols" => repeat.columns = value,
                // Ruby takes any attribute, and liquidjs too.
                _ => {}
            }
        }
        Ok(repeat)
    }

    fn cycle(&mut self, markup: &mut Markup<'t>) -> Result<Node, Flaw> {
        markup.skip_space();
        let text = markup.rest().trim();
        let mut name = Expr::Text(text.into());
        let mut values = vec![self.expr(markup)?];
        if markup.takes(":") {
            name = values.swap_remove(0);
        }
        while values.is_empty() || markup.takes(",") {
            if markup.is_at_end() {
                break;
            }
            values.push(self.expr(markup)?);
        }
        if values.is_empty() || !markup.is_at_end() {
            return Err(Flaw::new(markup.at, "values with `,` between them are expected"));
        }
        Ok(Node::Cycle(name, values))
    }
}

fn remove_text(node: &mut Node) {
    let strip = |body: &mut Body| body.retain(|node| !matches!(node, Node::Text(_)));
    match node {
        Node::If { branches, .. } => branches.iter_mut().for_each(|(_, body)| strip(body)),
        Node::Case(_, branches) => branches.iter_mut().for_each(|(_, body)| strip(body)),
        Node::For(repeat) => [&mut repeat.body, &mut repeat.otherwise].into_iter().for_each(strip),
        _ => {}
    }
}
