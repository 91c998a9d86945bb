//! Templates put together from pieces, most of them broken.

use crate::random::Stream;

/// Pieces that a generated template is put together from.
const PIECES: [&str; 92] = [
    "{{ ",
    " }}",
    "{% ",
    " %}",
    "{%- ",
    " -%}",
    "{# ",
    " #}",
    "{% if ",
    "{% endif %}",
    "{% else %}",
    "{% elif ",
    "{% for i in ",
    "{% for a, b in ",
    "{% endfor %}",
    "{% set x = ",
    "{% set ns.x = ",
    "{% set ns = namespace(s='a') %}",
    "{% set x %}",
    "{% endset %}",
    "{% macro f(a, b=1) %}",
    "{% endmacro %}",
    "{% call(z) f(",
    "{% endcall %}",
    "{% filter upper %}",
    "{% endfilter %}",
    "{% with q = ",
    "{% endwith %}",
    "{% raw %}",
    "{% endraw %}",
    "{% break %}",
    "{% continue %}",
    "{% generation %}",
    "messages",
    "messages[0].content",
    "loop",
    "loop.index",
    "loop(",
    "loop.cycle(",
    "f(",
    "caller()",
    "varargs",
    "ns",
    "ns.x",
    "ns.s",
    "x",
    "i",
    "nothing",
    "none",
    "true",
    "1",
    "-3",
    "0",
    "2.5",
    "10**9",
    "99999999999",
    "'a'",
    "\"b\n\"",
    "'é語😀'",
    "[",
    "]",
    "(",
    ")",
    "{",
    "}",
    ", ",
    ": ",
    ".",
    "|",
    " ~ ",
    " + ",
    " * ",
    " ** ",
    " // ",
    " % ",
    " == ",
    " < ",
    " in ",
    " not in ",
    " is ",
    "not ",
    " and ",
    " or ",
    " if ",
    " else ",
    "|map('upper')|list",
    "|tojson(indent=",
    "|join(",
    "|sort",
    ".split('a')",
    "range(",
    "%s",
];
/// Whole tags and values, so that much of what is generated can be parsed.
const WHOLE: [&str; 24] = [
    "{{ messages|tojson }}",
    "{{ x }}",
    "{{ ns.s|length }}",
    "{% set ns.s = ns.s ~ ns.s %}",
    "{% set ns.s = [ns.s, ns.s] %}",
    "{% set ns.x = ns %}",
    "{% for i in range(1000) %}",
    "{% for i in ns.s %}",
    "{% endfor %}",
    "{{ f(ns.s) }}",
    "{% macro f(a) %}{{ f(a) }}{{ a }}{% endmacro %}",
    "{% if i is odd %}",
    "{% endif %}",
    "{% set x = x|default('a') ~ x %}",
    "{{ '%s' % ns.s }}",
    "{{ ns.s|string|replace('a', 'aaaa') }}",
    "{% set ns = namespace(s='a') %}",
    "{{ messages[::-1]|map(attribute='role')|join(ns.s) }}",
    "{% for i in [[1, [2]]] recursive %}{{ loop(i) if i is iterable }}{% endfor %}",
    "{{ loop.changed(ns.s) }}",
    "{{ ns.s * 1000 }}",
    "{{ (ns.s|string).split('a') }}",
    "{{ ns.s is mapping or x is sequence }}",
    "text\r\n",
];

pub(super) fn generated(stream: &mut Stream) -> String {
    let mut below = |count: usize| (stream.uniform() * count as f32) as usize % count;
    let mut source = String::from("{% set ns = namespace(s='a') %}");
    for _ in 0..1 + below(20) {
        let whole = below(8) > 0;
        source += if whole { WHOLE[below(WHOLE.len())] } else { PIECES[below(PIECES.len())] };
    }
    // Half are closed as they were opened, so that they are more than a broken tag.
    for (open, close) in
        [("{% for ", "{% endfor %}"), ("{% if ", "{% endif %}"), ("{% macro ", "{% endmacro %}")]
    {
        let missing = source.matches(open).count().saturating_sub(source.matches(close).count());
        source += &close.repeat(missing * below(2));
    }
    source
}

