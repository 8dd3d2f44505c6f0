//! Parsing tags and blocks.

use std::collections::HashMap;

use super::{
    Parsed, SyntaxError,
    expression::{near, suggest},
    scan::{Markup, Piece, Scanner, is_space, is_word, never_closed},
    tree::{Body, Chain, Expr, Node, Repeat, Slot, Term},
};

/// Most blocks inside each other, as in Ruby, and most brackets: parsing and rendering recurse over them.
const NESTED: [(&str, usize); 2] = [("blocks", 100), ("brackets", 32)];
const BLOCK: usize = 0;
pub(super) const BRACKET: usize = 1;
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

/// The first names of each template, which are no columns, and their slots.
pub(super) const LOOPS: [&str; 2] = ["forloop", "tablerowloop"];
pub(super) const FORLOOP: Slot = 0;
pub(super) const TABLEROWLOOP: Slot = 1;

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
    /// What is read at present.
    pub(super) markup: Markup<'t>,
    numbers: HashMap<String, Slot>,
    pub(super) names: Vec<Name>,
    pub(super) faults: Vec<SyntaxError>,
    /// What is read as Ruby reads it in lax mode, though it is not Liquid.
    pub(super) tolerated: Vec<SyntaxError>,
    /// Names of tags that do not exist, with their places and ends.
    unknown: Vec<(&'t str, usize, usize)>,
    /// Open blocks with the places of their tags.
    pub(super) open: Vec<(&'static str, usize)>,
    /// How many of each kind of [`NESTED`] are open.
    depths: [usize; 2],
    pub(super) reads_clock: bool,
    /// Whether the template is a message, which may request content.
    is_message: bool,
    /// Whether the rest cannot be understood, or there are faults enough.
    pub(super) has_ended: bool,
}

/// The tag that ends a body and begins another one of its block; `None` at the end of the block.
type Divider<'t> = Option<&'t str>;

impl<'t> Parser<'t> {
    pub(super) fn new(template: &'t str) -> Self {
        let mut parser = Self { scanner: Scanner::new(template), ..Self::default() };
        for name in LOOPS {
            parser.slot(name);
        }
        parser
    }

    /// The parser of a message.
    pub(super) fn of_message(template: &'t str) -> Self {
        Self { is_message: true, ..Self::new(template) }
    }

    /// Reads something else than before; gives back what was read before.
    pub(super) fn swap_scanner(&mut self, scanner: Scanner<'t>) -> Scanner<'t> {
        std::mem::replace(&mut self.scanner, scanner)
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

    /// A fault at what is read at present.
    pub(super) fn fault(&self, message: &str) -> SyntaxError {
        SyntaxError::new(self.markup.at, message)
    }

    /// Notes a fault.
    pub(super) fn note(&mut self, fault: SyntaxError) {
        // A tag that does not exist has one fault.
        if self.has_ended || self.unknown.iter().any(|(_, from, to)| (*from..=*to).contains(&fault.at)) {
            return;
        }
        self.has_ended = self.faults.len() == FAULTS_MAX;
        self.faults.push(if self.has_ended {
            SyntaxError::new(
                fault.at,
                format!("there are more than {FAULTS_MAX} faults; the others are not shown"),
            )
        } else {
            fault
        });
    }

    /// Notes what is no fault in Ruby's lax mode.
    pub(super) fn tolerate(&mut self, fault: SyntaxError) {
        if self.tolerated.len() < FAULTS_MAX {
            self.tolerated.push(fault);
        }
    }

    /// Parses up to the end of the present body.
    pub(super) fn body(&mut self) -> (Body, Divider<'t>) {
        let mut body = Body::new();
        while !self.has_ended {
            match self.scanner.next() {
                Err(fault) => self.note(fault),
                Ok(None) => break,
                Ok(Some(Piece::Text(""))) => {}
                Ok(Some(Piece::Text(text))) => body.push(Node::Text(text.into())),
                Ok(Some(Piece::Output(markup))) => {
                    self.markup = markup;
                    body.push(Node::Output(self.chain()));
                }
                Ok(Some(Piece::Tag(name, at, markup))) => {
                    self.markup = markup;
                    if let Some(divider) = self.divider(name, at) {
                        return (body, divider);
                    }
                    match self.tag(name, at) {
                        Ok(node) => body.extend(node),
                        Err(fault) => self.note(fault),
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

    /// Whether a tag ends the present body.
    fn divider(&mut self, name: &'t str, at: usize) -> Option<Divider<'t>> {
        let inside = self.open.last().map(|(block, _)| *block);
        if BLOCKS.iter().any(|(block, dividers)| Some(*block) == inside && dividers.contains(&name)) {
            return Some(Some(name));
        }
        let block = name.strip_prefix("end")?;
        let place = self.open.last().map(|(_, at)| *at);
        if let Some((_, at, _)) = self.unknown.iter().rfind(|(unknown, ..)| *unknown == block) {
            return (Some(*at) == place).then_some(None);
        }
        if Some(block) != inside {
            self.note(SyntaxError::new(
                at,
                match inside {
                    Some(inside) => format!("found `{name}`, expected `end{inside}`"),
                    None => format!("`{name}` closes no block"),
                },
            ));
            // The rest would be understood wrongly.
            self.has_ended = true;
        }
        Some(None)
    }

    /// The node of a tag, if it has one.
    fn tag(&mut self, name: &'t str, at: usize) -> Parsed<Option<Node>> {
        if let Some((block, _)) = BLOCKS.iter().find(|(block, _)| *block == name) {
            return self.nest(BLOCK, at, |parser| parser.block(block, at));
        }
        Ok(Some(match name {
            "#" => {
                let is_comment = |line: &str| matches!(line.trim_start().bytes().next(), None | Some(b'#'));
                if self.markup.rest().lines().skip(1).all(is_comment) {
                    return Ok(None);
                }
                return Err(SyntaxError::new(at, "a line of the comment does not begin with `#`"));
            }
            "assign" => Node::Assign(self.assign_target()?, self.chain()),
            "echo" => Node::Output(self.chain()),
            "increment" | "decrement" => {
                let name_read = self.markup.word();
                Node::Count { slot: self.assigned(name_read), is_down: name == "decrement" }
            }
            "cycle" => self.cycle()?,
            "break" => Node::Break,
            "continue" => Node::Continue,
            "liquid" => return self.nest(BLOCK, at, |parser| Ok(Some(parser.lines()))),
            "connected_content" if self.is_message => self.request()?,
            "abort_message" if self.is_message => {
                self.markup.takes("(");
                Node::Abort(self.expr())
            }
            // The end of a tag that does not exist.
            _ if name
                .strip_prefix("end")
                .is_some_and(|block| self.unknown.iter().any(|(unknown, ..)| *unknown == block)) =>
            {
                return Ok(None);
            }
            _ => {
                self.note(unknown_tag(name, at));
                self.unknown.push((name, at, self.markup.end));
                // The block that was probably meant is read, so that its content has no other faults.
                let meant = near(name, BLOCKS.into_iter().map(|(block, _)| block));
                let Some((block, _)) = BLOCKS.iter().find(|(block, _)| Some(*block) == meant) else {
                    return Ok(None);
                };
                let after = self.scanner.clone();
                let read = self.nest(BLOCK, at, |parser| parser.block(block, at));
                if read.is_err() {
                    self.scanner = after;
                }
                return read;
            }
        }))
    }

    /// The lines of a `liquid`, as a condition that always holds.
    fn lines(&mut self) -> Node {
        let before = self.scanner.swap_lines(Some(self.markup));
        let blocks = std::mem::take(&mut self.open);
        let (body, _) = self.body();
        self.open = blocks;
        self.scanner.swap_lines(before);
        Node::If(vec![(Expr::Bool(true), body)])
    }

    /// Parses what stands inside of others of its kind.
    pub(super) fn nest<T>(
        &mut self,
        kind: usize,
        at: usize,
        parse: impl FnOnce(&mut Self) -> Parsed<T>,
    ) -> Parsed<T> {
        let (name, depth_max) = NESTED[kind];
        if self.depths[kind] >= depth_max {
            let fault = SyntaxError::new(at, format!("{name} are nested more than {depth_max} deep"));
            self.note(fault.clone());
            self.has_ended = true;
            return Err(fault);
        }
        self.depths[kind] += 1;
        let parsed = parse(self);
        self.depths[kind] -= 1;
        parsed
    }

    /// The name before `=`. Ruby's may have dots and brackets, and then nothing can read it.
    fn assign_target(&mut self) -> Parsed<Slot> {
        self.markup.skip_space();
        let before = self.markup.rest().split_once('=').map(|(before, _)| before);
        let target =
            before.and_then(|before| before.trim_end_matches(is_space).rsplit(|c| !is_target(c)).next());
        let Some(name) = target.filter(|name| !name.is_empty()) else {
            let fault = self.fault("`=` is expected");
            return Err(fault.hint("write {% assign name = value %}"));
        };
        self.markup.at += before.map_or(0, str::len) + 1;
        Ok(self.assigned(name))
    }

    fn block(&mut self, name: &'static str, at: usize) -> Parsed<Option<Node>> {
        match name {
            "doc" if !self.markup.is_at_end() => {
                return Err(self.fault("the end of the tag is expected"));
            }
            "comment" => return self.scanner.skip_block(name, at).map(|()| None),
            "doc" | "raw" => {
                let text = self.scanner.text_block(name, at)?;
                let chain = Chain { base: Expr::Text(text.into()), ..Chain::default() };
                return Ok((name == "raw" && !text.is_empty()).then_some(Node::Output(chain)));
            }
            _ => {}
        }
        self.open.push((name, at));
        let mut node = match name {
            "if" | "unless" => self.choice(name == "unless"),
            "case" => self.case(),
            "for" | "tablerow" => Node::For(Box::new(self.repeat(name == "tablerow"))),
            "capture" => {
                let name = self.markup.rest().split(|c| !is_target(c)).find(|name| !name.is_empty());
                if name.is_none() {
                    self.note(self.fault("the name of a variable is expected"));
                }
                Node::Capture(self.assigned(name.unwrap_or_default()), self.body().0)
            }
            _ => Node::IfChanged(self.body().0),
        };
        self.open.pop();
        node.is_made_blank();
        Ok(Some(node))
    }

    /// The bodies of a block, each with what `head` makes of the tag before it.
    fn branches<T>(&mut self, first: T, head: impl Fn(&mut Self, &str) -> T) -> Vec<(T, Body)> {
        let (mut branches, mut next) = (Vec::new(), first);
        loop {
            let (body, divider) = self.body();
            branches.push((next, body));
            let Some(name) = divider else { return branches };
            next = head(self, name);
        }
    }

    fn choice(&mut self, is_unless: bool) -> Node {
        let mut condition = self.condition();
        if is_unless {
            let term = Term { is_negated: true, left: condition, ..Term::default() };
            condition = Expr::Condition(vec![term]);
        }
        Node::If(self.branches(condition, |parser, name| {
            if name == "elsif" {
                return parser.condition();
            }
            parser.ignore("the tag with another condition is `elsif`", |_| false);
            Expr::Bool(true)
        }))
    }

    fn case(&mut self) -> Node {
        let subject = self.required();
        let mut branches = self.branches(None, |parser, name| (name == "when").then(|| parser.values()));
        // What comes before the first `when` prints nothing.
        branches.remove(0);
        Node::Case(subject, branches)
    }

    /// A value that a tag cannot be without.
    fn required(&mut self) -> Expr {
        if self.markup.is_at_end() {
            self.note(self.fault("a value is expected"));
        }
        self.expr()
    }

    /// The values of `when`: between them stand commas or `or`.
    fn values(&mut self) -> Vec<Expr> {
        let mut values = vec![self.required()];
        while (self.markup.takes(",") || self.markup.takes_word("or")) && !self.markup.is_at_end() {
            values.push(self.expr());
        }
        self.ignore("write `,` or `or` between values", |_| false);
        values
    }

    fn repeat(&mut self, is_table: bool) -> Repeat {
        let mut repeat = self.repeat_head().unwrap_or_else(|fault| {
            self.note(fault);
            Repeat::default()
        });
        let mut bodies = self.branches((), |_, _| ()).into_iter().map(|((), body)| body);
        repeat.body = bodies.next().unwrap_or_default();
        repeat.otherwise = bodies.flatten().collect();
        // As in Ruby, a table has one direction.
        Repeat { is_table, is_reversed: repeat.is_reversed && !is_table, ..repeat }
    }

    fn repeat_head(&mut self) -> Parsed<Repeat> {
        let word = self.markup.word();
        let item = self.assigned(word);
        if word.is_empty() || !self.markup.takes_word("in") {
            let fault = self.fault("a name and `in` are expected");
            return Err(fault.hint("write {% for item in items %}"));
        }
        self.markup.skip_space();
        let from = self.markup.at;
        let collection = self.required();
        let name = format!("{word}-{}", self.markup.template[from..self.markup.at].trim_end());
        let mut repeat = Repeat { item, name: self.slot(&name), collection, ..Repeat::default() };
        while !self.markup.is_at_end() {
            let at = self.markup.at;
            match self.markup.word() {
                "reversed" => repeat.is_reversed = true,
                "" if self.markup.takes(",") => {}
                "offset" if self.markup.takes(":") => {
                    repeat.continues = self.markup.takes_word("continue");
                    repeat.offset = if repeat.continues { Expr::Nil } else { self.expr() };
                }
                "limit" if self.markup.takes(":") => repeat.limit = self.expr(),
                "cols" if self.markup.takes(":") => repeat.columns = self.expr(),
                word => {
                    let fault = SyntaxError::new(at, "this text is ignored");
                    self.tolerate(fault.hint("a loop has `reversed`, `limit:` and `offset:`"));
                    if word.is_empty() {
                        self.markup.skip();
                    } else if self.markup.takes(":") {
                        self.expr();
                    }
                }
            }
        }
        Ok(repeat)
    }

    fn cycle(&mut self) -> Parsed<Node> {
        if self.markup.is_at_end() {
            return Err(self.fault("values with `,` between them are expected"));
        }
        let mut name = Expr::Text(self.markup.rest().trim().into());
        let mut values = vec![self.expr()];
        if self.markup.takes(":") {
            name = values.swap_remove(0);
            values.extend((!self.markup.is_at_end()).then(|| self.expr()));
        }
        loop {
            self.ignore("write `,` between values", |markup| markup.peek() == b',');
            if !self.markup.takes(",") {
                return Ok(Node::Cycle(name, values));
            }
            if !matches!(self.markup.peek(), b',' | 0) {
                values.push(self.expr());
            }
        }
    }
}

fn unknown_tag(name: &str, at: usize) -> SyntaxError {
    let owners = BLOCKS.iter().filter(|(_, dividers)| dividers.contains(&name));
    let owners: Vec<_> = owners.map(|(block, _)| *block).collect();
    match name {
        "" => SyntaxError::new(at, "a tag begins with its name"),
        _ if owners.is_empty() => {
            let fault = SyntaxError::new(at, format!("the tag `{name}` is not supported"));
            suggest(
                fault,
                name,
                super::tags().chain(BLOCKS.into_iter().flat_map(|(_, dividers)| dividers.iter().copied())),
            )
        }
        _ => SyntaxError::new(at, format!("`{name}` is outside of {}", owners.join(", "))),
    }
}

/// Whether a character can be in a name that `assign` or `capture` gives a value.
fn is_target(c: char) -> bool {
    is_word(c) || ".[]()?".contains(c)
}
