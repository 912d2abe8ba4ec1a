//! Labs as code.
