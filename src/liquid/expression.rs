//! Parsing expressions, conditions and filters.
//!
//! What is no expression is read as Ruby reads it in lax mode, and noted: see [`Parser::expr`].

use std::cmp::Ordering::{Equal, Greater, Less};

use super::{
    Parsed, Parser, SyntaxError, filters,
    number::Kind,
    parse::BRACKET,
    scan::{Markup, is_space, is_word},
    tree::{Chain, Expr, FilterCall, Junction, Operator, Path, Step, Term},
};
use crate::settings::nearest::nearest;

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
pub(super) fn near<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > SUGGESTED_BYTES_MAX { None } else { nearest(name, known) }
}

/// The fault with the name among `known` that was probably meant.
pub(super) fn suggest<'a>(
    fault: SyntaxError,
    name: &str,
    known: impl Iterator<Item = &'a str>,
) -> SyntaxError {
    if let Some(near) = near(name, known) { fault.hint(format!("did you mean `{near}`?")) } else { fault }
}

/// Where a filter may begin.
fn is_pipe(markup: &mut Markup<'_>) -> bool {
    markup.peek() == b'|'
}

impl<'t> Parser<'t> {
    /// A value with filters, up to the end of the markup.
    pub(super) fn chain(&mut self) -> Chain {
        let mut chain = Chain { base: self.terms(false), calls: Vec::new() };
        self.ignore("put `|` before a filter, and calculate with plus, minus, times and divided_by", is_pipe);
        while !self.has_ended && self.markup.takes("|") {
            chain.calls.extend(self.call());
            self.ignore("put `|` before a filter, and `,` between its arguments", is_pipe);
        }
        chain
    }

    fn call(&mut self) -> Option<FilterCall> {
        self.markup.skip_space();
        let at = self.markup.at;
        let name = self.markup.word();
        if name.is_empty() {
            return None;
        }
        let Some(filter) = filters::find(name) else {
            let fault = SyntaxError::new(at, format!("the filter `{name}` is not supported"));
            self.note(suggest(fault, name, filters::names()));
            return None;
        };
        let mut call = FilterCall { filter, arguments: Vec::new(), labelled: Expr::Nil, expression: None };
        let is_expression = name == filter.expression_name;
        loop {
            self.ignore("put `:` before the arguments of a filter, and `,` between them", |markup| {
                matches!(markup.peek(), b',' | b':' | b'|')
            });
            if !self.markup.takes(":") && !self.markup.takes(",") {
                break;
            }
            if !matches!(self.markup.peek(), b',' | b'|' | 0) {
                self.argument(&mut call, is_expression);
            }
        }
        let (least, most) = if is_expression { (2, 2) } else { filter.arguments };
        let given = call.arguments.len();
        if !(least..=most).contains(&given) {
            let expected = match (least, most) {
                (0, 0) => "no argument".to_owned(),
                (1, 1) => "1 argument".to_owned(),
                _ if least == most => format!("{least} arguments"),
                _ => format!("{least} to {most} arguments"),
            };
            let fault = SyntaxError::new(at, format!("the filter `{name}` takes {expected}, not {given}"));
            let hint = format!("write `{name}: value`, with `,` between values");
            self.note(if given < least { fault.hint(hint) } else { fault });
        }
        Some(call)
    }

    fn argument(&mut self, call: &mut FilterCall, is_expression: bool) {
        let mut ahead = self.markup;
        let label = ahead.word();
        if !label.is_empty() && ahead.takes(":") {
            if label != call.filter.label {
                let message = format!("the filter `{}` has no argument `{label}`", call.filter.name);
                self.note(self.fault(&message));
            }
            self.markup = ahead;
            call.labelled = self.expr();
        } else if let (true, [item]) = (is_expression, &call.arguments[..]) {
            call.expression = self.item_expression(item);
            call.arguments.push(Expr::Nil);
        } else {
            call.arguments.push(self.expr());
        }
    }

    /// The last argument of filters such as `where_exp`: a text that holds an expression.
    fn item_expression(&mut self, item: &Expr) -> Option<(usize, Chain)> {
        let at = self.markup.at;
        let (Expr::Text(item), Ok(text)) = (item, self.markup.string()) else {
            self.note(SyntaxError::new(at, "a name and an expression, both in quotes, are expected"));
            return None;
        };
        let slot = self.assigned(item);
        let inner = Markup { at: at + 1, end: at + 1 + text.len(), ..self.markup };
        let outer = std::mem::replace(&mut self.markup, inner);
        let chain = self.nest(BRACKET, at, |parser| Ok(parser.chain()));
        self.markup = outer;
        Some((slot, chain.ok()?))
    }

