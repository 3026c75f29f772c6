//! How things look: times, numbers, charts, stacks, trees of values. Everything here returns HTML that is safe to embed, but for what is
//! `copied` as text.

pub(crate) mod chart;
pub(crate) mod copied;
pub(crate) mod markdown;
pub(crate) mod number;
pub(crate) mod stack;
pub(crate) mod text;
pub(crate) mod times;
pub(crate) mod tree;
