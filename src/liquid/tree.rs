//! A parsed template.

use std::cmp::Ordering;

use super::{filters::Filter, number::Kind};

/// The number of a name that a template reads or assigns.
pub(super) type Slot = usize;

#[derive(Default)]
pub(super) enum Expr {
    #[default]
    Nil,
    Bool(bool),
    Int(i64),
    /// Digits of a number that is no 64-bit integer.
    Number(Box<str>, Kind),
    Text(Box<str>),
    Empty,
    Blank,
    Range(Box<(Expr, Expr)>),
    Name(Slot),
    /// `[expression]`, whose value is a name.
    Dynamic(Box<Expr>),
    Path(Box<Path>),
    /// A condition: terms that are joined from the right.
    Condition(Vec<Term>),
}

/// `root.step[step]`.
pub(super) struct Path {
    pub(super) root: Expr,
    pub(super) steps: Vec<Step>,
}

pub(super) enum Step {
    /// `.name`; `size`, `first` and `last` are computed when no member has the name.
    Name(Box<str>),
    /// `[expression]`.
    Index(Expr),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Contains,
    /// Holds for these orders of its sides.
    Order(&'static [Ordering]),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Junction {
    And,
    Or,
}

#[derive(Default)]
pub(super) struct Term {
    pub(super) is_negated: bool,
    pub(super) left: Expr,
    pub(super) compare: Option<(Operator, Expr)>,
    /// How the rest of the condition is joined: `a and (b or (c ...))`.
    pub(super) next: Option<Junction>,
}

/// A value and the filters that it goes through.
#[derive(Default)]
pub(super) struct Chain {
    pub(super) base: Expr,
    pub(super) calls: Vec<FilterCall>,
}

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
#[derive(Default)]
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

/// What a message requests.
#[derive(Default)]
pub(super) struct Request {
    pub(super) url: Body,
    pub(super) options: Vec<(Box<str>, Body)>,
    /// The name that gets the answer; without one, the answer is printed.
    pub(super) save: Option<Slot>,
}

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
    /// `else` is a branch whose condition is true.
    If(Vec<(Expr, Body)>),
    /// `else` is a branch without values.
    Case(Expr, Vec<(Option<Vec<Expr>>, Body)>),
    For(Box<Repeat>),
    /// The name, or the text of the values if there is none.
    Cycle(Expr, Vec<Expr>),
    IfChanged(Body),
    Break,
    Continue,
    /// `connected_content` of a message.
    Request(Box<Request>),
    /// `abort_message` of a message, with the reason.
    Abort(Expr),
}

impl Node {
    /// The bodies of a node that prints nothing else than they do, and nothing of its own but white space.
    fn bodies(&mut self) -> Option<Vec<&mut Body>> {
        Some(match self {
            Self::If(branches) => branches.iter_mut().map(|(_, body)| body).collect(),
            Self::Case(_, branches) => branches.iter_mut().map(|(_, body)| body).collect(),
            Self::For(repeat) if !repeat.is_table => vec![&mut repeat.body, &mut repeat.otherwise],
            Self::Text(text) if !text.trim_ascii().is_empty() => return None,
            Self::Text(_) | Self::Assign(..) | Self::Capture(..) => Vec::new(),
            _ => return None,
        })
    }

    /// Whether the node can print nothing but white space. A block that cannot prints nothing at all: its
    /// white space is removed.
    pub(super) fn is_made_blank(&mut self) -> bool {
        let Some(mut bodies) = self.bodies() else { return false };
        let is_blank = bodies.iter_mut().flat_map(|body| body.iter_mut()).all(Self::is_made_blank);
        for body in bodies.into_iter().filter(|_| is_blank) {
            body.retain(|node| !matches!(node, Self::Text(_)));
        }
        is_blank
    }
}
