//! A template as a tree.
//!
//! What the source writes one after another (`a + b + c`, `x.y|z`, `elif`) is a list and not nested, so the
//! tree is no deeper than the source's brackets and blocks, which the parser bounds.

use std::sync::Arc;

use super::value::Value;

/// Statements in their order.
pub(super) type Body = Vec<Node>;

/// A statement and its line.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) line: u32,
    pub(super) kind: Statement,
}

/// What a tag does.
#[derive(Debug)]
pub(super) enum Statement {
    Text(Arc<str>),
    Emit(Expr),
    For(Box<For>),
    /// Conditions with their bodies, and the `else`.
    If(Vec<(Expr, Body)>, Body),
    Set(Target, Expr),
    SetBlock(Target, Vec<Suffix>, Body),
    With(Vec<(Target, Expr)>, Body),
    Macro(Arc<Macro>),
    /// `{% call(x) f(y) %}`: the call, and its body as a macro named `caller`.
    CallBlock(Expr, Arc<Macro>),
    FilterBlock(Vec<Suffix>, Body),
    /// A part with a scope of its own.
    Scope(Body),
    Break,
    Continue,
}

/// What is assigned to.
#[derive(Debug)]
pub(super) enum Target {
    Name(Arc<str>),
    /// An attribute of a namespace.
    Attribute(Arc<str>, Arc<str>),
    Tuple(Vec<Target>),
}

/// A loop.
#[derive(Debug)]
pub(super) struct For {
    pub(super) target: Target,
    pub(super) items: Expr,
    pub(super) condition: Option<Expr>,
    pub(super) recursive: bool,
    pub(super) body: Body,
    pub(super) otherwise: Body,
}

/// A parameter of a macro, and its default.
pub(super) type Parameter = (Arc<str>, Option<Expr>);

/// A macro: parameters with their defaults, and which of the special names its body reads.
#[derive(Debug)]
pub(super) struct Macro {
    pub(super) name: Arc<str>,
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Body,
    pub(super) reads: SpecialNames,
}

/// Names that a macro may read without declaring them; by reading them it accepts more arguments.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SpecialNames {
    pub(super) varargs: bool,
    pub(super) kwargs: bool,
    pub(super) caller: bool,
}

/// Something with a value.
#[derive(Debug)]
pub(super) enum Expr {
    Constant(Value),
    Name(Arc<str>),
    Tuple(Vec<Expr>),
    List(Vec<Expr>),
    Dict(Vec<(Expr, Expr)>),
    /// A value and what follows it: `.name`, `[item]`, `(arguments)`, `|filter`, `is test`.
    Suffixed(Box<Expr>, Vec<Suffix>),
    Not(Box<Expr>),
    /// A sign: whether it negates.
    Signed(bool, Box<Expr>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    /// Operators of one precedence, from the left.
    Math(Box<Expr>, Vec<(Operator, Expr)>),
    Concat(Vec<Expr>),
    Compare(Box<Expr>, Vec<(Comparison, Expr)>),
    /// `then if condition else otherwise`.
    If(Box<[Expr; 2]>, Option<Box<Expr>>),
}

/// What follows a value.
#[derive(Debug)]
pub(super) enum Suffix {
    Attribute(Arc<str>),
    Item(Box<Expr>),
    Slice(Box<[Option<Expr>; 3]>),
    Call(Arguments),
    Filter(Arc<str>, Arguments),
    /// The name, its arguments, and whether the answer is negated.
    Test(Arc<str>, Arguments, bool),
}

/// Arguments as written.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    pub(super) positional: Vec<Expr>,
    pub(super) named: Vec<(Arc<str>, Expr)>,
    pub(super) star: Option<Box<Expr>>,
    pub(super) double_star: Option<Box<Expr>>,
}

/// Arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Remainder,
    Power,
}

/// Comparisons, which may be chained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    NotIn,
}
