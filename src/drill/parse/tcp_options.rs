//! TCP options: `<mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 8>`.

use super::super::ast::{TcpOption, TcpOptionList};
use super::super::cursor::Cursor;
use super::Parsed;
use super::packet::{half, parse_number, word32};

/// What lies behind the `<`, with its `>`.
pub(super) fn parse(cursor: &mut Cursor<'_>) -> Parsed<TcpOptionList> {
    cursor.skip_space();
    if cursor.eat("...") {
        cursor.expect(">")?;
        return Ok(TcpOptionList::Any);
    }
    let mut list = Vec::new();
    loop {
        cursor.skip_space();
        if cursor.eat(">") {
            return Ok(TcpOptionList::These(list));
        }
        if list.len() >= 40 {
            return Err(cursor.error("at most 40 options, which is what a header holds"));
        }
        list.push(parse_one(cursor)?);
        cursor.skip_space();
        if !cursor.eat(",") && cursor.peek() != Some('>') {
            return Err(cursor.error("`,` or `>`"));
        }
    }
}

fn parse_one(cursor: &mut Cursor<'_>) -> Parsed<TcpOption> {
    Ok(match cursor.word("a TCP option")? {
        "eol" => TcpOption::Eol,
        "nop" => TcpOption::Nop,
        "mss" => TcpOption::Mss(half(cursor, "a segment size")?),
        "wscale" => {
            let shift = cursor.number("a window shift", u64::from(u8::MAX))?;
            TcpOption::WindowScale(u8::try_from(shift).unwrap_or(u8::MAX))
        }
        "sackOK" => TcpOption::SackOk,
        "sack" => TcpOption::Sack(parse_blocks(cursor)?),
        "TS" => {
            expect_word(cursor, "val")?;
            let val = word32(cursor, "a timestamp")?;
            expect_word(cursor, "ecr")?;
            let ecr = word32(cursor, "an echoed timestamp")?;
            TcpOption::Timestamps { val, ecr }
        }
        "FO" => TcpOption::FastOpen(parse_cookie(cursor)?),
        other => {
            cursor.take_while(|c| c != ',' && c != '>' && c != '\n');
            TcpOption::Unsupported(other.to_owned())
        }
    })
}

/// `FO abcd1234abcd1234`, or `FO` alone.
fn parse_cookie(cursor: &mut Cursor<'_>) -> Parsed<Vec<u8>> {
    cursor.skip_space();
    let text = cursor.take_while(|c| c.is_ascii_hexdigit());
    let mut bytes = text.as_bytes().chunks(2).map(|pair| {
        let pair = core::str::from_utf8(pair)
            .ok()
            .filter(|pair| pair.len() == 2)?;
        u8::from_str_radix(pair, 16).ok()
    });
    let cookie: Option<Vec<u8>> = bytes.by_ref().collect();
    // RFC 7413 §4.1.1: 4 to 16 bytes, an even number.
    let fits =
        |cookie: &Vec<u8>| matches!(cookie.len(), 0 | 4..=16) && cookie.len().is_multiple_of(2);
    cookie
        .filter(fits)
        .ok_or_else(|| cursor.error("a cookie of 4 to 16 bytes, in hexadecimal digits"))
}

fn expect_word(cursor: &mut Cursor<'_>, word: &str) -> Parsed<()> {
    cursor.skip_space();
    if cursor.eat_word(word) {
        return Ok(());
    }
    Err(cursor.error(&format!("`{word}`")))
}

fn parse_blocks(
    cursor: &mut Cursor<'_>,
) -> Parsed<Vec<(super::super::ast::Number, super::super::ast::Number)>> {
    let mut blocks = Vec::new();
    cursor.skip_space();
    while cursor.peek().is_some_and(|c| c.is_ascii_digit()) {
        let left = parse_number(cursor, "the left edge of a block")?;
        cursor.expect(":")?;
        let right = parse_number(cursor, "the right edge of a block")?;
        blocks.push((left, right));
        if blocks.len() > 4 {
            return Err(cursor.error("at most 4 blocks, which is what a header holds"));
        }
        cursor.skip_space();
    }
    if blocks.is_empty() {
        return Err(cursor.error("a block: left edge, colon, right edge"));
    }
    Ok(blocks)
}
