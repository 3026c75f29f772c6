//! A source map, read and ready to be asked.

use notice::CodeLine;
use serde::Deserialize;
use serde::de::IgnoredAny;
use uuid::Uuid;

use crate::functions::Functions;
use crate::mappings::{NONE, Offset, TOKENS_MAX, Token, Tokens};

/// Longest map that is read, and longest script that is read beside it.
pub const BYTES_MAX: usize = 32 << 20;

/// Lines of source before and after the line of a frame.
const CONTEXT_LINES: usize = 5;

/// Every how many lines it is remembered where a line of source begins.
const MARK_LINES: usize = 64;

/// Longest line of source that is shown, in characters.
const CODE_CHARS_MAX: usize = 500;

/// Longest name of a source or function.
const NAME_CHARS_MAX: usize = 1_000;

/// What is wrong with a source map.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadMap {
    /// Longer than [`BYTES_MAX`].
    #[error("it is longer than {} MiB", BYTES_MAX >> 20)]
    TooLong,
    /// More places or lines than [`TOKENS_MAX`].
    #[error("it has more than {TOKENS_MAX} places or lines")]
    TooManyTokens,
    /// Not JSON, or not the JSON of a source map.
    #[error("it is not the JSON of a source map: {0}")]
    Json(String),
    /// Another version than 3.
    #[error("its version is {0}, and only 3 is known")]
    Version(u32),
    /// `mappings` is not as it should be.
    #[error("`mappings` is damaged")]
    Mappings,
    /// Sections overlap, or lie in other files.
    #[error("its sections are out of order, nested or elsewhere")]
    Sections,
}

/// A place of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Original<'a> {
    /// The path of the source, as the map has it.
    pub file: &'a str,
    /// Its line, from 1 on.
    pub line: u32,
    /// Its column, from 1 on.
    pub column: u32,
    /// The name that stands in the source at this place, where the map says one.
    pub name: Option<&'a str>,
    source: usize,
}

/// A source map.
#[derive(Debug, Default)]
pub struct SourceMap {
    tokens: Tokens,
    sources: Vec<Box<str>>,
    contents: Vec<Option<Content>>,
    names: Vec<Box<str>>,
    functions: Option<Functions>,
    debug_id: Option<Uuid>,
}

/// The text of a source.
#[derive(Debug)]
struct Content {
    text: Box<str>,
    /// Where every line begins whose number, from 0 on, is a multiple of [`MARK_LINES`].
    marks: Box<[u32]>,
}

impl Content {
    fn of(text: String) -> Content {
        let begins = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at as u32 + 1);
        let marks = std::iter::once(0).chain(begins).step_by(MARK_LINES).collect();
        Content { marks, text: text.into() }
    }

    /// The lines from this one on, counted from 0.
    fn lines_from(&self, line: usize) -> impl Iterator<Item = &str> {
        let from = self.marks.get(line / MARK_LINES).map_or(self.text.len(), |mark| *mark as usize);
        self.text.get(from..).unwrap_or_default().lines().skip(line % MARK_LINES)
    }
}

#[derive(Deserialize)]
struct Document {
    version: Option<u32>,
    #[serde(default, rename = "sourceRoot")]
    source_root: Option<String>,
    #[serde(default)]
    sources: Vec<Option<String>>,
    #[serde(default, rename = "sourcesContent")]
    contents: Option<Vec<Option<String>>>,
    #[serde(default)]
    names: Option<Vec<Name>>,
    #[serde(default)]
    mappings: Option<String>,
    #[serde(default)]
    sections: Option<Vec<Section>>,
    #[serde(default, rename = "debug_id")]
    debug_id: Option<String>,
    #[serde(default, rename = "debugId")]
    debug_id_too: Option<String>,
}

/// Some compilers write numbers among the names.
#[derive(Deserialize)]
#[serde(untagged)]
enum Name {
    Text(String),
    Other(IgnoredAny),
}

#[derive(Deserialize)]
struct Section {
    offset: Place,
    map: Option<Box<Document>>,
}

#[derive(Deserialize)]
struct Place {
    line: u32,
    column: u32,
}

impl SourceMap {
    /// Reads a map. With the script that it belongs to it also knows where functions are defined.
    pub fn read(map: &[u8], minified: Option<&[u8]>) -> Result<SourceMap, BadMap> {
        if map.len() > BYTES_MAX {
            return Err(BadMap::TooLong);
        }
        let document: Document =
            serde_json::from_slice(without_guard(map)).map_err(|error| BadMap::Json(error.to_string()))?;
        let debug_id = document.debug_id.as_deref().or(document.debug_id_too.as_deref()).and_then(debug_id);
        let mut read = SourceMap { debug_id, ..SourceMap::default() };
        read.add(document, Offset::default(), true)?;
        let minified = minified.filter(|minified| minified.len() <= BYTES_MAX);
        if let Some(minified) = minified.and_then(|minified| std::str::from_utf8(minified).ok()) {
            read.functions = Some(Functions::of(minified, &read.tokens, read.names.len()));
        }
        read.tokens.tokens.shrink_to_fit();
        read.tokens.lines.shrink_to_fit();
        Ok(read)
    }

