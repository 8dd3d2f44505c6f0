//! Parsing expressions, conditions and filters.
//!
//! What is no expression is read as Ruby reads it in lax mode, and noted: see [`Parser::expr`].

use std::cmp::Ordering::{Equal, Greater, Less};

use super::{
    error::Flaw,
    filters,
    parse::Parser,
    scan::{Markup, is_space, is_word},
    tree::{Chain, Condition, Expr, FilterCall, Junction, Operator, Path, Step, Term},
};
use crate::settings::nearest::nearest;

/// Most brackets and parentheses inside each other: parsing and evaluation recurse over them.
const NESTING_MAX: usize = 32;
/// Longest name for which a near one is suggested: the comparison takes time.
const SUGGESTED_BYTES_MAX: usize = 64;

const OPERATORS: [(&str, Operator); 8] = [
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("<>", Operator::NotEqual),
    ("<", Operator::Order(&[Less])),
    ("<=", Operator::Order(&[Less, Equal])),
    (">", Operator::Order(&[Greater])),
    (">=", Operator::Order(&[Greater, Equal])),
    ("contains", Operator::Contains),
];

/// The name among `known` that was probably meant.
pub(super) fn suggest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > SUGGESTED_BYTES_MAX { None } else { nearest(name, known) }
}

/// A flaw for a name that is not among `known`.
pub(super) fn unknown<'a>(what: &str, name: &str, at: usize, known: impl Iterator<Item = &'a str>) -> Flaw {
    let flaw = Flaw::new(at, format!("the {what} `{name}` is not supported"));
    match suggest(name, known) {
        Some(near) => flaw.hint(format!("did you mean `{near}`?")),
        None => flaw,
    }
}

impl<'t> Parser<'t> {
    /// A value with filters, up to the end of the markup.
    pub(super) fn chain(&mut self, markup: &mut Markup<'t>) -> Chain {
        let mut chain = Chain::default();
        loop {
            chain.base.terms.push(self.term(markup));
            if !junction(markup, &mut chain.base.terms) {
                break;
            }
        }
        let ends = |markup: &mut Markup<'t>| markup.peek() == b'|';
        self.ignore(
            markup,
            "put `|` before a filter, and calculate with plus, minus, times and divided_by",
            ends,
        );
        while !self.has_ended && markup.takes("|") {
            chain.calls.extend(self.call(markup));
            self.ignore(markup, "put `|` before a filter, and `,` between its arguments", ends);
        }
        chain
    }

    fn call(&mut self, markup: &mut Markup<'t>) -> Option<FilterCall> {
        markup.skip_space();
        let at = markup.at;
        let name = markup.word();
        if name.is_empty() {
            return None;
        }
        let Some(filter) = filters::find(name) else {
            self.note(unknown("filter", name, at, filters::names()));
            return None;
        };
        let mut call = FilterCall { filter, arguments: Vec::new(), labelled: Expr::Nil, expression: None };
        loop {
            let ends = |markup: &mut Markup<'t>| matches!(markup.peek(), b',' | b':' | b'|');
            self.ignore(markup, "put `:` before the arguments of a filter, and `,` between them", ends);
            if !markup.takes(":") && !markup.takes(",") {
                break;
            }
            if !matches!(markup.peek(), b',' | b'|' | 0) {
                self.argument(&mut call, name == filter.expression_name, markup);
            }
        }
        let counts = if name == filter.expression_name { (2, 2) } else { filter.arguments };
        self.check_count(name, counts, call.arguments.len(), at);
        Some(call)
    }

    fn argument(&mut self, call: &mut FilterCall, is_expression: bool, markup: &mut Markup<'t>) {
        let mut ahead = *markup;
        let label = ahead.word();
        if !label.is_empty() && ahead.takes(":") {
            if label != call.filter.label {
                let message = format!("the filter `{}` has no argument `{label}`", call.filter.name);
                self.note(Flaw::new(markup.at, message));
            }
            *markup = ahead;
            call.labelled = self.expr(markup);
        } else if let (true, [item]) = (is_expression, &call.arguments[..]) {
            call.expression = self.item_expression(item, markup);
            call.arguments.push(Expr::Nil);
        } else {
            call.arguments.push(self.expr(markup));
        }
    }

    fn check_count(&mut self, name: &str, (least, most): (usize, usize), given: usize, at: usize) {
        let expected = match (least, most) {
            _ if (least..=most).contains(&given) => return,
            (0, 0) => "no argument".to_owned(),
            (1, 1) => "1 argument".to_owned(),
            _ if least == most => format!("{least} arguments"),
            _ => format!("{least} to {most} arguments"),
        };
        self.note(Flaw::new(at, format!("the filter `{name}` takes {expected}, not {given}")));
    }

