//! `"%s" % value` and `"{}".format(value)`.

mod braces;
mod digits;
mod layout;
mod percent;

pub(super) use braces::format_method;
pub(super) use percent::percent;