    fn add(&mut self, document: Document, at: Offset, may_have_sections: bool) -> Result<(), BadMap> {
        if let Some(version) = document.version.filter(|version| *version != 3) {
            return Err(BadMap::Version(version));
        }
        let mappings = match (document.sections, document.mappings) {
            (Some(sections), _) if may_have_sections => {
                for Section { offset, map } in sections {
                    let at = Offset { line: offset.line, column: offset.column, ..Offset::default() };
                    self.add(*map.ok_or(BadMap::Sections)?, at, false)?;
                }
                return Ok(());
            }
            (Some(_), _) => return Err(BadMap::Sections),
            (None, Some(mappings)) => mappings,
            (None, None) => return Err(BadMap::Json("it has neither `mappings` nor `sections`".to_owned())),
        };
        let offset = Offset { source: self.sources.len() as u32, name: self.names.len() as u32, ..at };
        self.tokens.add(&mappings, offset)?;
        let root = document.source_root.unwrap_or_default();
        let mut contents = document.contents.unwrap_or_default().into_iter();
        for source in document.sources {
            self.sources.push(source_path(&root, &source.unwrap_or_default()).into());
            self.contents.push(contents.next().flatten().map(Content::of));
        }
        self.names.extend(document.names.unwrap_or_default().into_iter().map(|name| match name {
            Name::Text(text) => shortened(&text).into(),
            Name::Other(_) => Box::default(),
        }));
        Ok(())
    }

    /// The debug id that the map says it has.
    #[must_use]
    pub fn debug_id(&self) -> Option<Uuid> {
        self.debug_id
    }

    /// Whether the script was there, so that it is known where functions are defined.
    #[must_use]
    pub fn knows_functions(&self) -> bool {
        self.functions.is_some()
    }

    /// Where a place of the script comes from. Line and column begin at 1, as in stack traces.
    #[must_use]
    pub fn original(&self, line: u32, column: u32) -> Option<Original<'_>> {
        let (_, token) = self.token(line, column)?;
        let file = self.sources.get(token.source as usize)?;
        Some(Original {
            file,
            line: token.source_line.checked_add(1)?,
            column: token.source_column.checked_add(1)?,
            name: self.name(token.name),
            source: token.source as usize,
        })
    }

    /// The lines of source around a place; empty where the map does not have the source.
    #[must_use]
    pub fn code(&self, place: &Original<'_>) -> Vec<CodeLine> {
        let Some(Some(content)) = self.contents.get(place.source) else { return Vec::new() };
        let here = place.line as usize - 1;
        let first = here.saturating_sub(CONTEXT_LINES);
        let lines: Vec<&str> = content.lines_from(first).take(here + CONTEXT_LINES + 1 - first).collect();
        if first + lines.len() <= here {
            return Vec::new();
        }
        (first as u32 + 1..)
            .zip(lines)
            .map(|(line, text)| CodeLine { line, text: text.chars().take(CODE_CHARS_MAX).collect() })
            .collect()
    }

    /// What the function is called in the source that is called `minified` around this place of the script.
    #[must_use]
    pub fn function(&self, line: u32, column: u32, minified: &str) -> Option<&str> {
        let name = self.functions.as_ref()?.defined(minified, line.checked_sub(1)?, column.checked_sub(1)?)?;
        self.name(name)
    }

    /// What the function that is called at this place of the script is called in the source. If the script is known, only
    /// if it says `minified` there: a place in a stack is not always that of a call.
    #[must_use]
    pub fn called(&self, line: u32, column: u32, minified: &str) -> Option<&str> {
        let (line, token) = self.token(line, column)?;
        match &self.functions {
            Some(functions) => self.name(functions.used(minified, line, token.column)?),
            None => self.name(token.name),
        }
    }

    /// How much memory it takes, nearly.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let texts = |texts: &[Box<str>]| texts.iter().map(|text| text.len() + size_of::<Box<str>>()).sum::<usize>();
        let contents = self.contents.iter().map(|content| {
            size_of::<Option<Content>>()
                + content.as_ref().map_or(0, |content| content.text.len() + content.marks.len() * 4)
        });
        size_of::<SourceMap>()
            + self.tokens.tokens.len() * size_of::<Token>()
            + self.tokens.lines.len() * size_of::<u32>()
            + texts(&self.sources)
            + texts(&self.names)
            + contents.sum::<usize>()
            + self.functions.as_ref().map_or(0, Functions::bytes)
    }

    /// The last token of the line that is not behind the column, and the line from 0 on.
    fn token(&self, line: u32, column: u32) -> Option<(u32, &Token)> {
        let (line, column) = (line.checked_sub(1)?, column.saturating_sub(1));
        let tokens = self.tokens.of_line(line as usize);
        let after = tokens.partition_point(|token| token.column <= column);
        Some((line, tokens.get(after.checked_sub(1)?)?))
    }

    fn name(&self, name: u32) -> Option<&str> {
        if name == NONE {
            return None;
        }
        self.names.get(name as usize).map(|name| &**name).filter(|name| !name.is_empty())
    }
}

/// A debug id as clients and tools write it: a UUID in any spelling.
#[must_use]
pub(crate) fn debug_id(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text.trim()).ok().filter(|id| !id.is_nil())
}

/// The document without the line that some servers put before JSON: `)]}'`.
fn without_guard(map: &[u8]) -> &[u8] {
    let map = map.strip_prefix(b"\xef\xbb\xbf").unwrap_or(map);
    if !map.starts_with(b")]}") {
        return map;
    }
    map.iter().position(|byte| *byte == b'\n').map_or(&[], |end| &map[end..])
}

/// The path of a source without the ways up that lead from the map to it: where the map lay says nothing about the source.
fn source_path(root: &str, source: &str) -> String {
    let source = shortened(source);
    let joined = match root {
        "" => source,
        _ if source.contains("://") || source.starts_with('/') => source,
        root => format!("{}/{source}", shortened(root).trim_end_matches('/')),
    };
    if joined.contains("://") {
        return joined;
    }
    let mut folders: Vec<&str> = Vec::new();
    for folder in joined.split('/') {
        match folder {
            "." => {}
            ".." => {
                folders.pop();
            }
            folder => folders.push(folder),
        }
    }
    folders.join("/")
}

fn shortened(text: &str) -> String {
    text.chars().take(NAME_CHARS_MAX).collect()
}
