//! Parsing expressions, conditions and filters.

use super::{
    error::Flaw,
    filters::{self, Filter},
    parse::Parser,
    scan::Markup,
    tree::{Chain, Condition, Expr, FilterCall, Junction, Operator, Path, Root, Step, Term},
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
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("<", Operator::Less),
    (">", Operator::Greater),
    ("contains", Operator::Contains),
];

/// The name among `known` that was probably meant.
pub(super) fn suggest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > SUGGESTED_BYTES_MAX { None } else { nearest(name, known) }
}

impl<'t> Parser<'t> {
    /// A value with filters, up to the end of the markup.
    pub(super) fn chain(&mut self, markup: &mut Markup<'t>) -> Result<Chain, Flaw> {
        let chain = Chain { base: self.condition(markup)?, calls: self.calls(markup)? };
        if markup.is_at_end() {
            return Ok(chain);
        }
        let flaw = Flaw::new(markup.at, "a filter, or the end of the markup, is expected");
        Err(match markup.peek() {
            b'+' | b'*' | b'/' | b'-' => {
                flaw.hint("calculate with the filters plus, minus, times and divided_by")
            }
            _ => flaw.hint("put `|` before a filter"),
        })
    }

    fn calls(&mut self, markup: &mut Markup<'t>) -> Result<Vec<FilterCall>, Flaw> {
        let mut calls = Vec::new();
        while markup.takes("|") {
            if matches!(markup.peek(), b'|' | 0) {
                continue;
            }
            let at = markup.at;
            let name = markup.word();
            let filter = find_filter(name, at)?;
            calls.push(self.arguments(filter, at, markup)?);
        }
        Ok(calls)
    }

    fn arguments(
        &mut self,
        filter: &'static Filter,
        at: usize,
        markup: &mut Markup<'t>,
    ) -> Result<FilterCall, Flaw> {
        let mut call = FilterCall { filter, arguments: Vec::new(), labelled: Vec::new(), expression: None };
        let mut place = at;
        let mut comes_next = markup.takes(":");
        while comes_next && !matches!(markup.peek(), b'|' | 0) {
            place = markup.at;
            let mut ahead = *markup;
            let label = ahead.word();
            if !label.is_empty() && ahead.takes(":") {
                if !filter.labels.contains(&label) {
                    return Err(Flaw::new(
                        place,
                        format!("the filter `{}` has no argument `{label}`", filter.name),
                    ));
                }
                *markup = ahead;
                call.labelled.push((label.into(), self.expr(markup)?));
            } else if filter.takes_expression && call.arguments.len() == 1 {
                call.expression = Some(self.item_expression(&call.arguments[0], markup)?);
                call.arguments.push(Expr::Nil);
            } else {
                call.arguments.push(self.expr(markup)?);
            }
            comes_next = markup.takes(",");
        }
        let (least, most) = filter.arguments;
        let given = call.arguments.len();
        if (least..=most).contains(&given) {
            return Ok(call);
        }
        let expected = match (least, most) {
            (0, 0) => "no argument".to_owned(),
            _ if least == most => format!("{least} argument{}", if least == 1 { "" } else { "s" }),
            _ => format!("{least} to {most} arguments"),
        };
        Err(Flaw::new(place, format!("the filter `{}` takes {expected}, not {given}", filter.name)))
    }

    /// The last argument of filters such as `where_exp`: a text that holds an expression.
    fn item_expression(&mut self, item: &Expr, markup: &mut Markup<'t>) -> Result<(usize, Chain), Flaw> {
        let at = markup.at;
        let (Expr::Text(item), b'"' | b'\'') = (item, markup.peek()) else {
            return Err(Flaw::new(at, "a name and an expression, both in quotes, are expected"));
        };
        let text = markup.string()?;
        let mut inner = Markup { at: at + 1, end: at + 1 + text.len(), ..*markup };
        let slot = self.assigned(item);
        self.nested(at, |parser| Ok((slot, parser.chain(&mut inner)?)))
    }

