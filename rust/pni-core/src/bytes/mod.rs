//! Rows at a byte a value: what they prove about distances is exact, so it may rule out, and it never decides.

pub(crate) mod quantize;
pub(crate) mod rows;

pub(crate) use rows::{Narrowed, RowBytes};
