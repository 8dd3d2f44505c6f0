//! Tags that give values to names: `assign`, `capture`, `increment`, `decrement`.

use std::io::{self, Write};

use liquid_core::{
    Error, Language, Renderable, Result, Runtime, TagBlock, TagTokenIter, Template, ValueView,
    model::{KString, Value},
    parser::FilterChain,
};

use super::Tokens;
use crate::mapping::liquid::{facts, meter};

#[derive(Debug)]
struct Assign {
    name: KString,
    value: FilterChain,
}

impl Renderable for Assign {
    fn render_to(&self, _writer: &mut dyn Write, runtime: &dyn Runtime) -> Result<()> {
        let value = self.value.evaluate(runtime)?.into_owned();
        meter::charge(runtime, facts::weight(&value))?;
        runtime.set_global(self.name.clone(), value);
        Ok(())
    }
}

pub(super) fn assign(arguments: TagTokenIter<'_>, options: &Language) -> Result<Box<dyn Renderable>> {
    let mut tokens = Tokens::new(arguments);
    let name = tokens.expect("a name")?.expect_identifier().into_result()?.to_owned().into();
    if !tokens.take_word("=") {
        return Err(tokens.expect("`=`")?.raise_custom_error("`=` is expected"));
    }
    let value = tokens
        .expect("a value")?
        .expect_filter_chain(options)
        .into_result_custom_msg("a value with filters that take these arguments is expected")?;
    tokens.end()?;
    Ok(Box::new(Assign { name, value }))
}

#[derive(Debug)]
struct Capture {
    name: KString,
    body: Template,
}

/// Takes output up to the size of a value.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        meter::check_size(self.0.len() + bytes.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Renderable for Capture {
    fn render_to(&self, _writer: &mut dyn Write, runtime: &dyn Runtime) -> Result<()> {
        let mut captured = Bounded(Vec::new());
        self.body.render_to(&mut captured, runtime)?;
        meter::charge(runtime, captured.0.len())?;
        let text = String::from_utf8(captured.0).map_err(|_| Error::with_msg("output is not UTF-8"))?;
        runtime.set_global(self.name.clone(), Value::scalar(text));
        Ok(())
    }
}

pub(super) fn capture(
    arguments: TagTokenIter<'_>,
    mut block: TagBlock<'_, '_>,
    options: &Language,
) -> Result<Box<dyn Renderable>> {
    let mut tokens = Tokens::new(arguments);
    let token = tokens.expect("a name")?;
    // `{% capture 'name' %}` is common, and means the same.
    let quoted = token.as_str().trim_matches(['\'', '"']).to_owned();
    let name = if quoted.len() < token.as_str().len() {
        quoted
    } else {
        token.expect_identifier().into_result()?.to_owned()
    };
    tokens.end()?;
    let body = Template::new(block.parse_all(options)?);
    block.assert_empty();
    Ok(Box::new(Capture { name: name.into(), body }))
}

/// A counter of its own name space: `increment` prints and then counts up, `decrement` counts down
/// and then prints.
#[derive(Debug)]
struct Count {
    name: KString,
    before: i64,
    after: i64,
}

impl Renderable for Count {
    fn render_to(&self, writer: &mut dyn Write, runtime: &dyn Runtime) -> Result<()> {
        meter::charge(runtime, 0)?;
        let now = runtime.get_index(&self.name);
        let now = now.and_then(|now| now.as_scalar().and_then(|now| now.to_integer())).unwrap_or(0);
        let printed = now.saturating_add(self.before);
        write!(writer, "{printed}").map_err(|_| Error::with_msg("no room for output"))?;
        runtime.set_index(self.name.clone(), Value::scalar(printed.saturating_add(self.after)));
        Ok(())
    }
}

fn count(arguments: TagTokenIter<'_>, before: i64, after: i64) -> Result<Box<dyn Renderable>> {
    let mut tokens = Tokens::new(arguments);
    let name = tokens.expect("a name")?.expect_identifier().into_result()?.to_owned().into();
    tokens.end()?;
    Ok(Box::new(Count { name, before, after }))
}

pub(super) fn increment(arguments: TagTokenIter<'_>, _: &Language) -> Result<Box<dyn Renderable>> {
    count(arguments, 0, 1)
}

pub(super) fn decrement(arguments: TagTokenIter<'_>, _: &Language) -> Result<Box<dyn Renderable>> {
    count(arguments, -1, 0)
}
