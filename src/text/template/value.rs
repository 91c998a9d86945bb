//! Values of the template language: Python's, as far as chat templates see them.

use std::sync::Arc;

use super::functions::Function;

/// Letters of a name that a message shows.
const LONGEST_SHOWN: usize = 100;

/// A value. Copies share what they hold.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// Nothing by this name: prints as nothing, and most uses fail with the name.
    Undefined(Arc<str>),
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Str(Arc<str>),
    List(Arc<Items>),
    Tuple(Arc<Items>),
    Dict(Arc<Entries>),
    /// Runs out as it is read, as Python's generators do; which one, in the machine.
    Iterator(usize),
    /// What can change or call back lives in the machine, so that nothing can hold itself.
    Namespace(usize),
    Macro(usize),
    Loop(usize),
    Cycler(usize),
    Joiner(usize),
    Function(Function),
    /// A method of a value, by name, not yet called.
    Method(Arc<Method>),
}

/// Values one after another, how deep they are nested, and whether all could be keys.
#[derive(Debug)]
pub(super) struct Items {
    pub(super) values: Vec<Value>,
    pub(super) depth: usize,
    pub(super) hashable: bool,
}

/// Keys with values in their order, and how deep they are nested.
#[derive(Debug)]
pub(super) struct Entries {
    pub(super) pairs: Vec<(Value, Value)>,
    pub(super) depth: usize,
}

/// A value and the name of its method.
#[derive(Debug)]
pub(super) struct Method {
    pub(super) value: Value,
    pub(super) name: Arc<str>,
}

impl Value {
    pub(super) fn text(text: &str) -> Self {
        Self::Str(text.into())
    }

    pub(super) fn undefined(name: impl AsRef<str>) -> Self {
        // A template names things as long as it likes, and as often.
        let name = name.as_ref();
        let end = name.char_indices().nth(LONGEST_SHOWN).map_or(name.len(), |(at, _)| at);
        Self::Undefined(name[..end].into())
    }

    /// How deep lists and dicts are nested in this value.
    pub(super) fn depth(&self) -> usize {
        match self {
            Self::List(items) | Self::Tuple(items) => items.depth,
            Self::Dict(entries) => entries.depth,
            Self::Method(method) => method.value.depth() + 1,
            _ => 0,
        }
    }

    /// Python's truth of a value.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Undefined(_) | Self::None => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Str(text) => !text.is_empty(),
            Self::List(items) | Self::Tuple(items) => !items.values.is_empty(),
            Self::Dict(entries) => !entries.pairs.is_empty(),
            _ => true,
        }
    }

    /// Python's name of the type.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Undefined(_) => "Undefined",
            Self::None => "NoneType",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Str(_) => "str",
            Self::List(_) => "list",
            Self::Tuple(_) => "tuple",
            Self::Dict(_) => "dict",
            Self::Iterator(_) => "generator",
            Self::Namespace(_) => "Namespace",
            Self::Macro(_) => "Macro",
            Self::Loop(_) => "LoopContext",
            Self::Cycler(_) => "Cycler",
            Self::Joiner(_) => "Joiner",
            Self::Function(_) | Self::Method(_) => "function",
        }
    }

    /// An integer; truth values are 0 and 1, as in Python.
    pub(super) fn as_int(&self) -> Option<i128> {
        match self {
            Self::Int(value) => Some(*value),
            Self::Bool(value) => Some(i128::from(*value)),
            _ => None,
        }
    }

    /// A number as a float.
    pub(super) fn as_float(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            other => other.as_int().map(|value| value as f64),
        }
    }

    pub(super) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The values of a list or tuple.
    pub(super) fn as_slice(&self) -> Option<&[Value]> {
        match self {
            Self::List(items) | Self::Tuple(items) => Some(&items.values),
            _ => None,
        }
    }

    /// Whether Python takes this as a key.
    pub(super) fn is_hashable(&self) -> bool {
        match self {
            Self::List(_) | Self::Dict(_) => false,
            Self::Tuple(items) => items.hashable,
            _ => true,
        }
    }
}
