//! Tests of loading: what passes, what is refused, and how it is said.