    /// `left == right and ...`
    pub(super) fn condition(&mut self, markup: &mut Markup<'t>) -> Result<Condition, Flaw> {
        let mut terms = Vec::new();
        loop {
            let mut term =
                Term { is_negated: Self::negation(markup), left: self.expr(markup)?, ..Term::default() };
            if let Some(operator) = operator(markup)? {
                term.compare = Some((operator, self.expr(markup)?));
            }
            term.next = match markup.peek_word() {
                "and" => Some(Junction::And),
                "or" => Some(Junction::Or),
                _ => None,
            };
            let is_last = term.next.is_none();
            terms.push(term);
            if is_last {
                return Ok(Condition(terms));
            }
            markup.word();
        }
    }

    fn negation(markup: &mut Markup<'t>) -> bool {
        let mut ahead = *markup;
        let is_negation = ahead.takes_word("not")
            && (ahead.peek_word() != "" || matches!(ahead.peek(), b'\'' | b'"' | b'['));
        let is_negation = is_negation && !matches!(ahead.peek_word(), "and" | "or" | "contains");
        if is_negation {
            *markup = ahead;
        }
        is_negation
    }

    /// Runs `parse` one level of nesting deeper.
    fn nested<T>(&mut self, at: usize, parse: impl FnOnce(&mut Self) -> Result<T, Flaw>) -> Result<T, Flaw> {
        if self.nesting >= NESTING_MAX {
            return Err(Flaw::new(at, format!("brackets are nested more than {NESTING_MAX} deep")));
        }
        self.nesting += 1;
        let parsed = parse(self);
        self.nesting -= 1;
        parsed
    }

    /// One value: a literal, a range or a path.
    pub(super) fn expr(&mut self, markup: &mut Markup<'t>) -> Result<Expr, Flaw> {
        match markup.peek() {
            b'\'' | b'"' => {
                let text = markup.string()?;
                let word = text.trim();
                self.reads_clock |= word.eq_ignore_ascii_case("now") || word.eq_ignore_ascii_case("today");
                self.steps(Expr::Text(text.into()), markup)
            }
            b'(' => {
                let at = markup.at;
                markup.at += 1;
                self.nested(at, |parser| parser.range(at, markup))
            }
            b'[' => {
                let at = markup.at;
                markup.at += 1;
                let name = self.nested(at, |parser| parser.bracket(at, markup))?;
                let root = match name {
                    Expr::Text(name) => Root::Name(self.read(&name, at)),
                    name => Root::Dynamic(name),
                };
                self.path(root, markup)
            }
            _ => self.word_or_number(markup),
        }
    }

    fn range(&mut self, at: usize, markup: &mut Markup<'t>) -> Result<Expr, Flaw> {
        let first = self.expr(markup)?;
        if !markup.takes("..") {
            return Err(Flaw::new(markup.at, "`..` is expected").hint("a range is written (1..5)"));
        }
        let last = self.expr(markup)?;
        if !markup.takes(")") {
            return Err(Flaw::new(at, "the range is never closed").hint("close it with `)`"));
        }
        Ok(Expr::Range(Box::new((first, last))))
    }

    fn bracket(&mut self, at: usize, markup: &mut Markup<'t>) -> Result<Expr, Flaw> {
        let inner = self.expr(markup)?;
        if markup.takes("]") { Ok(inner) } else { Err(Flaw::new(at, "`[` is never closed")) }
    }

    fn word_or_number(&mut self, markup: &mut Markup<'t>) -> Result<Expr, Flaw> {
        let at = markup.at;
        if let Some(number) = number(markup) {
            return Ok(number);
        }
        let word = markup.word();
        let literal = match word {
            "" => {
                let flaw = Flaw::new(at, "a value is expected");
                return Err(match markup.peek() {
                    0 => flaw,
                    _ => flaw.hint("a value is a name, a number, or a text in quotes"),
                });
            }
            "nil" | "null" => Expr::Nil,
            "true" => Expr::Bool(true),
            "false" => Expr::Bool(false),
            "empty" => Expr::Empty,
            "blank" => Expr::Blank,
            _ => {
                let root = Root::Name(self.read(word, at));
                return self.path(root, markup);
            }
        };
        // `{{ empty.x }}` reads a variable of this name in no engine.
        self.steps(literal, markup)
    }

