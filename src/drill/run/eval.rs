//! Code of a script: assertions about the connection.
//!
//! *Owns* the meaning of expressions. *Does not* parse them. Whole numbers of 128 bits, texts of 4096 bytes and
//! 256 names; what does not fit fails.

use std::collections::BTreeMap;

use super::super::ast::{Comparison, Expr, Operator, Statement, StatementKind};
use super::world::World;
use super::{Runner, Step, Stop, counts, info};
use crate::tcp::TcpInfo;

/// Names that code gave values.
pub(super) type Names = BTreeMap<String, Value>;

/// What an expression comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Number(i128),
    Text(String),
}

impl Value {
    fn is_true(&self) -> bool {
        match self {
            Self::Number(number) => *number != 0,
            Self::Text(text) => !text.is_empty(),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

/// The longest text that code makes: a line could double it, and a script is anybody's.
const MOST_TEXT: usize = 4096;

/// What is said of a longer one.
const TOO_LONG: &str = "a text is longer than 4096 bytes";

/// The most names that code gives values: with [`MOST_TEXT`] what all of them take.
const MOST_NAMES: usize = 256;

/// What is said of a result beyond 128 bits, and of a division by zero.
const NO_NUMBER: &str = "no number comes of that";

/// Why an expression has no value.
enum No {
    /// A name that nothing stands for.
    Unknown(String),
    Wrong(&'static str),
}

/// Looks for what is not known before anything runs.
pub(super) fn check(statements: &[Statement]) -> Step<()> {
    for statement in statements {
        match &statement.kind {
            StatementKind::Unsupported(word) => {
                let text = format!("code: {word}");
                return Err(Stop::unsupported(statement.line, text));
            }
            StatementKind::Assert { condition, message } => {
                check_names(statement.line, condition)?;
                if let Some(message) = message {
                    check_names(statement.line, message)?;
                }
            }
            StatementKind::Assign(_, expr) => check_names(statement.line, expr)?,
        }
    }
    Ok(())
}

fn check_names(line: u32, expr: &Expr) -> Step<()> {
    match expr {
        Expr::Number(_) | Expr::Text(_) => Ok(()),
        Expr::Name(name) => {
            let is_of_info = name.starts_with("tcpi_") && !info::NAMES.contains(&name.as_str());
            let is_constant = name.starts_with(|c: char| c.is_ascii_uppercase());
            let is_stranger = counts::is_known(name) == Some(false);
            if is_of_info || is_stranger || (is_constant && info::constant(name).is_none()) {
                return Err(Stop::unsupported(line, format!("the name {name}")));
            }
            Ok(())
        }
        Expr::Tuple(all) => all.iter().try_for_each(|expr| check_names(line, expr)),
        Expr::Not(inner) | Expr::Minus(inner) | Expr::Invert(inner) => check_names(line, inner),
        Expr::And(a, b) | Expr::Or(a, b) | Expr::Binary(_, a, b) => {
            check_names(line, a)?;
            check_names(line, b)
        }
        Expr::Compare(first, rest) => {
            check_names(line, first)?;
            rest.iter()
                .try_for_each(|(_, expr)| check_names(line, expr))
        }
    }
}

impl Runner {
    pub(super) fn code(&mut self, statements: &[Statement]) -> Step<()> {
        for statement in statements {
            let line = statement.line;
            let info = self.world.info();
            let scope = Scope {
                names: &self.names,
                info: info.as_ref(),
                world: &self.world,
            };
            let stop = |no: No| match no {
                No::Unknown(name) if info.is_none() => {
                    Stop::fail(line, format!("no connection has {name}"))
                }
                No::Unknown(name) => Stop::unsupported(line, format!("the name {name}")),
                No::Wrong(why) => Stop::fail(line, format!("{}: {why}", statement.text)),
            };
            match &statement.kind {
                StatementKind::Assert { condition, message } => {
                    if scope.eval(condition).map_err(&stop)?.is_true() {
                        continue;
                    }
                    let message = match message {
                        Some(message) => {
                            format!(", {}", scope.eval(message).map_err(&stop)?.show())
                        }
                        None => String::new(),
                    };
                    let values = scope.values(condition);
                    let text = format!("{} does not hold{message}{values}", statement.text);
                    return Err(Stop::fail(line, text));
                }
                StatementKind::Assign(name, expr) => {
                    let value = scope.eval(expr).map_err(&stop)?;
                    if self.names.len() >= MOST_NAMES && !self.names.contains_key(name) {
                        return Err(stop(No::Wrong("code gives 256 names values at most")));
                    }
                    self.names.insert(name.clone(), value);
                }
                StatementKind::Unsupported(word) => {
                    return Err(Stop::unsupported(line, format!("code: {word}")));
                }
            }
        }
        Ok(())
    }
}

struct Scope<'a> {
    names: &'a Names,
    info: Option<&'a TcpInfo>,
    world: &'a World,
}

impl Scope<'_> {
    fn eval(&self, expr: &Expr) -> Result<Value, No> {
        let flag = |value: bool| Value::Number(i128::from(value));
        Ok(match expr {
            Expr::Number(number) => Value::Number(*number),
            Expr::Text(text) if text.len() > MOST_TEXT => return Err(No::Wrong(TOO_LONG)),
            Expr::Text(text) => Value::Text(text.clone()),
            Expr::Name(name) => self.name(name)?,
            // What is asserted of several is asserted of the first, as of one in brackets.
            Expr::Tuple(_) => return Err(No::Wrong("a tuple is always true")),
            Expr::Not(inner) => flag(!self.eval(inner)?.is_true()),
            Expr::Minus(inner) => {
                let value = self.number(inner)?.checked_neg();
                Value::Number(value.ok_or(No::Wrong(NO_NUMBER))?)
            }
            Expr::Invert(inner) => Value::Number(!self.number(inner)?),
            Expr::And(a, b) => match self.eval(a)? {
                value if value.is_true() => self.eval(b)?,
                value => value,
            },
            Expr::Or(a, b) => match self.eval(a)? {
                value if value.is_true() => value,
                _ => self.eval(b)?,
            },
            Expr::Compare(first, rest) => {
                let mut left = self.eval(first)?;
                for (comparison, right) in rest {
                    let right = self.eval(right)?;
                    if !compare(*comparison, &left, &right)? {
                        return Ok(flag(false));
                    }
                    left = right;
                }
                flag(true)
            }
            Expr::Binary(Operator::Remainder, a, b) if matches!(**a, Expr::Text(_)) => {
                self.format(a, b)?
            }
            Expr::Binary(operator, a, b) => {
                let (a, b) = (self.number(a)?, self.number(b)?);
                let value = apply(*operator, a, b);
                Value::Number(value.ok_or(No::Wrong(NO_NUMBER))?)
            }
        })
    }

    /// `'cwnd=%d' % tcpi_snd_cwnd`: a text with values in it.
    fn format(&self, text: &Expr, values: &Expr) -> Result<Value, No> {
        let Value::Text(text) = self.eval(text)? else {
            return Err(No::Wrong("what is no text has no places for values"));
        };
        let values = match values {
            Expr::Tuple(all) => all.as_slice(),
            one => core::slice::from_ref(one),
        };
        let mut values = values.iter();
        let mut shown = String::new();
        let mut pieces = text.split('%');
        put(&mut shown, pieces.next().unwrap_or_default())?;
        while let Some(piece) = pieces.next() {
            let mut rest = piece.chars();
            match rest.next() {
                // `%%`
                None => {
                    put(&mut shown, "%")?;
                    put(&mut shown, pieces.next().unwrap_or_default())?;
                    continue;
                }
                Some('d' | 'i' | 'u' | 's') => {
                    // One at a time: each may be a text as long as the whole may be.
                    let value = values.next().ok_or(No::Wrong("a value is missing"))?;
                    put(&mut shown, &self.eval(value)?.show())?;
                }
                Some(_) => return Err(No::Wrong("a format that is neither %d nor %s")),
            }
            put(&mut shown, rest.as_str())?;
        }
        match values.next() {
            None => Ok(Value::Text(shown)),
            Some(_) => Err(No::Wrong("a value has no place")),
        }
    }

    fn number(&self, expr: &Expr) -> Result<i128, No> {
        match self.eval(expr)? {
            Value::Number(number) => Ok(number),
            Value::Text(_) => Err(No::Wrong("a text is no number")),
        }
    }

    fn name(&self, name: &str) -> Result<Value, No> {
        if let Some(value) = self.names.get(name) {
            return Ok(value.clone());
        }
        let of_info = || info::value(self.info?, name);
        info::constant(name)
            .or_else(of_info)
            .or_else(|| counts::value(self.world, self.info, name))
            .map(Value::Number)
            .ok_or_else(|| No::Unknown(name.to_owned()))
    }

    /// The names of an expression with what they stand for, for a reader.
    fn values(&self, expr: &Expr) -> String {
        let mut names = Vec::new();
        gather(expr, &mut names);
        let show = |name: &&str| {
            let value = self.name(name).ok()?;
            Some(format!("; {name} is {}", value.show()))
        };
        names.iter().filter_map(show).collect()
    }
}

/// Adds to a text, as long as it may be.
fn put(text: &mut String, more: &str) -> Result<(), No> {
    if text.len() + more.len() > MOST_TEXT {
        return Err(No::Wrong(TOO_LONG));
    }
    text.push_str(more);
    Ok(())
}

fn gather<'a>(expr: &'a Expr, names: &mut Vec<&'a str>) {
    match expr {
        Expr::Number(_) | Expr::Text(_) => {}
        Expr::Name(name) => {
            if info::constant(name).is_none() && !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        Expr::Tuple(all) => all.iter().for_each(|expr| gather(expr, names)),
        Expr::Not(inner) | Expr::Minus(inner) | Expr::Invert(inner) => gather(inner, names),
        Expr::And(a, b) | Expr::Or(a, b) | Expr::Binary(_, a, b) => {
            gather(a, names);
            gather(b, names);
        }
        Expr::Compare(first, rest) => {
            gather(first, names);
            rest.iter().for_each(|(_, expr)| gather(expr, names));
        }
    }
}

fn compare(comparison: Comparison, a: &Value, b: &Value) -> Result<bool, No> {
    let order = match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.cmp(b),
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        _ => return Err(No::Wrong("a text and a number do not compare")),
    };
    Ok(match comparison {
        Comparison::Equal => order.is_eq(),
        Comparison::NotEqual => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
    })
}

fn apply(operator: Operator, a: i128, b: i128) -> Option<i128> {
    let floor = |a: i128, b: i128| {
        let (quotient, rest) = (a.checked_div(b)?, a.checked_rem(b)?);
        let below = rest != 0 && (rest < 0) != (b < 0);
        Some(if below { quotient - 1 } else { quotient })
    };
    let shift = |b: i128| u32::try_from(b).ok().filter(|&bits| bits < 127);
    match operator {
        Operator::Add => a.checked_add(b),
        Operator::Subtract => a.checked_sub(b),
        Operator::Multiply => a.checked_mul(b),
        Operator::Divide => floor(a, b),
        Operator::Remainder => a.checked_sub(floor(a, b)?.checked_mul(b)?),
        Operator::BitAnd => Some(a & b),
        Operator::BitOr => Some(a | b),
        Operator::BitXor => Some(a ^ b),
        Operator::ShiftLeft => a.checked_mul(1i128 << shift(b)?),
        Operator::ShiftRight => Some(a >> shift(b)?),
    }
}