    /// The condition of a tag, up to the end of the markup.
    pub(super) fn condition(&mut self) -> Expr {
        self.terms(true)
    }

    /// Values and comparisons with `and` and `or` between them. One value alone stays what it is.
    fn terms(&mut self, is_condition: bool) -> Expr {
        let (mut terms, mut is_last) = (Vec::new(), false);
        while !is_last {
            if is_condition && self.markup.is_at_end() {
                self.note(self.fault("a condition is expected"));
            }
            let (is_negated, left) = (negation(&mut self.markup), self.expr());
            let compare = operator(&mut self.markup).map(|operator| (operator, self.expr()));
            if is_condition {
                self.check_junction(compare.is_some());
            }
            let next = junction(&mut self.markup);
            is_last = next.is_none();
            terms.push(Term { is_negated, left, compare, next });
        }
        match &terms[..] {
            [Term { is_negated: false, compare: None, .. }] => terms.swap_remove(0).left,
            _ => Expr::Condition(terms),
        }
    }

    /// Notes what is neither `and` nor `or` after a part of a condition.
    fn check_junction(&mut self, is_compared: bool) {
        let has_word = matches!(self.markup.peek(), b'=' | b'!' | b'<' | b'>' | b'_' | b'a'..=b'z');
        if has_word && !is_compared && !is_junction(&mut self.markup) {
            let message = "`and`, `or`, an operator or the end of the condition is expected";
            let fault = self.fault(message);
            self.note(fault.hint("the operators are ==, !=, <, <=, >, >= and contains"));
        }
        self.ignore("write `and` or `or` between conditions, without parentheses", is_junction);
    }