    fn path(&mut self, root: Root, markup: &mut Markup<'t>) -> Result<Expr, Flaw> {
        let mut steps = Vec::new();
        loop {
            let at = markup.at;
            if markup.takes("[") {
                steps.push(Step::Index(self.nested(at, |parser| parser.bracket(at, markup))?));
            } else if markup.peek() == b'.' && !markup.rest().starts_with("..") {
                markup.at += 1;
                match markup.word() {
                    "" if markup.peek() == b'[' => {
                        return Err(Flaw::new(markup.at, "`[` follows without a `.`"));
                    }
                    "" => return Err(Flaw::new(markup.at, "a name is expected after `.`")),
                    name => steps.push(Step::Name(name.into())),
                }
            } else if let (Root::Name(slot), true) = (&root, steps.is_empty()) {
                return Ok(Expr::Name(*slot));
            } else {
                return Ok(Expr::Path(Box::new(Path { root, steps })));
            }
        }
    }

    /// Steps below a literal, such as `'abc'.size`.
    fn steps(&mut self, literal: Expr, markup: &mut Markup<'t>) -> Result<Expr, Flaw> {
        if markup.peek() != b'[' && (markup.peek() != b'.' || markup.rest().starts_with("..")) {
            return Ok(literal);
        }
        self.path(Root::Literal(literal), markup)
    }
}

/// A number, unless it begins a longer name such as `90_day`.
fn number(markup: &mut Markup<'_>) -> Option<Expr> {
    let rest = markup.rest();
    let sign = usize::from(rest.starts_with('-'));
    let digits =
        |from: usize| rest.as_bytes()[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut length = sign + digits(sign);
    if length == sign {
        return None;
    }
    let mut ahead = Markup { at: markup.at + length, ..*markup };
    if sign == 0 && matches!(ahead.rest().bytes().next(), Some(b'_' | b'-' | b'a'..=b'z' | b'A'..=b'Z')) {
        return None;
    }
    let fraction = if rest[length..].starts_with('.') { digits(length + 1) } else { 0 };
    length += if fraction > 0 { fraction + 1 } else { 0 };
    ahead.at = markup.at + length;
    *markup = ahead;
    // As a float prints: not as many zeros as are written.
    let text = &rest[..length];
    let text = if fraction > 1 { text.trim_end_matches('0') } else { text };
    let text = if text.ends_with('.') { &rest[..=text.len()] } else { text };
    Some(text.parse().map_or_else(|_| Expr::Number(text.into()), Expr::Int))
}

fn operator(markup: &mut Markup<'_>) -> Result<Option<Operator>, Flaw> {
    for (text, operator) in OPERATORS {
        if if text == "contains" { markup.takes_word(text) } else { markup.takes(text) } {
            return Ok(Some(operator));
        }
    }
    match markup.peek() {
        b'=' => Err(Flaw::new(markup.at, "`=` does not compare").hint("write `==`")),
        b'&' => Err(Flaw::new(markup.at, "`&` is no operator").hint("write `and`")),
        _ => Ok(None),
    }
}

fn find_filter(name: &str, at: usize) -> Result<&'static Filter, Flaw> {
    if name.is_empty() {
        return Err(Flaw::new(at, "the name of a filter is expected"));
    }
    filters::find(name).ok_or_else(|| {
        let flaw = Flaw::new(at, format!("the filter `{name}` is not supported"));
        match suggest(name, filters::names()) {
            Some(near) => flaw.hint(format!("did you mean `{near}`?")),
            None => flaw,
        }
    })
}
