//! Requests as they come over the wire. Nothing here is built: the screens show it.

use crate::buffer::Buffer;
use crate::header::{Field, Header};

/// How a request can be wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    Empty,
    NoVersion,
    TooLong(usize),
    NotText,
}

/// What a line of a request is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token<'a> {
    Word(&'a [u8]),
    Number(u64),
    Mark(u8),
}

const LINE_MAX: usize = 8 << 10;

pub struct Request {
    pub header: Header,
    pub words: usize,
}

pub struct Parser {
    buffer: Buffer,
    seen: usize,
}

impl Parser {
    pub fn new(buffer: Buffer) -> Self {
        Self { buffer, seen: 0 }
    }

    /// A line, or nothing as long as it is not whole.
    fn line(&mut self) -> Result<Option<&[u8]>, Error> {
        let bytes = self.buffer.bytes();

        if bytes.len() > LINE_MAX {
            return Err(Error::TooLong(bytes.len()));
        }
        match bytes.iter().position(|b| *b == b'\n') {
            None => Ok(None),
            Some(end) => Ok(Some(&bytes[..end])),
        }
    }

    pub fn parse(&mut self) -> Result<Option<Request>, Error> {
        let Some(line) = self.line()? else {
            return Ok(None);
        };
        let header = parse_header(line);
        let words = tokenize(line).len();

        self.seen += 1;
        Ok(Some(Request { header, words }))
    }

    pub fn seen(&self) -> usize {
        self.seen
    }
}

fn is_mark(byte: u8) -> bool {
    matches!(byte, b':' | b';' | b',' | b'=' | b'/' | b'?')
}

fn number(word: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(word).ok()?;

    text.parse().ok()
}

/// The words of a line, in their order.
pub fn tokenize(line: &[u8]) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut at = 0;

    while at < line.len() {
        let rest = &line[at..];
        let end = rest.iter().position(|b| is_mark(*b) || *b == b' ');
        let word = &rest[..end.unwrap_or(rest.len())];

        if !word.is_empty() {
            tokens.push(match number(word) {
                Some(number) => Token::Number(number),
                None => Token::Word(word),
            });
        }
        at += word.len();
        if at < line.len() {
            if is_mark(line[at]) {
                tokens.push(Token::Mark(line[at]));
            }
            at += 1;
        }
    }
    tokens
}

/// Without the spaces around it.
fn trim(text: &[u8]) -> &[u8] {
    let is_space = |b: &u8| *b == b' ' || *b == b'\t' || *b == b'\r';
    let Some(begin) = text.iter().position(|b| !is_space(b)) else {
        return &[];
    };
    let end = text.iter().rposition(|b| !is_space(b)).unwrap_or(begin);

    &text[begin..=end]
}

/// `name: value`.
fn split_field(line: &[u8]) -> Field {
    let colon = line.iter().position(|b| *b == b':').unwrap_or(line.len());
    let value = line.get(colon + 1..).unwrap_or(&[]);

    Field {
        name: trim(&line[..colon]).to_vec(),
        value: trim(value).to_vec(),
    }
}

fn parse_header(b: &[u8]) -> Header {
    let it = b.split(|c| *c == b'\n').filter(|line| !line.is_empty());
    let mut header = Header::with_capacity(16);

    // Most requests have a dozen fields, some a hundred.
    let fields: Vec<Field> = it.map(split_field).collect();
    header.extend(fields);
    header.sort();
    header
}