    /// Notes and skips what Ruby ignores.
    pub(super) fn ignore(&mut self, hint: &str, ends: impl Fn(&mut Markup<'t>) -> bool) {
        if self.markup.is_at_end() || ends(&mut self.markup) {
            return;
        }
        self.tolerate(self.fault("this text is ignored").hint(hint));
        while !self.markup.is_at_end() && !ends(&mut self.markup) {
            self.markup.skip();
        }
    }

    /// One value. What is none gives the names in it, as in Ruby: `a&b` is `a.b`.
    pub(super) fn expr(&mut self) -> Expr {
        self.markup.skip_space();
        let start = self.markup;
        let is_quoted = matches!(self.markup.peek(), b'\'' | b'"');
        let is_end = |c: char| is_quoted || is_space(c) || "|,=<>!:'\"".contains(c);
        let fault = match self.value() {
            Ok(expr) if self.markup.rest().chars().next().is_none_or(is_end) => return expr,
            Ok(expr) if is_junction(&mut self.markup) => return expr,
            Ok(_) => self.fault("the end of the value is expected"),
            Err(fault) => fault,
        };
        self.tolerate(fault);
        self.markup = start;
        let mut names = self.markup.fragment().split(|c| !is_word(c)).filter(|name| !name.is_empty());
        let Some(first) = names.next() else { return Expr::Nil };
        let root = Expr::Name(self.read(first, start.at));
        path(root, names.map(|name| Step::Name(name.into())).collect())
    }

    /// A literal, a range or a path.
    fn value(&mut self) -> Parsed<Expr> {
        self.markup.skip_space();
        let at = self.markup.at;
        let root = match self.markup.peek() {
            b'\'' | b'"' => {
                let text = self.markup.string()?;
                let word = text.trim();
                self.reads_clock |= word.eq_ignore_ascii_case("now") || word.eq_ignore_ascii_case("today");
                Expr::Text(text.into())
            }
            b'(' => {
                self.markup.at += 1;
                return self.nest(BRACKET, at, Self::range);
            }
            b'[' => match self.bracket()? {
                Expr::Text(name) => Expr::Name(self.read(&name, at)),
                name => Expr::Dynamic(Box::new(name)),
            },
            _ if let Some(number) = number(&mut self.markup) => return Ok(number),
            _ => match self.markup.word() {
                "" => return Err(SyntaxError::new(at, "a value is expected")),
                "nil" | "null" => Expr::Nil,
                "true" => Expr::Bool(true),
                "false" => Expr::Bool(false),
                "empty" => Expr::Empty,
                "blank" => Expr::Blank,
                name => Expr::Name(self.read(name, at)),
            },
        };
        let steps = self.steps()?;
        Ok(path(root, steps))
    }

    fn range(&mut self) -> Parsed<Expr> {
        let first = self.value()?;
        if !self.markup.takes("..") {
            return Err(self
                .fault("`..` is expected")
                .hint("a range is written (1..5), and a condition has no parentheses"));
        }
        // Ruby reads three dots as two.
        self.markup.takes(".");
        let last = self.value()?;
        if !self.markup.takes(")") {
            return Err(self.fault("the range is never closed").hint("close it with `)`"));
        }
        Ok(Expr::Range(Box::new((first, last))))
    }

    /// `[expression]`.
    fn bracket(&mut self) -> Parsed<Expr> {
        let at = self.markup.at;
        self.markup.at += 1;
        let inner = self.nest(BRACKET, at, Self::value)?;
        if self.markup.takes("]") { Ok(inner) } else { Err(SyntaxError::new(at, "`[` is never closed")) }
    }

    /// What is read of a value: `.name` and `[expression]`.
    fn steps(&mut self) -> Parsed<Vec<Step>> {
        let mut steps = Vec::new();
        loop {
            let end = self.markup;
            match self.markup.peek() {
                b'[' => steps.push(Step::Index(self.bracket()?)),
                b'.' if !self.markup.rest().starts_with("..") => {
                    self.markup.at += 1;
                    match self.markup.word() {
                        "" => return Err(self.fault("a name is expected after `.`")),
                        name => steps.push(Step::Name(name.into())),
                    }
                }
                _ => {
                    self.markup = end;
                    return Ok(steps);
                }
            }
        }
    }
}

fn path(root: Expr, steps: Vec<Step>) -> Expr {
    if steps.is_empty() { root } else { Expr::Path(Box::new(Path { root, steps })) }
}

fn is_junction(markup: &mut Markup<'_>) -> bool {
    matches!(markup.peek_word(), "and" | "or")
}

fn junction(markup: &mut Markup<'_>) -> Option<Junction> {
    let junctions = [("and", Junction::And), ("or", Junction::Or)];
    junctions.into_iter().find_map(|(word, junction)| markup.takes_word(word).then_some(junction))
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

/// A number, unless it begins a longer name such as `90_day`; but `3and` is two words.
fn number(markup: &mut Markup<'_>) -> Option<Expr> {
    let rest = markup.rest();
    let digits = |from: usize| rest[from..].bytes().take_while(u8::is_ascii_digit).count();
    let sign = usize::from(rest.starts_with('-'));
    let whole = sign + digits(sign);
    let is_decimal = rest[whole..].starts_with('.') && !rest[whole..].starts_with("..");
    let length = if is_decimal { whole + 1 + digits(whole + 1) } else { whole };
    let word = rest[length..].split(|c| !is_word(c)).next();
    if whole == sign || !matches!(word, None | Some("" | "and" | "or")) {
        return None;
    }
    markup.at += length;
    // As a float prints: without zeros at either end, but with a digit on both sides of the point.
    let text = match rest[..length].trim_end_matches('0') {
        _ if length < whole + 2 => &rest[..whole],
        text if text.ends_with('.') => &rest[..whole + 2],
        text => text,
    };
    let digits = text[sign..].trim_start_matches('0');
    let zero = if digits.starts_with('.') { "0" } else { "" };
    let kind = if is_decimal { Kind::Decimal } else { Kind::Whole };
    let decimal = || Expr::Number(format!("{}{zero}{digits}", &text[..sign]).into(), kind);
    Some(text.parse().map_or_else(|_| decimal(), Expr::Int))
}

fn operator(markup: &mut Markup<'_>) -> Option<Operator> {
    markup.skip_space();
    let symbol = markup.rest().split(|c| !"=!<>".contains(c)).next().filter(|symbol| !symbol.is_empty());
    let word = symbol.unwrap_or_else(|| markup.peek_word());
    let (_, operator) = OPERATORS.into_iter().find(|(text, _)| *text == word)?;
    markup.at += word.len();
    Some(operator)
}
