//! Flags whose value may hold a secret by mistake: what is refused is not shown.

use std::ffi::OsStr;

use clap::{Arg, Command, Error, builder::TypedValueParser, error::ErrorKind};

/// Parses with a function of [`parse`](crate::config::parse), whose error says what is allowed.
#[derive(Debug, Clone, Copy)]
pub struct RedactedValueParser<T>(pub fn(&str) -> Result<T, String>);

impl<T: Clone + Send + Sync + 'static> TypedValueParser for RedactedValueParser<T> {
    type Value = T;

    fn parse_ref(&self, command: &Command, flag: Option<&Arg>, value: &OsStr) -> Result<T, Error> {
        let Self(parse) = self;
        parse(&value.to_string_lossy()).map_err(|allowed| {
            let flag = flag.map(ToString::to_string).unwrap_or_default();
            let message = format!("invalid value for '{flag}': {allowed}\n");
            Error::raw(ErrorKind::ValueValidation, message).with_cmd(command)
        })
    }
}
