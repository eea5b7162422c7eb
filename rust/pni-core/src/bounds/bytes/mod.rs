//! Rows at a byte a value: what they prove about distances is exact, so it may rule out, and it never decides.

pub(crate) mod blocks;
pub(crate) mod panels;
pub(crate) mod quantize;
pub(crate) mod rows;
mod tiles;

pub(crate) use rows::{Narrowed, RowBytes};