    /// The last argument of filters such as `where_exp`: a text that holds an expression.
    fn item_expression(&mut self, item: &Expr, markup: &mut Markup<'t>) -> Option<(usize, Chain)> {
        let at = markup.at;
        let (Expr::Text(item), Ok(text)) = (item, markup.string()) else {
            self.note(Flaw::new(at, "a name and an expression, both in quotes, are expected"));
            return None;
        };
        let mut inner = Markup { at: at + 1, end: at + 1 + text.len(), ..*markup };
        let slot = self.assigned(item);
        self.nested(at, |parser| Ok((slot, parser.chain(&mut inner)))).ok()
    }

    /// The condition of a tag, up to the end of the markup.
    pub(super) fn condition(&mut self, markup: &mut Markup<'t>, is_negated: bool) -> Condition {
        let mut terms = Vec::new();
        loop {
            if markup.is_at_end() {
                self.note(Flaw::new(markup.at, "a condition is expected"));
                break;
            }
            let term = self.term(markup);
            let has_word = matches!(markup.peek(), b'=' | b'!' | b'<' | b'>' | b'_' | b'a'..=b'z');
            if has_word && term.compare.is_none() && !matches!(markup.peek_word(), "and" | "or") {
                let flaw =
                    Flaw::new(markup.at, "`and`, `or`, an operator or the end of the condition is expected");
                self.note(flaw.hint("the operators are ==, !=, <, <=, >, >= and contains"));
                break;
            }
            terms.push(term);
            self.ignore(markup, "write `and` or `or` between conditions, without parentheses", |markup| {
                matches!(markup.peek_word(), "and" | "or")
            });
            if !junction(markup, &mut terms) {
                break;
            }
        }
        Condition { terms, is_negated }
    }

    fn term(&mut self, markup: &mut Markup<'t>) -> Term {
        let is_negated = negation(markup);
        let left = self.expr(markup);
        let compare = operator(markup).map(|operator| (operator, self.expr(markup)));
        Term { is_negated, left, compare, next: None }
    }