/// A template of up to a megabyte: many of one kind of tag or value, each with another name.
pub(super) fn long(stream: &mut Stream) -> String {
    const MANY: [[&str; 3]; 12] = [
        ["", "{%set N=1%}", "{{ zzzz }}"],
        [
            "",
            "{%set N='a'%}",
            "{% for i in range(9) %}{% for i in range(99999) %}{{ zzzz }}{% endfor %}{% endfor %}",
        ],
        ["", "{%macro N()%}{%endmacro%}", "{% for i in range(99999) %}{{ zzzz }}{% endfor %}"],
        [
            "{% set ns = namespace(",
            "N=1,",
            ") %}{% for i in range(99999) %}{{ ns.zzzz }}{% endfor %}",
        ],
        ["{% set ns = namespace() %}", "{%set ns.N=1%}", "{{ ns }}"],
        ["{{ {", "'N':1,", "'z':1}|length }}"],
        [
            "{% macro f(",
            "N=1,",
            "z=1) %}{% endmacro %}{% for i in range(999) %}{{ f() }}{% endfor %}",
        ],
        ["{% macro f() %}{{ kwargs|length }}{% endmacro %}{{ f(", "N=1,", "z=1) }}"],
        ["{{ '{z}'.format(", "N=1,", "z=1) }}"],
        ["{% with ", "N=1,", "z=1 %}{% for i in range(99999) %}{{ y }}{% endfor %}{% endwith %}"],
        ["{% for ", "N,", "z in [[1]] %}{% endfor %}"],
        ["{{ [", "N,", "z]|length }}"],
    ];
    let [first, repeated, last] = MANY[stream.index_below(MANY.len())];
    let count = 10_usize.pow(1 + stream.below(5) as u32).min(900_000 / (repeated.len() + 5));
    let many = (0..count).map(|at| repeated.replace('N', &format!("n{at}")));
    format!("{first}{}{last}", many.collect::<String>())
}

/// A large text or list and what makes more of it at once.
pub(super) fn large(stream: &mut Stream) -> String {
    const TEXTS: [&str; 12] =
        ["a", "a ", "\\n", "\\r\\n", "\\u0001", "ΐ", "\"", "<", "é语", "😀", "%s", "{0}"];
    const USES: [&str; 40] = [
        ".split('a')",
        ".rsplit('a')",
        ".split()",
        ".rsplit()",
        ".splitlines()",
        ".splitlines(true)",
        ".split('a', 3)",
        "|tojson",
        "|tojson(ensure_ascii=true)",
        "|list",
        "|map('upper')|list",
        "|sort",
        "|upper",
        "|title",
        "|e",
        "|striptags",
        "|indent",
        "|urlencode",
        "|reverse",
        "|string|int",
        "|float",
        "|groupby(0)",
        "|unique|list",
        "|batch(2)|list",
        "|slice(3)|list",
        "[::-1]",
        "[1:]",
        ".swapcase()",
        ".partition('a')",
        ".replace('a', 'aaaa')",
        ".center(99999999)",
        ".expandtabs(9)",
        "|trim('bca')",
        " % ((1.5,) * 999999)",
        ".format(1)",
        ".join(['b'] * 999999)",
        "|wordcount",
        "|capitalize",
        "|truncate(9)",
        "|min",
    ];
    let text = TEXTS[stream.index_below(TEXTS.len())];
    let use_of = USES[stream.index_below(USES.len())];
    let count = 10_usize.pow(4 + stream.below(4) as u32) * (1 + stream.index_below(9));
    match stream.below(4) {
        0 => format!("{{{{ (['{text}'] * {count}){use_of} }}}}"),
        1 => format!("{{{{ [('{text}' * {count})]|string{use_of} }}}}"),
        2 => format!(
            "{{% for i in range(9999) %}}{{% set x = ('{text}' * {count}){use_of} %}}{{% endfor %}}"
        ),
        _ => format!("{{{{ ('{text}' * {count}){use_of}|length }}}}"),
    }
}
