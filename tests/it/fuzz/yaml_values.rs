//! What stands in a generated YAML file where something else belongs.

use wgrpo::random::Stream;

/// Short texts in the place of a value: wrong types, numbers without measure, all that YAML knows.
const SCALARS: [&str; 58] = [
    "0",
    "-1",
    "1",
    "3",
    "0.5",
    "-0.0",
    "1e308",
    "1e-320",
    "1e999",
    "-1e999",
    ".nan",
    ".inf",
    "-.inf",
    "NaN",
    "1099511627776",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551616",
    "340282366920938463463374607431768211456",
    "1_000",
    "0x7fffffffffffffff",
    "0o17",
    "0b1",
    "+1",
    "1.",
    "1:30",
    "2001-12-14t21:59:43.10-05:00",
    "~",
    "null",
    "true",
    "no",
    "''",
    "\"\\u0000\\u001b[2J\"",
    "\"\\ud800\"",
    "'é語😀'",
    "[]",
    "{}",
    "[1, 2",
    "{kind: }",
    "{kind: nope}",
    "{kind: 3, kind: 4}",
    "{kind: [exact]}",
    "[{kind: exact}, {kind: exact}]",
    "[[[[[[]]]]]]",
    "{a: {b: {c: {d: {}}}}}",
    "{? [a, b] : c}",
    "{1: 2, true: 3, ~: 4}",
    "*nowhere",
    "&here [*here]",
    "!!binary aGFsbG8=",
    "!!float 'x'",
    "!!set {a, b}",
    "!Custom {x: 1}",
    "|\n  folded\n  text",
    ">-\n  x",
    "@at",
    "`tick",
];

/// Whole files that want all memory, all time or all stack.
const BOMBS: u64 = 12;

pub fn scalar(stream: &mut Stream) -> String {
    SCALARS[stream.index_below(SCALARS.len())].to_owned()
}

/// How large a bomb is: small ones pass where large ones are refused.
fn size(stream: &mut Stream) -> usize {
    10_usize.pow(1 + stream.below(5) as u32)
}

pub fn bomb(stream: &mut Stream) -> String {
    let size = size(stream);
    match stream.below(BOMBS) {
        0 => laughs(size.min(100), 9),
        1 => "[".repeat(size),
        2 => format!("{}{}", "[".repeat(size), "]".repeat(size)),
        3 => "{a: ".repeat(size),
        4 => (0..size.min(2_000)).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect(),
        5 => "- ".repeat(size),
        6 => format!("seed: '{}'", "x".repeat(size * 100)),
        7 => format!("{}: 1", "x".repeat(size * 100)),
        8 => (0..size).map(|key| format!("key{key}: {key}\n")).collect(),
        9 => format!("rewards: [{}]", "{kind: exact},".repeat(size)),
        10 => (0..size).map(|at| format!("a{at}: &a{at} [*a{}]\n", at.max(1) - 1)).collect(),
        _ => format!("{}seed: 1", "# comment\n".repeat(size * 10)),
    }
}

/// Each list holds the one before `width` times.
fn laughs(width: usize, depth: usize) -> String {
    let mut text = format!("a0: &a0 [{}]\n", "lol, ".repeat(width));
    for level in 1..depth {
        let inner = format!("*a{}, ", level - 1).repeat(width);
        text.push_str(&format!("a{level}: &a{level} [{inner}]\n"));
    }
    text
}
