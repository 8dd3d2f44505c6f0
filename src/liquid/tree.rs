//! A parsed template.

use std::cmp::Ordering;

use super::filters::Filter;

/// The number of a name that a template reads or assigns.
pub(super) type Slot = usize;

#[derive(Debug, Default)]
pub(super) enum Expr {
    #[default]
    Nil,
    Bool(bool),
    Int(i64),
    /// Digits of a number that is no 64-bit integer.
    Number(Box<str>),
    Text(Box<str>),
    Empty,
    Blank,
    Range(Box<(Expr, Expr)>),
    Name(Slot),
    /// `[expression]`, whose value is a name.
    Dynamic(Box<Expr>),
    Path(Box<Path>),
}

/// `root.step[step]`.
#[derive(Debug)]
pub(super) struct Path {
    pub(super) root: Expr,
    pub(super) steps: Vec<Step>,
}

#[derive(Debug)]
pub(super) enum Step {
    /// `.name`; `size`, `first` and `last` are computed when no member has the name.
    Name(Box<str>),
    /// `[expression]`.
    Index(Expr),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Contains,
    /// Holds for these orders of its sides.
    Order(&'static [Ordering]),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Junction {
    And,
    Or,
}

#[derive(Debug, Default)]
pub(super) struct Term {
    pub(super) is_negated: bool,
    pub(super) left: Expr,
    pub(super) compare: Option<(Operator, Expr)>,
    /// How the rest of the condition is joined: `a and (b or (c ...))`.
    pub(super) next: Option<Junction>,
}

/// A value, or terms that are joined from the right.
#[derive(Debug, Default)]
pub(super) struct Condition {
    pub(super) terms: Vec<Term>,
    /// Whether it is the condition of `unless`.
    pub(super) is_negated: bool,
}

/// A value and the filters that it goes through.
#[derive(Debug, Default)]
pub(super) struct Chain {
    pub(super) base: Condition,
    pub(super) calls: Vec<FilterCall>,
}

impl Chain {
    pub(super) fn text(text: &str) -> Self {
        let term = Term { left: Expr::Text(text.into()), ..Term::default() };
        Self { base: Condition { terms: vec![term], is_negated: false }, calls: Vec::new() }
    }
}

#[derive(Debug)]
pub(super) struct FilterCall {
    pub(super) filter: &'static Filter,
    pub(super) arguments: Vec<Expr>,
    /// The value of the argument with a label.
    pub(super) labelled: Expr,
    /// The item variable and the expression of filters such as `where_exp`.
    pub(super) expression: Option<(Slot, Chain)>,
}

pub(super) type Body = Vec<Node>;

/// `for` and `tablerow`.
#[derive(Debug, Default)]
pub(super) struct Repeat {
    pub(super) item: Slot,
    /// The name `item-collection`, by which `offset: continue` finds the last place.
    pub(super) name: Slot,
    pub(super) collection: Expr,
    pub(super) limit: Expr,
    pub(super) offset: Expr,
    pub(super) continues: bool,
    pub(super) is_reversed: bool,
    pub(super) is_table: bool,
    pub(super) columns: Expr,
    pub(super) body: Body,
    pub(super) otherwise: Body,
}

#[derive(Debug)]
pub(super) enum Node {
    Text(Box<str>),
    Output(Chain),
    Assign(Slot, Chain),
    Capture(Slot, Body),
    /// `increment` prints, then adds 1; `decrement` subtracts 1, then prints.
    Count {
        slot: Slot,
        is_down: bool,
    },
    /// `else` is a branch without a condition.
    If(Vec<(Option<Condition>, Body)>),
    /// `else` is a branch without values.
    Case(Expr, Vec<(Option<Vec<Expr>>, Body)>),
    For(Box<Repeat>),
    /// The name, or the text of the values if there is none.
    Cycle(Expr, Vec<Expr>),
    IfChanged(Body),
    Break,
    Continue,
}

/// Whether nothing in `body` can print anything but white space. Such blocks print nothing at all.
pub(super) fn is_blank(body: &[Node]) -> bool {
    body.iter().all(|node| match node {
        Node::Text(text) => text.trim_ascii().is_empty(),
        Node::Assign(..) | Node::Capture(..) => true,
        Node::If(branches) => branches.iter().all(|(_, body)| is_blank(body)),
        Node::Case(_, branches) => branches.iter().all(|(_, body)| is_blank(body)),
        Node::For(repeat) if !repeat.is_table => is_blank(&repeat.body) && is_blank(&repeat.otherwise),
        _ => false,
    })
}

/// Removes the white space of a blank block.
pub(super) fn remove_text(node: &mut Node) {
    let bodies: Vec<&mut Body> = match node {
        Node::If(branches) => branches.iter_mut().map(|(_, body)| body).collect(),
        Node::Case(_, branches) => branches.iter_mut().map(|(_, body)| body).collect(),
        Node::For(repeat) => vec![&mut repeat.body, &mut repeat.otherwise],
        _ => Vec::new(),
    };
    for body in bodies {
        body.retain(|node| !matches!(node, Node::Text(_)));
    }
}
