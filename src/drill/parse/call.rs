//! Calls: `accept(3, ..., ...) = -1 EAGAIN (Resource temporarily unavailable)`.

use super::super::ast::{Arg, Call, Field};
use super::super::cursor::Cursor;
use super::Parsed;

/// How deep arguments may stand in one another.
const MAX_DEPTH: usize = 16;

pub(super) fn parse(cursor: &mut Cursor<'_>) -> Parsed<Call> {
    let name = cursor.word("the name of a call")?.to_owned();
    cursor.expect("(")?;
    let args = parse_list(cursor, ")", MAX_DEPTH)?;
    cursor.expect("=")?;
    cursor.skip_space();
    let result = if cursor.eat("?") {
        Arg::Any
    } else {
        parse_single(cursor, MAX_DEPTH)?
    };
    cursor.skip_blanks();
    let errno = if cursor.peek().is_some_and(|c| c.is_ascii_uppercase()) {
        Some(cursor.word("the name of an error")?.to_owned())
    } else {
        None
    };
    // Words of an error, and a note: for readers.
    for _ in 0..2 {
        skip_note(cursor)?;
    }
    Ok(Call {
        name,
        args,
        result,
        errno,
    })
}

/// `(flags O_RDWR|O_NONBLOCK)`
fn skip_note(cursor: &mut Cursor<'_>) -> Parsed<()> {
    cursor.skip_blanks();
    if cursor.eat("(") {
        cursor.take_while(|c| c != ')' && c != '\n');
        cursor.expect(")")?;
    }
    Ok(())
}

/// Arguments up to `close`.
fn parse_list(cursor: &mut Cursor<'_>, close: &str, depth: usize) -> Parsed<Vec<Arg>> {
    let mut list = Vec::new();
    loop {
        cursor.skip_space();
        if cursor.eat(close) {
            return Ok(list);
        }
        list.push(parse_arg(cursor, depth)?);
        separator(cursor, close)?;
    }
}

fn separator(cursor: &mut Cursor<'_>, close: &str) -> Parsed<()> {
    cursor.skip_space();
    if cursor.eat(",") || cursor.starts_with(close) {
        return Ok(());
    }
    Err(cursor.error(&format!("`,` or `{close}`")))
}

/// One argument: alternatives that are set together are one.
fn parse_arg(cursor: &mut Cursor<'_>, depth: usize) -> Parsed<Arg> {
    let first = parse_single(cursor, depth)?;
    let mut all = vec![first];
    loop {
        cursor.skip_space();
        if !cursor.eat("|") {
            break;
        }
        cursor.skip_space();
        all.push(parse_single(cursor, depth)?);
    }
    match all.len() {
        1 => Ok(all.remove(0)),
        _ => Ok(Arg::Or(all)),
    }
}

fn parse_single(cursor: &mut Cursor<'_>, depth: usize) -> Parsed<Arg> {
    const EXPECTED: &str = "an argument: `...`, a number, a name, a string, a list or a record";
    cursor.skip_space();
    if depth == 0 {
        return Err(cursor.error("arguments that are less deep"));
    }
    if cursor.eat("...") {
        return Ok(Arg::Any);
    }
    match cursor.peek() {
        Some('"') => Ok(Arg::Text(cursor.quoted('"', "a string")?)),
        Some('[') => {
            cursor.advance(1);
            Ok(Arg::List(parse_list(cursor, "]", depth - 1)?))
        }
        Some('{') => {
            cursor.advance(1);
            Ok(Arg::Record(parse_record(cursor, depth - 1)?))
        }
        Some(c) if c.is_ascii_digit() || c == '-' || c == '+' => {
            let negative = cursor.eat("-");
            cursor.eat("+");
            let max = i64::MAX.unsigned_abs();
            let value = cursor.number("a number", max)?;
            let value = i64::try_from(value).unwrap_or(i64::MAX);
            Ok(Arg::Number(if negative { -value } else { value }))
        }
        Some(c) if c.is_ascii_alphabetic() || c == '_' => {
            let name = cursor.word(EXPECTED)?.to_owned();
            cursor.skip_blanks();
            if cursor.eat("(") {
                let args = parse_list(cursor, ")", depth - 1)?;
                return Ok(Arg::Function(name, args));
            }
            Ok(Arg::Name(name))
        }
        _ => Err(cursor.error(EXPECTED)),
    }
}

fn parse_record(cursor: &mut Cursor<'_>, depth: usize) -> Parsed<Vec<Field>> {
    let mut fields = Vec::new();
    loop {
        cursor.skip_space();
        if cursor.eat("}") {
            return Ok(fields);
        }
        // `.name = value` is a name too.
        if cursor.starts_with(".") && !cursor.starts_with("...") {
            cursor.advance(1);
        }
        let first = parse_arg(cursor, depth)?;
        cursor.skip_space();
        let field = if cursor.eat("=") {
            let (name, length) = match first {
                Arg::Name(name) => (name, None),
                Arg::Function(name, mut args) if args.len() == 1 => (name, Some(args.remove(0))),
                _ => return Err(cursor.error("`,` or `}`")),
            };
            Field {
                name: Some(name),
                length,
                value: parse_arg(cursor, depth)?,
            }
        } else {
            Field {
                name: None,
                length: None,
                value: first,
            }
        };
        fields.push(field);
        separator(cursor, "}")?;
    }
}
