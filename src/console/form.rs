//! Forms: the values of one that was sent, why some were refused, and their fields with both.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt::{self, Display},
    ops::Bound,
};

use maud::{Markup, html};

use super::assets::FORMS;

/// The hidden field with the Idempotency-Key of a form.
pub const REQUEST: &str = "request";

/// The hidden field with the tag of the state that a page shows: what is then changed must be in that state.
pub const STATE: &str = "state";

/// The name under which the faults are kept that are about no field.
pub(super) const WHOLE: &str = "form";

/// Lines that a field of several lines shows at least.
const AREA_ROWS_MIN: usize = 3;
/// The same of a statement.
const SQL_ROWS_MIN: usize = 8;
/// Most lines that a field of several lines shows at once.
const AREA_ROWS_MAX: usize = 24;

/// The values of a form, in their order. Keys can be among them, so they are never printed.
#[derive(Clone, Default)]
pub struct Fields(Vec<(String, String)>);

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl Fields {
    /// Those of a body as browsers send it. They send each line break as two characters.
    pub fn parse(body: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(body);
        Self(pairs.map(|(name, value)| (name.into_owned(), value.replace("\r\n", "\n"))).collect())
    }

    /// The body with which a browser would send them, but for its line breaks.
    #[cfg(test)]
    pub(crate) fn to_body(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.0).finish()
    }

    /// Those of a form that nobody has filled in.
    pub fn preset(values: &[(&str, &str)]) -> Self {
        Self(values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    /// The value of a field, without white space around it; empty if the form has none.
    pub fn text(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or_default().trim()
    }

    /// All values of a field that may have several.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether a field has this value: a box that is ticked, or an option that is chosen.
    pub fn has(&self, name: &str, value: &str) -> bool {
        self.all(name).any(|one| one == value)
    }

    /// The same with one more value of a field.
    #[must_use]
    pub fn and(mut self, name: &str, value: &str) -> Self {
        self.0.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with another value of one field.
    #[must_use]
    pub fn with(self, name: &str, value: &str) -> Self {
        self.without(&[name]).and(name, value)
    }

    /// The same without these fields.
    #[must_use]
    pub(super) fn without(mut self, names: &[&str]) -> Self {
        self.0.retain(|(known, _)| !names.contains(&known.as_str()));
        self
    }
}

/// Why values were refused, by the name of the field.
#[derive(Debug, Clone, Default)]
pub struct Faults(BTreeMap<Cow<'static, str>, String>);

impl Faults {
    /// Whether every value was taken.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Notes the fault of a field. The first one of a field stays.
    pub fn add(&mut self, field: impl Into<Cow<'static, str>>, fault: impl Display) {
        self.0.entry(field.into()).or_insert_with(|| fault.to_string());
    }

    /// Whether a field whose name begins with `prefix` has a fault.
    pub(super) fn has(&self, prefix: &str) -> bool {
        let mut from = self.0.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
        from.next().is_some_and(|(name, _)| name.starts_with(prefix))
    }

    /// Adds the faults of `others`. Those that are there stay.
    pub fn extend(&mut self, others: Self) {
        for (field, fault) in others.0 {
            self.add(field, fault);
        }
    }

    /// The same without that of a field.
    #[must_use]
    pub(super) fn without(mut self, field: &str) -> Self {
        self.0.remove(field);
        self
    }

    /// The value of a field; without one, its fault is noted.
    pub fn take<T>(
        &mut self,
        field: impl Into<Cow<'static, str>>,
        value: Result<T, impl Display>,
    ) -> Option<T> {
        value.map_err(|fault| self.add(field, fault)).ok()
    }
}

/// A form as it is shown: with the values that were sent, and a message beside each that was refused.
#[derive(Debug, Clone, Copy)]
pub struct Form<'a> {
    /// The values.
    pub fields: &'a Fields,
    /// The faults.
    pub faults: &'a Faults,
}

impl Form<'_> {
    /// What stands above the fields: that something is to be corrected, and the Idempotency-Key.
    pub(super) fn head(self) -> Markup {
        html! {
            @if !self.faults.is_empty() {
                p class="notice fault" role="alert" { "Nothing was changed. Correct the marked fields and send the form again." }
                (self.message(WHOLE))
            }
            input type="hidden" name=(REQUEST) value=(self.fields.text(REQUEST));
        }
    }

    /// A line of text. `hint` says what to write.
    pub(super) fn line(self, name: &str, label: &str, hint: &str) -> Markup {
        self.one_line("text", None, name, label, hint)
    }

    /// A line of text for which the list with the id `list` has suggestions.
    pub(super) fn suggested(self, list: &str, name: &str, label: &str, hint: &str) -> Markup {
        self.one_line("text", Some(list), name, label, hint)
    }

    /// A line of text that is not shown.
    pub(super) fn password(self, name: &str, label: &str, hint: &str) -> Markup {
        self.one_line("password", None, name, label, hint)
    }

    fn one_line(self, kind: &str, list: Option<&str>, name: &str, label: &str, hint: &str) -> Markup {
        let fault = self.fault(name);
        self.framed(name, label, hint, &html! {
            input id=(name) name=(name) type=(kind) list=[list] value=(self.fields.text(name)) autocomplete="off" spellcheck="false"
                aria-invalid=[fault.map(|_| "true")] aria-describedby=(described_by(name, fault.is_some()));
        })
    }

    /// Several lines of text.
    pub(super) fn lines(self, name: &str, label: &str, hint: &str) -> Markup {
        self.area(None, AREA_ROWS_MIN, name, label, hint)
    }

    /// Several lines of TOML or Liquid.
    pub(super) fn code(self, name: &str, label: &str, hint: &str) -> Markup {
        self.area(Some("code"), AREA_ROWS_MIN, name, label, hint)
    }

    /// A statement, of more lines from the start.
    pub(super) fn sql(self, name: &str, label: &str, hint: &str) -> Markup {
        self.area(Some("code"), SQL_ROWS_MIN, name, label, hint)
    }

    fn area(self, class: Option<&str>, rows_min: usize, name: &str, label: &str, hint: &str) -> Markup {
        let (fault, text) = (self.fault(name), self.fields.text(name));
        let rows = (text.lines().count() + 1).clamp(rows_min, AREA_ROWS_MAX);
        self.framed(name, label, hint, &html! {
            textarea id=(name) name=(name) class=[class] rows=(rows) autocomplete="off" spellcheck="false"
                aria-invalid=[fault.map(|_| "true")] aria-describedby=(described_by(name, fault.is_some())) {
                // The first line break is the element's, not the text's.
                "\n" (text)
            }
        })
    }

    /// A list of which one option is chosen.
    pub(super) fn select(self, name: &str, label: &str, hint: &str, options: &[(&str, &str)]) -> Markup {
        let fault = self.fault(name);
        self.framed(
            name,
            label,
            hint,
            &html! {
                select id=(name) name=(name) aria-invalid=[fault.map(|_| "true")]
                    aria-describedby=(described_by(name, fault.is_some())) {
                    @for (value, words) in options {
                        option value=(value) selected[self.fields.text(name) == *value] { (words) }
                    }
                }
            },
        )
    }

    /// A box to tick, or with `kind` `radio` one of several options, as part of a field set.
    pub(super) fn choice(self, kind: &str, name: &str, value: &str, label: &str) -> Markup {
        html! {
            label class="choice" {
                input type=(kind) name=(name) value=(value) checked[self.fields.has(name, value)];
                span { (label) }
            }
        }
    }

    /// The message of a field.
    pub(super) fn message(self, name: &str) -> Markup {
        html! { @if let Some(fault) = self.fault(name) { p id=(format!("{name}-fault")) class="fault lines" { (fault) } } }
    }

    /// Why the value of a field was refused.
    pub(super) fn fault(&self, name: &str) -> Option<&str> {
        self.faults.0.get(name).map(String::as_str)
    }

    fn framed(self, name: &str, label: &str, hint: &str, field: &Markup) -> Markup {
        html! {
            div class="field" {
                label for=(name) { (label) }
                (field)
                div class="message" { (self.message(name)) }
                p id=(format!("{name}-hint")) class="quiet" { (hint) }
            }
        }
    }
}

fn described_by(name: &str, has_fault: bool) -> String {
    if has_fault { format!("{name}-fault {name}-hint") } else { format!("{name}-hint") }
}

/// What pages with forms do more in browsers with JavaScript: a form is sent once, and buttons copy.
pub(super) fn script() -> Markup {
    html! { script type="module" src=(FORMS.path()) {} }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_form_keeps_its_values_and_says_why_beside_the_field() {
        let fields = Fields::parse(b"name=+%3Cb%3E%22+&kind=b&kind=c&request=r");
        let mut faults = Faults::default();
        assert_eq!(faults.take("name", Err::<(), _>("<too long>")), None);
        faults.add("name", "later");
        let form = Form { fields: &fields, faults: &faults };
        let line = form.line("name", "Name", "short").into_string();
        for part in [
            "value=\"&lt;b&gt;&quot;\"",
            "aria-invalid=\"true\"",
            "aria-describedby=\"name-fault name-hint\"",
            "<p id=\"name-fault\" class=\"fault lines\">&lt;too long&gt;</p>",
        ] {
            assert!(line.contains(part), "{line}");
        }
        assert!(form.choice("checkbox", "kind", "c", "C").into_string().contains(" checked"));
        assert!(!form.choice("checkbox", "kind", "d", "D").into_string().contains(" checked"));
        assert!(form.head().into_string().contains("name=\"request\" value=\"r\""));
        assert_eq!(Fields::parse(b"a=1%0D%0A2%0D3").text("a"), "1\n2\r3");
        assert_eq!(fields.with("kind", "x").all("kind").collect::<Vec<_>>(), ["x"]);
    }
}
