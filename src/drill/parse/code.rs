//! Code: `%{ assert tcpi_snd_cwnd == 10, tcpi_snd_cwnd }%`.
//!
//! Statements end with their line or a semicolon, but not between brackets or behind a backslash; `#` begins a
//! comment.
//! From loose to tight: `or`, `and`, `not`, comparisons that chain, `|`, `^`, `&`, shifts, `+ -`,
//! `* / // %`, signs.

use super::super::ast::{Comparison, Expr, Operator, Statement, StatementKind};
use super::super::cursor::Cursor;
use super::Parsed;

/// How deep an expression may be.
const MAX_DEPTH: usize = 40;
/// How many operators a statement may have: `1 + 1 + 1` is as deep a tree as it has signs, and who walks
/// it has a thread's stack for that.
const MAX_OPERATORS: usize = 200;

const COMPARISONS: [(&str, Comparison); 6] = [
    ("==", Comparison::Equal),
    ("!=", Comparison::NotEqual),
    ("<=", Comparison::LessOrEqual),
    (">=", Comparison::GreaterOrEqual),
    ("<", Comparison::Less),
    (">", Comparison::Greater),
];

/// Binary operators from loose to tight.
const LEVELS: [&[(&str, Operator)]; 6] = [
    &[("|", Operator::BitOr)],
    &[("^", Operator::BitXor)],
    &[("&", Operator::BitAnd)],
    &[("<<", Operator::ShiftLeft), (">>", Operator::ShiftRight)],
    &[("+", Operator::Add), ("-", Operator::Subtract)],
    &[
        ("*", Operator::Multiply),
        ("//", Operator::Divide),
        ("/", Operator::Divide),
        ("%", Operator::Remainder),
    ],
];

/// From the `%{` on, with its `}%`.
pub(super) fn parse(cursor: &mut Cursor<'_>) -> Parsed<Vec<Statement>> {
    cursor.advance(2);
    let start = cursor.at();
    let Some(len) = cursor.rest().find("}%") else {
        cursor.advance(cursor.rest().len());
        return Err(cursor.error("`}%` behind the code"));
    };
    let mut code = Code {
        cursor: cursor.within(start, start + len),
        brackets: 0,
        operators: 0,
    };
    let statements = code.statements()?;
    cursor.advance(len + 2);
    Ok(statements)
}

struct Code<'a> {
    cursor: Cursor<'a>,
    /// How many are open: a line does not end between them.
    brackets: usize,
    /// How many this statement has so far.
    operators: usize,
}

