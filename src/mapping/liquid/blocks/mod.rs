//! Tags and blocks, as Shopify's Liquid has them. `liquid-core` brings none of its own.

mod choice;
mod condition;
mod repeat;
mod text;
mod variable;

use liquid_core::{
    BlockReflection, Language, ParseBlock, ParseTag, Renderable, Result, TagBlock, TagReflection,
    TagTokenIter, parser::TagToken,
};

/// Blocks that have Liquid inside. `raw` and `comment` are known to the reader of templates.
pub(super) const BLOCKS: [&str; 5] = ["if", "unless", "case", "for", "capture"];
/// Tags that stand alone.
pub(super) const TAGS: [&str; 7] = ["assign", "echo", "cycle", "increment", "decrement", "break", "continue"];
/// Tags that divide blocks, with the blocks that they may divide.
pub(super) const BRANCHES: [(&str, &[&str]); 3] =
    [("else", &["if", "unless", "case", "for"]), ("elsif", &["if", "unless"]), ("when", &["case"])];

/// Registers every tag and block.
pub(super) fn register(language: &mut Language) {
    let tags: [(&'static str, TagParser); 7] = [
        ("assign", variable::assign),
        ("echo", text::echo),
        ("cycle", repeat::cycle),
        ("increment", variable::increment),
        ("decrement", variable::decrement),
        ("break", repeat::stop),
        ("continue", repeat::skip),
    ];
    for (name, parser) in tags {
        language.tags.register(name.to_owned(), Box::new(Tag { name, parser }));
    }
    let blocks: [(&'static str, &'static str, BlockParser); 7] = [
        ("if", "endif", choice::if_block),
        ("unless", "endunless", choice::unless_block),
        ("case", "endcase", choice::case_block),
        ("for", "endfor", repeat::for_block),
        ("capture", "endcapture", variable::capture),
        ("comment", "endcomment", text::comment),
        ("raw", "endraw", text::raw),
    ];
    for (start, end, parser) in blocks {
        language.blocks.register(start.to_owned(), Box::new(Block { start, end, parser }));
    }
}

type TagParser = fn(TagTokenIter<'_>, &Language) -> Result<Box<dyn Renderable>>;
type BlockParser = fn(TagTokenIter<'_>, TagBlock<'_, '_>, &Language) -> Result<Box<dyn Renderable>>;

#[derive(Clone)]
struct Tag {
    name: &'static str,
    parser: TagParser,
}

impl ParseTag for Tag {
    fn parse(&self, arguments: TagTokenIter<'_>, options: &Language) -> Result<Box<dyn Renderable>> {
        (self.parser)(arguments, options)
    }

    fn reflection(&self) -> &dyn TagReflection {
        self
    }
}

impl TagReflection for Tag {
    fn tag(&self) -> &'static str {
        self.name
    }

    fn description(&self) -> &'static str {
        ""
    }
}

#[derive(Clone)]
struct Block {
    start: &'static str,
    end: &'static str,
    parser: BlockParser,
}

impl ParseBlock for Block {
    fn parse(
        &self,
        arguments: TagTokenIter<'_>,
        block: TagBlock<'_, '_>,
        options: &Language,
    ) -> Result<Box<dyn Renderable>> {
        (self.parser)(arguments, block, options)
    }

    fn reflection(&self) -> &dyn BlockReflection {
        self
    }
}

impl BlockReflection for Block {
    fn start_tag(&self) -> &'static str {
        self.start
    }

    fn end_tag(&self) -> &'static str {
        self.end
    }

    fn description(&self) -> &'static str {
        ""
    }
}

/// The arguments of a tag, with a look at the next one.
struct Tokens<'a> {
    rest: TagTokenIter<'a>,
    next: Option<TagToken<'a>>,
}

impl<'a> Tokens<'a> {
    fn new(mut rest: TagTokenIter<'a>) -> Self {
        let next = rest.next();
        Self { rest, next }
    }

    fn peek(&self) -> Option<&str> {
        self.next.as_ref().map(TagToken::as_str)
    }

    fn take(&mut self) -> Option<TagToken<'a>> {
        let taken = self.next.take()?;
        self.next = self.rest.next();
        Some(taken)
    }

    /// Takes the next token, which must be there.
    fn expect(&mut self, what: &str) -> Result<TagToken<'a>> {
        match self.take() {
            Some(token) => Ok(token),
            None => Err(self.rest.raise_error(&format!("{what} is expected"))),
        }
    }

    /// Takes the next token when it is `word`.
    fn take_word(&mut self, word: &str) -> bool {
        let found = self.peek() == Some(word);
        if found {
            self.take();
        }
        found
    }

    /// Fails when a token is left.
    fn end(mut self) -> Result<()> {
        match self.take() {
            Some(token) => Err(token.raise_custom_error("nothing more is expected in this tag")),
            None => Ok(()),
        }
    }
}
