//! The HTTP APIs we speak, one folder each: its routes, its shapes, its way in and its way out.

pub mod altertable;
pub mod definite;
