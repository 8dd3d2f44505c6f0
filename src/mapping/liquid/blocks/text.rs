//! `echo`, `raw` and `comment`.

use std::io::Write;

use liquid_core::{
    Error, Language, Renderable, Result, Runtime, TagBlock, TagTokenIter, parser::FilterChain,
};

use super::Tokens;
use crate::mapping::liquid::facts;

#[derive(Debug)]
struct Echo(FilterChain);

impl Renderable for Echo {
    fn render_to(&self, writer: &mut dyn Write, runtime: &dyn Runtime) -> Result<()> {
        write_text(writer, &facts::text(&self.0.evaluate(runtime)?))
    }
}

pub(super) fn echo(arguments: TagTokenIter<'_>, options: &Language) -> Result<Box<dyn Renderable>> {
    let mut tokens = Tokens::new(arguments);
    let value = tokens
        .expect("a value")?
        .expect_filter_chain(options)
        .into_result_custom_msg("a value with filters that take these arguments is expected")?;
    tokens.end()?;
    Ok(Box::new(Echo(value)))
}

#[derive(Debug)]
struct Text(String);

impl Renderable for Text {
    fn render_to(&self, writer: &mut dyn Write, _runtime: &dyn Runtime) -> Result<()> {
        write_text(writer, &self.0)
    }
}

pub(super) fn write_text(writer: &mut dyn Write, text: &str) -> Result<()> {
    writer.write_all(text.as_bytes()).map_err(|_| Error::with_msg("no room for output"))
}

pub(super) fn raw(
    mut arguments: TagTokenIter<'_>,
    mut block: TagBlock<'_, '_>,
    _: &Language,
) -> Result<Box<dyn Renderable>> {
    arguments.expect_nothing()?;
    let text = block.escape_liquid(false)?.to_owned();
    block.assert_empty();
    Ok(Box::new(Text(text)))
}

pub(super) fn comment(
    _: TagTokenIter<'_>,
    mut block: TagBlock<'_, '_>,
    _: &Language,
) -> Result<Box<dyn Renderable>> {
    block.escape_liquid(true)?;
    block.assert_empty();
    Ok(Box::new(Text(String::new())))
}