    /// Notes and skips what Ruby ignores.
    pub(super) fn ignore(
        &mut self,
        markup: &mut Markup<'t>,
        hint: &str,
        ends: impl Fn(&mut Markup<'t>) -> bool,
    ) {
        if markup.is_at_end() || ends(markup) {
            return;
        }
        self.tolerate(Flaw::new(markup.at, "what stands here is ignored").hint(hint));
        while !markup.is_at_end() && !ends(markup) {
            markup.skip();
        }
    }

    /// Runs `parse` one level of nesting deeper.
    fn nested<T>(&mut self, at: usize, parse: impl FnOnce(&mut Self) -> Result<T, Flaw>) -> Result<T, Flaw> {
        let flaw = || Flaw::new(at, format!("brackets are nested more than {NESTING_MAX} deep"));
        if self.nesting >= NESTING_MAX {
            self.note(flaw());
            return Err(flaw());
        }
        self.nesting += 1;
        let parsed = parse(self);
        self.nesting -= 1;
        parsed
    }

    /// One value. What is none gives the names in it, as in Ruby: `a&b` is `a.b`.
    pub(super) fn expr(&mut self, markup: &mut Markup<'t>) -> Expr {
        markup.skip_space();
        let start = *markup;
        let is_quoted = matches!(markup.peek(), b'\'' | b'"');
        let is_end = |c: char| is_quoted || is_space(c) || "|,=<>!:'\"".contains(c);
        let flaw = match self.value(markup) {
            Ok(expr) if markup.rest().chars().next().is_none_or(is_end) => return expr,
            Ok(_) => Flaw::new(markup.at, "the end of the value is expected"),
            Err(flaw) => flaw,
        };
        self.tolerate(flaw);
        *markup = start;
        let mut names = markup.fragment().split(|c| !is_word(c)).filter(|name| !name.is_empty());
        let Some(first) = names.next() else { return Expr::Nil };
        let root = Expr::Name(self.read(first, start.at));
        path(root, names.map(|name| Step::Name(name.into())).collect())
    }

    /// A literal, a range or a path.
    fn value(&mut self, markup: &mut Markup<'t>) -> Result<Expr, Flaw> {
        markup.skip_space();
        let at = markup.at;
        let root = match markup.peek() {
            b'\'' | b'"' => {
                let text = markup.string()?;
                let word = text.trim();
                self.reads_clock |= word.eq_ignore_ascii_case("now") || word.eq_ignore_ascii_case("today");
                Expr::Text(text.into())
            }
            b'(' => {
                markup.at += 1;
                return self.nested(at, |parser| parser.range(markup));
            }
            b'[' => match self.bracket(markup)? {
                Expr::Text(name) => Expr::Name(self.read(&name, at)),
                name => Expr::Dynamic(Box::new(name)),
            },
            _ if let Some(number) = number(markup) => return Ok(number),
            _ => match markup.word() {
                "" => return Err(Flaw::new(at, "a value is expected")),
                "nil" | "null" => Expr::Nil,
                "true" => Expr::Bool(true),
                "false" => Expr::Bool(false),
                "empty" => Expr::Empty,
                "blank" => Expr::Blank,
                name => Expr::Name(self.read(name, at)),
            },
        };
        let steps = self.steps(markup)?;
        Ok(path(root, steps))
    }

    fn range(&mut self, markup: &mut Markup<'t>) -> Result<Expr, Flaw> {
        let first = self.value(markup)?;
        if !markup.takes("..") {
            return Err(Flaw::new(markup.at, "`..` is expected").hint("a range is written (1..5)"));
        }
        // Ruby reads three dots as two.
        markup.takes(".");
        let last = self.value(markup)?;
        if !markup.takes(")") {
            return Err(Flaw::new(markup.at, "the range is never closed").hint("close it with `)`"));
        }
        Ok(Expr::Range(Box::new((first, last))))
    }

    /// `[expression]`.
    fn bracket(&mut self, markup: &mut Markup<'t>) -> Result<Expr, Flaw> {
        let at = markup.at;
        markup.at += 1;
        let inner = self.nested(at, |parser| parser.value(markup))?;
        if markup.takes("]") { Ok(inner) } else { Err(Flaw::new(at, "`[` is never closed")) }
    }

    /// What is read of a value: `.name` and `[expression]`.
    fn steps(&mut self, markup: &mut Markup<'t>) -> Result<Vec<Step>, Flaw> {
        let mut steps = Vec::new();
        loop {
            let mut ahead = *markup;
            match ahead.peek() {
                b'[' => {
                    steps.push(Step::Index(self.bracket(&mut ahead)?));
                    *markup = ahead;
                }
                b'.' if !ahead.rest().starts_with("..") => {
                    *markup = Markup { at: ahead.at + 1, ..ahead };
                    match markup.word() {
                        "" => return Err(Flaw::new(markup.at, "a name is expected after `.`")),
                        name => steps.push(Step::Name(name.into())),
                    }
                }
                _ => return Ok(steps),
            }
        }
    }
}

fn path(root: Expr, steps: Vec<Step>) -> Expr {
    if steps.is_empty() { root } else { Expr::Path(Box::new(Path { root, steps })) }
}

/// Takes `and` or `or`, which join the last of `terms` with the next one.
fn junction(markup: &mut Markup<'_>, terms: &mut [Term]) -> bool {
    let next = match () {
        () if markup.takes_word("and") => Some(Junction::And),
        () if markup.takes_word("or") => Some(Junction::Or),
        () => None,
    };
    if let Some(term) = terms.last_mut() {
        term.next = next;
    }
    next.is_some()
}

fn negation(markup: &mut Markup<'_>) -> bool {
    let mut ahead = *markup;
    let is_negation = ahead.takes_word("not")
        && (ahead.peek_word() != "" || matches!(ahead.peek(), b'\'' | b'"' | b'['))
        && !matches!(ahead.peek_word(), "and" | "or" | "contains");
    if is_negation {
        *markup = ahead;
    }
    is_negation
}

/// A number, unless it begins a longer name such as `90_day`.
fn number(markup: &mut Markup<'_>) -> Option<Expr> {
    let rest = markup.rest();
    let is_digit = |c: char| c.is_ascii_digit();
    let sign = usize::from(rest.starts_with('-'));
    let digits = rest[sign..].find(|c| !is_digit(c)).unwrap_or(rest.len() - sign);
    let whole = sign + digits;
    let after = &rest[whole..];
    let is_decimal = after.starts_with('.') && !after.starts_with("..");
    let fraction =
        after.strip_prefix('.').map_or(0, |text| text.find(|c| !is_digit(c)).unwrap_or(text.len()));
    let length = if is_decimal { whole + 1 + fraction } else { whole };
    if digits == 0 || rest[length..].starts_with(is_word) {
        return None;
    }
    markup.at += length;
    // As a float prints: not as many zeros as are written.
    let text = if fraction > 1 { rest[..length].trim_end_matches('0') } else { &rest[..length] };
    let text =
        if text.ends_with('.') && fraction > 0 { &rest[..=text.len()] } else { text.trim_end_matches('.') };
    Some(text.parse().map_or_else(|_| Expr::Number(text.into()), Expr::Int))
}

fn operator(markup: &mut Markup<'_>) -> Option<Operator> {
    markup.skip_space();
    let symbol = markup.rest().split(|c| !"=!<>".contains(c)).next().filter(|symbol| !symbol.is_empty());
    let word = symbol.unwrap_or_else(|| markup.peek_word());
    let (_, operator) = OPERATORS.into_iter().find(|(text, _)| *text == word)?;
    markup.at += word.len();
    Some(operator)
}