impl Code<'_> {
    fn statements(&mut self) -> Parsed<Vec<Statement>> {
        let mut statements = Vec::new();
        loop {
            self.cursor.take_while(|c| c.is_whitespace() || c == ';');
            let before = self.cursor.at();
            self.skip();
            if self.cursor.at() > before {
                continue;
            }
            if self.cursor.eat("#") {
                self.cursor.take_while(|c| c != '\n');
                continue;
            }
            if self.cursor.is_at_end() {
                return Ok(statements);
            }
            statements.push(self.statement()?);
            self.skip();
            if !self.cursor.is_at_end() && !matches!(self.cursor.peek(), Some('\n' | ';' | '#')) {
                return Err(self.cursor.error("the end of the statement"));
            }
        }
    }

    fn statement(&mut self) -> Parsed<Statement> {
        let (line, start) = (self.cursor.line(), self.cursor.at());
        self.operators = 0;
        let kind = if self.cursor.eat_word("assert") {
            let condition = self.expr(MAX_DEPTH)?;
            self.skip();
            let message = if self.cursor.eat(",") {
                Some(self.expr(MAX_DEPTH)?)
            } else {
                None
            };
            StatementKind::Assert { condition, message }
        } else {
            self.assignment()?
        };
        let text = self.cursor.since(start).trim().to_owned();
        Ok(Statement { line, text, kind })
    }

    fn assignment(&mut self) -> Parsed<StatementKind> {
        let name = self.cursor.word("`assert`, or a name and `=`")?.to_owned();
        self.skip();
        if self.cursor.starts_with("=") && !self.cursor.starts_with("==") {
            self.cursor.advance(1);
            return Ok(StatementKind::Assign(name, self.expr(MAX_DEPTH)?));
        }
        // Something else of that language: `print`, `if`, `import`.
        self.cursor.take_while(|c| c != '\n');
        Ok(StatementKind::Unsupported(name))
    }

    fn skip(&mut self) {
        loop {
            if self.brackets > 0 {
                self.cursor.skip_space();
            } else {
                self.cursor.skip_blanks();
            }
            // A line that ends like this goes on in the next.
            if !(self.cursor.eat("\\\n") || self.cursor.eat("\\\r\n")) {
                return;
            }
        }
    }

    fn expr(&mut self, depth: usize) -> Parsed<Expr> {
        let mut left = self.conjunction(depth)?;
        loop {
            self.skip();
            if !self.cursor.eat_word("or") {
                return Ok(left);
            }
            self.operator()?;
            let right = self.conjunction(depth)?;
            left = Expr::Or(Box::new(left), Box::new(right));
        }
    }

    fn conjunction(&mut self, depth: usize) -> Parsed<Expr> {
        let mut left = self.negation(depth)?;
        loop {
            self.skip();
            if !self.cursor.eat_word("and") {
                return Ok(left);
            }
            self.operator()?;
            let right = self.negation(depth)?;
            left = Expr::And(Box::new(left), Box::new(right));
        }
    }

    fn negation(&mut self, depth: usize) -> Parsed<Expr> {
        self.skip();
        if self.cursor.eat_word("not") {
            let depth = self.deeper(depth)?;
            return Ok(Expr::Not(Box::new(self.negation(depth)?)));
        }
        self.comparison(depth)
    }

    fn comparison(&mut self, depth: usize) -> Parsed<Expr> {
        let first = self.binary(0, depth)?;
        let mut rest = Vec::new();
        loop {
            self.skip();
            let is_shift = self.cursor.starts_with("<<") || self.cursor.starts_with(">>");
            let found = COMPARISONS
                .iter()
                .find(|(sign, _)| !is_shift && self.cursor.starts_with(sign));
            let Some((sign, comparison)) = found else {
                break;
            };
            self.cursor.advance(sign.len());
            rest.push((*comparison, self.binary(0, depth)?));
        }
        Ok(if rest.is_empty() {
            first
        } else {
            Expr::Compare(Box::new(first), rest)
        })
    }

    fn binary(&mut self, level: usize, depth: usize) -> Parsed<Expr> {
        let Some(signs) = LEVELS.get(level) else {
            return self.unary(depth);
        };
        let mut left = self.binary(level + 1, depth)?;
        loop {
            self.skip();
            let found = signs.iter().find(|(sign, _)| self.cursor.starts_with(sign));
            let Some((sign, operator)) = found else {
                return Ok(left);
            };
            self.cursor.advance(sign.len());
            self.operator()?;
            let right = self.binary(level + 1, depth)?;
            left = Expr::Binary(*operator, Box::new(left), Box::new(right));
        }
    }

    fn unary(&mut self, depth: usize) -> Parsed<Expr> {
        self.skip();
        let sign = self.cursor.peek();
        if matches!(sign, Some('-' | '+' | '~')) {
            let depth = self.deeper(depth)?;
            self.cursor.advance(1);
            let inner = Box::new(self.unary(depth)?);
            return Ok(match sign {
                Some('-') => Expr::Minus(inner),
                Some('~') => Expr::Invert(inner),
                _ => *inner,
            });
        }
        self.primary(depth)
    }

    fn primary(&mut self, depth: usize) -> Parsed<Expr> {
        match self.cursor.peek() {
            Some('(') => {
                let depth = self.deeper(depth)?;
                self.cursor.advance(1);
                self.brackets += 1;
                let inner = self.tuple(depth)?;
                self.brackets -= 1;
                Ok(inner)
            }
            Some(quote @ ('"' | '\'')) => Ok(Expr::Text(self.cursor.quoted(quote, "a string")?)),
            Some(c) if c.is_ascii_digit() => {
                let number = self.cursor.number("a number", u64::MAX)?;
                Ok(Expr::Number(i128::from(number)))
            }
            _ => match self.cursor.word("a number, a name, a string or `(`")? {
                "True" => Ok(Expr::Number(1)),
                "False" => Ok(Expr::Number(0)),
                "netloom" if self.cursor.eat(".") => {
                    let name = self.cursor.word("a name behind `netloom.`")?;
                    Ok(Expr::Name(format!("netloom.{name}")))
                }
                name => Ok(Expr::Name(name.to_owned())),
            },
        }
    }

    /// One expression, or several with commas, and the closing bracket.
    fn tuple(&mut self, depth: usize) -> Parsed<Expr> {
        let mut all = Vec::new();
        loop {
            self.skip();
            if !all.is_empty() && self.cursor.eat(")") {
                return Ok(Expr::Tuple(all));
            }
            all.push(self.expr(depth)?);
            self.skip();
            if self.cursor.eat(",") {
                continue;
            }
            self.cursor.expect(")")?;
            return Ok(match all.len() {
                1 => all.remove(0),
                _ => Expr::Tuple(all),
            });
        }
    }

    /// Counts an operator with two sides.
    fn operator(&mut self) -> Parsed<()> {
        self.operators += 1;
        if self.operators > MAX_OPERATORS {
            return Err(self.cursor.error("a statement with fewer operators"));
        }
        Ok(())
    }

    fn deeper(&self, depth: usize) -> Parsed<usize> {
        depth
            .checked_sub(1)
            .ok_or_else(|| self.cursor.error("an expression that is less deep"))
    }
}
