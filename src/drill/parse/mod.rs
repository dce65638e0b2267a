//! The grammar: options, events, times (docs/scripts.md).
//!
//! *Owns* the way from text to [`Script`]. *Does not* know what anything means; a construct that has a
//! shape but no meaning here is kept by its name, for the verdict to tell.
//!
//! | file | reads |
//! |---|---|
//! | `packet.rs` | packets in and out |
//! | `tcp_options.rs` | what stands between `<` and `>` |
//! | `call.rs` | calls, their arguments and results |
//! | `code.rs` | assertions |

mod call;
mod code;
mod packet;
mod tcp_options;
#[cfg(test)]
mod tests;

use core::time::Duration;

use super::ast::{Action, Event, Packet, Script, ScriptOption, Shell, When};
use super::cursor::Cursor;
use super::error::SyntaxError;
use super::source::{Defines, Source};

/// The longest time that a script may name, in seconds: a year.
const MAX_SECONDS: u64 = 31_536_000;

type Parsed<T> = Result<T, SyntaxError>;

impl Script {
    /// Reads a script, with words that stand for others.
    ///
    /// A word without a value (an empty one) is for conditions alone.
    ///
    /// # Errors
    /// The first place where it does not follow the grammar.
    pub fn parse(text: &str, defines: &Defines) -> Result<Self, SyntaxError> {
        let source = Source::new(text, defines)?;
        parse_script(&mut Cursor::new(&source))
    }

    /// How many events it has.
    pub fn event_count(&self) -> usize {
        self.events.len()
    }
}

fn parse_script(cursor: &mut Cursor<'_>) -> Parsed<Script> {
    let mut options = Vec::new();
    cursor.skip_space();
    while cursor.starts_with("--") {
        options.push(parse_option(cursor)?);
        cursor.skip_space();
    }
    let init = parse_shell_if(cursor)?;
    let mut events = Vec::new();
    cursor.skip_space();
    while !cursor.is_at_end() && cursor.peek() != Some('`') {
        events.push(parse_event(cursor)?);
        cursor.skip_space();
    }
    let cleanup = parse_shell_if(cursor)?;
    cursor.skip_space();
    if !cursor.is_at_end() {
        return Err(cursor.error("the end behind the clean-up command"));
    }
    if events.is_empty() {
        return Err(cursor.error("an event: a time and what happens then"));
    }
    Ok(Script {
        options,
        init,
        events,
        cleanup,
    })
}

fn parse_option(cursor: &mut Cursor<'_>) -> Parsed<ScriptOption> {
    let line = cursor.line();
    cursor.advance(2);
    let name = cursor.take_while(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if name.is_empty() {
        return Err(cursor.error("the name of an option"));
    }
    let value = if cursor.eat("=") {
        Some(if cursor.peek() == Some('"') {
            cursor.quoted('"', "a string")?
        } else {
            let value = cursor.take_while(|c| !c.is_whitespace());
            if value.is_empty() {
                return Err(cursor.error("a value"));
            }
            value.to_owned()
        })
    } else {
        None
    };
    let name = name.to_owned();
    Ok(ScriptOption { line, name, value })
}

fn parse_shell_if(cursor: &mut Cursor<'_>) -> Parsed<Option<Shell>> {
    cursor.skip_space();
    if cursor.peek() != Some('`') {
        return Ok(None);
    }
    parse_shell(cursor).map(Some)
}

fn parse_shell(cursor: &mut Cursor<'_>) -> Parsed<Shell> {
    let line = cursor.line();
    let text = cursor.quoted('`', "a command in backticks")?;
    Ok(Shell { line, text })
}

fn parse_event(cursor: &mut Cursor<'_>) -> Parsed<Event> {
    let line = cursor.line();
    let start = cursor.at();
    let (when, until) = parse_when(cursor)?;
    let free = !matches!(when, When::At(_) | When::After(_));
    cursor.skip_space();
    let action = match cursor.peek() {
        Some('<') => {
            cursor.advance(1);
            let joined = cursor.eat("<");
            let packet = packet::parse(cursor)?;
            Action::Inject(Packet { joined, ..packet })
        }
        Some('>') => {
            cursor.advance(1);
            cursor.skip_space();
            if cursor.eat("...") {
                Action::ExpectAnything
            } else {
                Action::Expect(packet::parse(cursor)?)
            }
        }
        Some('`') => Action::Shell(parse_shell(cursor)?),
        Some('%') if cursor.starts_with("%{") => Action::Code(code::parse(cursor)?),
        Some(c) if c.is_ascii_alphabetic() || c == '_' => Action::Call(call::parse(cursor)?),
        _ => {
            return Err(cursor.error("`<` or `>` and a packet, a call, a command or code"));
        }
    };
    if free && !matches!(action, Action::Expect(_)) {
        let place = cursor.within(start, start);
        return Err(place.error("one time: only an expected packet may have others"));
    }
    if until.is_some() && !matches!(action, Action::Call(_)) {
        let place = cursor.within(start, start);
        return Err(place.error("one time: only a call has an end"));
    }
    Ok(Event {
        line,
        when,
        until,
        action,
    })
}

fn parse_when(cursor: &mut Cursor<'_>) -> Parsed<(When, Option<Duration>)> {
    if cursor.eat("*") {
        return Ok((When::Any, None));
    }
    let relative = cursor.eat("+");
    let start = parse_time(cursor)?;
    // Blanks before a sign of a range belong to it, and those behind it.
    cursor.skip_blanks();
    if cursor.eat("...") {
        cursor.skip_blanks();
        cursor.eat("+");
        let end = parse_time(cursor)?;
        if end < start {
            return Err(cursor.error("an end that is not before the start"));
        }
        return Ok((at_or_after(relative, start), Some(end)));
    }
    if cursor.eat("~") {
        cursor.skip_blanks();
        if cursor.eat("+") != relative {
            return Err(cursor.error("both ends of a range relative, or none"));
        }
        let end = parse_time(cursor)?;
        if end < start {
            return Err(cursor.error("an end that is not before the start"));
        }
        let when = if relative {
            When::BetweenAfter(start, end)
        } else {
            When::Between(start, end)
        };
        return Ok((when, None));
    }
    Ok((at_or_after(relative, start), None))
}

const fn at_or_after(relative: bool, time: Duration) -> When {
    if relative {
        When::After(time)
    } else {
        When::At(time)
    }
}

/// Seconds as a decimal fraction, to the nanosecond.
fn parse_time(cursor: &mut Cursor<'_>) -> Parsed<Duration> {
    let digits = |cursor: &mut Cursor<'_>| {
        let digits = cursor.take_while(|c| c.is_ascii_digit());
        digits.to_owned()
    };
    let place = cursor.within(cursor.at(), cursor.at() + cursor.rest().len());
    let whole = digits(cursor);
    let mut fraction = String::new();
    if cursor.starts_with(".") && !cursor.starts_with("..") {
        cursor.advance(1);
        fraction = digits(cursor);
    }
    if whole.is_empty() && fraction.is_empty() {
        return Err(place.error("a time in seconds"));
    }
    let seconds = if whole.is_empty() {
        Ok(0)
    } else {
        whole.parse::<u64>()
    };
    let nanos = format!("{:0<9.9}", fraction).parse::<u32>().unwrap_or(0);
    match seconds {
        Ok(seconds) if seconds <= MAX_SECONDS => Ok(Duration::new(seconds, nanos)),
        _ => Err(place.error(&format!("a time of at most {MAX_SECONDS} seconds"))),
    }
}
